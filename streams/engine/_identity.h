/* The id of a record that brings none, as schemas/decode/identity.py has it: a hash of what it says, with its keys in order and no blanks. */
#ifndef FUNNELWATCH_IDENTITY_H
#define FUNNELWATCH_IDENTITY_H
#include <Python.h>
#include <string.h>

#include "_blake2b.h"
#include "_msgpack.h"

#define MOST_MEMBERS 64

/* One of an object's: its key within its quotes, and its value. */
typedef struct {
    Place key, key_end, value, value_end;
} Member;

/* < 0, 0, > 0: as the keys' bytes are ordered. */
static int key_order(const Member *left, const Member *right) {
    Py_ssize_t a = left->key_end - left->key, b = right->key_end - right->key;
    int order = memcmp(left->key, right->key, (size_t)(a < b ? a : b));
    return order != 0 ? order : a < b ? -1 : a > b;
}

static Place blank(Place at) {
    while (*at <= ' ' && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) at++;
    return at;
}

/* The place after a value of JSON that was found to be right, and holds no backslash. */
static Place value_end(Place at, Place end) {
    int object = *at == '{';
    if (!object && *at != '"') {
        while (*at > ' ' && *at != ',' && *at != '}') at++;
        return at;
    }
    do {
        if (*at == '"') at = memchr(at + 1, '"', (size_t)(end - at - 1));
        at++;
    } while (object && at[-1] != '}');
    return at;
}

/* Whether a number comes out as it was written: an integer of -0 would not, nor what has an exponent then, as 0.0000001 has. */
static int stays(Place at, Place end) {
    int below = *at == '-';
    at += below;
    if (*at != '0') return 1;
    if (end - at == 1) return !below;
    return end - at < 8 || memcmp(at, "0.000000", 8) != 0;
}

/* Whether this member of a record tells that it may be of another format: `is_cloudevent`, `is_segment` of schemas/decode/envelopes.py. (Where the
 * format is settled, the record is only read in Python then.) */
static int is_foreign(const Member *m) {
    static const char *const signs[] = {"specversion", "messageId", "anonymousId", "userId", "originalTimestamp"};
    size_t size = (size_t)(m->key_end - m->key);
    for (int i = 0; i < 5; i++)
        if (strlen(signs[i]) == size && memcmp(signs[i], m->key, size) == 0) return 1;
    return 0;
}

/* Adds an object of scalars, or (`whole`: it is the record) of such objects. 0: it can't be told from here what it would be. */
static int hash_object(Blake2b *hash, Place at, Place end, int whole) {
    Member members[MOST_MEMBERS];
    int count = 0;
    for (at = blank(at + 1); *at != '}'; at = blank(at + (*at == ','))) {
        if (count == MOST_MEMBERS) return 0;
        Member new = {.key = at + 1};
        new.key_end = memchr(new.key, '"', (size_t)(end - new.key));
        new.value = blank(blank(new.key_end + 1) + 1);
        new.value_end = value_end(new.value, end);
        int place = count++, order = -1;
        while (place > 0 && (order = key_order(&new, &members[place - 1])) < 0) {
            members[place] = members[place - 1];
            place--;
        }
        if (order == 0 || (whole && is_foreign(&new))) return 0; /* the last of the same name counts */
        members[place] = new;
        at = blank(new.value_end);
    }
    blake2b_add(hash, "{", 1);
    for (int i = 0; i < count; i++) {
        Member *m = &members[i];
        if (i > 0) blake2b_add(hash, ",", 1);
        blake2b_add(hash, m->key - 1, (size_t)(m->key_end - m->key + 2));
        blake2b_add(hash, ":", 1);
        if (*m->value == '{') {
            if (!hash_object(hash, m->value, m->value_end, 0)) return 0;
        } else {
            if ((*m->value == '-' || *m->value == '0') && !stays(m->value, m->value_end)) return 0;
            blake2b_add(hash, m->value, (size_t)(m->value_end - m->value));
        }
    }
    blake2b_add(hash, "}", 1);
    return 1;
}

/* Gives a record's id its 32 hex digits. 0: Python must. `at`: its brace. */
static int name_record(Place at, Place end, unsigned char id[32]) {
    unsigned char made[16];
    if (memchr(at, '\\', (size_t)(end - at)) != NULL) return 0;
    Blake2b hash;
    blake2b_begin(&hash, sizeof made);
    if (!hash_object(&hash, at, end, 1)) return 0;
    blake2b_end(&hash, made);
    Writer w = {.at = id};
    put_hex(&w, made);
    return 1;
}

#endif
