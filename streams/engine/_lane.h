/* The lane: usual events of one partition, one after the other, their rows and the states that they leave; and attempts that run out. */
#ifndef FUNNELWATCH_LANE_H
#define FUNNELWATCH_LANE_H
#include <Python.h>
#include <stdint.h>
#include <string.h>

#include "_msgpack.h"
#include "_object.h"
#include "_plan.h"
#include "_recent.h"
#include "_walk.h"

/* A unit's next state. */
static Writer state_out;

/* Rows that differ in nothing that counts but breakdown, duration and money, all of one minute of event time. */
typedef struct {
    Plan *plan;
    PyObject *from; /* as told, borrowed of the plan */
    int what;
    int64_t reached, minute;
    PyObject *sample, *dims, *durations, *money; /* one of them; lists */
} Group;

#define PLACES 512
#define SIDE_BY_SIDE 4

/* A breakdown that came lately: few distinct ones come again and again. */
typedef struct {
    uint64_t print;
    PyObject *packed;
} Breakdown;
#define BREAKDOWNS 1024

/* Events that stayed in the funnels of a plan, which have no rows. */
typedef struct {
    int place;
    int64_t count;
} Stayed;

/* Units that are due on one page of the calendar (wakes.py). */
typedef struct {
    int64_t number;
    Writer times;   /* when they are due, negative */
    PyObject *keys; /* a list */
} Page;

/* Units in more funnels than that are left to Python. */
#define MOST_FUNNELS 64

/* One event in one funnel: what it says to it, and what comes of it. `met`: the unit has been in the funnel before. `horizon`: that of
 * the funnel. */
typedef struct {
    Plan *plan;
    int met;
    int64_t horizon;
    Said said;
    Told told;
    Writer dims, money;
} Move;

typedef struct {
    PyObject_HEAD
    PyObject *store, *changed, *unwritten, *finished; /* of the partition's Units */
    PyObject *drop_offs; /* their records, (key, value) */
    Writer rows, drops, record; /* all rows; the drop-offs among them that have no record yet; a record under way */
    Py_ssize_t count, drop_count;
    Group *groups;
    Py_ssize_t places[PLACES * SIDE_BY_SIDE]; /* 1 + which group is there */
    Stayed *stayed;
    Page *pages; /* what is to be entered in the calendar */
    Py_ssize_t group_count, group_room, stayed_count, stayed_room, page_count, page_room, last_page;
    Move moves[MOST_FUNNELS]; /* of the event at hand */
    Breakdown breakdowns[BREAKDOWNS]; /* each in its place, where another may take its turn */
} Lane;

/* Where the partition stands, before and after. `near`: entries of its calendar, (-when, key), the first due last, of times before
 * `edge`. `recent`: ids of events that no funnel looks at. */
typedef struct {
    int64_t offset, watermark, floor, edge, read, repeated, bots, ts;
    PyObject *endings, *near;
    Recent *recent;
} Now;

static PyTypeObject *plan_type;

static void forget_groups(Lane *lane) {
    for (Py_ssize_t i = 0; i < lane->group_count; i++) {
        Group *group = &lane->groups[i];
        Py_DECREF(group->plan);
        Py_XDECREF(group->sample);
        Py_XDECREF(group->dims);
        Py_XDECREF(group->durations);
        Py_XDECREF(group->money);
    }
    lane->group_count = 0;
    memset(lane->places, 0, sizeof lane->places);
}

/* The group of the row that was written last, from `begin` on, of what came to pass; NULL on an error. Each is in one of a few places, by what
 * makes it, the latest first. The last gives way: should it come again, it is begun anew, and both are counted as one in the end. */
