/* The plan of one stage of one funnel, and the rows that are written by it (schemas/rows.py, schemas/drop_off.py). */
#ifndef FUNNELWATCH_PLAN_H
#define FUNNELWATCH_PLAN_H
#include <Python.h>
#include <stdint.h>
#include <string.h>

#include "_msgpack.h"
#include "_object.h"

/* Parts of the rows, packed beforehand. HEAD: funnel and version; STAGE: its name. Of what comes to pass, ENTER: kind and item; MOVE: kind
 * (its item is the event); END: kind and item. Where to, FORWARD, SKIP, BACK: direction and outcome. */
enum { HEAD, STAGE, ENTER, MOVE, END, FORWARD, SKIP, BACK, PARTS, NOTHING };

typedef struct {
    PyObject_HEAD
    int level, converts, place;
    int64_t format, tag, window, lateness, most, optional; /* `optional`: which levels are, bit by bit */
    PyObject *parts[PARTS];
    PyObject *names; /* of all stages, packed */
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
    int what, direction; /* ENTER, or MOVE: nothing new is reached; or NOTHING: it stays where it is, and there is no row */
    int64_t entry, number, session_start, reached, duration;
    int recovered, consent;
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

static void put_row_head(Writer *w, Plan *plan, Said *said, Told *told, int what) {
    put_number(w, 0xdc, 28, 2);
    put_part(w, plan->parts[HEAD]);
    put_number(w, 0xd9, 32, 1);
    put_hex(w, told->id);
    put_part(w, plan->parts[what]);
    if (what == MOVE) put_text(w, said->event_id, said->event_id_size);
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

/* The stage that was reached, with its money, or a move. */
static void put_step(Writer *w, Plan *plan, Said *said, Told *told) {
    put_row_head(w, plan, said, told, told->what);
    if (told->from == NULL) *w->at++ = 0xa0;
    else put_part(w, told->from);
    put_part(w, plan->parts[STAGE]);
    put_int(w, plan->level);
    put_int(w, told->reached);
    put_part(w, plan->parts[told->direction]);
    put_int(w, told->duration);
    put(w, told->dims, told->dims_size);
    put(w, said->dims, said->dims_size);
    if (told->what == ENTER && said->money_size > 1) put(w, said->money + 1, said->money_size - 1); /* its four values, without their head */
    else put_no_money(w);
    put_bool(w, said->consent > 0);
}

/* The end of an attempt that was at stage `from`, and had come as far as the plan's. `outcome`: packed direction and outcome. */
static void put_end(Writer *w, Plan *plan, Said *said, Told *told, PyObject *from, const char *outcome) {
    put_row_head(w, plan, said, told, END);
    put_part(w, from);
    put_part(w, plan->parts[STAGE]);
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
    Py_ssize_t room = 512 + 2 * said->event_id_size + said->unit_id_size + said->dims_size + 2 * told->dims_size + said->money_size;
    for (int i = 0; i < PARTS; i++) room += PyBytes_Size(plan->parts[i]);
    if (told->from != NULL) room += PyBytes_Size(told->from);
    return ready(w, 2 * room);
}

static const unsigned char packed_nothing[1];

/* Plan(level, converts, format, tag, window, lateness, most pending hits, salt, place, fields of the dimensions or None, converter of
 * its money or None, what surrounds a drop-off's contents, which levels are optional, names of all stages, the parts) */
static PyObject *plan_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    PyObject *parts[PARTS], *salt, *fields, *convert, *dropped, *names;
    int level, converts, place;
    long long format, tag, window, lateness, most, optional;
    if (!without_keywords(type, kwargs)) return NULL;
    if (!PyArg_ParseTuple(
            args, "ipLLLLLSiOOO!LO!SSSSSSSS", &level, &converts, &format, &tag, &window, &lateness, &most, &salt, &place, &fields, &convert,
            &PyTuple_Type, &dropped, &optional, &PyTuple_Type, &names, &parts[HEAD], &parts[STAGE], &parts[ENTER], &parts[MOVE], &parts[END], &parts[FORWARD], &parts[SKIP],
            &parts[BACK]))
        return NULL;
    if (level < 0 || level > 62) return PyErr_Format(PyExc_ValueError, "levels are 0 to 62, not %d", level);
    if (PyTuple_Size(names) <= level) return PyErr_Format(PyExc_ValueError, "%zd names, and none of stage %d", PyTuple_Size(names), level);
    if (fields != Py_None && !PyBytes_Check(fields)) return PyErr_Format(PyExc_TypeError, "fields are bytes or None");
    for (Py_ssize_t i = 0; i < PyTuple_Size(dropped); i++)
        if (!PyBytes_Check(PyTuple_GetItem(dropped, i))) return PyErr_Format(PyExc_TypeError, "a drop-off's parts are bytes");
    for (Py_ssize_t i = 0; i < PyTuple_Size(names); i++)
        if (!PyBytes_Check(PyTuple_GetItem(names, i))) return PyErr_Format(PyExc_TypeError, "names are bytes");
    Plan *plan = allocate(type);
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
    Plan *plan = (Plan *)self;
    for (int i = 0; i < PARTS; i++) Py_XDECREF(plan->parts[i]);
    Py_XDECREF(plan->salt);
    Py_XDECREF(plan->fields);
    Py_XDECREF(plan->convert);
    Py_XDECREF(plan->dropped);
    Py_XDECREF(plan->names);
    release(self);
}

#endif
