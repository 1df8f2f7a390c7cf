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

#endif
