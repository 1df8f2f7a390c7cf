/* The usual event, in C: a unit's first event, or one that goes one required stage further, in order.
 *
 * Works on the packed state of streams/engine/state.py as it lies in the store, and writes the packed row of schemas/rows.py.
 * Whatever is not usual returns None, and streams/engine/unit.py does it: with the same outcome, byte for byte
 * (tests/unit/engine/test_usual.py). The stable ABI: one build serves every Python from 3.11 on.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdint.h>
#include <string.h>

typedef const unsigned char *Place;

/* ---- reading msgpack: `end` is never passed, and whatever does not fit sets `odd` ------------------------------------ */

typedef struct {
    Place at, end;
    int odd;
} Reader;

static uint64_t take(Reader *r, int bytes) {
    if (r->end - r->at < bytes) {
        r->odd = 1;
        r->at = r->end;
        return 0;
    }
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) value = value << 8 | *r->at++;
    return value;
}

static int64_t read_int(Reader *r) {
    unsigned c = (unsigned)take(r, 1);
    if (c < 0x80) return c;
    if (c >= 0xe0) return (int8_t)c;
    switch (c) {
        case 0xcc: return (int64_t)take(r, 1);
        case 0xcd: return (int64_t)take(r, 2);
        case 0xce: return (int64_t)take(r, 4);
        case 0xcf: {
            uint64_t value = take(r, 8);
            if (value > INT64_MAX) r->odd = 1;
            return (int64_t)value;
        }
        case 0xd0: return (int8_t)take(r, 1);
        case 0xd1: return (int16_t)take(r, 2);
        case 0xd2: return (int32_t)take(r, 4);
        case 0xd3: return (int64_t)take(r, 8);
    }
    r->odd = 1;
    return 0;
}

static int read_bool(Reader *r) {
    unsigned c = (unsigned)take(r, 1);
    if (c != 0xc2 && c != 0xc3) r->odd = 1;
    return c == 0xc3;
}

static int peek(Reader *r) { return r->at < r->end ? *r->at : -1; }

static Py_ssize_t read_count(Reader *r, unsigned fix, unsigned mask, unsigned wide) {
    unsigned c = (unsigned)take(r, 1);
    if ((c & ~mask) == fix) return c & mask;
    if (c == wide) return (Py_ssize_t)take(r, 2);
    if (c == wide + 1) return (Py_ssize_t)take(r, 4);
    r->odd = 1;
    return 0;
}

static Py_ssize_t read_array(Reader *r) { return read_count(r, 0x90, 0x0f, 0xdc); }
static Py_ssize_t read_map(Reader *r) { return read_count(r, 0x80, 0x0f, 0xde); }

static Place read_bin(Reader *r, Py_ssize_t *size) {
    unsigned c = (unsigned)take(r, 1);
    *size = c == 0xc4 ? (Py_ssize_t)take(r, 1) : c == 0xc5 ? (Py_ssize_t)take(r, 2) : c == 0xc6 ? (Py_ssize_t)take(r, 4) : -1;
    if (*size < 0 || r->end - r->at < *size) {
        r->odd = 1;
        *size = 0;
        return r->at;
    }
    r->at += *size;
    return r->at - *size;
}

static void skip(Reader *r) {
    Py_ssize_t left = 1;
    while (left-- > 0 && !r->odd) {
        unsigned c = (unsigned)take(r, 1);
        Py_ssize_t bytes = 0;
        if (c < 0x80 || c >= 0xe0 || c == 0xc0 || c == 0xc2 || c == 0xc3) continue;
        if (c < 0x90) left += 2 * (c & 0x0f);
        else if (c < 0xa0) left += c & 0x0f;
        else if (c < 0xc0) bytes = c & 0x1f;
        else if (c == 0xcc || c == 0xd0) bytes = 1;
        else if (c == 0xcd || c == 0xd1) bytes = 2;
        else if (c == 0xce || c == 0xd2 || c == 0xca) bytes = 4;
        else if (c == 0xcf || c == 0xd3 || c == 0xcb) bytes = 8;
        else if (c == 0xc4 || c == 0xd9) bytes = (Py_ssize_t)take(r, 1);
        else if (c == 0xc5 || c == 0xda) bytes = (Py_ssize_t)take(r, 2);
        else if (c == 0xc6 || c == 0xdb) bytes = (Py_ssize_t)take(r, 4);
        else if (c == 0xdc) left += (Py_ssize_t)take(r, 2);
        else if (c == 0xdd) left += (Py_ssize_t)take(r, 4);
        else if (c == 0xde) left += 2 * (Py_ssize_t)take(r, 2);
        else if (c == 0xdf) left += 2 * (Py_ssize_t)take(r, 4);
        else r->odd = 1;
        if (r->end - r->at < bytes) r->odd = 1;
        else r->at += bytes;
    }
}

