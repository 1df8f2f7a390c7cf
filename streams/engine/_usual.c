/* The usual event, in C: in each funnel that it concerns a unit's first event, or one that goes a stage further or stays, in order.
 *
 * Works on the packed state of streams/engine/state.py as it lies in the store, and writes the packed row of schemas/rows.py.
 * Whatever is not usual is left to streams/engine/unit.py: with the same outcome, byte for byte
 * (tests/unit/engine/test_usual.py). `Lane.move` does it for an event that Python has decoded; a `Reading` takes records as they
 * lie in Kafka, one after the other, for as long as nothing is unusual. The stable ABI: one build serves every Python from 3.11 on.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdint.h>
#include <string.h>

#include "_blake2b.h"
#include "_crc32c.h"
#include "_fetched.h"
#include "_msgpack.h"
#include "_recent.h"
#include "_record.h"
#include "_written.h"

/* The state of a unit that is settled. */
static Writer state_out;

/* ---- the plan of one stage of one funnel --------------------------------------------------------------------------- */

enum { HEAD, ENTER, STAGE, FORWARD, END, REACHED, PARTS };

typedef struct {
    PyObject_HEAD
    int level, converts, place, last; /* `last`: the group that it was counted in last */
    int64_t format, tag, window, lateness, most, optional; /* `optional`: which levels are, bit by bit */
    /* Of the rows, packed beforehand. HEAD: funnel and version; ENTER: kind and item; STAGE: the stage reached; FORWARD: direction
     * and outcome. Of the end that a conversion writes, END: kind and item; REACHED: stages. */
    PyObject *parts[PARTS];
    PyObject *names; /* of the stages before it, packed */
    PyObject *salt; /* of attempt ids */
    /* For records that Python has not decoded: the fields of the breakdown, None where more must be read; what turns the money of
     * the stage into the reporting currency, None where it has none. */
    PyObject *fields, *convert;
    PyObject *dropped; /* what surrounds the contents of a drop-off's record (schemas/drop_off.py) */
} Plan;

/* What one event says. `dims` and `money` are packed, `money` is one byte where there is none; `consent` is -1 where it says
 * nothing. */
typedef struct {
    int64_t offset, ts;
    const char *event_id, *unit_id, *dims, *money;
    const char *order; /* within `money`; NULL where it names none */
    Py_ssize_t event_id_size, unit_id_size, dims_size, money_size, order_size;
    int consent;
} Said;

/* What of the attempt goes into a row. */
typedef struct {
    Place id, dims;
    Py_ssize_t dims_size;
    PyObject *from; /* the stage that it came from, packed; NULL: none */
    int64_t entry, number, session_start, reached, duration, due;
    int recovered, consent, stays; /* `stays`: nothing new is reached, so that there is no row */
    unsigned char fresh_id[16]; /* of the attempt that this event opens */
} Told;

static void put_part(Writer *w, PyObject *part) { put(w, PyBytes_AsString(part), PyBytes_Size(part)); }

static void put_hit(Writer *w, Plan *plan, Said *said) {
    *w->at++ = 0x98;
    put_int(w, said->ts);
    put_text(w, said->event_id, said->event_id_size);
    put_int(w, (int64_t)1 << plan->level);
    put_int(w, 0);
    put_bool(w, 0);
    put(w, said->dims, said->dims_size);
    put(w, said->money, said->money_size);
    if (said->consent < 0) put_nil(w);
    else put_bool(w, said->consent);
}

/* The pending hits and this one. */
static void put_pending(Writer *w, Plan *plan, Said *said, Place pending, Py_ssize_t size) {
    unsigned char *head = w->at, *body = head + 5; /* the widest head there is; it is known once all is written */
    w->at = body;
    put(w, pending, size);
    put_hit(w, plan, said);
    size = w->at - body;
    w->at = head;
    put_bin_head(w, size);
    memmove(w->at, body, (size_t)size);
    w->at += size;
}

/* The orders whose money was taken: this one, the first. */
static void put_order(Writer *w, Said *said) {
    *w->at++ = 0x81;
    put(w, said->order, said->order_size);
    put_int(w, said->ts);
}

static void put_hex(Writer *w, Place id) {
    static const char hex[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        *w->at++ = (unsigned char)hex[id[i] >> 4];
        *w->at++ = (unsigned char)hex[id[i] & 15];
    }
}

static void put_row_head(Writer *w, Plan *plan, Said *said, Told *told, int part) {
    put_number(w, 0xdc, 28, 2);
    put_part(w, plan->parts[HEAD]);
    put_number(w, 0xd9, 32, 1);
    put_hex(w, told->id);
    put_part(w, plan->parts[part]);
    put_int(w, said->offset);
    put_int(w, 0);
    put_text(w, said->unit_id, said->unit_id_size);
    put_int(w, told->session_start);
    put_int(w, told->number);
    put_bool(w, told->recovered);
    put_int(w, told->entry);
    put_int(w, said->ts);
    put_text(w, said->event_id, said->event_id_size);
}

static void put_no_money(Writer *w) { put(w, "\xc0\xa0\xc0\xa0", 4); }

/* The stage that was reached, with its money. */
static void put_enter(Writer *w, Plan *plan, Said *said, Told *told) {
    put_row_head(w, plan, said, told, ENTER);
    if (told->from == NULL) *w->at++ = 0xa0;
    else put_part(w, told->from);
    put_part(w, plan->parts[STAGE]);
    put_int(w, plan->level);
    put_int(w, told->reached);
    put_part(w, plan->parts[FORWARD]);
    put_int(w, told->duration);
    put(w, told->dims, told->dims_size);
    put(w, said->dims, said->dims_size);
    if (said->money_size > 1) put(w, said->money + 1, said->money_size - 1); /* its four values, without their head */
    else put_no_money(w);
    put_bool(w, said->consent > 0);
}

/* The end of an attempt. `outcome`: packed direction and outcome. */
static void put_end(Writer *w, Plan *plan, Said *said, Told *told, const char *outcome) {
    put_row_head(w, plan, said, told, END);
    put_part(w, plan->parts[REACHED]);
    put_int(w, plan->level);
    put_int(w, told->reached);
    put(w, outcome, (Py_ssize_t)strlen(outcome));
    put_int(w, said->ts - told->entry);
    put(w, told->dims, told->dims_size);
    if (said->dims_size > 1) put(w, said->dims, said->dims_size);
    else put(w, told->dims, told->dims_size);
    put_no_money(w);
    put_bool(w, said->consent < 0 ? told->consent : said->consent);
}

static void put_digits(Writer *w, int64_t value) {
    unsigned char digits[20];
    int count = 0;
    uint64_t left = value < 0 ? -(uint64_t)value : (uint64_t)value;
    do digits[count++] = (unsigned char)('0' + left % 10);
    while ((left /= 10) > 0);
    if (value < 0) *w->at++ = '-';
    while (count > 0) *w->at++ = digits[--count];
}

/* A text of JSON, but for the quote before it. 0: it holds what must be escaped. */
static int put_quoted(Writer *w, const unsigned char *text, Py_ssize_t size) {
    for (Py_ssize_t i = 0; i < size; i++)
        if (text[i] < 0x20 || text[i] == '"' || text[i] == '\\') return 0;
    put(w, text, size);
    *w->at++ = '"';
    return 1;
}

/* The record of an attempt whose window has passed, as schemas/drop_off.py has it: (key, value). None: one of its texts must be escaped. */
static PyObject *drop_off_of(Writer *w, Plan *plan, Said *said, Told *told) {
    Py_ssize_t parts = PyTuple_Size(plan->dropped), size, room = 256 + told->dims_size + said->unit_id_size;
    Reader reader = {told->dims, told->dims + told->dims_size, 0}, *r = &reader;
    if (parts < 2 || read_array(r) != parts - 2) Py_RETURN_NONE;
    for (Py_ssize_t i = 0; i < parts; i++) room += 1 + PyBytes_Size(PyTuple_GetItem(plan->dropped, i));
    w->at = w->start;
    if (!ready(w, room)) return NULL;
    put_hex(w, told->id);
    unsigned char *key = w->start, *value = w->at;
    put_part(w, PyTuple_GetItem(plan->dropped, 0));
    put_hex(w, told->id);
    put_part(w, PyTuple_GetItem(plan->dropped, 1));
    put_digits(w, told->entry);
    put(w, ",\"dropped_at\":", 14);
    put_digits(w, said->ts);
    put(w, ",\"dimensions\":{", 15);
    for (Py_ssize_t i = 2; i < parts; i++) {
        put_part(w, PyTuple_GetItem(plan->dropped, i));
        Place text = read_text(r, &size);
        if (r->odd || !put_quoted(w, text, size)) Py_RETURN_NONE;
    }
    *w->at++ = '}';
    if (told->consent) {
        put(w, ",\"id\":\"", 7);
        if (!put_quoted(w, (Place)said->unit_id, said->unit_id_size)) Py_RETURN_NONE;
    }
    *w->at++ = '}';
    return Py_BuildValue("(y#y#)", (char *)key, value - key, (char *)value, w->at - value);
}

