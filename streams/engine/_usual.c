/* The usual event, in C: in each funnel that it concerns a unit's first event, or one that goes a stage further or stays, in order.
 *
 * Works on the packed state of streams/engine/state.py as it lies in the store, and writes the packed row of schemas/rows.py.
 * Whatever is not usual is left to streams/engine/unit.py: with the same outcome, byte for byte
 * (tests/unit/engine/test_usual.py). `Lane.move` does it for an event that Python has decoded; a `Reading` takes records as they
 * lie in Kafka, one after the other, for as long as nothing is unusual. The stable ABI: one build serves every Python from 3.11 on.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdint.h>
#include <string.h>

#include "_crc32c.h"
#include "_fetched.h"
#include "_lane.h"
#include "_plan.h"
#include "_reading.h"
#include "_recent.h"
#include "_record.h"
#include "_written.h"

static PyType_Slot plan_slots[] = {{Py_tp_new, plan_new}, {Py_tp_dealloc, plan_dealloc}, {0, NULL}};
static PyType_Spec plan_spec = {"streams.engine._usual.Plan", sizeof(Plan), 0, Py_TPFLAGS_DEFAULT, plan_slots};

static PyMethodDef lane_methods[] = {
    {"begin", lane_begin, METH_VARARGS, "What the next chunk changes."},
    {"move", (PyCFunction)(void (*)(void))lane_move, METH_FASTCALL, "One event: when its unit is due; None: not usual."},
    {"settle", lane_settle, METH_VARARGS, "Settles the units that are due, for as long as that is usual."},
    {"rows", lane_rows, METH_NOARGS, "The rows since the last call."},
    {"groups", lane_groups, METH_NOARGS, "What the rows since the last call add to the counters."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot lane_slots[] = {
    {Py_tp_new, lane_new}, {Py_tp_dealloc, lane_dealloc}, {Py_tp_methods, lane_methods}, {0, NULL},
};
static PyType_Spec lane_spec = {"streams.engine._usual.Lane", sizeof(Lane), 0, Py_TPFLAGS_DEFAULT, lane_slots};

static PyMethodDef reading_methods[] = {
    {"take", reading_take, METH_VARARGS, "Takes records for as long as they are usual."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot reading_slots[] = {
    {Py_tp_new, reading_new}, {Py_tp_dealloc, reading_dealloc}, {Py_tp_traverse, reading_traverse}, {Py_tp_methods, reading_methods},
    {0, NULL},
};
static PyType_Spec reading_spec = {
    "streams.engine._usual.Reading", sizeof(Reading), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, reading_slots,
};

static PyMethodDef functions[] = {
    {"pack_records", pack_records, METH_VARARGS, "The body of a batch."},
    {"blank", blank_bytes, METH_O, "Bytes that are yet to be written."},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_usual", "The usual event, in C.", -1, functions, NULL, NULL, NULL, NULL};

static int add_type(PyObject *made, PyType_Spec *spec, const char *name) {
    PyObject *type = PyType_FromSpec(spec);
    if (type == NULL || PyModule_AddObjectRef(made, name, type) < 0) return 0;
    if (spec == &plan_spec) plan_type = (PyTypeObject *)Py_NewRef(type);
    if (spec == &recent_spec) recent_type = (PyTypeObject *)Py_NewRef(type);
    if (spec == &records_spec) records_type = (PyTypeObject *)Py_NewRef(type);
    Py_DECREF(type);
    return 1;
}

PyMODINIT_FUNC PyInit__usual(void) {
    PyObject *made = PyModule_Create(&module);
    record_type = PyStructSequence_NewType(&record_desc);
    if (made == NULL || record_type == NULL || PyModule_AddIntConstant(made, "INTERFACE", 7) < 0) return NULL;
    PyObject *sum = crc32c_here();
    if (sum == NULL || PyModule_AddObjectRef(made, "crc32c", sum) < 0) return NULL;
    Py_DECREF(sum);
    PyObject *names = PyTuple_New(FIELDS);
    for (int i = 0; names != NULL && i < FIELDS; i++) PyTuple_SetItem(names, i, PyUnicode_FromStringAndSize(fields[i].name, fields[i].size));
    if (names == NULL || PyErr_Occurred() || PyModule_AddObjectRef(made, "FIELDS", names) < 0) return NULL;
    Py_DECREF(names);
    if (!add_type(made, &plan_spec, "Plan") || !add_type(made, &lane_spec, "Lane") || !add_type(made, &reading_spec, "Reading") ||
        !add_type(made, &records_spec, "Records") || !add_type(made, &recent_spec, "Recent"))
        return NULL;
    return made;
}