/* ---- writing msgpack, into memory that is kept: the interpreter's lock is held throughout ----------------------------- */

typedef struct {
    unsigned char *start, *at;
    Py_ssize_t room;
} Writer;

static Writer state_out, row_out;

static int ready(Writer *w, Py_ssize_t room) {
    if (w->room < room) {
        unsigned char *start = PyMem_Realloc(w->start, (size_t)room * 2);
        if (start == NULL) {
            PyErr_NoMemory();
            return 0;
        }
        w->start = start;
        w->room = room * 2;
    }
    w->at = w->start;
    return 1;
}

static void put(Writer *w, const void *from, Py_ssize_t size) {
    memcpy(w->at, from, (size_t)size);
    w->at += size;
}

static void put_number(Writer *w, unsigned head, uint64_t value, int bytes) {
    *w->at++ = (unsigned char)head;
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) *w->at++ = (unsigned char)(value >> shift);
}

static void put_int(Writer *w, int64_t value) {
    if (value >= 0) {
        if (value < 0x80) *w->at++ = (unsigned char)value;
        else if (value <= 0xff) put_number(w, 0xcc, (uint64_t)value, 1);
        else if (value <= 0xffff) put_number(w, 0xcd, (uint64_t)value, 2);
        else if (value <= 0xffffffffLL) put_number(w, 0xce, (uint64_t)value, 4);
        else put_number(w, 0xcf, (uint64_t)value, 8);
    } else if (value >= -32) *w->at++ = (unsigned char)(int8_t)value;
    else if (value >= INT8_MIN) put_number(w, 0xd0, (uint64_t)value, 1);
    else if (value >= INT16_MIN) put_number(w, 0xd1, (uint64_t)value, 2);
    else if (value >= INT32_MIN) put_number(w, 0xd2, (uint64_t)value, 4);
    else put_number(w, 0xd3, (uint64_t)value, 8);
}

static void put_bool(Writer *w, int value) { *w->at++ = value ? 0xc3 : 0xc2; }
static void put_nil(Writer *w) { *w->at++ = 0xc0; }

static void put_count(Writer *w, Py_ssize_t count, unsigned fix, unsigned wide) {
    if (count < 16) *w->at++ = (unsigned char)(fix | (unsigned)count);
    else put_number(w, wide, (uint64_t)count, 2);
}

static void put_text(Writer *w, const char *text, Py_ssize_t size) {
    if (size < 32) *w->at++ = (unsigned char)(0xa0 | size);
    else if (size <= 0xff) put_number(w, 0xd9, (uint64_t)size, 1);
    else if (size <= 0xffff) put_number(w, 0xda, (uint64_t)size, 2);
    else put_number(w, 0xdb, (uint64_t)size, 4);
    put(w, text, size);
}

static void put_bin_head(Writer *w, Py_ssize_t size) {
    if (size <= 0xff) put_number(w, 0xc4, (uint64_t)size, 1);
    else if (size <= 0xffff) put_number(w, 0xc5, (uint64_t)size, 2);
    else put_number(w, 0xc6, (uint64_t)size, 4);
}

/* ---- the plan of one stage of one funnel --------------------------------------------------------------------------- */

enum { HEAD, ENTER, STAGES, FORWARD, END, REACHED, PARTS };