/* Room for both rows. */
static int ready_for_rows(Writer *w, Plan *plan, Said *said, Told *told) {
    Py_ssize_t room = 512 + said->event_id_size + said->unit_id_size + said->dims_size + 2 * told->dims_size + said->money_size;
    for (int i = 0; i < PARTS; i++) room += PyBytes_Size(plan->parts[i]);
    if (told->from != NULL) room += PyBytes_Size(told->from);
    return ready(w, 2 * room);
}

/* What the counters tell rows apart by: the levels reached, and whether it is recovered. */
static int64_t shape_of(Told *told) { return (int64_t)((uint64_t)told->reached << 1 | (unsigned)told->recovered); }

static const unsigned char packed_nothing[1];

/* Reads an attempt up to its starts; 0 if there is none, or it isn't one. `consent_at`: where its consent stands. */
static int read_attempt(Reader *r, Told *told, Place *consent_at) {
    Py_ssize_t size;
    if (peek(r) == 0xc0 || read_array(r) != 13) return 0;
    told->id = read_bin(r, &size);
    if (size != 16) return 0;
    told->entry = read_int(r);
    told->dims = r->at;
    skip(r);
    told->dims_size = r->at - told->dims;
    told->number = read_int(r);
    told->recovered = read_bool(r);
    *consent_at = r->at;
    told->consent = read_bool(r);
    return 1;
}

/* The state of a funnel in which this event opens the unit's first attempt. */
static void put_begun(Writer *w, Plan *plan, Said *said, Place id) {
    int64_t deadline = said->ts + plan->window;
    put_int(w, plan->tag);
    *w->at++ = 0x97;
    *w->at++ = 0x97; /* the walk */
    *w->at++ = 0x9d; /* its attempt */
    put_bin_head(w, 16);
    put(w, id, 16);
    put_int(w, said->ts);
    put(w, said->dims, said->dims_size);
    put_int(w, 1);
    put_bool(w, 0);
    put_bool(w, said->consent > 0);
    put(w, "\x91\x00\x91\x00\x01\x00\x00", 7); /* starts, times, reached, highest, current */
    put_int(w, deadline);
    put_int(w, 0);
    put(w, "\xc0\xc2\x00\xc0\x00", 5); /* the rest of the walk: nothing has ended */
    if (said->order != NULL) put_order(w, said);
    else put_nil(w);
    put_bin_head(w, 8);
    put(w, "\x97\xc0\xc0\xc2\x00\xc0\x00\xc0", 8); /* the base: a walk that has not begun */
    put_pending(w, plan, said, packed_nothing, 0);
    put_int(w, 1);
    put_int(w, said->ts);
    put_nil(w);
    put_int(w, deadline);
}

/* 128 bits that name the attempt which this event opens: `attempt_id` of walk.py. */
static void name_attempt(Plan *plan, Said *said, unsigned char id[16]) {
    Blake2b hash;
    blake2b_begin(&hash, 16);
    blake2b_add(&hash, PyBytes_AsString(plan->salt), (size_t)PyBytes_Size(plan->salt));
    blake2b_add(&hash, said->event_id, (size_t)said->event_id_size);
    blake2b_add(&hash, "", 1);
    blake2b_add(&hash, said->unit_id, (size_t)said->unit_id_size);
    blake2b_end(&hash, id);
}

/* An event of the first stage, of a unit that the funnel has not met. Writes the unit's next state to `w`. Returns 0 for whatever is not
 * that, -1 for an error. `before`: how many other funnels this event has moved the unit in. */
static int begin(Plan *plan, Said *said, Place packed, Py_ssize_t packed_size, int before, Told *told, Writer *w) {
    w->at = w->start;
    if (!ready(w, packed_size + 256 + said->event_id_size + 3 * said->dims_size + 2 * said->money_size)) return -1;
    int64_t wake = told->due = said->ts + plan->window + plan->lateness;
    if (wake == 0) return 0; /* in an answer, 0 says that it is in the calendar */
    Place others = packed, end = packed + packed_size;
    Py_ssize_t funnels = 0;
    if (packed != NULL) {
        Reader reader = {packed, end, 0}, *r = &reader;
        if (read_array(r) != 5 || read_int(r) != plan->format || read_int(r) >= said->offset + (before > 0)) return 0;
        int64_t due = read_int(r);
        read_bool(r);
        funnels = read_map(r);
        others = r->at;
        for (Py_ssize_t i = 0; i < funnels && !r->odd; i++) {
            if (read_int(r) == plan->tag) return 0;
            skip(r);
        }
        if (r->odd || r->at != end || funnels > 60000) return 0;
        if (due <= wake) {
            wake = due;
            told->due = 0; /* it is in the calendar, and no later */
        }
    }
    *w->at++ = 0x95;
    put_int(w, plan->format);
    put_int(w, said->offset);
    put_int(w, wake);
    put_bool(w, 0);
    put_count(w, funnels + 1, 0x80, 0xde);
    if (packed != NULL) put(w, others, end - others);
    unsigned char *id = told->fresh_id;
    name_attempt(plan, said, id);
    put_begun(w, plan, said, id);
    told->id = id;
    told->dims = (Place)said->dims;
    told->dims_size = said->dims_size;
    told->entry = said->ts;
    told->number = told->reached = 1;
    told->session_start = told->recovered = told->consent = 0;
    told->duration = -1;
    told->from = NULL;
    told->stays = 0;
    return 1;
}

static int contains(Place hay, Py_ssize_t size, const char *needle, Py_ssize_t length) {
    if (size < length) return 0;
    for (Place end = hay + size - length; hay <= end; hay++) {
        hay = memchr(hay, needle[0], (size_t)(end - hay + 1));
        if (hay == NULL) return 0;
        if (memcmp(hay, needle, (size_t)length) == 0) return 1;
    }
    return 0;
}

/* Levels that an attempt can have: 62, and what `reached` has bits for. */
#define LEVELS 63

/* Times of an attempt's chains, by level: when each started, or came so far; -1 where none did. */
typedef struct {
    int64_t of[LEVELS];
    Py_ssize_t count;
} Chains;

/* Returns 0 if it is no such array. */
static int read_chains(Reader *r, Chains *chains) {
    chains->count = read_array(r);
    if (chains->count < 1 || chains->count > LEVELS) return 0;
    for (Py_ssize_t i = 0; i < chains->count; i++) chains->of[i] = read_int(r);
    return 1;
}

/* The plan's level has this one now; it may be a new level. */
static void put_chains(Writer *w, Plan *plan, const Chains *chains, int64_t own) {
    Py_ssize_t count = chains->count > plan->level ? chains->count : plan->level + 1;
    put_count(w, count, 0x90, 0xdc);
    for (Py_ssize_t i = 0; i < count; i++) put_int(w, i == plan->level ? own : i < chains->count ? chains->of[i] : -1);
}

/* The level whose chain can move to the plan's level now and started last (equal: the higher one); -1 if none can: `best_source` of walk.py. */
static int source_of(Plan *plan, const Chains *starts, int64_t now) {
    int best = -1;
    int64_t newest = -1;
    for (int source = plan->level - 1; source >= 0; source--) {
        int64_t start = source < starts->count ? starts->of[source] : -1;
        if (start > newest && now - start <= plan->window) {
            best = source;
            newest = start;
        }
        if (!(plan->optional >> source & 1)) break;
    }
    return best;
}

/* A stage further, past none that is required, or the stage where the unit is, in order, within the window. As `begin`. `alone`: this is the
 * event's only funnel. */