static Group *group_of(Lane *lane, Plan *plan, int what, PyObject *from, const Told *told, const Said *said, Py_ssize_t begin) {
    int64_t minute = said->ts / 60000 - (said->ts % 60000 < 0);
    int64_t reached = (int64_t)((uint64_t)told->reached << 1 | (unsigned)told->recovered);
    uint64_t print = 0, makes[] = {(uintptr_t)plan >> 4, (uintptr_t)from >> 4, (uint64_t)what, (uint64_t)reached, (uint64_t)minute};
    for (int i = 0; i < 5; i++) print = (print ^ makes[i]) * 0x9e3779b97f4a7c15u;
    Py_ssize_t *places = &lane->places[(print >> 48) % PLACES * SIDE_BY_SIDE];
    for (int i = 0; i < SIDE_BY_SIDE && places[i] != 0; i++) {
        Group *group = &lane->groups[places[i] - 1];
        if (group->plan == plan && group->from == from && group->what == what && group->reached == reached && group->minute == minute)
            return group;
    }
    Group *groups = grown(lane->groups, &lane->group_room, lane->group_count + 1, sizeof *groups);
    if (groups == NULL) return NULL;
    lane->groups = groups;
    Group *group = &groups[lane->group_count];
    group->plan = (Plan *)Py_NewRef((PyObject *)plan);
    group->from = from;
    group->what = what;
    group->reached = reached;
    group->minute = minute;
    group->sample = PyBytes_FromStringAndSize((const char *)lane->rows.start + begin, lane->rows.at - lane->rows.start - begin);
    group->dims = PyList_New(0);
    group->durations = PyList_New(0);
    group->money = PyList_New(0);
    lane->group_count++;
    if (group->sample == NULL || group->dims == NULL || group->durations == NULL || group->money == NULL) return NULL;
    memmove(places + 1, places, (SIDE_BY_SIDE - 1) * sizeof *places);
    places[0] = lane->group_count;
    return group;
}

static int append(PyObject *list, PyObject *item) {
    if (item == NULL) return 0;
    int failed = PyList_Append(list, item);
    Py_DECREF(item);
    return !failed;
}

static int is_packed(PyObject *packed, const Told *told) {
    return PyBytes_Size(packed) == told->dims_size && memcmp(PyBytes_AsString(packed), told->dims, (size_t)told->dims_size) == 0;
}

/* Adds a breakdown to the group's; one that came lately is not made again. */
static int add_dims(Lane *lane, Group *group, const Told *told) {
    static const uint64_t no_key[2]; /* who sends many that share a place only has them made again */
    Py_ssize_t count = PyList_Size(group->dims);
    if (count > 0) {
        PyObject *last = PyList_GetItem(group->dims, count - 1);
        if (is_packed(last, told)) return PyList_Append(group->dims, last) == 0;
    }
    uint64_t print = print_of(no_key, told->dims, (size_t)told->dims_size);
    Breakdown *known = &lane->breakdowns[print >> 2 & (BREAKDOWNS - 1)];
    if (known->packed == NULL || known->print != print || !is_packed(known->packed, told)) {
        PyObject *made = PyBytes_FromStringAndSize((const char *)told->dims, told->dims_size);
        if (made == NULL) return 0;
        Py_XDECREF(known->packed);
        *known = (Breakdown){print, made};
    }
    return PyList_Append(group->dims, known->packed) == 0;
}

static int set_number(PyObject *dict, PyObject *key, int64_t number) {
    PyObject *value = PyLong_FromLongLong(number);
    int failed = value == NULL || PyDict_SetItem(dict, key, value) < 0;
    Py_XDECREF(value);
    return !failed;
}

/* Changes the unit's state; takes it over. 0: an exception is set, and may have been before. */
static int set_state(Lane *lane, PyObject *key, PyObject *state) {
    if (state == NULL) return 0;
    int failed = PyDict_SetItem(lane->changed, key, state);
    Py_DECREF(state);
    return !failed;
}

/* Keeps the row of an attempt's end, for which there is room. `from`, `outcome`: as put_end has them. The row's size; 0: an exception is set. */
static Py_ssize_t keep_end(Lane *lane, Plan *plan, Said *said, Told *told, PyObject *from, const char *outcome) {
    Writer *w = &lane->rows;
    Py_ssize_t begin = w->at - w->start;
    put_end(w, plan, said, told, from, outcome);
    Group *group = group_of(lane, plan, END, from, told, said, begin);
    if (group == NULL || !add_dims(lane, group, told)) return 0;
    lane->count++;
    return w->at - w->start - begin;
}

