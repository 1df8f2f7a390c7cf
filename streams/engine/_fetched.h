/* Records as a fetch brings them: where each of them lies in its batch. What they hold is only copied when Python asks for it. */
#ifndef FUNNELWATCH_FETCHED_H
#define FUNNELWATCH_FETCHED_H
#include <Python.h>
#include <stdint.h>
#include <string.h>

#include "_msgpack.h"
#include "_object.h"

typedef struct {
    int64_t offset, timestamp;
    Place key, value; /* NULL: none */
    Py_ssize_t key_size, value_size;
} Fetched;

typedef struct {
    PyObject_HEAD
    PyObject *buffers; /* what the records lie in */
    Fetched *items;
    Py_ssize_t count, room;
} Records;

static PyTypeObject *records_type, *record_type;

static PyStructSequence_Field record_fields[] = {{"offset", NULL}, {"timestamp", "ms"}, {"key", NULL}, {"value", NULL}, {NULL, NULL}};
static PyStructSequence_Desc record_desc = {"streams.engine._usual.Record", "A record of Kafka's.", record_fields, 4};

static int make_room(Records *records, Py_ssize_t more) {
    Fetched *items = grown(records->items, &records->room, records->count + more, sizeof *items);
    if (items == NULL) return 0;
    records->items = items;
    return 1;
}

/* blank(size): bytes that are yet to be written. They are not zeroed, which takes as long as to fill them. */
static PyObject *blank_bytes(PyObject *Py_UNUSED(module), PyObject *size) {
    Py_ssize_t wanted = PyNumber_AsSsize_t(size, PyExc_OverflowError);
    if (wanted < 0) return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "no %zd bytes", wanted);
    return PyBytes_FromStringAndSize(NULL, wanted);
}

/* ---- a batch (format 2) ------------------------------------------------------------------------------------------------ */

static int64_t read_varint(Reader *r) {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        uint64_t c = take(r, 1);
        value |= (c & 0x7f) << shift;
        if (c < 0x80) return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
    }
    r->odd = 1;
    return 0;
}

/* A key or a value; NULL for none. */
static Place read_part(Reader *r, Py_ssize_t *size) {
    int64_t length = read_varint(r);
    *size = 0;
    if (length < 0) return NULL;
    if (length > r->end - r->at) {
        r->odd = 1;
        return NULL;
    }
    Place at = r->at;
    *size = (Py_ssize_t)length;
    r->at += length;
    return at;
}

/* records.read(bytes or a view of some, from, to, first offset, first timestamp, time of all of them or -1, how many, from which offset on):
 * adds the records of a batch's body. Raises ValueError, and adds nothing, where it is damaged. */
static PyObject *records_read(PyObject *self, PyObject *args) {
    Records *records = (Records *)self;
    PyObject *buffer;
    Py_buffer data;
    Py_ssize_t from, to, count;
    long long first_offset, first_timestamp, one_time, wanted;
    if (!PyArg_ParseTuple(args, "OnnLLLnL", &buffer, &from, &to, &first_offset, &first_timestamp, &one_time, &count, &wanted)) return NULL;
    if (PyObject_GetBuffer(buffer, &data, PyBUF_SIMPLE) < 0) return NULL;
    Place start = data.buf;
    Py_ssize_t size = data.len, before = records->count;
    int lasting = data.readonly;
    PyBuffer_Release(&data); /* `buffer` is held, and so are they */
    if (!lasting) return PyErr_Format(PyExc_TypeError, "records are read from bytes that do not change");
    if (from < 0 || to < from || to > size || count < 0 || count > (to - from) / 7) return PyErr_Format(PyExc_ValueError, "a batch of %zd records that does not hold them", count);
    if (!make_room(records, count) || PyList_Append(records->buffers, buffer) < 0) return NULL;
    Reader reader = {start + from, start + to, 0}, *r = &reader;
    for (Py_ssize_t i = 0; i < count && !r->odd; i++) {
        Fetched *record = &records->items[records->count];
        int64_t length = read_varint(r);
        if (length < 0 || length > r->end - r->at) r->odd = 1;
        if (r->odd) break;
        Reader one = {r->at, r->at + length, 0};
        r->at = one.end;
        take(&one, 1); /* attributes: not used by Kafka */
        int64_t later = read_varint(&one);
        record->timestamp = one_time >= 0 ? one_time : first_timestamp + later;
        record->offset = first_offset + read_varint(&one);
        record->key = read_part(&one, &record->key_size);
        record->value = read_part(&one, &record->value_size);
        read_varint(&one); /* how many headers */
        r->odd |= one.odd;
        records->count += record->offset >= wanted;
    }
    if (!r->odd) Py_RETURN_NONE;
    records->count = before;
    return PyErr_Format(PyExc_ValueError, "a damaged batch at offset %lld", first_offset);
}