static int advance(
    Plan *plan, Said *said, Place packed, Py_ssize_t packed_size, int64_t horizon, int before, int alone, Told *told, Writer *w) {
    Reader reader = {packed, packed + packed_size, 0}, *r = &reader;
    int level = plan->level;
    if (read_array(r) != 5 || read_int(r) != plan->format) return 0;
    Place offset_at = r->at;
    if (read_int(r) >= said->offset + (before > 0)) return 0;
    int64_t wake = read_int(r);
    read_bool(r);
    Place rest = r->at;
    Py_ssize_t funnels = read_map(r);
    int quiet = plan->converts && funnels == 1 && alone; /* nothing will be left to do but forget the unit */
    while (funnels > 0 && !r->odd && read_int(r) != plan->tag) {
        skip(r);
        funnels--;
    }
    if (funnels <= 0 || r->odd) return 0;
    if (read_array(r) != 7) return 0;
    Place walk_at = r->at;
    if (read_array(r) != 7) return 0;
    Place attempt_at = r->at, consent_at;
    if (!read_attempt(r, told, &consent_at)) return 0;
    Chains starts, times;
    if (!read_chains(r, &starts) || !read_chains(r, &times) || times.count != starts.count) return 0;
    told->reached = read_int(r);
    int64_t highest = read_int(r), current = read_int(r);
    int stays = told->stays = told->reached >> level & 1;
    if (highest != starts.count - 1 || current != (stays ? level : highest) || (stays ? plan->converts : highest >= level)) return 0;
    int64_t deadline = read_int(r), now = said->ts - told->entry;
    Place reason_at = r->at;
    skip(r); /* why it would end */
    Place reason_end = r->at;
    for (int i = 0; i < 3; i++) skip(r);
    Place activity_at = r->at;
    skip(r);
    told->session_start = read_int(r);
    Place orders_at = r->at;
    int ordered = peek(r) != 0xc0;
    skip(r);
    Place base_at = r->at;
    skip(r);
    Place pending_at = r->at;
    Py_ssize_t size;
    Place pending = read_bin(r, &size);
    int64_t count = read_int(r), newest = read_int(r);
    Place floor_at = r->at;
    skip(r);
    Place due_at = r->at;
    read_int(r);
    Place others_at = r->at;
    r->at = floor_at;
    if (r->odd || peek(r) != 0xc0 || deadline < said->ts) return 0;
    int source = level == 0 ? 0 : source_of(plan, &starts, now);
    if (source < 0 && !stays) return 0;
    int fresh = newest < horizon || count < 1; /* nothing that could still be changed: the walk so far is the base */
    if (count < 0 || (!fresh && (count >= plan->most || said->ts <= newest))) return 0;
    if (!fresh && contains(pending, size, said->event_id, said->event_id_size)) return 0;
    if (!stays && said->money_size > 1 && ordered) return 0;
    told->due = 0; /* it is in the calendar, and no later */
    if (quiet && wake != said->ts + plan->window + plan->lateness) wake = told->due = said->ts + plan->window + plan->lateness;
    if (quiet && wake == 0) return 0; /* see begin */
    if (!stays) {
        told->duration = now - times.of[source];
        told->from = PyTuple_GetItem(plan->names, (Py_ssize_t)current);
        told->reached |= (int64_t)1 << level;
        highest = current = level;
    }
    int64_t start = source < 0 ? starts.of[level] : level == 0 ? now : starts.of[source], time = source < 0 ? times.of[level] : now;
    if (level == 0) deadline = said->ts + plan->window;

    w->at = w->start;
    if (!ready(w, 2 * packed_size + 384 + said->event_id_size + said->dims_size + 2 * said->money_size)) return -1;
    put(w, packed, offset_at - packed);
    put_int(w, said->offset);
    put_int(w, wake);
    put_bool(w, quiet);
    if (plan->converts) {
        put(w, rest, attempt_at - rest);
        put_nil(w);
        put_int(w, said->ts);
        put_bool(w, 0);
        put_int(w, told->number);
        put(w, activity_at, orders_at - activity_at);
    } else {
        put(w, rest, consent_at - rest);
        put_bool(w, said->consent < 0 ? told->consent : said->consent);
        put_chains(w, plan, &starts, start);
        put_chains(w, plan, &times, time);
        put_int(w, told->reached);
        put_int(w, highest);
        put_int(w, current);
        put_int(w, deadline);
        if (level == 0) put_int(w, 0); /* the window of the newest chain */
        else put(w, reason_at, reason_end - reason_at);
        put(w, reason_end, orders_at - reason_end);
    }
    if (said->order != NULL && !stays) put_order(w, said);
    else put(w, orders_at, base_at - orders_at);
    if (fresh) {
        put_bin_head(w, base_at - walk_at);
        put(w, walk_at, base_at - walk_at);
    } else put(w, base_at, pending_at - base_at);
    put_pending(w, plan, said, pending, fresh ? 0 : size);
    put_int(w, fresh ? 1 : count + 1);
    put_int(w, said->ts);
    put(w, floor_at, due_at - floor_at);
    put_int(w, plan->converts ? said->ts + plan->window : deadline);
    put(w, others_at, packed + packed_size - others_at);
    return 1;
}

/* Finds the order in a packed Money: value, currency, reporting value, order. Returns 0 if that is not what it is. */
static int find_order(Said *said) {
    said->order = NULL;
    if (said->money_size == 1) return said->money[0] == (char)0xc0;
    Reader reader = {(Place)said->money, (Place)said->money + said->money_size, 0}, *r = &reader;
    if (read_array(r) != 4) return 0;
    for (int i = 0; i < 3; i++) skip(r);
    if (r->odd || r->at == r->end) return 0;
    if (*r->at != 0xa0) {
        said->order = (const char *)r->at;
        said->order_size = r->end - r->at;
    }
    return 1;
}

/* Plan(level, converts, format, tag, window, lateness, most pending hits, salt, place, fields of the dimensions or None, converter of
 * its money or None, what surrounds a drop-off's contents, which levels are optional, names of the stages before it, the parts) */
static PyObject *plan_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    PyObject *parts[PARTS], *salt, *fields, *convert, *dropped, *names;
    int level, converts, place;
    long long format, tag, window, lateness, most, optional;
    if (kwargs != NULL && PyDict_Size(kwargs) > 0) return PyErr_Format(PyExc_TypeError, "Plan takes no keywords");
    if (!PyArg_ParseTuple(
            args, "ipLLLLLSiOOO!LO!SSSSSS", &level, &converts, &format, &tag, &window, &lateness, &most, &salt, &place, &fields, &convert,
            &PyTuple_Type, &dropped, &optional, &PyTuple_Type, &names, &parts[HEAD], &parts[ENTER], &parts[STAGE], &parts[FORWARD], &parts[END], &parts[REACHED]))
        return NULL;
    if (level < 0 || level > 62) return PyErr_Format(PyExc_ValueError, "levels are 0 to 62, not %d", level);
    if (PyTuple_Size(names) != level) return PyErr_Format(PyExc_ValueError, "%zd names of %d stages", PyTuple_Size(names), level);
    if (fields != Py_None && !PyBytes_Check(fields)) return PyErr_Format(PyExc_TypeError, "fields are bytes or None");
    for (Py_ssize_t i = 0; i < PyTuple_Size(dropped); i++)
        if (!PyBytes_Check(PyTuple_GetItem(dropped, i))) return PyErr_Format(PyExc_TypeError, "a drop-off's parts are bytes");
    for (Py_ssize_t i = 0; i < level; i++)
        if (!PyBytes_Check(PyTuple_GetItem(names, i))) return PyErr_Format(PyExc_TypeError, "names are bytes");
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Plan *plan = (Plan *)alloc(type, 0);
    if (plan == NULL) return NULL;
    plan->level = level;
    plan->converts = converts;
    plan->place = place;
    plan->format = format;
    plan->tag = tag;
    plan->window = window;
    plan->lateness = lateness;
    plan->most = most;
    plan->optional = optional;
    plan->names = Py_NewRef(names);
    plan->salt = Py_NewRef(salt);
    plan->fields = Py_NewRef(fields);
    plan->convert = Py_NewRef(convert);
    plan->dropped = Py_NewRef(dropped);
    for (int i = 0; i < PARTS; i++) plan->parts[i] = Py_NewRef(parts[i]);
    return (PyObject *)plan;
}

static void plan_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    Plan *plan = (Plan *)self;
    for (int i = 0; i < PARTS; i++) Py_XDECREF(plan->parts[i]);
    Py_XDECREF(plan->salt);
    Py_XDECREF(plan->fields);
    Py_XDECREF(plan->convert);
    Py_XDECREF(plan->dropped);
    Py_XDECREF(plan->names);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

/* ---- the lane: events of one partition, one after the other ----------------------------------------------------------- */

/* Rows that differ in nothing that counts but breakdown, duration and money, all of one minute of event time. */
typedef struct {
    Plan *plan;
    int64_t shape, minute;
    PyObject *sample, *dims, *durations, *money; /* one of them; lists */
} Group;

/* Events that stayed in the funnels of a plan, which have no rows. */
typedef struct {
    int place;
    int64_t count;
} Stayed;

/* Units in more funnels than that are left to Python. */
#define MOST_FUNNELS 64

/* One event in one funnel: what it says to it, what comes of it, and the unit's state then. */
typedef struct {
    Plan *plan;
    Said said;
    Told told;
    Writer dims, money, state;
} Move;

typedef struct {
    PyObject_HEAD
    PyObject *store, *changed, *unwritten, *finished; /* of the partition's Units */
    PyObject *drop_offs; /* their records, (key, value) */
    Writer rows, drops, record; /* all rows; the drop-offs among them that have no record yet; a record under way */
    Py_ssize_t count, drop_count;
    Group *groups;
    Stayed *stayed;
    int group_count, group_room, stayed_count, stayed_room;
    Move moves[MOST_FUNNELS]; /* of the event at hand */
} Lane;

/* Where the partition stands, before and after. `near`: entries of its calendar, (-when, key), the first due last, of times before
 * `edge`; `dues`: new ones, (when, key). `recent`: ids of events that no funnel looks at. `moved`: how many of the last AHEAD records have moved
 * a unit. */
typedef struct {
    int64_t offset, watermark, floor, edge, first_due, read, repeated, bots, ts, moved;
    PyObject *endings, *near, *dues;
    Recent *recent;
} Now;

static PyTypeObject *plan_type;

static void forget_groups(Lane *lane) {
    for (int i = 0; i < lane->group_count; i++) {
        Group *group = &lane->groups[i];
        Py_DECREF(group->plan);
        Py_XDECREF(group->sample);
        Py_XDECREF(group->dims);
        Py_XDECREF(group->durations);
        Py_XDECREF(group->money);
    }
    lane->group_count = 0;
}