/* Keeps the rows of a usual event. 0: an exception is set. */
static int keep_rows(Lane *lane, Plan *plan, Said *said, Told *told) {
    Writer *w = &lane->rows;
    if (!ready_for_rows(w, plan, said, told)) return 0;
    Py_ssize_t begin = w->at - w->start;
    put_step(w, plan, said, told);
    Group *group = group_of(lane, plan, told->what, told->from, told, said, begin);
    if (group == NULL || !add_dims(lane, group, told)) return 0;
    lane->count++;
    if (told->what == MOVE) return 1;
    if (!append(group->durations, PyLong_FromLongLong(told->duration))) return 0;
    if (said->money_size > 1 &&
        !append(group->money, Py_BuildValue("(y#y#)", said->money, said->money_size, told->dims, told->dims_size)))
        return 0;
    return !plan->converts || keep_end(lane, plan, said, told, plan->parts[STAGE], "\xa0\xa9" "converted") > 0;
}

/* Counts an event that stayed. 0: an exception is set. */
static int count_stay(Lane *lane, int place) {
    for (Py_ssize_t i = 0; i < lane->stayed_count; i++) {
        if (lane->stayed[i].place != place) continue;
        lane->stayed[i].count++;
        return 1;
    }
    Stayed *stayed = grown(lane->stayed, &lane->stayed_room, lane->stayed_count + 1, sizeof *stayed);
    if (stayed == NULL) return 0;
    lane->stayed = stayed;
    stayed[lane->stayed_count++] = (Stayed){place, 1};
    return 1;
}

/* Keeps the state that an event has made of a unit. 0: an exception is set. */
static int keep_state(Lane *lane, PyObject *key, PyObject *state) {
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

/* Times before it are settled: nothing that comes later changes them. */
static int64_t horizon_of(const Plan *plan, int64_t watermark, int64_t floor) {
    int64_t horizon = watermark - plan->lateness;
    return horizon < floor ? floor : horizon;
}

/* The move in the funnel with this tag. They mostly come as the unit has its funnels: each is looked for behind the last one first. */
static Move *move_in(Lane *lane, Py_ssize_t count, int64_t tag, Py_ssize_t *next) {
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_ssize_t at = *next + i < count ? *next + i : *next + i - count;
        if (lane->moves[at].plan->tag != tag) continue;
        *next = at + 1;
        return &lane->moves[at];
    }
    return NULL;
}

/* Writes what becomes of a unit's funnels by the lane's moves, as `move_unit` has them: those that it has been in, in their order, then those that
 * are new to it. `count`: of the moves; then how many funnels it is in. `wake`, `quiet`: of the unit, then. 0: not usual. -1: an exception is set. */
static int move_funnels(Lane *lane, const Head *head, Py_ssize_t *count, int64_t *wake, int *quiet) {
    Writer *w = &state_out;
    Reader reader = {head->funnels_at, head->end, 0}, *r = &reader;
    Py_ssize_t moves = *count, left = moves, next = 0;
    for (Py_ssize_t i = 0; i < head->funnels && left > 0; i++) {
        Place at = r->at;
        Move *m = move_in(lane, moves, read_int(r), &next);
        if (m == NULL) {
            skip(r);
            if (r->odd) return 0;
            put(w, at, r->at - at);
            continue;
        }
        int usual = m->met ? 0 : advance(m->plan, &m->said, r, at, m->horizon, head->funnels == 1 && moves == 1, wake, quiet, &m->told, w);
        if (usual <= 0) return usual;
        m->met = 1;
        left--;
    }
    *count = head->funnels + left;
    if (*count > 60000) return 0;
    if (left == 0) {
        put(w, r->at, r->end - r->at);
        return 1;
    }
    if (r->at != r->end) return 0;
    for (Py_ssize_t i = 0; i < moves; i++) {
        Move *m = &lane->moves[i];
        if (m->met) continue;
        if (m->plan->level != 0) return 0;
        if (!begin(m->plan, &m->said, wake, &m->told, w)) return -1;
    }
    return 1;
}

/* Moves a unit by the first `count` of the lane's moves, each in a funnel of its own: by all of them, or not at all. 1: done, and `due` says when
 * the unit is due, if that is new, else 0. 0: not usual, nothing is changed. -1: an exception is set. */
