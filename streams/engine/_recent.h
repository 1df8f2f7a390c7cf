/* Ids seen lately, as 62 bits of a keyed hash (SipHash-1-3) each: a set of strings takes ten times the memory, and more waits for it.
 * That two of 100,000 ids share their bits happens once in a billion such sets; who sends events can't bring it about. */
#ifndef FUNNELWATCH_RECENT_H
#define FUNNELWATCH_RECENT_H
#include <Python.h>
#include <stdint.h>
#include <string.h>

#include "_blake2b.h"
#include "_object.h"

/* An open table, four fifths full at most; 0: nothing there. The lowest bit of each tells the fresh ones, whose bit `generation` is, from the
 * old ones. There are up to `most` fresh ones; then they become the old ones, and those before are forgotten. */
typedef struct {
    PyObject_HEAD
    uint64_t key[2];
    size_t most, room, held, fresh;
    uint64_t *slots, generation;
} Recent;

static PyTypeObject *recent_type;

static void sip_mix(uint64_t v[4]) {
    v[0] += v[1];
    v[2] += v[3];
    v[1] = turned(v[1], 51) ^ v[0];
    v[3] = turned(v[3], 48) ^ v[2];
    v[0] = turned(v[0], 32) + v[3];
    v[2] += v[1];
    v[3] = turned(v[3], 43) ^ v[0];
    v[1] = turned(v[1], 47) ^ v[2];
    v[2] = turned(v[2], 32);
}

static uint64_t print_of(const uint64_t key[2], const unsigned char *at, size_t size) {
    uint64_t v[4] = {
        key[0] ^ 0x736f6d6570736575ULL, key[1] ^ 0x646f72616e646f6dULL, key[0] ^ 0x6c7967656e657261ULL, key[1] ^ 0x7465646279746573ULL,
    };
    for (size_t left = size;; at += 8, left -= 8) {
        uint64_t word = (uint64_t)size << 56;
        memcpy(&word, at, left < 8 ? left : 8);
        v[3] ^= word;
        sip_mix(v);
        v[0] ^= word;
        if (left < 8) break;
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++) sip_mix(v);
    uint64_t found = v[0] ^ v[1] ^ v[2] ^ v[3];
    return (found | 2) & ~(uint64_t)1;
}

/* Where it is, or would be. */
static uint64_t *slot_of(uint64_t *slots, size_t room, uint64_t print) {
    size_t at = print >> 2 & (room - 1);
    while (slots[at] != 0 && (slots[at] ^ print) > 1) at = (at + 1) & (room - 1);
    return &slots[at];
}

/* Lays the table anew, with so much room; without the old ones where they are to be forgotten. 0: an exception is set. */
static int lay_anew(Recent *recent, size_t room, int forget) {
    uint64_t *slots = PyMem_Calloc(room, sizeof *slots);
    if (slots == NULL) {
        PyErr_NoMemory();
        return 0;
    }
    recent->held = 0;
    for (size_t i = 0; i < recent->room; i++) {
        uint64_t print = recent->slots[i];
        if (print == 0 || (forget && (print & 1) != recent->generation)) continue;
        *slot_of(slots, room, print) = print;
        recent->held++;
    }
    PyMem_Free(recent->slots);
    recent->slots = slots;
    recent->room = room;
    return 1;
}

/* Whether the id of that print was seen lately: 1; 0: it is from now on; -1: an exception is set. */
static int recent_take(Recent *recent, uint64_t print) {
    if (recent->room > 0 && *slot_of(recent->slots, recent->room, print) != 0) return 1;
    if (5 * (recent->held + 1) > 4 * recent->room && !lay_anew(recent, recent->room ? 2 * recent->room : 256, 0)) return -1;
    *slot_of(recent->slots, recent->room, print) = print | recent->generation;
    recent->held++;
    if (++recent->fresh < recent->most) return 0;
    if (!lay_anew(recent, recent->room, 1)) return -1;
    recent->generation ^= 1;
    recent->fresh = 0;
    return 0;
}

/* recent.seen(id) */
static PyObject *recent_seen(PyObject *self, PyObject *id) {
    PyObject *bytes = PyUnicode_Check(id) ? PyUnicode_AsEncodedString(id, "utf-8", "surrogatepass") : NULL;
    if (bytes == NULL) return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_TypeError, "an id is a str");
    uint64_t print = print_of(((Recent *)self)->key, (const unsigned char *)PyBytes_AsString(bytes), (size_t)PyBytes_Size(bytes));
    int seen = recent_take((Recent *)self, print);
    Py_DECREF(bytes);
    return seen < 0 ? NULL : PyBool_FromLong(seen);
}

static Py_ssize_t recent_length(PyObject *self) { return (Py_ssize_t)((Recent *)self)->held; }

/* Recent(most, 16 bytes that nobody knows) */
static PyObject *recent_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    Py_ssize_t most, size;
    const char *key;
    if (!without_keywords(type, kwargs)) return NULL;
    if (!PyArg_ParseTuple(args, "ny#", &most, &key, &size)) return NULL;
    if (most < 1 || size != 16) return PyErr_Format(PyExc_ValueError, "Recent takes a positive number and 16 bytes");
    Recent *recent = allocate(type);
    if (recent == NULL) return NULL;
    recent->most = (size_t)most;
    for (int i = 0; i < 2; i++) recent->key[i] = load64((const unsigned char *)key + 8 * i);
    return (PyObject *)recent;
}

static void recent_dealloc(PyObject *self) {
    PyMem_Free(((Recent *)self)->slots);
    release(self);
}

static PyMethodDef recent_methods[] = {
    {"seen", recent_seen, METH_O, "Whether the id was seen lately; it is from now on."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot recent_slots[] = {
    {Py_tp_new, recent_new}, {Py_tp_dealloc, recent_dealloc}, {Py_tp_methods, recent_methods}, {Py_sq_length, recent_length},
    {Py_mp_length, recent_length}, {0, NULL},
};
static PyType_Spec recent_spec = {"streams.engine._usual.Recent", sizeof(Recent), 0, Py_TPFLAGS_DEFAULT, recent_slots};

#endif
