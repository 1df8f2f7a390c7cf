/* Reading and writing msgpack: what streams/engine/state.py and schemas/rows.py are packed into. */
#ifndef FUNNELWATCH_MSGPACK_H
#define FUNNELWATCH_MSGPACK_H
#include <Python.h>
#include <stdint.h>
#include <string.h>

typedef const unsigned char *Place;

/* ---- reading msgpack: `end` is never passed, and whatever does not fit sets `odd` ------------------------------------ */

typedef struct {
    Place at, end;
    int odd;
} Reader;

static uint64_t take(Reader *r, int bytes) {
    if (r->end - r->at < bytes) {
        r->odd = 1;
        r->at = r->end;
        return 0;
    }
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) value = value << 8 | *r->at++;
    return value;
}

static int64_t read_int(Reader *r) {
    unsigned c = (unsigned)take(r, 1);
    if (c < 0x80) return c;
    if (c >= 0xe0) return (int8_t)c;
    switch (c) {
        case 0xcc: return (int64_t)take(r, 1);
        case 0xcd: return (int64_t)take(r, 2);
        case 0xce: return (int64_t)take(r, 4);
        case 0xcf: {
            uint64_t value = take(r, 8);
            if (value > INT64_MAX) r->odd = 1;
            return (int64_t)value;
        }
        case 0xd0: return (int8_t)take(r, 1);
        case 0xd1: return (int16_t)take(r, 2);
        case 0xd2: return (int32_t)take(r, 4);
        case 0xd3: return (int64_t)take(r, 8);
    }
    r->odd = 1;
    return 0;
}

static int read_bool(Reader *r) {
    unsigned c = (unsigned)take(r, 1);
    if (c != 0xc2 && c != 0xc3) r->odd = 1;
    return c == 0xc3;
}

static int peek(Reader *r) { return r->at < r->end ? *r->at : -1; }

static Py_ssize_t read_count(Reader *r, unsigned fix, unsigned mask, unsigned wide) {
    unsigned c = (unsigned)take(r, 1);
    if ((c & ~mask) == fix) return c & mask;
    if (c == wide) return (Py_ssize_t)take(r, 2);
    if (c == wide + 1) return (Py_ssize_t)take(r, 4);
    r->odd = 1;
    return 0;
}

static Py_ssize_t read_array(Reader *r) { return read_count(r, 0x90, 0x0f, 0xdc); }
static Py_ssize_t read_map(Reader *r) { return read_count(r, 0x80, 0x0f, 0xde); }

/* So many bytes, none for a size below 0. */
static Place read_sized(Reader *r, Py_ssize_t *size) {
    if (*size < 0 || r->end - r->at < *size) {
        r->odd = 1;
        *size = 0;
        return r->at;
    }
    r->at += *size;
    return r->at - *size;
}

static Place read_bin(Reader *r, Py_ssize_t *size) {
    unsigned c = (unsigned)take(r, 1);
    *size = c == 0xc4 ? (Py_ssize_t)take(r, 1) : c == 0xc5 ? (Py_ssize_t)take(r, 2) : c == 0xc6 ? (Py_ssize_t)take(r, 4) : -1;
    return read_sized(r, size);
}

static Place read_text(Reader *r, Py_ssize_t *size) {
    unsigned c = (unsigned)take(r, 1);
    *size = (c & 0xe0) == 0xa0 ? (Py_ssize_t)(c & 0x1f)
            : c == 0xd9        ? (Py_ssize_t)take(r, 1)
            : c == 0xda        ? (Py_ssize_t)take(r, 2)
            : c == 0xdb        ? (Py_ssize_t)take(r, 4)
                               : -1;
    return read_sized(r, size);
}