/* records.add(offset, timestamp, key or None, value or None) */
static PyObject *records_add(PyObject *self, PyObject *args) {
    Records *records = (Records *)self;
    long long offset, timestamp;
    PyObject *parts[2];
    if (!PyArg_ParseTuple(args, "LLOO", &offset, &timestamp, &parts[0], &parts[1]) || !make_room(records, 1)) return NULL;
    Fetched record = {.offset = offset, .timestamp = timestamp};
    Place *places[2] = {&record.key, &record.value};
    Py_ssize_t *sizes[2] = {&record.key_size, &record.value_size};
    for (int i = 0; i < 2; i++) {
        if (parts[i] == Py_None) continue;
        char *at;
        if (PyBytes_AsStringAndSize(parts[i], &at, sizes[i]) < 0 || PyList_Append(records->buffers, parts[i]) < 0) return NULL;
        *places[i] = (Place)at;
    }
    records->items[records->count++] = record;
    Py_RETURN_NONE;
}

/* ---- as Python sees them ------------------------------------------------------------------------------------------------ */

static Records *new_records(PyTypeObject *type, PyObject *buffers) {
    Records *records = allocate(type);
    if (records == NULL) return NULL;
    records->buffers = buffers == NULL ? PyList_New(0) : Py_NewRef(buffers);
    if (records->buffers == NULL) {
        Py_DECREF((PyObject *)records);
        return NULL;
    }
    return records;
}

static PyObject *records_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    return without_arguments(type, args, kwargs) ? (PyObject *)new_records(type, NULL) : NULL;
}

static void records_dealloc(PyObject *self) {
    Records *records = (Records *)self;
    PyMem_Free(records->items);
    Py_XDECREF(records->buffers);
    release(self);
}

static Py_ssize_t records_length(PyObject *self) { return ((Records *)self)->count; }

static PyObject *part_of(Place at, Py_ssize_t size) {
    return at == NULL ? Py_NewRef(Py_None) : PyBytes_FromStringAndSize((const char *)at, size);
}

static PyObject *records_item(PyObject *self, Py_ssize_t at) {
    Records *records = (Records *)self;
    if (at < 0 || at >= records->count) return PyErr_Format(PyExc_IndexError, "no record %zd of %zd", at, records->count);
    Fetched *from = &records->items[at];
    PyObject *record = PyStructSequence_New(record_type);
    if (record == NULL) return NULL;
    PyObject *parts[] = {
        PyLong_FromLongLong(from->offset), PyLong_FromLongLong(from->timestamp), part_of(from->key, from->key_size),
        part_of(from->value, from->value_size),
    };
    for (int i = 0; i < 4; i++) PyStructSequence_SetItem(record, i, parts[i]);
    if (!PyErr_Occurred()) return record;
    Py_DECREF(record);
    return NULL;
}

/* One of them, or those of a slice. */
static PyObject *records_subscript(PyObject *self, PyObject *key) {
    Records *records = (Records *)self;
    if (!PySlice_Check(key)) {
        Py_ssize_t at = PyNumber_AsSsize_t(key, PyExc_IndexError);
        if (at == -1 && PyErr_Occurred()) return NULL;
        return records_item(self, at < 0 ? at + records->count : at);
    }
    Py_ssize_t start, stop, step;
    if (PySlice_Unpack(key, &start, &stop, &step) < 0) return NULL;
    Py_ssize_t count = PySlice_AdjustIndices(records->count, &start, &stop, step);
    Records *some = new_records(Py_TYPE(self), records->buffers);
    if (some == NULL || !make_room(some, count)) {
        Py_XDECREF((PyObject *)some);
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++) some->items[i] = records->items[start + i * step];
    some->count = count;
    return (PyObject *)some;
}

static PyMethodDef records_methods[] = {
    {"read", records_read, METH_VARARGS, "Adds the records of a batch."},
    {"add", records_add, METH_VARARGS, "Adds one record."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot records_slots[] = {
    {Py_tp_new, records_new}, {Py_tp_dealloc, records_dealloc}, {Py_tp_methods, records_methods}, {Py_sq_length, records_length},
    {Py_sq_item, records_item}, {Py_mp_length, records_length}, {Py_mp_subscript, records_subscript}, {0, NULL},
};
static PyType_Spec records_spec = {"streams.engine._usual.Records", sizeof(Records), 0, Py_TPFLAGS_DEFAULT, records_slots};

#endif
