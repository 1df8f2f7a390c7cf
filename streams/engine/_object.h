/* What the types here share: how their objects are made and freed, and how what they hold grows. */
#ifndef FUNNELWATCH_OBJECT_H
#define FUNNELWATCH_OBJECT_H
#include <Python.h>

/* Whether it was called without keywords, as these types are. 0: an exception is set. */
static int without_keywords(PyTypeObject *type, PyObject *kwargs) {
    if (kwargs == NULL || PyDict_Size(kwargs) == 0) return 1;
    PyErr_Format(PyExc_TypeError, "%R takes no keywords", type);
    return 0;
}

/* The same of one that takes nothing at all. */
static int without_arguments(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    if (!without_keywords(type, kwargs)) return 0;
    if (PyTuple_Size(args) == 0) return 1;
    PyErr_Format(PyExc_TypeError, "%R takes no arguments", type);
    return 0;
}

/* An object of that type, all zero; NULL with an exception set. */
static void *allocate(PyTypeObject *type) { return ((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0); }

/* The end of an object whose contents are released. */
static void release(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

/* The array with room for so many items, and some more where it must be moved; NULL with an exception set, and the array is as it was. */
static void *grown(void *items, Py_ssize_t *room, Py_ssize_t wanted, size_t size) {
    if (items != NULL && wanted <= *room) return items;
    Py_ssize_t more = wanted + *room / 2 + 8;
    void *moved = PyMem_Realloc(items, (size_t)more * size);
    if (moved == NULL) PyErr_NoMemory();
    else *room = more;
    return moved;
}

#endif
