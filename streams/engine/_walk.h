/* The packed state of a unit (streams/engine/state.py), moved by one event in one funnel: what walk.py and unit.py do, where that is usual. */
#ifndef FUNNELWATCH_WALK_H
#define FUNNELWATCH_WALK_H
#include <Python.h>
#include <stdint.h>
#include <string.h>

#include "_blake2b.h"
#include "_msgpack.h"
#include "_plan.h"

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

/* The attempt that this event opens. */
static void put_opened(Writer *w, Plan *plan, Said *said, Told *told) {
    *w->at++ = 0x9d;
    put_bin_head(w, 16);
    put(w, told->id, 16);
    put_int(w, said->ts);
    put(w, said->dims, said->dims_size);
    put_int(w, told->number);
    put_bool(w, told->recovered);
    put_bool(w, said->consent > 0);
    put(w, "\x91\x00\x91\x00\x01\x00\x00", 7); /* starts, times, reached, highest, current */
    put_int(w, said->ts + plan->window);
    put_int(w, 0);
}

/* The state of a funnel in which this event opens the unit's first attempt. */
static void put_begun(Writer *w, Plan *plan, Said *said, Told *told) {
    put_int(w, plan->tag);
    *w->at++ = 0x97;
    *w->at++ = 0x97; /* the walk */
    put_opened(w, plan, said, told);
    put(w, "\xc0\xc2\x00\xc0\x00", 5); /* the rest of the walk: nothing has ended */
    if (said->order != NULL) put_order(w, said);
    else put_nil(w);
    put_bin_head(w, 8);
    put(w, "\x97\xc0\xc0\xc2\x00\xc0\x00\xc0", 8); /* the base: a walk that has not begun */
    put_pending(w, plan, said, packed_nothing, 0);
    put_int(w, 1);
    put_int(w, said->ts);
    put_nil(w);
    put_int(w, said->ts + plan->window);
}

/* Tells of the attempt that this event opens, and names it by 128 bits: `attempt_id` of walk.py. */
static void open_attempt(Plan *plan, Said *said, Told *told) {
    Blake2b hash;
    blake2b_begin(&hash, 16);
    blake2b_add(&hash, PyBytes_AsString(plan->salt), (size_t)PyBytes_Size(plan->salt));
    blake2b_add(&hash, said->event_id, (size_t)said->event_id_size);
    blake2b_add(&hash, "", 1);
    blake2b_add(&hash, said->unit_id, (size_t)said->unit_id_size);
    blake2b_end(&hash, told->fresh_id);
    told->id = told->fresh_id;
    told->dims = (Place)said->dims;
    told->dims_size = said->dims_size;
    told->entry = said->ts;
    told->number = told->reached = 1;
    told->session_start = told->recovered = told->consent = 0;
    told->duration = -1;
    told->from = NULL;
    told->what = ENTER;
    told->direction = FORWARD;
}

/* A unit's packed state: its head, and what follows, a map of its funnels. `wake`: when it is due, NEVER_DUE where it has
 * no state. `quiet`: then nothing is left to do but forget it. */
typedef struct {
    Place funnels_at, end;
    int64_t format, offset, wake;
    int quiet;
    Py_ssize_t funnels;
} Head;
#define NEVER_DUE INT64_MAX

/* Reads the head. 0: it is none. */
static int read_head(Place packed, Py_ssize_t size, Head *head) {
    Reader reader = {packed, packed + size, 0}, *r = &reader;
    if (read_array(r) != 5) return 0;
    head->format = read_int(r);
    head->offset = read_int(r);
    head->wake = read_int(r);
    head->quiet = read_bool(r);
    head->funnels = read_map(r);
    head->funnels_at = r->at;
    head->end = r->end;
    return !r->odd;
}

/* The head is written last, when all that it says is known, into room that was left for it. */
#define HEAD_ROOM 48

static int leave_head(Writer *w, Py_ssize_t room) {
    w->at = w->start;
    if (!ready(w, HEAD_ROOM + room)) return 0;
    w->at += HEAD_ROOM;
    return 1;
}

/* The state whose funnels have been written behind the room for its head. NULL: an exception is set. */
static PyObject *state_with(Writer *w, int64_t format, int64_t offset, int64_t wake, int quiet, Py_ssize_t funnels) {
    unsigned char bytes[HEAD_ROOM], *body = w->start + HEAD_ROOM;
    Writer head = {bytes, bytes, HEAD_ROOM};
    *head.at++ = 0x95;
    put_int(&head, format);
    put_int(&head, offset);
    put_int(&head, wake);
    put_bool(&head, quiet);
    put_count(&head, funnels, 0x80, 0xde);
    Py_ssize_t size = head.at - bytes;
    memcpy(body - size, bytes, (size_t)size);
    return PyBytes_FromStringAndSize((const char *)body - size, w->at - body + size);
}