static int move_unit(Lane *lane, Py_ssize_t count, int64_t watermark, int64_t floor, PyObject *key, int64_t *due) {
    PyObject *held = state_of(lane, key);
    if (held == NULL && PyErr_Occurred()) return -1;
    char *before = NULL;
    Py_ssize_t size = 0, funnels = count;
    if (held != NULL && PyBytes_AsStringAndSize(held, &before, &size) < 0) return -1;
    Said *said = &lane->moves[0].said;
    Head head = {.format = lane->moves[0].plan->format, .offset = INT64_MIN, .wake = NEVER_DUE};
    int quiet = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        Move *m = &lane->moves[i];
        m->met = 0;
        m->horizon = horizon_of(m->plan, watermark, floor);
        if (said->ts < m->horizon) return 0;
    }
    if (before != NULL && !read_head((Place)before, size, &head)) return 0;
    if (head.format != lane->moves[0].plan->format || head.offset >= said->offset) return 0;
    if (!leave_head(&state_out, size)) return -1;
    int64_t wake = head.wake;
    int usual = move_funnels(lane, &head, &funnels, &wake, &quiet);
    if (usual <= 0) return usual;
    *due = wake == head.wake ? 0 : wake;
    if (wake == 0 && head.wake != 0) return 0; /* in an answer, 0 says that it is in the calendar */
    PyObject *state = state_with(&state_out, head.format, said->offset, wake, quiet, funnels);
    int kept = state != NULL;
    for (Py_ssize_t i = 0; i < count && kept; i++) {
        Move *m = &lane->moves[i];
        kept = m->told.what == NOTHING ? count_stay(lane, m->plan->place) : keep_rows(lane, m->plan, &m->said, &m->told);
    }
    if (kept) return keep_state(lane, key, state) ? 1 : -1;
    Py_XDECREF(state);
    return -1;
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
    Rest rest;
    read_rest(r, &rest);
    told->session_start = rest.session_start;
    if (r->odd || rest.cut) return 0;

    PyObject *number = PyLong_FromLongLong(tag), *plans = number == NULL ? NULL : PyDict_GetItemWithError(now->endings, number);
    Py_XDECREF(number);
    if (plans == NULL) return PyErr_Occurred() ? -1 : 0;
    if (!PyTuple_Check(plans) || highest < 0 || highest >= PyTuple_Size(plans)) return 0;
    Plan *plan = (Plan *)PyTuple_GetItem(plans, (Py_ssize_t)highest);
    int64_t horizon = horizon_of(plan, now->watermark, now->floor);
    int settled = rest.count > 0 && rest.newest < horizon, ends = *open && deadline < horizon;
    if (rest.count > plan->most && !settled) return 0;
    ended->plan = NULL;
    int64_t end = rest.ended;
    told->from = NULL;
    if (ends) {
        if (reason != 0 || current < 0 || current >= PyTuple_Size(plan->names)) return 0;
        ended->plan = plan;
        told->from = PyTuple_GetItem(plan->names, (Py_ssize_t)current);
        ended->ts = end = deadline;
        told->reached = reached;
        *open = 0;
    }
    if (*open) *due = deadline;
    else { /* as `due` of unit.py has it */
        *due = rest.count > 0 && !settled ? rest.newest : 0;
        if ((ends || rest.over) && end + plan->window > *due) *due = end + plan->window;
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
        put(w, rest.activity_at, rest.base_at - rest.activity_at);
    } else put(w, walk_at, rest.base_at - walk_at);
    if (settled) put(w, "\xc4\x00\xc4\x00\x00\x00", 6); /* nothing is pending any more */
    else put(w, rest.base_at, rest.floor_at - rest.base_at);
    put_nil(w);
    put_int(w, *due);
    *due += plan->lateness;
    return 1;
}