typedef struct {
    PyObject_HEAD
    int level, converts;
    int64_t format, tag, window, lateness, most;
    /* Of the rows, packed beforehand. HEAD: funnel and version; ENTER: kind and item; STAGES: from and to; FORWARD: direction
     * and outcome. Of the end that a conversion writes, END: kind and item; REACHED: stages. */
    PyObject *parts[PARTS];
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
    int64_t entry, number, session_start, reached, duration, due;
    int recovered, consent;
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

static void put_row_head(Writer *w, Plan *plan, Said *said, Told *told, int part) {
    static const char hex[] = "0123456789abcdef";
    put_number(w, 0xdc, 28, 2);
    put_part(w, plan->parts[HEAD]);
    put_number(w, 0xd9, 32, 1);
    for (int i = 0; i < 16; i++) {
        *w->at++ = (unsigned char)hex[told->id[i] >> 4];
        *w->at++ = (unsigned char)hex[told->id[i] & 15];
    }
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
static PyObject *packed_enter(Plan *plan, Said *said, Told *told) {
    Writer *w = &row_out;
    put_row_head(w, plan, said, told, ENTER);
    put_part(w, plan->parts[STAGES]);
    put_int(w, plan->level);
    put_int(w, told->reached);
    put_part(w, plan->parts[FORWARD]);
    put_int(w, told->duration);
    put(w, told->dims, told->dims_size);
    put(w, said->dims, said->dims_size);
    if (said->money_size > 1) put(w, said->money + 1, said->money_size - 1); /* its four values, without their head */
    else put_no_money(w);
    put_bool(w, said->consent > 0);
    return PyBytes_FromStringAndSize((char *)w->start, w->at - w->start);
}

/* The end of the attempt that converts. */
static PyObject *packed_end(Plan *plan, Said *said, Told *told) {
    Writer *w = &row_out;
    w->at = w->start;
    put_row_head(w, plan, said, told, END);
    put_part(w, plan->parts[REACHED]);
    put_int(w, plan->level);
    put_int(w, told->reached);
    put(w, "\xa0\xa9" "converted", 11);
    put_int(w, said->ts - told->entry);
    put(w, told->dims, told->dims_size);
    if (said->dims_size > 1) put(w, said->dims, said->dims_size);
    else put(w, told->dims, told->dims_size);
    put_no_money(w);
    put_bool(w, said->consent < 0 ? told->consent : said->consent);
    return PyBytes_FromStringAndSize((char *)w->start, w->at - w->start);
}

/* (state, row, row of the end or None, reached and recovered, duration, the attempt's dims, packed, when it is due if that is new) */
static PyObject *answer(Plan *plan, Said *said, Told *told) {
    Py_ssize_t room = 512 + said->event_id_size + said->unit_id_size + said->dims_size + 2 * told->dims_size +
                      said->money_size;
    for (int i = 0; i < PARTS; i++) room += PyBytes_Size(plan->parts[i]);
    if (!ready(&row_out, room)) return NULL;
    PyObject *row = packed_enter(plan, said, told), *end = plan->converts ? packed_end(plan, said, told) : Py_NewRef(Py_None);
    if (row == NULL || end == NULL) {
        Py_XDECREF(row);
        Py_XDECREF(end);
        return NULL;
    }
    return Py_BuildValue(
        "(y#NNLLy#L)", state_out.start, state_out.at - state_out.start, row, end, (long long)((uint64_t)told->reached << 1 | (unsigned)told->recovered),
        (long long)told->duration, told->dims, told->dims_size, (long long)told->due);
}

static const unsigned char packed_nothing[1];

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

/* An event of the first stage, of a unit that the funnel has not met. Returns 0 for whatever is not that, -1 for an error. */
static int begin(Plan *plan, Said *said, Place packed, Py_ssize_t packed_size, Place id, Told *told) {
    Writer *w = &state_out;
    if (!ready(w, packed_size + 256 + said->event_id_size + 3 * said->dims_size + 2 * said->money_size)) return -1;
    int64_t wake = told->due = said->ts + plan->window + plan->lateness;
    if (wake == 0) return 0; /* in an answer, 0 says that it is in the calendar */
    Place others = packed, end = packed + packed_size;
    Py_ssize_t funnels = 0;
    if (packed != NULL) {
        Reader reader = {packed, end, 0}, *r = &reader;
        if (read_array(r) != 5 || read_int(r) != plan->format || read_int(r) >= said->offset) return 0;
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
    put_begun(w, plan, said, id);
    told->id = id;
    told->dims = (Place)said->dims;
    told->dims_size = said->dims_size;
    told->entry = said->ts;
    told->number = told->reached = 1;
    told->session_start = told->recovered = told->consent = 0;
    told->duration = -1;
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

/* One required stage further, in order, within the window. Returns 0 for whatever is not that, -1 for an error. */
static int advance(Plan *plan, Said *said, Place packed, Py_ssize_t packed_size, int64_t horizon, Told *told) {
    Reader reader = {packed, packed + packed_size, 0}, *r = &reader;
    int level = plan->level;
    if (read_array(r) != 5 || read_int(r) != plan->format) return 0;
    Place offset_at = r->at;
    if (read_int(r) >= said->offset) return 0;
    int64_t wake = read_int(r);
    read_bool(r);
    Place rest = r->at;
    Py_ssize_t funnels = read_map(r);
    int quiet = plan->converts && funnels == 1; /* nothing will be left to do but forget the unit */
    while (funnels > 0 && !r->odd && read_int(r) != plan->tag) {
        skip(r);
        funnels--;
    }
    if (funnels <= 0 || r->odd) return 0;
    if (read_array(r) != 7 || read_array(r) != 7 || peek(r) == 0xc0) return 0;
    Place attempt_at = r->at;
    if (read_array(r) != 13) return 0;
    Py_ssize_t size;
    told->id = read_bin(r, &size);
    if (size != 16) return 0;
    told->entry = read_int(r);
    told->dims = r->at;
    skip(r);
    told->dims_size = r->at - told->dims;
    told->number = read_int(r);
    told->recovered = read_bool(r);
    Place consent_at = r->at;
    told->consent = read_bool(r);
    if (read_array(r) != level) return 0;
    Place starts = r->at;
    int64_t start = -1, time = -1;
    for (int i = 0; i < level; i++) start = read_int(r);
    Place starts_end = r->at;
    if (read_array(r) != level) return 0;
    Place times = r->at;
    for (int i = 0; i < level; i++) time = read_int(r);
    Place times_end = r->at;
    told->reached = read_int(r);
    if (read_int(r) != level - 1 || read_int(r) != level - 1) return 0;
    Place deadline_at = r->at;
    int64_t deadline = read_int(r), now = said->ts - told->entry;
    skip(r); /* why it would end */
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
    Place pending = read_bin(r, &size);
    int64_t count = read_int(r), newest = read_int(r);
    Place floor_at = r->at;
    skip(r);
    Place due_at = r->at;
    read_int(r);
    Place others_at = r->at;
    r->at = floor_at;
    if (r->odd || peek(r) != 0xc0 || deadline < said->ts || start < 0 || now - start > plan->window) return 0;
    if (count < 1 || count >= plan->most || newest < horizon || said->ts <= newest) return 0;
    if (contains(pending, size, said->event_id, said->event_id_size)) return 0;
    if (told->reached >> level & 1 || (said->money_size > 1 && ordered)) return 0;
    told->due = 0; /* it is in the calendar, and no later */
    if (quiet && wake != said->ts + plan->window + plan->lateness) wake = told->due = said->ts + plan->window + plan->lateness;
    if (quiet && wake == 0) return 0; /* see begin */
    told->duration = now - time;
    told->reached |= (int64_t)1 << level;

    Writer *w = &state_out;
    if (!ready(w, packed_size + 128 + said->event_id_size + said->dims_size + 2 * said->money_size)) return -1;
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
        put_count(w, level + 1, 0x90, 0xdc);
        put(w, starts, starts_end - starts);
        put_int(w, start);
        put_count(w, level + 1, 0x90, 0xdc);
        put(w, times, times_end - times);
        put_int(w, now);
        put_int(w, told->reached);
        put_int(w, level);
        put_int(w, level);
        put(w, deadline_at, orders_at - deadline_at);
    }
    if (said->order != NULL) put_order(w, said);
    else put(w, orders_at, base_at - orders_at);
    put(w, base_at, pending_at - base_at);
    put_pending(w, plan, said, pending, size);
    put_int(w, count + 1);
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

/* plan.move(state or None, attempt id, offset, ts, event id, unit id, dims, money, consent, horizon) */
static PyObject *plan_move(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    Plan *plan = (Plan *)self;
    if (count != 10) return PyErr_Format(PyExc_TypeError, "move takes 10 arguments, not %zd", count);
    Said said;
    Told told;
    char *dims, *money, *id, *packed = NULL;
    Py_ssize_t id_size, packed_size = 0;
    if (args[0] != Py_None && PyBytes_AsStringAndSize(args[0], &packed, &packed_size) < 0) return NULL;
    said.offset = PyLong_AsLongLong(args[2]);
    said.ts = PyLong_AsLongLong(args[3]);
    said.event_id = PyUnicode_AsUTF8AndSize(args[4], &said.event_id_size);
    said.unit_id = PyUnicode_AsUTF8AndSize(args[5], &said.unit_id_size);
    if (said.event_id == NULL || said.unit_id == NULL) return NULL;
    if (PyBytes_AsStringAndSize(args[6], &dims, &said.dims_size) < 0) return NULL;
    if (PyBytes_AsStringAndSize(args[7], &money, &said.money_size) < 0) return NULL;
    said.dims = dims;
    said.money = money;
    if (args[8] != Py_None && args[8] != Py_True && args[8] != Py_False)
        return PyErr_Format(PyExc_TypeError, "consent is True, False or None");
    said.consent = args[8] == Py_None ? -1 : args[8] == Py_True;
    int64_t horizon = PyLong_AsLongLong(args[9]);
    if (PyErr_Occurred()) return NULL;
    if (said.event_id_size == 0 || said.dims_size == 0 || said.money_size == 0 || !find_order(&said)) Py_RETURN_NONE;
    int usual;
    if (plan->level == 0) {
        if (PyBytes_AsStringAndSize(args[1], &id, &id_size) < 0) return NULL;
        if (id_size != 16) return PyErr_Format(PyExc_ValueError, "an attempt id has 16 bytes, not %zd", id_size);
        usual = begin(plan, &said, (Place)packed, packed_size, (Place)id, &told);
    } else usual = packed == NULL ? 0 : advance(plan, &said, (Place)packed, packed_size, horizon, &told);
    if (usual < 0) return NULL;
    if (!usual) Py_RETURN_NONE;
    return answer(plan, &said, &told);
}

/* Plan(level, converts, format, tag, window, lateness, most pending hits, the parts) */
static PyObject *plan_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    PyObject *parts[PARTS];
    int level, converts;
    long long format, tag, window, lateness, most;
    if (kwargs != NULL && PyDict_Size(kwargs) > 0) return PyErr_Format(PyExc_TypeError, "Plan takes no keywords");
    if (!PyArg_ParseTuple(
            args, "ipLLLLLSSSSSS", &level, &converts, &format, &tag, &window, &lateness, &most, &parts[HEAD], &parts[ENTER],
            &parts[STAGES], &parts[FORWARD], &parts[END], &parts[REACHED]))
        return NULL;
    if (level < 0 || level > 62) return PyErr_Format(PyExc_ValueError, "levels are 0 to 62, not %d", level);
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Plan *plan = (Plan *)alloc(type, 0);
    if (plan == NULL) return NULL;
    plan->level = level;
    plan->converts = converts;
    plan->format = format;
    plan->tag = tag;
    plan->window = window;
    plan->lateness = lateness;
    plan->most = most;
    for (int i = 0; i < PARTS; i++) plan->parts[i] = Py_NewRef(parts[i]);
    return (PyObject *)plan;
}

static void plan_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    for (int i = 0; i < PARTS; i++) Py_XDECREF(((Plan *)self)->parts[i]);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyMethodDef plan_methods[] = {
    {"move", (PyCFunction)(void (*)(void))plan_move, METH_FASTCALL, "One event: the new state, the row, what it adds; or None."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot plan_slots[] = {
    {Py_tp_new, plan_new}, {Py_tp_dealloc, plan_dealloc}, {Py_tp_methods, plan_methods}, {0, NULL},
};
static PyType_Spec plan_spec = {"streams.engine._usual.Plan", sizeof(Plan), 0, Py_TPFLAGS_DEFAULT, plan_slots};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_usual", "The usual event, in C.", -1, NULL, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__usual(void) {
    PyObject *made = PyModule_Create(&module), *plan = PyType_FromSpec(&plan_spec);
    if (made == NULL || plan == NULL || PyModule_AddObjectRef(made, "Plan", plan) < 0) return NULL;
    Py_DECREF(plan);
    return made;
}