/* The group of such rows; NULL on an error. `row`: one of them. */
static Group *group_of(Lane *lane, Plan *plan, int64_t shape, int64_t minute, const unsigned char *row, Py_ssize_t size) {
    if (plan->last < lane->group_count) {
        Group *group = &lane->groups[plan->last];
        if (group->plan == plan && group->shape == shape && group->minute == minute) return group;
    }
    for (int i = lane->group_count - 1; i >= 0; i--) {
        Group *group = &lane->groups[i];
        if (group->plan == plan && group->shape == shape && group->minute == minute) {
            if (shape >= 0) plan->last = i;
            return group;
        }
    }
    if (lane->group_count == lane->group_room) {
        int room = lane->group_room * 2 + 16;
        Group *groups = PyMem_Realloc(lane->groups, (size_t)room * sizeof *groups);
        if (groups == NULL) return (Group *)PyErr_NoMemory();
        lane->groups = groups;
        lane->group_room = room;
    }
    Group *group = &lane->groups[lane->group_count];
    group->plan = (Plan *)Py_NewRef((PyObject *)plan);
    group->shape = shape;
    group->minute = minute;
    group->sample = PyBytes_FromStringAndSize((const char *)row, size);
    group->dims = PyList_New(0);
    group->durations = PyList_New(0);
    group->money = PyList_New(0);
    lane->group_count++;
    if (group->sample == NULL || group->dims == NULL || group->durations == NULL || group->money == NULL) return NULL;
    if (shape >= 0) plan->last = lane->group_count - 1;
    return group;
}

static int append(PyObject *list, PyObject *item) {
    if (item == NULL) return 0;
    int failed = PyList_Append(list, item);
    Py_DECREF(item);
    return !failed;
}

/* Adds a breakdown to the group's; one like the last is not made again. */
static int add_dims(Group *group, Told *told) {
    Py_ssize_t count = PyList_Size(group->dims);
    if (count > 0) {
        PyObject *last = PyList_GetItem(group->dims, count - 1);
        if (PyBytes_Size(last) == told->dims_size && memcmp(PyBytes_AsString(last), told->dims, (size_t)told->dims_size) == 0)
            return PyList_Append(group->dims, last) == 0;
    }
    return append(group->dims, PyBytes_FromStringAndSize((const char *)told->dims, told->dims_size));
}

static int set_number(PyObject *dict, PyObject *key, int64_t number) {
    PyObject *value = PyLong_FromLongLong(number);
    int failed = value == NULL || PyDict_SetItem(dict, key, value) < 0;
    Py_XDECREF(value);
    return !failed;
}

/* Changes the unit's state to what was written there. */
static int set_state(Lane *lane, PyObject *key, const Writer *w) {
    PyObject *state = PyBytes_FromStringAndSize((const char *)w->start, w->at - w->start);
    if (state == NULL) return 0;
    int failed = PyDict_SetItem(lane->changed, key, state);
    Py_DECREF(state);
    return !failed;
}

/* Keeps the rows of a usual event. 0: an exception is set. */
static int keep_rows(Lane *lane, Plan *plan, Said *said, Told *told) {
    Writer *w = &lane->rows;
    int64_t shape = shape_of(told), minute = said->ts / 60000 - (said->ts % 60000 < 0);
    if (!ready_for_rows(w, plan, said, told)) return 0;
    Py_ssize_t begin = w->at - w->start;
    put_enter(w, plan, said, told);
    Group *group = group_of(lane, plan, shape, minute, w->start + begin, w->at - w->start - begin);
    if (group == NULL || !add_dims(group, told) || !append(group->durations, PyLong_FromLongLong(told->duration))) return 0;
    if (said->money_size > 1 &&
        !append(group->money, Py_BuildValue("(y#y#)", said->money, said->money_size, told->dims, told->dims_size)))
        return 0;
    lane->count++;
    if (!plan->converts) return 1;
    begin = w->at - w->start;
    put_end(w, plan, said, told, "\xa0\xa9" "converted");
    group = group_of(lane, plan, -shape, minute, w->start + begin, w->at - w->start - begin);
    if (group == NULL || !add_dims(group, told)) return 0;
    lane->count++;
    return 1;
}

/* Counts an event that stayed. 0: an exception is set. */
static int count_stay(Lane *lane, int place) {
    for (int i = 0; i < lane->stayed_count; i++) {
        if (lane->stayed[i].place != place) continue;
        lane->stayed[i].count++;
        return 1;
    }
    if (lane->stayed_count == lane->stayed_room) {
        int room = lane->stayed_room * 2 + 8;
        Stayed *stayed = PyMem_Realloc(lane->stayed, (size_t)room * sizeof *stayed);
        if (stayed == NULL) {
            PyErr_NoMemory();
            return 0;
        }
        lane->stayed = stayed;
        lane->stayed_room = room;
    }
    lane->stayed[lane->stayed_count++] = (Stayed){place, 1};
    return 1;
}

/* Keeps the state that an event has made of a unit. 0: an exception is set. */
static int keep_state(Lane *lane, PyObject *key, const Writer *state) {
    if (!set_state(lane, key, state) || (PySet_Size(lane->unwritten) > 0 && PySet_Discard(lane->unwritten, key) < 0)) return 0;
    if (PyDict_Size(lane->finished) > 0 && PyDict_GetItemWithError(lane->finished, key) != NULL)
        return PyDict_DelItem(lane->finished, key) == 0;
    return !PyErr_Occurred();
}

/* The unit's packed state, borrowed; NULL where there is none, or with an exception set. */
static PyObject *state_of(Lane *lane, PyObject *key) {
    PyObject *packed = PyDict_GetItemWithError(lane->changed, key);
    if (packed == NULL && !PyErr_Occurred()) packed = PyDict_GetItemWithError(lane->store, key);
    return packed;
}

/* Moves a unit by the first `count` of the lane's moves, in turn: by all of them, or not at all. 1: done, and `due` says when the unit is
 * due, if that is new, else 0. 0: not usual, nothing is changed. -1: an exception is set. */
static int move_unit(Lane *lane, Py_ssize_t count, int64_t watermark, int64_t floor, PyObject *key, int64_t *due) {
    PyObject *held = state_of(lane, key);
    if (held == NULL && PyErr_Occurred()) return -1;
    char *before = NULL;
    Py_ssize_t size = 0;
    if (held != NULL && PyBytes_AsStringAndSize(held, &before, &size) < 0) return -1;
    Place packed = (Place)before;
    *due = 0;
    for (int i = 0; i < count; i++) {
        Move *m = &lane->moves[i];
        Plan *plan = m->plan;
        int64_t horizon = watermark - plan->lateness;
        if (horizon < floor) horizon = floor;
        if (m->said.ts < horizon) return 0;
        int usual = plan->level == 0 ? begin(plan, &m->said, packed, size, i, &m->told, &m->state) : 0;
        if (usual == 0 && packed != NULL) usual = advance(plan, &m->said, packed, size, horizon, i, count == 1, &m->told, &m->state);
        if (usual <= 0) return usual;
        if (m->told.due != 0) *due = m->told.due; /* sooner than those before */
        packed = m->state.start;
        size = m->state.at - packed;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        Move *m = &lane->moves[i];
        if (!(m->told.stays ? count_stay(lane, m->plan->place) : keep_rows(lane, m->plan, &m->said, &m->told))) return -1;
    }
    return keep_state(lane, key, &lane->moves[count - 1].state) ? 1 : -1;
}

/* lane.move(((plan, dims, money), ...), key, offset, ts, event id, unit id, consent, watermark, floor): 0 or when the unit is due; None: not
 * usual */
static PyObject *lane_move(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    if (count != 9) return PyErr_Format(PyExc_TypeError, "move takes 9 arguments, not %zd", count);
    Said said;
    said.offset = PyLong_AsLongLong(args[2]);
    said.ts = PyLong_AsLongLong(args[3]);
    said.event_id = PyUnicode_AsUTF8AndSize(args[4], &said.event_id_size);
    said.unit_id = PyUnicode_AsUTF8AndSize(args[5], &said.unit_id_size);
    if (said.event_id == NULL || said.unit_id == NULL) return NULL;
    if (args[6] != Py_None && args[6] != Py_True && args[6] != Py_False)
        return PyErr_Format(PyExc_TypeError, "consent is True, False or None");
    said.consent = args[6] == Py_None ? -1 : args[6] == Py_True;
    int64_t watermark = PyLong_AsLongLong(args[7]), floor = PyLong_AsLongLong(args[8]), due;
    if (PyErr_Occurred()) return NULL;
    if (!PyTuple_Check(args[0])) return PyErr_Format(PyExc_TypeError, "the first argument is a tuple");
    Py_ssize_t funnels = PyTuple_Size(args[0]);
    if (funnels < 1 || funnels > MOST_FUNNELS || said.event_id_size == 0) Py_RETURN_NONE;
    for (Py_ssize_t i = 0; i < funnels; i++) {
        Move *m = &((Lane *)self)->moves[i];
        PyObject *one = PyTuple_GetItem(args[0], i);
        char *dims, *money;
        m->said = said;
        if (!PyTuple_Check(one)) return PyErr_Format(PyExc_TypeError, "what it says to a funnel is a tuple");
        if (!PyArg_ParseTuple(one, "O!y#y#", plan_type, &m->plan, &dims, &m->said.dims_size, &money, &m->said.money_size))
            return NULL;
        m->said.dims = dims;
        m->said.money = money;
        if (m->said.dims_size == 0 || m->said.money_size == 0 || !find_order(&m->said)) Py_RETURN_NONE;
    }
    int usual = move_unit((Lane *)self, funnels, watermark, floor, args[1], &due);
    if (usual < 0) return NULL;
    if (usual == 0) Py_RETURN_NONE;
    return PyLong_FromLongLong(due);
}