/* Keeps the row of a drop-off. */
static int keep_drop(Lane *lane, Plan *plan, Said *said, Told *told) {
    if (!ready_for_rows(&lane->rows, plan, said, told)) return 0;
    Py_ssize_t size = keep_end(lane, plan, said, told, told->from, "\xa0\xae" "window_timeout");
    if (size == 0) return 0;
    PyObject *dropped = drop_off_of(&lane->record, plan, said, told);
    if (dropped != Py_None) return append(lane->drop_offs, dropped);
    Py_DECREF(dropped);
    if (!ready(&lane->drops, size)) return 0;
    put(&lane->drops, lane->rows.at - size, size); /* the row that was written last */
    lane->drop_count++;
    return 1;
}

/* What the clock alone makes of a unit need not be written, unless an event has changed it in this chunk. */
static int keep_unwritten(Lane *lane, PyObject *key, PyObject *state) {
    int changed = PyDict_Contains(lane->changed, key), written = 0;
    if (changed > 0) written = !PySet_Contains(lane->unwritten, key);
    return set_state(lane, key, state) && changed >= 0 && (written || PySet_Add(lane->unwritten, key) == 0);
}

#define NEVER INT64_MIN

/* A unit is over: nothing is kept of it but that. 1 or -1. */
static int finish(Lane *lane, PyObject *key, int64_t format, int64_t offset) {
    if (!leave_head(&state_out, 0)) return -1;
    return keep_unwritten(lane, key, state_with(&state_out, format, offset, (int64_t)1 << 62, 0, 0)) && set_number(lane->finished, key, offset) ? 1 : -1;
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
    Head head;
    if (!read_head((Place)packed, size, &head) || said.unit_id_size < 1 || said.unit_id[0] != '=') return 0;
    if (head.wake != wake) return 1;
    if (head.quiet && wake < now->watermark) return finish(lane, key, head.format, head.offset);
    if (head.funnels < 1 || head.funnels > MOST_FUNNELS) return 0;

    if (!leave_head(&state_out, size + 64 * head.funnels)) return -1;
    Reader reader = {head.funnels_at, head.end, 0}, *r = &reader;
    Py_ssize_t left = 0;
    int64_t earliest = NEVER_DUE;
    int opens = 0;
    for (Py_ssize_t i = 0; i < head.funnels; i++) {
        int64_t next;
        int open, kept = settle_funnel(now, r, &ended[i], &next, &open);
        if (kept <= 0) return kept;
        if (kept == 1) {
            left++;
            opens += open;
            wake_by(&earliest, next);
        }
    }
    if (r->at != r->end) return 0;

    said.unit_id++;
    said.unit_id_size--;
    for (Py_ssize_t i = 0; i < head.funnels; i++) {
        if (ended[i].plan == NULL) continue;
        said.ts = ended[i].ts;
        if (!keep_drop(lane, ended[i].plan, &said, &ended[i].told)) return -1;
    }
    if (left == 0) return finish(lane, key, head.format, head.offset);
    *again = earliest;
    PyObject *state = state_with(&state_out, head.format, head.offset, earliest, left == 1 && opens == 0, left);
    return keep_unwritten(lane, key, state) ? 1 : -1;
}

#define PAGE 16 /* as wakes.py has it */

static void forget_dues(Lane *lane) {
    for (Py_ssize_t i = 0; i < lane->page_count; i++) Py_CLEAR(lane->pages[i].keys);
    lane->page_count = 0;
}

/* The page of what is to be entered; NULL: an exception is set. */
static Page *page_of(Lane *lane, int64_t number) {
    if (lane->last_page < lane->page_count && lane->pages[lane->last_page].number == number) return &lane->pages[lane->last_page];
    Py_ssize_t i = lane->page_count;
    while (i > 0 && lane->pages[i - 1].number != number) i--;
    if (i > 0) return &lane->pages[lane->last_page = i - 1];
    Py_ssize_t room = lane->page_room;
    Page *pages = grown(lane->pages, &lane->page_room, lane->page_count + 1, sizeof *pages);
    if (pages == NULL) return NULL;
    lane->pages = pages;
    memset(pages + room, 0, (size_t)(lane->page_room - room) * sizeof *pages);
    Page *page = &pages[lane->page_count];
    page->number = number;
    page->times.at = page->times.start;
    page->keys = PyList_New(0);
    if (page->keys == NULL) return NULL;
    lane->last_page = lane->page_count++;
    return page;
}

