/* Records as they lie in Kafka, taken without decoding them in Python for as long as they are usual. */
#ifndef FUNNELWATCH_READING_H
#define FUNNELWATCH_READING_H
#include <Python.h>
#include <stdint.h>
#include <string.h>

#include "_fetched.h"
#include "_lane.h"
#include "_msgpack.h"
#include "_object.h"
#include "_plan.h"
#include "_recent.h"
#include "_record.h"
#include "_walk.h"

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
    Habit habit;
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
    enum { DOT = 1, COLON = 1 << 10, SIGN = 1 << 20 }; /* counted side by side: these texts have 256 bytes at most */
    static const unsigned weight[256] = {['.'] = DOT, [':'] = COLON, ['@'] = SIGN, ['%'] = SIGN};
    unsigned found = 0;
    for (Place at = text->at, end = text->at + text->size; at < end; at++) found += weight[*at];
    return found >= SIGN || found % SIGN >= 2 * COLON || found % COLON >= 3 * DOT;
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
    if (got->value == NULL || !read_record(got->value, got->value_size, &reading->limits, &reading->habit, record)) return 0;
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

/* So many records are read ahead. */
#define AHEAD 16

/* A record that is coming: what can be told of it before those before it are done. */
typedef struct {
    Record record;
    Text *unit;
    PyObject *plans, *key; /* of the funnels that look at it, borrowed; of the unit. NULL: none looks at it */
    uint64_t print;        /* of its id, where none looks at it */
    int usual, bot;
} Coming;

/* Reads a record. 1, 0 (unusual), -1. */
static int read_coming(Reading *reading, const Fetched *got, const Recent *recent, Coming *c) {
    Record *record = &c->record;
    c->plans = c->key = NULL;
    c->usual = read_checked(reading, got, record, &c->unit);
    if (c->usual <= 0) return c->usual;
    c->bot = is_bot(reading, &record->text[USER_AGENT]);
    if (c->bot < 0 || c->bot > 1) return c->usual = c->bot < 0 ? -1 : 0;
    PyObject *how = known_of(reading, &record->text[EVENT]);
    if (how == NULL) return c->usual = -1;
    if (how == Py_False) return c->usual = 0;
    if (c->bot || how == Py_None) {
        Text *id = &record->text[EVENT_ID];
        c->print = print_of(recent->key, id->at, (size_t)id->size);
        if (recent->room > 0) __builtin_prefetch(&recent->slots[c->print >> 2 & (recent->room - 1)]);
        return 1;
    }
    char named[1 + 256] = "=";
    if (!PyTuple_Check(how) || c->unit->size >= (Py_ssize_t)sizeof named) return c->usual = 0;
    memcpy(named + 1, c->unit->at, (size_t)c->unit->size);
    c->plans = how;
    c->key = PyUnicode_FromStringAndSize(named, c->unit->size + 1);
    return c->usual = c->key == NULL || PyObject_Hash(c->key) == -1 ? -1 : 1;
}

/* Reads records ahead, and looks their units up: states and ids seen lately lie scattered over more memory than the caches hold, and so the
 * waits for them pass side by side instead of one after the other. 1, or -1 with an exception set. */
static int read_ahead(Lane *lane, Reading *reading, const Fetched *items, Py_ssize_t count, const Recent *recent, Coming *coming) {
    for (Py_ssize_t i = 0; i < count; i++) coming[i].key = NULL;
    for (Py_ssize_t i = 0; i < count; i++)
        if (read_coming(reading, &items[i], recent, &coming[i]) < 0) return -1;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *state = coming[i].key == NULL ? NULL : PyDict_GetItemWithError(lane->store, coming[i].key);
        for (int line = 0; state != NULL && line < 5; line++) __builtin_prefetch((char *)state + 64 * line);
    }
    return PyErr_Occurred() ? -1 : 1;
}

static void let_go(Coming *coming, Py_ssize_t count) {
    for (Py_ssize_t i = 0; i < count; i++) Py_CLEAR(coming[i].key);
}

/* Counts an event that no funnel looks at, if its id was seen lately, or else if it is a bot's. 1 or -1. */
static int note(const Coming *c, Now *now) {
    int seen = recent_take(now->recent, c->print);
    now->repeated += seen > 0;
    now->bots += c->bot && seen == 0;
    return seen < 0 ? -1 : 1;
}