/* An attempt that ends because its window has passed: what goes into its row, and when that was. */
typedef struct {
    Plan *plan;
    Told told;
    int64_t ts;
} Ended;

/* Settles one funnel of a unit and writes what is left of it: `settle` of unit.py. `due`: when it is due again; `open`: whether an attempt
 * is; `ended->plan`: NULL where none ended. 1: kept. 2: nothing is left. 0: unusual. -1: an exception is set. */
static int settle_funnel(const Now *now, Reader *r, Ended *ended, int64_t *due, int *open) {
    Writer *w = &state_out;
    Told *told = &ended->told;
    Place tag_at = r->at;
    int64_t tag = read_int(r), reached = 0, highest = 0, current = 0, deadline = 0, reason = 0;
    Place tag_end = r->at;
    if (read_array(r) != 7) return 0;
    Place walk_at = r->at, consent_at;
    if (read_array(r) != 7) return 0;
    *open = peek(r) != 0xc0;
    if (*open) {
        if (!read_attempt(r, told, &consent_at)) return 0;
        skip(r);
        skip(r);
        reached = read_int(r);
        highest = read_int(r);
        current = read_int(r);
        deadline = read_int(r);
        reason = read_int(r);
    } else skip(r);
    int over = peek(r) != 0xc0; /* an attempt has ended before */
    int64_t end = 0;
    if (over) end = read_int(r);
    else skip(r);
    skip(r);
    skip(r);
    Place activity_at = r->at;
    skip(r);
    told->session_start = read_int(r);
    skip(r); /* orders */
    Place walk_end = r->at;
    skip(r); /* base */
    skip(r); /* pending */
    int64_t count = read_int(r), newest = read_int(r);
    Place pending_end = r->at;
    int settled_before = peek(r) != 0xc0;
    skip(r);
    read_int(r);
    if (r->odd || settled_before) return 0;

    PyObject *number = PyLong_FromLongLong(tag), *plans = number == NULL ? NULL : PyDict_GetItemWithError(now->endings, number);
    Py_XDECREF(number);
    if (plans == NULL) return PyErr_Occurred() ? -1 : 0;
    if (!PyTuple_Check(plans) || highest < 0 || highest >= PyTuple_Size(plans)) return 0;
    Plan *plan = (Plan *)PyTuple_GetItem(plans, (Py_ssize_t)highest);
    int64_t horizon = now->watermark - plan->lateness;
    if (horizon < now->floor) horizon = now->floor;
    int settled = count > 0 && newest < horizon, ends = *open && deadline < horizon;
    if (count > plan->most && !settled) return 0;
    ended->plan = NULL;
    told->from = NULL;
    if (ends) {
        if (highest != current || reason != 0) return 0;
        ended->plan = plan;
        ended->ts = end = deadline;
        told->reached = reached;
        *open = 0;
    }
    if (*open) *due = deadline;
    else { /* as `due` of unit.py has it */
        *due = count > 0 && !settled ? newest : 0;
        if ((ends || over) && end + plan->window > *due) *due = end + plan->window;
        if (*due < horizon) return 2;
    }
    put(w, tag_at, tag_end - tag_at);
    *w->at++ = 0x97;
    if (ends) {
        *w->at++ = 0x97;
        put_nil(w);
        put_int(w, deadline);
        put_bool(w, 1);
        put_int(w, told->number);
        put(w, activity_at, walk_end - activity_at);
    } else put(w, walk_at, walk_end - walk_at);
    if (settled) put(w, "\xc4\x00\xc4\x00\x00\x00", 6); /* nothing is pending any more */
    else put(w, walk_end, pending_end - walk_end);
    put_nil(w);
    put_int(w, *due);
    *due += plan->lateness;
    return 1;
}

/* Keeps the row of a drop-off. */
static int keep_drop(Lane *lane, Plan *plan, Said *said, Told *told) {
    Writer *w = &lane->rows;
    int64_t minute = said->ts / 60000 - (said->ts % 60000 < 0);
    if (!ready_for_rows(w, plan, said, told)) return 0;
    Py_ssize_t begin = w->at - w->start;
    put_end(w, plan, said, told, "\xa0\xae" "window_timeout");
    Py_ssize_t size = w->at - w->start - begin;
    Group *group = group_of(lane, plan, -shape_of(told), minute, w->start + begin, size);
    if (group == NULL || !add_dims(group, told)) return 0;
    lane->count++;
    PyObject *dropped = drop_off_of(&lane->record, plan, said, told);
    if (dropped != Py_None) return append(lane->drop_offs, dropped);
    Py_DECREF(dropped);
    if (!ready(&lane->drops, size)) return 0;
    put(&lane->drops, w->start + begin, size);
    lane->drop_count++;
    return 1;
}

/* What the clock alone makes of a unit need not be written, unless an event has changed it in this chunk. */
static int keep_unwritten(Lane *lane, PyObject *key) {
    int changed = PyDict_Contains(lane->changed, key), written = 0;
    if (changed > 0) written = !PySet_Contains(lane->unwritten, key);
    return changed >= 0 && set_state(lane, key, &state_out) && (written || PySet_Add(lane->unwritten, key) == 0);
}

#define NEVER INT64_MIN

/* A unit is over: nothing is kept of it but that. 1 or -1. */
static int finish(Lane *lane, PyObject *key, int64_t format, int64_t offset) {
    Writer *w = &state_out;
    w->at = w->start;
    if (!ready(w, 64)) return -1;
    *w->at++ = 0x95;
    put_int(w, format);
    put_int(w, offset);
    put_int(w, (int64_t)1 << 62);
    put_bool(w, 0);
    *w->at++ = 0x80;
    return keep_unwritten(lane, key) && set_number(lane->finished, key, offset) ? 1 : -1;
}

/* A unit is due. 1: settled, or the entry no longer holds; `again`: when it is due next. 0: not usual, nothing is
 * changed. -1: an exception is set. */
static int settle(Lane *lane, const Now *now, PyObject *key, int64_t wake, int64_t *again) {
    PyObject *held = state_of(lane, key);
    *again = NEVER;
    if (held == NULL) return PyErr_Occurred() ? -1 : 1;
    Said said = {.offset = now->offset, .event_id = "", .money_size = 1, .consent = -1};
    Ended ended[MOST_FUNNELS];
    char *packed;
    Py_ssize_t size;
    said.unit_id = PyUnicode_AsUTF8AndSize(key, &said.unit_id_size);
    if (said.unit_id == NULL || PyBytes_AsStringAndSize(held, &packed, &size) < 0) return -1;
    Reader reader = {(Place)packed, (Place)packed + size, 0}, *r = &reader;
    Py_ssize_t parts = read_array(r);
    Place head = r->at;
    int64_t format = read_int(r), offset = read_int(r);
    Place head_end = r->at;
    int64_t due = read_int(r);
    int quiet = read_bool(r);
    if (r->odd || parts != 5 || said.unit_id_size < 1 || said.unit_id[0] != '=') return 0;
    if (due != wake) return 1;
    if (quiet && wake < now->watermark) return finish(lane, key, format, offset); /* nothing is left to do but to forget it */
    Py_ssize_t funnels = read_map(r), left = 0;
    if (r->odd || funnels < 1 || funnels > MOST_FUNNELS) return 0;

    Writer *w = &state_out;
    w->at = w->start;
    if (!ready(w, 64 + size + 64 * funnels)) return -1;
    w->at += 32; /* its head is written last */
    unsigned char *body = w->at;
    int64_t earliest = INT64_MAX;
    int opens = 0;
    for (Py_ssize_t i = 0; i < funnels; i++) {
        int64_t next;
        int open, kept = settle_funnel(now, r, &ended[i], &next, &open);
        if (kept <= 0) return kept;
        if (kept == 1) {
            left++;
            opens += open;
            if (next < earliest) earliest = next;
        }
    }
    if (r->at != r->end) return 0;
    Py_ssize_t body_size = w->at - body;
    w->at = w->start;
    *w->at++ = 0x95;
    put(w, head, head_end - head);
    put_int(w, earliest);
    put_bool(w, left == 1 && opens == 0);
    put_count(w, left, 0x80, 0xde);
    memmove(w->at, body, (size_t)body_size);
    w->at += body_size;

    said.unit_id++;
    said.unit_id_size--;
    for (Py_ssize_t i = 0; i < funnels; i++) {
        if (ended[i].plan == NULL) continue;
        said.ts = ended[i].ts;
        if (!keep_drop(lane, ended[i].plan, &said, &ended[i].told)) return -1;
    }
    if (left == 0) return finish(lane, key, format, offset);
    *again = earliest;
    return keep_unwritten(lane, key) ? 1 : -1;
}

