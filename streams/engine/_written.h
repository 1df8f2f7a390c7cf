/* Records as a batch (format 2) takes them: all of one time, without headers. */
#ifndef FUNNELWATCH_WRITTEN_H
#define FUNNELWATCH_WRITTEN_H
#include <Python.h>
#include <stdint.h>
#include <string.h>

#include "_msgpack.h"

static int varint_size(int64_t number) {
    uint64_t value = ((uint64_t)number << 1) ^ (uint64_t)(number >> 63);
    int size = 1;
    while (value >>= 7) size++;
    return size;
}

static void put_varint(Writer *w, int64_t number) {
    uint64_t value = ((uint64_t)number << 1) ^ (uint64_t)(number >> 63);
    for (; value >= 0x80; value >>= 7) *w->at++ = (unsigned char)(value | 0x80);
    *w->at++ = (unsigned char)value;
}

/* A key or a value: text, bytes, or nothing, which has size -1. 0: an exception is set. */
static int part_to_write(PyObject *part, const char **at, Py_ssize_t *size) {
    *at = "";
    *size = -1;
    if (part == Py_None) return 1;
    if (!PyUnicode_Check(part)) return PyBytes_AsStringAndSize(part, (char **)at, size) == 0;
    *at = PyUnicode_AsUTF8AndSize(part, size);
    return *at != NULL;
}

static void put_written_part(Writer *w, const char *at, Py_ssize_t size) {
    put_varint(w, size);
    if (size > 0) put(w, at, size);
}

static Writer batch_out;

/* The next record, if it is the first or fits into what is left of the room. 1; 0: it does not fit; -1. */
static int put_record(Writer *w, PyObject *pair, Py_ssize_t count, Py_ssize_t room) {
    const char *key, *value;
    Py_ssize_t key_size, value_size;
    if (!PyTuple_Check(pair) || PyTuple_Size(pair) != 2) {
        PyErr_SetString(PyExc_TypeError, "records are pairs of key and value");
        return -1;
    }
    if (!part_to_write(PyTuple_GetItem(pair, 0), &key, &key_size) || !part_to_write(PyTuple_GetItem(pair, 1), &value, &value_size)) return -1;
    Py_ssize_t size = 3 + varint_size(count) + varint_size(key_size) + varint_size(value_size); /* attributes, later, headers */
    if (key_size > 0) size += key_size;
    if (value_size > 0) size += value_size;
    if (count > 0 && w->at - w->start + varint_size(size) + size >= room) return 0; /* as aiokafka has it */
    if (!ready(w, size + 10)) return -1;
    put_varint(w, size);
    *w->at++ = 0;
    put_varint(w, 0);
    put_varint(w, count);
    put_written_part(w, key, key_size);
    put_written_part(w, value, value_size);
    put_varint(w, 0);
    return 1;
}

/* pack_records(iterator of (key, value), the pair before it or None, room, bytes of it to be left free at the beginning):
 * (bytearray, how many, the pair that did not fit or None) */
static PyObject *pack_records(PyObject *Py_UNUSED(module), PyObject *args) {
    PyObject *pairs, *pair;
    Py_ssize_t room, before, count = 0;
    if (!PyArg_ParseTuple(args, "OOnn", &pairs, &pair, &room, &before)) return NULL;
    if (!PyIter_Check(pairs) || before < 0) return PyErr_Format(PyExc_TypeError, "pack_records takes an iterator, and no less than 0 bytes");
    Writer *w = &batch_out;
    w->at = w->start;
    if (!ready(w, before + 1)) return NULL;
    memset(w->start, 0, (size_t)before);
    w->at += before;
    pair = pair == Py_None ? PyIter_Next(pairs) : Py_NewRef(pair);
    int fits = 1;
    while (pair != NULL && (fits = put_record(w, pair, count, room)) > 0) {
        count++;
        Py_DECREF(pair);
        pair = PyIter_Next(pairs);
    }
    if (fits < 0 || PyErr_Occurred()) {
        Py_XDECREF(pair);
        return NULL;
    }
    PyObject *packed = PyByteArray_FromStringAndSize((const char *)w->start, w->at - w->start);
    return Py_BuildValue("(NnN)", packed, count, pair == NULL ? Py_NewRef(Py_None) : pair);
}

#endif