/* A usual event, of one stage of each of its funnels. 1, 0 (unusual), -1. */
static int step(Lane *lane, Reading *reading, int64_t offset, Coming *c, Now *now) {
    Record *record = &c->record;
    Said said = {.offset = offset, .ts = record->ts, .consent = record->consent};
    Py_ssize_t count = PyTuple_Size(c->plans);
    if (count < 1 || count > MOST_FUNNELS) return 0;
    if (reading->addresses && (may_hold_address(c->unit) || may_hold_address(&record->text[ORDER_ID]))) return 0;
    said.event_id = (const char *)record->text[EVENT_ID].at;
    said.event_id_size = record->text[EVENT_ID].size;
    said.unit_id = (const char *)c->unit->at;
    said.unit_id_size = c->unit->size;
    for (Py_ssize_t i = 0; i < count; i++) {
        Move *m = &lane->moves[i];
        m->plan = (Plan *)PyTuple_GetItem(c->plans, i);
        m->said = said;
        if (Py_TYPE((PyObject *)m->plan) != plan_type || m->plan->fields == Py_None) return 0;
        int usual = read_dims(reading, record, m);
        if (usual > 0) usual = read_money(reading, record, m);
        if (usual <= 0 || !find_order(&m->said)) return usual < 0 ? -1 : 0;
    }
    int64_t due;
    int usual = move_unit(lane, count, now->watermark, now->floor, c->key, &due);
    return usual > 0 && due != 0 && !enter(lane, now, due, c->key) ? -1 : usual;
}

/* One record. 1: taken. 0: unusual, nothing is changed. -1: an exception is set. */
static int take_record(Lane *lane, Reading *reading, const Fetched *got, Coming *c, Now *now) {
    if (got->offset <= now->offset || !c->usual) return 0;
    int usual = c->plans == NULL ? note(c, now) : step(lane, reading, got->offset, c, now);
    if (usual <= 0) return usual;
    int64_t ts = c->record.ts;
    now->offset = got->offset;
    now->ts = ts;
    now->read++;
    if (ts > got->timestamp) ts = got->timestamp; /* one visitor's clock that is ahead must not make everybody else late */
    if (ts > now->watermark && !c->bot) now->watermark = ts;
    return 1;
}

/* reading.take(lane, records, from, offset, watermark, floor, endings, near, edge, recent ids): takes records, and settles the units that are
 * due after each, for as long as all is usual. `endings` is None where units are not to be settled. (the place of the next, whether that is unusual, offset, watermark, read,
 * repeated, bots, the last one's time, [(page, times, keys)] to be entered in the calendar) */
static PyObject *reading_take(PyObject *self, PyObject *args) {
    Reading *reading = (Reading *)self;
    PyObject *lane;
    Records *records;
    Py_ssize_t at;
    long long offset, watermark, floor, edge;
    Now now = {0};
    if (!PyArg_ParseTuple(
            args, "OO!nLLLOO!LO!", &lane, records_type, &records, &at, &offset, &watermark, &floor, &now.endings, &PyList_Type, &now.near, &edge,
            recent_type, &now.recent))
        return NULL;
    now.offset = offset;
    now.watermark = watermark;
    now.floor = floor;
    now.edge = edge;
    forget_dues((Lane *)lane);
    Py_ssize_t count = records->count;
    int usual = 1, settled = now.watermark <= soonest(&now);
    Coming coming[AHEAD];
    Py_ssize_t ahead = 0, done = 0; /* how many were read ahead, and how many of them are done */
    while (at < count && usual > 0 && settled) {
        if (done == ahead) {
            let_go(coming, ahead);
            ahead = count - at < AHEAD ? count - at : AHEAD;
            done = 0;
            usual = read_ahead((Lane *)lane, reading, &records->items[at], ahead, now.recent, coming);
            if (usual < 0) break;
        }
        usual = take_record((Lane *)lane, reading, &records->items[at], &coming[done++], &now);
        at += usual > 0;
        if (usual > 0) settled = settle_due((Lane *)lane, &now);
    }
    let_go(coming, ahead);
    PyObject *dues = usual < 0 || settled < 0 ? NULL : take_dues((Lane *)lane);
    if (dues == NULL) return NULL;
    return Py_BuildValue(
        "(nNLLLLLLN)", at, PyBool_FromLong(usual == 0), (long long)now.offset, (long long)now.watermark, (long long)now.read, (long long)now.repeated,
        (long long)now.bots, (long long)now.ts, dues);
}

/* Reading(known, fields of the unit's id, earliest, max_ahead, max_bytes, longest id, most properties, marks, networks, hosts,
 * addresses, currencies, default currency or None, is_internal(user agent)) */
static PyObject *reading_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    PyObject *known, *ids, *marks, *currencies, *default_currency, *is_internal;
    long long earliest, max_ahead;
    Py_ssize_t longest_record, longest_id, most_held;
    int networks, hosts, addresses;
    if (!without_keywords(type, kwargs)) return NULL;
    if (!PyArg_ParseTuple(
            args, "O!SLLnnnO!pppOOO", &PyDict_Type, &known, &ids, &earliest, &max_ahead, &longest_record, &longest_id, &most_held,
            &PyTuple_Type, &marks, &networks, &hosts, &addresses, &currencies, &default_currency, &is_internal))
        return NULL;
    Reading *reading = allocate(type);
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
    Reading *reading = (Reading *)self;
    PyObject_GC_UnTrack(self);
    Py_XDECREF(reading->limits.marks);
    Py_XDECREF(reading->known);
    Py_XDECREF(reading->currencies);
    Py_XDECREF(reading->default_currency);
    Py_XDECREF(reading->is_internal);
    for (int i = 0; i < WAYS; i++) Py_XDECREF(reading->ways[i].how);
    release(self);
}

#endif
