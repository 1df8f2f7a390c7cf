/* CRC-32C, by which Kafka's batches are summed, by the processor's own instruction: five times as fast as tables. */
#ifndef FUNNELWATCH_CRC32C_H
#define FUNNELWATCH_CRC32C_H
#include <Python.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#define BY_INSTRUCTION __attribute__((target("sse4.2")))
#define SUM_EIGHT(sum, word) __builtin_ia32_crc32di(sum, word)
#define SUM_ONE(sum, byte) __builtin_ia32_crc32qi((uint32_t)(sum), byte)
static int has_crc32c(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("sse4.2") != 0;
}
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#define BY_INSTRUCTION
#define SUM_EIGHT(sum, word) __crc32cd((uint32_t)(sum), word)
#define SUM_ONE(sum, byte) __crc32cb((uint32_t)(sum), byte)
static int has_crc32c(void) { return 1; }
#endif

#ifdef BY_INSTRUCTION
BY_INSTRUCTION static uint32_t crc32c_of(const unsigned char *at, Py_ssize_t size) {
    uint64_t sum = 0xffffffff;
    for (; size >= 8; at += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        sum = SUM_EIGHT(sum, word);
    }
    for (; size > 0; at++, size--) sum = SUM_ONE(sum, *at);
    return ~(uint32_t)sum;
}

/* crc32c(bytes, from, to = their end): of what lies there */
static PyObject *crc32c(PyObject *Py_UNUSED(module), PyObject *args) {
    Py_buffer data;
    Py_ssize_t from, to = PY_SSIZE_T_MAX;
    if (!PyArg_ParseTuple(args, "y*n|n", &data, &from, &to)) return NULL;
    if (to > data.len) to = data.len;
    PyObject *sum = from < 0 || from > to
                        ? PyErr_Format(PyExc_ValueError, "no bytes from %zd to %zd", from, to)
                        : PyLong_FromUnsignedLong(crc32c_of((const unsigned char *)data.buf + from, to - from));
    PyBuffer_Release(&data);
    return sum;
}
static PyMethodDef crc32c_method = {"crc32c", crc32c, METH_VARARGS, "The sum of what lies there."};

/* The function, where the processor has the instruction; else None. */
static PyObject *crc32c_here(void) { return has_crc32c() ? PyCFunction_New(&crc32c_method, NULL) : Py_NewRef(Py_None); }
#else
static PyObject *crc32c_here(void) { return Py_NewRef(Py_None); }
#endif

#endif