/* Enters a unit among what is near: sorted, the first due last. 0: an exception is set. */
static int enter_near(PyObject *near, int64_t when, PyObject *key) {
    Py_ssize_t low = 0, high = PyList_Size(near);
    while (low < high) {
        Py_ssize_t middle = (low + high) / 2;
        PyObject *other = PyList_GetItem(near, middle);
        int64_t time = -PyLong_AsLongLong(PyTuple_GetItem(other, 0));
        int before = time < when || (time == when && PyUnicode_Compare(key, PyTuple_GetItem(other, 1)) < 0);
        if (before) high = middle;
        else low = middle + 1;
    }
    PyObject *made = PyErr_Occurred() ? NULL : Py_BuildValue("(LO)", (long long)-when, key);
    int failed = made == NULL || PyList_Insert(near, low, made) < 0;
    Py_XDECREF(made);
    return !failed;
}

/* Enters a unit in the calendar: at once, or where that is not near on the page that Python is given. 0: an exception is set. */
static int enter(Lane *lane, const Now *now, int64_t when, PyObject *key) {
    if (when < now->edge) return enter_near(now->near, when, key);
    Page *page = page_of(lane, when >> PAGE);
    if (page == NULL || !ready(&page->times, sizeof when)) return 0;
    when = -when;
    put(&page->times, &when, sizeof when);
    return PyList_Append(page->keys, key) == 0;
}

/* [(page, times, keys)] to be entered; NULL: an exception is set. */
static PyObject *take_dues(Lane *lane) {
    PyObject *dues = PyList_New(0);
    for (Py_ssize_t i = 0; i < lane->page_count && dues != NULL; i++) {
        Page *page = &lane->pages[i];
        if (!append(dues, Py_BuildValue("(Ly#O)", (long long)page->number, page->times.start, page->times.at - page->times.start, page->keys)))
            Py_CLEAR(dues);
    }
    forget_dues(lane);
    return dues;
}

/* When the first of the calendar's near entries is due; `edge` where there are none. */
static int64_t soonest(const Now *now) {
    Py_ssize_t count = PyList_Size(now->near);
    return count == 0 ? now->edge : -PyLong_AsLongLong(PyTuple_GetItem(PyList_GetItem(now->near, count - 1), 0));
}

/* Settles the units that are due before the watermark. 1: all of them. 0: what is left is for Python: one that is not usual, or a page to be
 * turned. -1: an exception is set. */
static int settle_due(Lane *lane, const Now *now) {
    int64_t due;
    while ((due = soonest(now)) < now->watermark) {
        Py_ssize_t last = PyList_Size(now->near) - 1;
        if (last < 0 || now->endings == Py_None) return 0;
        int64_t again;
        PyObject *key = Py_NewRef(PyTuple_GetItem(PyList_GetItem(now->near, last), 1));
        int usual = settle(lane, now, key, due, &again);
        if (usual > 0 && (PyList_SetSlice(now->near, last, last + 1, NULL) < 0 || (again != NEVER && !enter(lane, now, again, key)))) usual = -1;
        Py_DECREF(key);
        if (usual <= 0) return usual;
    }
    return 1;
}

/* lane.settle(endings, near, offset, watermark, floor, edge): settles the units that are due before the watermark, for as long as that is
 * usual. [(page, times, keys)], to be entered in the calendar. `endings`: tag → the plans of its levels, by which attempts
 * that run out are written. `near`: [(-when, key)], the first due last; those that are done are taken out. */