/* (number, key), the key's reference kept. */
static PyObject *entry(int64_t number, PyObject *key) {
    PyObject *made = PyTuple_New(2), *told = PyLong_FromLongLong(number);
    if (made == NULL || told == NULL) {
        Py_XDECREF(made);
        Py_XDECREF(told);
        return NULL;
    }
    PyTuple_SetItem(made, 0, told);
    PyTuple_SetItem(made, 1, Py_NewRef(key));
    return made;
}

/* When the first of the calendar's near entries is due; `edge` where there are none. */
static int64_t soonest(const Now *now) {
    Py_ssize_t count = PyList_Size(now->near);
    return count == 0 ? now->edge : -PyLong_AsLongLong(PyTuple_GetItem(PyList_GetItem(now->near, count - 1), 0));
}

/* Settles the units that are due before the watermark. 1: all of them. 0: what is left is for Python: one that is not usual, one that is
 * due again before the calendar's edge (it is among the dues, not in the calendar), or a page to be turned. -1: an exception is set. */
static int settle_due(Lane *lane, const Now *now) {
    int64_t due;
    while ((due = soonest(now)) < now->watermark) {
        Py_ssize_t last = PyList_Size(now->near) - 1;
        if (last < 0 || now->endings == Py_None) return 0;
        int64_t again;
        PyObject *key = PyTuple_GetItem(PyList_GetItem(now->near, last), 1);
        int usual = settle(lane, now, key, due, &again);
        if (usual > 0 && again != NEVER && !append(now->dues, entry(again, key))) return -1;
        if (usual > 0 && PyList_SetSlice(now->near, last, last + 1, NULL) < 0) return -1;
        if (usual <= 0 || (again != NEVER && again < now->edge)) return usual < 0 ? -1 : 0;
    }
    return 1;
}

/* lane.settle(endings, near, offset, watermark, floor, edge): settles the units that are due before the watermark, for as long as that is
 * usual. [(when it is due again, key)], to be entered in the calendar. `endings`: tag → the plans of its levels, by which attempts
 * that run out are written. `near`: [(-when, key)], the first due last; those that are done are taken out. */
static PyObject *lane_settle(PyObject *self, PyObject *args) {
    long long offset, watermark, floor, edge;
    Now now = {0};
    if (!PyArg_ParseTuple(args, "O!O!LLLL", &PyDict_Type, &now.endings, &PyList_Type, &now.near, &offset, &watermark, &floor, &edge)) return NULL;
    now.offset = offset;
    now.watermark = watermark;
    now.floor = floor;
    now.edge = edge;
    now.dues = PyList_New(0);
    if (now.dues == NULL || settle_due((Lane *)self, &now) < 0) {
        Py_XDECREF(now.dues);
        return NULL;
    }
    return now.dues;
}

/* lane.begin(store, changed, unwritten, finished): what the next chunk changes */
static PyObject *lane_begin(PyObject *self, PyObject *args) {
    Lane *lane = (Lane *)self;
    PyObject *store, *changed, *unwritten, *finished;
    if (!PyArg_ParseTuple(args, "O!O!O!O!", &PyDict_Type, &store, &PyDict_Type, &changed, &PySet_Type, &unwritten, &PyDict_Type, &finished))
        return NULL;
    PyObject *old[] = {lane->store, lane->changed, lane->unwritten, lane->finished};
    lane->store = Py_NewRef(store);
    lane->changed = Py_NewRef(changed);
    lane->unwritten = Py_NewRef(unwritten);
    lane->finished = Py_NewRef(finished);
    for (int i = 0; i < 4; i++) Py_XDECREF(old[i]);
    Py_RETURN_NONE;
}

/* lane.rows(): (number of rows, their bytes, number of drop-offs among them that have no record yet, these once more, the others'
 * records, [(place, shape, a row, [dims], [duration],
 * [(money, dims)])]) since the last call */
static PyObject *lane_rows(PyObject *self, PyObject *Py_UNUSED(ignored)) {
    Lane *lane = (Lane *)self;
    PyObject *groups = PyList_New(0), *drop_offs = PyList_New(0), *stayed = PyList_New(0), *made = NULL;
    int whole = groups != NULL && drop_offs != NULL && stayed != NULL;
    for (int i = 0; i < lane->group_count && whole; i++) {
        Group *g = &lane->groups[i];
        whole = append(groups, Py_BuildValue("(iLOOOO)", g->plan->place, (long long)g->shape, g->sample, g->dims, g->durations, g->money));
    }
    for (int i = 0; i < lane->stayed_count && whole; i++)
        whole = append(stayed, Py_BuildValue("(iL)", lane->stayed[i].place, (long long)lane->stayed[i].count));
    if (whole)
        made = Py_BuildValue(
            "(ny#ny#OOO)", lane->count, lane->count ? (char *)lane->rows.start : "", lane->rows.at - lane->rows.start, lane->drop_count,
            lane->drop_count ? (char *)lane->drops.start : "", lane->drops.at - lane->drops.start, lane->drop_offs, stayed, groups);
    Py_XDECREF(groups);
    Py_XDECREF(stayed);
    if (made == NULL) Py_XDECREF(drop_offs);
    else {
        Py_DECREF(lane->drop_offs);
        lane->drop_offs = drop_offs;
        forget_groups(lane);
        lane->count = lane->drop_count = 0;
        lane->stayed_count = 0;
        lane->rows.at = lane->rows.start;
        lane->drops.at = lane->drops.start;
    }
    return made;
}

static PyObject *lane_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    if ((kwargs != NULL && PyDict_Size(kwargs) > 0) || PyTuple_Size(args) > 0)
        return PyErr_Format(PyExc_TypeError, "Lane takes no arguments");
    Lane *lane = (Lane *)((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0);
    if (lane == NULL) return NULL;
    lane->drop_offs = PyList_New(0);
    if (lane->drop_offs != NULL) return (PyObject *)lane;
    Py_DECREF((PyObject *)lane);
    return NULL;
}

static void lane_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    Lane *lane = (Lane *)self;
    forget_groups(lane);
    PyMem_Free(lane->groups);
    PyMem_Free(lane->stayed);
    PyMem_Free(lane->rows.start);
    PyMem_Free(lane->drops.start);
    PyMem_Free(lane->record.start);
    for (int i = 0; i < MOST_FUNNELS; i++) {
        PyMem_Free(lane->moves[i].dims.start);
        PyMem_Free(lane->moves[i].money.start);
        PyMem_Free(lane->moves[i].state.start);
    }
    Py_XDECREF(lane->drop_offs);
    Py_XDECREF(lane->store);
    Py_XDECREF(lane->changed);
    Py_XDECREF(lane->unwritten);
    Py_XDECREF(lane->finished);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

/* ---- records: events as they lie in Kafka ---------------------------------------------------------------------------- */

/* How events of a name are done. */
typedef struct {
    unsigned char name[47], size;
    PyObject *how;
} Way;

#define WAYS 32

/* What a source's records are read by. `ways`: of names that came lately, by their letters. `known`: name → its Plans, None (no funnel looks
 * at it), False (never usual). */
typedef struct {
    PyObject_HEAD
    Limits limits;
    int64_t earliest, max_ahead;
    int ids[2], networks, hosts, addresses; /* fields of the unit's id, the first that is there; -1: none */
    PyObject *known, *currencies, *default_currency, *is_internal;
    Way ways[WAYS];
    char currency[4]; /* the last one that was found to be one */
} Reading;

static int is_key(Text *text, const Fetched *got) {
    return got->key != NULL && got->key_size == text->size && memcmp(got->key, text->at, (size_t)text->size) == 0;
}

/* Whether an e-mail or IP address may be in it: what schemas/privacy/addresses.py would have to look at. */
static int may_hold_address(Text *text) {
    int dots = 0, colons = 0;
    for (Place at = text->at, end = text->at + text->size; at < end; at++) {
        if (*at == '@' || *at == '%') return 1;
        dots += *at == '.';
        colons += *at == ':';
    }
    return dots >= 3 || colons >= 2;
}

/* Whether this currency is one: 1, 0, or -1 with an exception set. */
static int is_currency(Reading *reading, Text *text) {
    if (text->size != 3 || text->escaped) return 0;
    if (memcmp(reading->currency, text->at, 3) == 0) return 1;
    PyObject *code = PyUnicode_FromStringAndSize((const char *)text->at, 3);
    if (code == NULL) return -1;
    int found = PySet_Contains(reading->currencies, code);
    Py_DECREF(code);
    if (found > 0) memcpy(reading->currency, text->at, 3);
    return found;
}

/* Whether channel and campaign are as the record names them, with nothing to be read from its addresses. */
static int origin_given(Record *record) {
    Text *text = record->text;
    if (text[URL].at != NULL && contains(text[URL].at, text[URL].size, "utm_", 4)) return 0;
    if (text[CHANNEL].at != NULL) return 1;
    return text[URL].at == NULL && text[LANDING_PAGE].at == NULL && text[REFERRER].size == 0 && text[SOURCE].at == NULL &&
           text[MEDIUM].at == NULL;
}