/* It is due by then, if not sooner. */
static void wake_by(int64_t *wake, int64_t when) {
    if (when < *wake) *wake = when;
}

/* An event of the first stage, of a unit that the funnel has not met. Writes the funnel's state. 0: an exception is set. */
static int begin(Plan *plan, Said *said, int64_t *wake, Told *told, Writer *w) {
    if (!ready(w, 256 + said->event_id_size + 3 * said->dims_size + 2 * said->money_size)) return 0;
    wake_by(wake, said->ts + plan->window + plan->lateness);
    open_attempt(plan, said, told);
    put_begun(w, plan, said, told);
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

/* Where things stand in a funnel's packed state, up to its attempt. */
typedef struct {
    Place at, walk_at, attempt_at;
} Found;

/* Reads so far, from behind the funnel's tag, which is at `at`. 0: it is no such state. */
static int find(Reader *r, Place at, Found *found) {
    found->at = at;
    if (read_array(r) != 7) return 0;
    found->walk_at = r->at;
    if (read_array(r) != 7) return 0;
    found->attempt_at = r->at;
    return 1;
}

/* What a funnel's packed state holds behind its attempt: the rest of the walk, and what came lately. */
typedef struct {
    Place at, activity_at, orders_at, base_at, pending_at, floor_at, due_at, end, pending;
    int64_t ended, number, session_start, count, newest;
    Py_ssize_t pending_size;
    int over, dropped, ordered, cut; /* an attempt has ended before; as a drop-off; orders were taken; there is a floor */
} Rest;

static void read_rest(Reader *r, Rest *rest) {
    rest->at = r->at;
    rest->ended = 0;
    rest->over = peek(r) != 0xc0;
    if (rest->over) rest->ended = read_int(r);
    else skip(r);
    rest->dropped = read_bool(r);
    rest->number = read_int(r);
    rest->activity_at = r->at;
    skip(r);
    rest->session_start = read_int(r);
    rest->orders_at = r->at;
    rest->ordered = peek(r) != 0xc0;
    skip(r);
    rest->base_at = r->at;
    skip(r);
    rest->pending_at = r->at;
    rest->pending = read_bin(r, &rest->pending_size);
    rest->count = read_int(r);
    rest->newest = read_int(r);
    rest->floor_at = r->at;
    rest->cut = peek(r) != 0xc0;
    skip(r);
    rest->due_at = r->at;
    read_int(r);
    rest->end = r->at;
}

/* Whether the event comes in order, and for the first time. `fresh`: nothing pends that could still be changed, and the walk so far is the base. */
static int is_next(Plan *plan, Said *said, Rest *rest, int64_t horizon, int *fresh) {
    *fresh = rest->newest < horizon || rest->count < 1;
    if (rest->cut || rest->count < 0) return 0;
    if (*fresh) return 1;
    return rest->count < plan->most && said->ts > rest->newest && !contains(rest->pending, rest->pending_size, said->event_id, said->event_id_size);
}

/* From the orders on: this event pends now. `enters`: it brought a stage, whose order is the first. */
static void put_back(Writer *w, Plan *plan, Said *said, const Found *found, const Rest *rest, int fresh, int enters, int64_t due) {
    if (said->order != NULL && enters) put_order(w, said);
    else put(w, rest->orders_at, rest->base_at - rest->orders_at);
    if (fresh) {
        put_bin_head(w, rest->base_at - found->walk_at);
        put(w, found->walk_at, rest->base_at - found->walk_at);
    } else put(w, rest->base_at, rest->pending_at - rest->base_at);
    put_pending(w, plan, said, rest->pending, fresh ? 0 : rest->pending_size);
    put_int(w, fresh ? 1 : rest->count + 1);
    put_int(w, said->ts);
    put(w, rest->floor_at, rest->due_at - rest->floor_at);
    put_int(w, due);
}

/* Room for the funnel's next state, and for whatever follows it in the unit's. What stands before the attempt stays. 0: an exception is set. */
static int begin_state(Writer *w, Said *said, const Found *found, const Rest *rest, Place end) {
    if (!ready(w, 2 * (rest->end - found->at) + 384 + said->event_id_size + said->dims_size * 2 + 2 * said->money_size + (end - rest->end)))
        return 0;
    put(w, found->at, found->attempt_at - found->at);
    return 1;
}

/* An event of the first stage, of a unit whose last attempt in the funnel has ended. As `advance`. */
static int begin_again(Plan *plan, Said *said, Reader *r, const Found *found, int64_t horizon, int64_t *wake, Told *told, Writer *w) {
    Rest rest;
    int fresh;
    skip(r); /* no attempt */
    read_rest(r, &rest);
    if (r->odd || plan->level != 0 || !is_next(plan, said, &rest, horizon, &fresh) || (said->money_size > 1 && rest.ordered)) return 0;
    int64_t deadline = said->ts + plan->window;
    wake_by(wake, deadline + plan->lateness);
    open_attempt(plan, said, told);
    if (rest.over && said->ts <= rest.ended + plan->window) {
        told->number = rest.number + 1;
        told->recovered = rest.dropped;
    }
    told->session_start = rest.session_start;
    if (!begin_state(w, said, found, &rest, r->end)) return -1;
    put_opened(w, plan, said, told);
    put(w, rest.at, rest.orders_at - rest.at);
    put_back(w, plan, said, found, &rest, fresh, 1, deadline);
    return 1;
}

/* Any event of a unit whose attempt is open, in order: it reaches a stage, or moves there and reaches nothing new (back, forward again, past
 * one that is required), or stays: `advance` of walk.py. Or the next attempt's first. Reads the funnel's state, whose tag is at `at`, and writes
 * its next one. `wake`: when the unit is due. `alone`: this is the unit's only funnel; `*quiet` then says whether nothing
 * will be left to do but forget it. 0: not usual. -1: an exception is set. */
static int advance(Plan *plan, Said *said, Reader *r, Place at, int64_t horizon, int alone, int64_t *wake, int *quiet, Told *told, Writer *w) {
    int level = plan->level;
    Found found;
    if (!find(r, at, &found)) return 0;
    if (peek(r) == 0xc0) return begin_again(plan, said, r, &found, horizon, wake, told, w);
    Place consent_at;
    if (!read_attempt(r, told, &consent_at)) return 0;
    Chains starts, times;
    Place chains_at = r->at;
    if (!read_chains(r, &starts) || !read_chains(r, &times) || times.count != starts.count) return 0;
    Place chains_end = r->at;
    told->reached = read_int(r);
    int64_t highest = read_int(r), current = read_int(r);
    int known = told->reached >> level & 1;
    if (highest != starts.count - 1 || current < 0 || current >= PyTuple_Size(plan->names) || (level == 0 && !known)) return 0;
    int64_t deadline = read_int(r), now = said->ts - told->entry;
    Place reason_at = r->at;
    skip(r); /* why it would end */
    Rest rest;
    int fresh;
    read_rest(r, &rest);
    told->session_start = rest.session_start;
    if (r->odd || deadline < said->ts || !is_next(plan, said, &rest, horizon, &fresh)) return 0;
    int source = level == 0 ? 0 : source_of(plan, &starts, now), enters = source >= 0 && !known, ends = enters && plan->converts;
    if (enters && said->money_size > 1 && rest.ordered) return 0;
    int64_t over = said->ts + plan->window;
    *quiet = ends && alone;
    if (*quiet) *wake = over + plan->lateness;
    told->from = PyTuple_GetItem(plan->names, (Py_ssize_t)current);
    told->what = enters ? ENTER : level == current ? NOTHING : MOVE;
    told->direction = enters || (known && level > current) ? FORWARD : level < current ? BACK : SKIP;
    told->duration = enters ? now - times.of[source] : -1;
    if (enters) told->reached |= (int64_t)1 << level;
    if (enters && highest < level) highest = level;
    if (level == 0) deadline = over;

    if (!begin_state(w, said, &found, &rest, r->end)) return -1;
    if (ends) {
        put_nil(w);
        put_int(w, said->ts);
        put_bool(w, 0);
        put_int(w, told->number);
        put(w, rest.activity_at, rest.orders_at - rest.activity_at);
    } else {
        put(w, found.attempt_at, consent_at - found.attempt_at);
        put_bool(w, said->consent < 0 ? told->consent : said->consent);
        if (source >= 0) {
            put_chains(w, plan, &starts, level == 0 ? now : starts.of[source]);
            put_chains(w, plan, &times, now);
        } else put(w, chains_at, chains_end - chains_at);
        put_int(w, told->reached);
        put_int(w, highest);
        put_int(w, level);
        put_int(w, deadline);
        if (level == 0) put_int(w, 0); /* the window of the newest chain */
        else put(w, reason_at, rest.at - reason_at);
        put(w, rest.at, rest.orders_at - rest.at);
    }
    put_back(w, plan, said, &found, &rest, fresh, enters, ends ? over : deadline);
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

#endif