static PyObject *lane_settle(PyObject *self, PyObject *args) {
    long long offset, watermark, floor, edge;
    Now now = {0};
    if (!PyArg_ParseTuple(args, "O!O!LLLL", &PyDict_Type, &now.endings, &PyList_Type, &now.near, &offset, &watermark, &floor, &edge)) return NULL;
    now.offset = offset;
    now.watermark = watermark;
    now.floor = floor;
    now.edge = edge;
    forget_dues((Lane *)self);
    return settle_due((Lane *)self, &now) < 0 ? NULL : take_dues((Lane *)self);
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

/* So many rows as one array; no bytes where there are none. */
static PyObject *block_of(const Writer *rows, Py_ssize_t count) {
    Py_ssize_t size = rows->at - rows->start;
    PyObject *made = PyBytes_FromStringAndSize(NULL, count ? 5 + size : 0);
    if (made == NULL || count == 0) return made;
    Writer block = {.at = (unsigned char *)PyBytes_AsString(made)};
    put_number(&block, 0xdd, (uint64_t)count, 4);
    put(&block, rows->start, size);
    return made;
}

/* lane.rows(): (the rows since the last call, those drop-offs among them that have no record yet, the others' records) */
static PyObject *lane_rows(PyObject *self, PyObject *Py_UNUSED(ignored)) {
    Lane *lane = (Lane *)self;
    PyObject *rows = block_of(&lane->rows, lane->count), *drops = block_of(&lane->drops, lane->drop_count), *drop_offs = PyList_New(0);
    PyObject *made = rows == NULL || drops == NULL || drop_offs == NULL ? NULL : PyTuple_Pack(3, rows, drops, lane->drop_offs);
    Py_XDECREF(rows);
    Py_XDECREF(drops);
    if (made == NULL) {
        Py_XDECREF(drop_offs);
        return NULL;
    }
    Py_DECREF(lane->drop_offs);
    lane->drop_offs = drop_offs;
    lane->count = lane->drop_count = 0;
    lane->rows.at = lane->rows.start;
    lane->drops.at = lane->drops.start;
    return made;
}

/* lane.groups(): ([(place, how many stayed)], [(place, a row, [dims], [duration], [(money, dims)])]) since the last call */
static PyObject *lane_groups(PyObject *self, PyObject *Py_UNUSED(ignored)) {
    Lane *lane = (Lane *)self;
    PyObject *groups = PyList_New(0), *stayed = PyList_New(0);
    int whole = groups != NULL && stayed != NULL;
    for (Py_ssize_t i = 0; i < lane->group_count && whole; i++) {
        Group *g = &lane->groups[i];
        whole = append(groups, Py_BuildValue("(iOOOO)", g->plan->place, g->sample, g->dims, g->durations, g->money));
    }
    for (Py_ssize_t i = 0; i < lane->stayed_count && whole; i++)
        whole = append(stayed, Py_BuildValue("(iL)", lane->stayed[i].place, (long long)lane->stayed[i].count));
    PyObject *gathered = whole ? PyTuple_Pack(2, stayed, groups) : NULL;
    Py_XDECREF(groups);
    Py_XDECREF(stayed);
    if (gathered == NULL) return NULL;
    forget_groups(lane);
    lane->stayed_count = 0;
    return gathered;
}

static PyObject *lane_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    if (!without_arguments(type, args, kwargs)) return NULL;
    Lane *lane = allocate(type);
    if (lane == NULL) return NULL;
    lane->drop_offs = PyList_New(0);
    if (lane->drop_offs != NULL) return (PyObject *)lane;
    Py_DECREF((PyObject *)lane);
    return NULL;
}

static void lane_dealloc(PyObject *self) {
    Lane *lane = (Lane *)self;
    forget_groups(lane);
    forget_dues(lane);
    for (Py_ssize_t i = 0; i < lane->page_room; i++) PyMem_Free(lane->pages[i].times.start);
    PyMem_Free(lane->pages);
    PyMem_Free(lane->groups);
    PyMem_Free(lane->stayed);
    PyMem_Free(lane->rows.start);
    PyMem_Free(lane->drops.start);
    PyMem_Free(lane->record.start);
    for (int i = 0; i < MOST_FUNNELS; i++) {
        PyMem_Free(lane->moves[i].dims.start);
        PyMem_Free(lane->moves[i].money.start);
    }
    for (int i = 0; i < BREAKDOWNS; i++) Py_XDECREF(lane->breakdowns[i].packed);
    Py_XDECREF(lane->drop_offs);
    Py_XDECREF(lane->store);
    Py_XDECREF(lane->changed);
    Py_XDECREF(lane->unwritten);
    Py_XDECREF(lane->finished);
    release(self);
}

#endif