/* Packs the breakdown. 1, 0 (unusual), -1. */
static int read_dims(Reading *reading, Record *record, Move *m) {
    Plan *plan = m->plan;
    Writer *w = &m->dims;
    Py_ssize_t count = PyBytes_Size(plan->fields);
    const char *fields = PyBytes_AsString(plan->fields);
    w->at = w->start;
    if (!ready(w, 8 + count * 264)) return -1;
    put_count(w, count, 0x90, 0xdc);
    int origin = -1;
    for (Py_ssize_t i = 0; i < count; i++) {
        int field = fields[i];
        Text *text = &record->text[field];
        if (field >= CHANNEL && field <= TERM && origin < 0 && !(origin = origin_given(record))) return 0;
        if (text->escaped || text->size > 256 || (reading->addresses && may_hold_address(text))) return 0;
        if (text->at == NULL) put_text(w, "(none)", 6);
        else put_text(w, (const char *)text->at, text->size);
    }
    m->said.dims = (char *)w->start;
    m->said.dims_size = w->at - w->start;
    return 1;
}

/* Packs the money, as schemas of state.py's Money. 1 or -1. */
static int read_money(Reading *reading, Record *record, Move *m) {
    static const char nothing[] = "\xc0";
    Plan *plan = m->plan;
    m->said.money = nothing;
    m->said.money_size = 1;
    if (plan->convert == Py_None || record->revenue < 0) return 1;
    Text currency = record->text[CURRENCY], order = record->text[ORDER_ID];
    if (currency.at == NULL && reading->default_currency != Py_None)
        currency.at = (Place)PyUnicode_AsUTF8AndSize(reading->default_currency, &currency.size);
    PyObject *told = PyObject_CallFunction(
        plan->convert, "Ls#L", (long long)record->revenue, currency.at == NULL ? "" : (const char *)currency.at, currency.size, (long long)record->ts);
    if (told == NULL) return -1;
    int overflow = 0;
    int64_t converted = told == Py_None ? 0 : PyLong_AsLongLongAndOverflow(told, &overflow);
    int none = told == Py_None || overflow;
    Py_DECREF(told);
    Writer *w = &m->money;
    w->at = w->start;
    if (PyErr_Occurred() || !ready(w, 64 + currency.size + order.size)) return -1;
    *w->at++ = 0x94;
    put_int(w, record->revenue);
    put_text(w, (const char *)currency.at, currency.size);
    if (none) put_nil(w);
    else put_int(w, converted);
    put_text(w, (const char *)order.at, order.size);
    m->said.money = (char *)w->start;
    m->said.money_size = w->at - w->start;
    return 1;
}

/* Whether its user agent is that of a bot, or of the site's own people. 1, 0, or -1 with an exception set; 2: it can't be told from here. */
static int is_bot(Reading *reading, Text *agent) {
    if (agent->size == 0) return 0;
    if (agent->escaped) return 2;
    PyObject *internal = PyObject_CallFunction(reading->is_internal, "s#", (const char *)agent->at, agent->size);
    if (internal == NULL) return -1;
    int bot = PyObject_IsTrue(internal);
    Py_DECREF(internal);
    return bot;
}

/* Reads a record: its key must be its unit's id, and its time within bounds. 1, 0 (unusual), -1. */
static int read_checked(Reading *reading, const Fetched *got, Record *record, Text **unit) {
    if (got->value == NULL || !read_record(got->value, got->value_size, &reading->limits, record)) return 0;
    if (record->ts < reading->earliest || record->ts > got->timestamp + reading->max_ahead) return 0;
    *unit = &record->text[reading->ids[0]];
    if ((*unit)->at == NULL && reading->ids[1] >= 0) *unit = &record->text[reading->ids[1]];
    if ((*unit)->at == NULL || !is_key(*unit, got)) return 0;
    if ((reading->networks && record->text[IP].at != NULL) || (reading->hosts && record->text[URL].at != NULL)) return 0;
    if (reading->addresses && (may_hold_address(&record->text[EVENT]) || may_hold_address(&record->text[EVENT_ID]))) return 0;
    if (record->text[CURRENCY].at != NULL) {
        int found = is_currency(reading, &record->text[CURRENCY]);
        if (found <= 0) return found;
    }
    return 1;
}

/* How events of this name are done, borrowed: Plans, None, False; NULL with an exception set. */
static PyObject *known_of(Reading *reading, Text *name) {
    Place at = name->at;
    Py_ssize_t size = name->size;
    Way *way = &reading->ways[(size == 0 ? 0 : at[0] + 7 * at[size / 2] + 3 * at[size - 1] + size) % WAYS];
    if (way->how != NULL && way->size == size && memcmp(way->name, at, (size_t)size) == 0) return way->how;
    PyObject *text = PyUnicode_FromStringAndSize((const char *)at, size);
    if (text == NULL) return NULL;
    PyObject *found = PyDict_GetItemWithError(reading->known, text);
    Py_DECREF(text);
    if (found == NULL) return PyErr_Occurred() ? NULL : Py_False;
    if (size <= (Py_ssize_t)sizeof way->name) {
        memcpy(way->name, at, (size_t)size);
        way->size = (unsigned char)size;
        Py_XDECREF(way->how);
        way->how = Py_NewRef(found);
    }
    return found;
}

/* Counts an event that no funnel looks at, if its id was seen lately, or else if it is a bot's. 1 or -1. */
static int note(Text *id, int bot, Now *now) {
    int seen = recent_take(now->recent, id->at, (size_t)id->size);
    now->repeated += seen > 0;
    now->bots += bot && seen == 0;
    return seen < 0 ? -1 : 1;
}

/* A usual event, of one stage of each of these funnels. 1, 0 (unusual), -1. */
static int step(Lane *lane, Reading *reading, PyObject *plans, int64_t offset, Record *record, Text *unit, Now *now) {
    Said said = {.offset = offset, .ts = record->ts, .consent = record->consent};
    char named[1 + 256];
    Py_ssize_t count = PyTuple_Size(plans);
    if (count < 1 || count > MOST_FUNNELS || unit->size >= (Py_ssize_t)sizeof named) return 0;
    if (reading->addresses && (may_hold_address(unit) || may_hold_address(&record->text[ORDER_ID]))) return 0;
    said.event_id = (const char *)record->text[EVENT_ID].at;
    said.event_id_size = record->text[EVENT_ID].size;
    said.unit_id = (const char *)unit->at;
    said.unit_id_size = unit->size;
    for (Py_ssize_t i = 0; i < count; i++) {
        Move *m = &lane->moves[i];
        m->plan = (Plan *)PyTuple_GetItem(plans, i);
        m->said = said;
        if (Py_TYPE((PyObject *)m->plan) != plan_type || m->plan->fields == Py_None) return 0;
        int usual = read_dims(reading, record, m);
        if (usual > 0) usual = read_money(reading, record, m);
        if (usual <= 0 || !find_order(&m->said)) return usual < 0 ? -1 : 0;
    }
    named[0] = '=';
    memcpy(named + 1, unit->at, (size_t)unit->size);
    PyObject *key = PyUnicode_FromStringAndSize(named, unit->size + 1);
    if (key == NULL) return -1;
    int64_t due;
    int usual = move_unit(lane, count, now->watermark, now->floor, key, &due);
    now->moved += usual > 0;
    if (usual > 0 && due != 0) {
        if (!append(now->dues, entry(due, key))) usual = -1;
        if (due < now->first_due) now->first_due = due;
    }
    Py_DECREF(key);
    return usual;
}

/* One record. 1: taken. 0: unusual, nothing is changed. -1: an exception is set. */
static int take_record(Lane *lane, Reading *reading, const Fetched *got, Now *now) {
    Record record;
    Text *unit;
    if (got->offset <= now->offset) return 0;
    int usual = read_checked(reading, got, &record, &unit);
    int bot = usual > 0 ? is_bot(reading, &record.text[USER_AGENT]) : 0;
    if (bot < 0 || bot > 1) usual = bot < 0 ? -1 : 0;
    if (usual > 0) {
        PyObject *how = known_of(reading, &record.text[EVENT]);
        if (how == NULL) usual = -1;
        else if (how == Py_False) usual = 0;
        else if (bot || how == Py_None) usual = note(&record.text[EVENT_ID], bot, now);
        else if (PyTuple_Check(how)) usual = step(lane, reading, how, got->offset, &record, unit, now);
        else usual = 0;
    }
    if (usual <= 0) return usual;
    now->offset = got->offset;
    now->ts = record.ts;
    now->read++;
    if (record.ts > got->timestamp) record.ts = got->timestamp; /* one visitor's clock that is ahead must not make everybody else late */
    if (record.ts > now->watermark && !bot) now->watermark = record.ts;
    return 1;
}

/* So many at a time, where at least half of the last ones have moved a unit. */
#define AHEAD 32

/* Looks the units of coming records up, all at once: their states lie scattered over more memory than the caches hold, and so the waits for
 * them pass side by side instead of one after the other. Nothing depends on it. 1, or -1 with an exception set. */