static void skip(Reader *r) {
    Py_ssize_t left = 1;
    while (left-- > 0 && !r->odd) {
        unsigned c = (unsigned)take(r, 1);
        Py_ssize_t bytes = 0;
        if (c < 0x80 || c >= 0xe0 || c == 0xc0 || c == 0xc2 || c == 0xc3) continue;
        if (c < 0x90) left += 2 * (c & 0x0f);
        else if (c < 0xa0) left += c & 0x0f;
        else if (c < 0xc0) bytes = c & 0x1f;
        else if (c == 0xcc || c == 0xd0) bytes = 1;
        else if (c == 0xcd || c == 0xd1) bytes = 2;
        else if (c == 0xce || c == 0xd2 || c == 0xca) bytes = 4;
        else if (c == 0xcf || c == 0xd3 || c == 0xcb) bytes = 8;
        else if (c == 0xc4 || c == 0xd9) bytes = (Py_ssize_t)take(r, 1);
        else if (c == 0xc5 || c == 0xda) bytes = (Py_ssize_t)take(r, 2);
        else if (c == 0xc6 || c == 0xdb) bytes = (Py_ssize_t)take(r, 4);
        else if (c == 0xdc) left += (Py_ssize_t)take(r, 2);
        else if (c == 0xdd) left += (Py_ssize_t)take(r, 4);
        else if (c == 0xde) left += 2 * (Py_ssize_t)take(r, 2);
        else if (c == 0xdf) left += 2 * (Py_ssize_t)take(r, 4);
        else r->odd = 1;
        if (r->end - r->at < bytes) r->odd = 1;
        else r->at += bytes;
    }
}

/* ---- writing msgpack, into memory that is kept: the interpreter's lock is held throughout ----------------------------- */

typedef struct {
    unsigned char *start, *at;
    Py_ssize_t room;
} Writer; /* all zero: nothing is written yet */

/* Room for so many bytes more. 0: there is none, and an exception is set. */
static int ready(Writer *w, Py_ssize_t room) {
    Py_ssize_t used = w->at - w->start;
    if (w->room - used < room) {
        unsigned char *start = PyMem_Realloc(w->start, (size_t)(used + room) * 2);
        if (start == NULL) {
            PyErr_NoMemory();
            return 0;
        }
        w->start = start;
        w->at = start + used;
        w->room = (used + room) * 2;
    }
    return 1;
}

static void put(Writer *w, const void *from, Py_ssize_t size) {
    if (size > 0) memcpy(w->at, from, (size_t)size); /* memcpy must not be given NULL, not even for nothing */
    w->at += size;
}

static void put_hex(Writer *w, Place id) {
    static const char hex[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        *w->at++ = (unsigned char)hex[id[i] >> 4];
        *w->at++ = (unsigned char)hex[id[i] & 15];
    }
}

static void put_number(Writer *w, unsigned head, uint64_t value, int bytes) {
    *w->at++ = (unsigned char)head;
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) *w->at++ = (unsigned char)(value >> shift);
}

static void put_int(Writer *w, int64_t value) {
    if (value >= 0) {
        if (value < 0x80) *w->at++ = (unsigned char)value;
        else if (value <= 0xff) put_number(w, 0xcc, (uint64_t)value, 1);
        else if (value <= 0xffff) put_number(w, 0xcd, (uint64_t)value, 2);
        else if (value <= 0xffffffffLL) put_number(w, 0xce, (uint64_t)value, 4);
        else put_number(w, 0xcf, (uint64_t)value, 8);
    } else if (value >= -32) *w->at++ = (unsigned char)(int8_t)value;
    else if (value >= INT8_MIN) put_number(w, 0xd0, (uint64_t)value, 1);
    else if (value >= INT16_MIN) put_number(w, 0xd1, (uint64_t)value, 2);
    else if (value >= INT32_MIN) put_number(w, 0xd2, (uint64_t)value, 4);
    else put_number(w, 0xd3, (uint64_t)value, 8);
}

static void put_bool(Writer *w, int value) { *w->at++ = value ? 0xc3 : 0xc2; }
static void put_nil(Writer *w) { *w->at++ = 0xc0; }

static void put_count(Writer *w, Py_ssize_t count, unsigned fix, unsigned wide) {
    if (count < 16) *w->at++ = (unsigned char)(fix | (unsigned)count);
    else put_number(w, wide, (uint64_t)count, 2);
}

static void put_text(Writer *w, const char *text, Py_ssize_t size) {
    if (size < 32) *w->at++ = (unsigned char)(0xa0 | size);
    else if (size <= 0xff) put_number(w, 0xd9, (uint64_t)size, 1);
    else if (size <= 0xffff) put_number(w, 0xda, (uint64_t)size, 2);
    else put_number(w, 0xdb, (uint64_t)size, 4);
    put(w, text, size);
}

static void put_bin_head(Writer *w, Py_ssize_t size) {
    if (size <= 0xff) put_number(w, 0xc4, (uint64_t)size, 1);
    else if (size <= 0xffff) put_number(w, 0xc5, (uint64_t)size, 2);
    else put_number(w, 0xc6, (uint64_t)size, 4);
}

#endif