static int look_ahead(Lane *lane, const Fetched *items, Py_ssize_t count) {
    char named[1 + 256] = "=";
    PyObject *keys[AHEAD], *states[AHEAD];
    Py_ssize_t held = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_ssize_t size = items[i].key_size;
        if (items[i].key == NULL || size >= (Py_ssize_t)sizeof named) continue;
        memcpy(named + 1, items[i].key, (size_t)size);
        PyObject *key = PyUnicode_FromStringAndSize(named, size + 1);
        if (key == NULL) PyErr_Clear(); /* not UTF-8: no unit's id */
        else if (PyObject_Hash(key) != -1) keys[held++] = key;
    }
    for (Py_ssize_t i = 0; i < held; i++) states[i] = PyDict_GetItemWithError(lane->store, keys[i]);
    for (Py_ssize_t i = 0; i < held; i++) {
        Py_DECREF(keys[i]);
        for (int line = 0; states[i] != NULL && line < 5; line++) __builtin_prefetch((char *)states[i] + 64 * line);
    }
    return PyErr_Occurred() ? -1 : 1;
}

/* reading.take(lane, records, from, offset, watermark, floor, endings, near, edge, recent ids): takes records, and settles the units that are
 * due after each, for as long as all is usual. `endings` is None where units are not to be settled. (the place of the next, whether that is unusual, offset, watermark, read,
 * repeated, bots, the last one's time, [(due, key)]) */
static PyObject *reading_take(PyObject *self, PyObject *args) {
    Reading *reading = (Reading *)self;
    PyObject *lane;
    Records *records;
    Py_ssize_t at;
    long long offset, watermark, floor, edge;
    Now now = {.first_due = INT64_MAX};
    if (!PyArg_ParseTuple(
            args, "OO!nLLLOO!LO!", &lane, records_type, &records, &at, &offset, &watermark, &floor, &now.endings, &PyList_Type, &now.near, &edge,
            recent_type, &now.recent))
        return NULL;
    now.offset = offset;
    now.watermark = watermark;
    now.floor = floor;
    now.edge = edge;
    now.dues = PyList_New(0);
    if (now.dues == NULL) return NULL;
    Py_ssize_t count = records->count;
    int usual = 1, settled = now.watermark <= soonest(&now);
    Py_ssize_t ahead = at;
    while (at < count && usual > 0 && settled) {
        if (at == ahead) {
            Py_ssize_t next = count - at < AHEAD ? count - at : AHEAD;
            if (2 * now.moved >= AHEAD && look_ahead((Lane *)lane, &records->items[at], next) < 0) {
                usual = -1;
                break;
            }
            ahead += next;
            now.moved = 0;
        }
        usual = take_record((Lane *)lane, reading, &records->items[at], &now);
        at += usual > 0;
        if (usual <= 0 || now.watermark <= soonest(&now)) settled = now.watermark <= now.first_due;
        else if (now.watermark > now.first_due) settled = 0; /* it has its turn, once it is in the calendar */
        else settled = settle_due((Lane *)lane, &now);
    }
    if (usual < 0 || settled < 0) {
        Py_DECREF(now.dues);
        return NULL;
    }
    return Py_BuildValue(
        "(nNLLLLLLN)", at, PyBool_FromLong(usual == 0), (long long)now.offset, (long long)now.watermark, (long long)now.read, (long long)now.repeated,
        (long long)now.bots, (long long)now.ts, now.dues);
}

/* Reading(known, fields of the unit's id, earliest, max_ahead, max_bytes, longest id, most properties, marks, networks, hosts,
 * addresses, currencies, default currency or None, is_internal(user agent)) */
static PyObject *reading_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    PyObject *known, *ids, *marks, *currencies, *default_currency, *is_internal;
    long long earliest, max_ahead;
    Py_ssize_t longest_record, longest_id, most_held;
    int networks, hosts, addresses;
    if (kwargs != NULL && PyDict_Size(kwargs) > 0) return PyErr_Format(PyExc_TypeError, "Reading takes no keywords");
    if (!PyArg_ParseTuple(
            args, "O!SLLnnnO!pppOOO", &PyDict_Type, &known, &ids, &earliest, &max_ahead, &longest_record, &longest_id, &most_held,
            &PyTuple_Type, &marks, &networks, &hosts, &addresses, &currencies, &default_currency, &is_internal))
        return NULL;
    Reading *reading = (Reading *)((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0);
    if (reading == NULL) return NULL;
    reading->limits = (Limits){longest_record, longest_id < 256 ? longest_id : 256, most_held, Py_NewRef(marks)};
    reading->earliest = earliest;
    reading->max_ahead = max_ahead;
    reading->ids[0] = PyBytes_AsString(ids)[0];
    reading->ids[1] = PyBytes_Size(ids) > 1 ? PyBytes_AsString(ids)[1] : -1;
    reading->networks = networks;
    reading->hosts = hosts;
    reading->addresses = addresses;
    reading->known = Py_NewRef(known);
    reading->currencies = Py_NewRef(currencies);
    reading->default_currency = Py_NewRef(default_currency);
    reading->is_internal = Py_NewRef(is_internal);
    return (PyObject *)reading;
}

/* `known` asks the partition what it does not know, and the partition holds the reading: without this no partition that goes to another
   worker would ever be freed. (The collector breaks the circle elsewhere.) */
static int reading_traverse(PyObject *self, visitproc visit, void *arg) {
    Reading *reading = (Reading *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(reading->limits.marks);
    Py_VISIT(reading->known);
    Py_VISIT(reading->currencies);
    Py_VISIT(reading->default_currency);
    Py_VISIT(reading->is_internal);
    for (int i = 0; i < WAYS; i++) Py_VISIT(reading->ways[i].how);
    return 0;
}

static void reading_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    Reading *reading = (Reading *)self;
    PyObject_GC_UnTrack(self);
    Py_XDECREF(reading->limits.marks);
    Py_XDECREF(reading->known);
    Py_XDECREF(reading->currencies);
    Py_XDECREF(reading->default_currency);
    Py_XDECREF(reading->is_internal);
    for (int i = 0; i < WAYS; i++) Py_XDECREF(reading->ways[i].how);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

/* ---- the module ------------------------------------------------------------------------------------------------------- */

static PyType_Slot plan_slots[] = {{Py_tp_new, plan_new}, {Py_tp_dealloc, plan_dealloc}, {0, NULL}};
static PyType_Spec plan_spec = {"streams.engine._usual.Plan", sizeof(Plan), 0, Py_TPFLAGS_DEFAULT, plan_slots};

static PyMethodDef lane_methods[] = {
    {"begin", lane_begin, METH_VARARGS, "What the next chunk changes."},
    {"move", (PyCFunction)(void (*)(void))lane_move, METH_FASTCALL, "One event: when its unit is due; None: not usual."},
    {"settle", lane_settle, METH_VARARGS, "Settles the units that are due, for as long as that is usual."},
    {"rows", lane_rows, METH_NOARGS, "The rows since the last call, and what they add to the counters."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot lane_slots[] = {
    {Py_tp_new, lane_new}, {Py_tp_dealloc, lane_dealloc}, {Py_tp_methods, lane_methods}, {0, NULL},
};
static PyType_Spec lane_spec = {"streams.engine._usual.Lane", sizeof(Lane), 0, Py_TPFLAGS_DEFAULT, lane_slots};

static PyMethodDef reading_methods[] = {
    {"take", reading_take, METH_VARARGS, "Takes records for as long as they are usual."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot reading_slots[] = {
    {Py_tp_new, reading_new}, {Py_tp_dealloc, reading_dealloc}, {Py_tp_traverse, reading_traverse}, {Py_tp_methods, reading_methods},
    {0, NULL},
};
static PyType_Spec reading_spec = {
    "streams.engine._usual.Reading", sizeof(Reading), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, reading_slots,
};

static PyMethodDef functions[] = {
    {"pack_records", pack_records, METH_VARARGS, "The body of a batch."},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_usual", "The usual event, in C.", -1, functions, NULL, NULL, NULL, NULL};

static int add_type(PyObject *made, PyType_Spec *spec, const char *name) {
    PyObject *type = PyType_FromSpec(spec);
    if (type == NULL || PyModule_AddObjectRef(made, name, type) < 0) return 0;
    if (spec == &plan_spec) plan_type = (PyTypeObject *)Py_NewRef(type);
    if (spec == &recent_spec) recent_type = (PyTypeObject *)Py_NewRef(type);
    if (spec == &records_spec) records_type = (PyTypeObject *)Py_NewRef(type);
    Py_DECREF(type);
    return 1;
}

PyMODINIT_FUNC PyInit__usual(void) {
    PyObject *made = PyModule_Create(&module);
    record_type = PyStructSequence_NewType(&record_desc);
    if (made == NULL || record_type == NULL || PyModule_AddIntConstant(made, "INTERFACE", 4) < 0) return NULL;
    PyObject *sum = crc32c_here();
    if (sum == NULL || PyModule_AddObjectRef(made, "crc32c", sum) < 0) return NULL;
    Py_DECREF(sum);
    PyObject *names = PyTuple_New(FIELDS);
    for (int i = 0; names != NULL && i < FIELDS; i++) PyTuple_SetItem(names, i, PyUnicode_FromString(fields[i].name));
    if (names == NULL || PyErr_Occurred() || PyModule_AddObjectRef(made, "FIELDS", names) < 0) return NULL;
    Py_DECREF(names);
    if (!add_type(made, &plan_spec, "Plan") || !add_type(made, &lane_spec, "Lane") || !add_type(made, &reading_spec, "Reading") ||
        !add_type(made, &records_spec, "Records") || !add_type(made, &recent_spec, "Recent"))
        return NULL;
    return made;
}
