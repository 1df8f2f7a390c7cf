/* Reading one event as JSON, in the native names: schemas/decode/native.py for records in which nothing is unusual.
 *
 * Whatever is unusual (escapes, nesting, odd types, anything wrong) is not read at all: read_record returns 0, and the Python way
 * decodes the record or finds the reason to refuse it. What is read here means the same there
 * (tests/unit/engine/test_reading.py).
 */
#ifndef FUNNELWATCH_RECORD_H
#define FUNNELWATCH_RECORD_H
#include <Python.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "_identity.h"

/* In the order of schemas/event.py; usual.py takes the numbers of dimensions from FIELDS. */
enum {
    EVENT, TIMESTAMP, EVENT_ID, SITE, SESSION_ID, VISITOR_ID, USER_ID, ACCOUNT_ID, URL, LANDING_PAGE, REFERRER, CHANNEL,
    SOURCE, MEDIUM, CAMPAIGN, CONTENT, TERM, DEVICE, COUNTRY, CUSTOMER_TYPE, VARIANT, REVENUE, CURRENCY, ORDER_ID, COST,
    CONSENT, OWNER, PROPERTIES, BOT, USER_AGENT, IP, TEST, FIELDS
};

enum { A_NAME, AN_ID, A_NUMBERED_ID, A_TEXT, ANY_TEXT, A_TIME, MONEY, A_CONSENT, NEVER_TRUE, ARMS, HELD };

/* `name` with the quote that ends it, `size` without. */
static const struct {
    const char *name;
    unsigned char size, kind;
} fields[FIELDS] = {
#define FIELD(name, kind) {name "\"", sizeof(name) - 1, kind}
    FIELD("event", A_NAME), FIELD("timestamp", A_TIME), FIELD("event_id", AN_ID), FIELD("site", A_TEXT),
    FIELD("session_id", AN_ID), FIELD("visitor_id", A_NUMBERED_ID), FIELD("user_id", A_NUMBERED_ID), FIELD("account_id", AN_ID),
    FIELD("url", A_TEXT), FIELD("landing_page", A_TEXT), FIELD("referrer", ANY_TEXT), FIELD("channel", A_TEXT),
    FIELD("source", A_TEXT), FIELD("medium", A_TEXT), FIELD("campaign", A_TEXT), FIELD("content", A_TEXT),
    FIELD("term", A_TEXT), FIELD("device", A_TEXT), FIELD("country", A_TEXT), FIELD("customer_type", A_TEXT),
    FIELD("variant", ARMS), FIELD("revenue", MONEY), FIELD("currency", A_TEXT), FIELD("order_id", AN_ID),
    FIELD("cost", MONEY), FIELD("consent", A_CONSENT), FIELD("owner", A_TEXT), FIELD("properties", HELD),
    FIELD("bot", NEVER_TRUE), FIELD("user_agent", ANY_TEXT), FIELD("ip", ANY_TEXT), FIELD("test", NEVER_TRUE),
#undef FIELD
};

/* A text as it stands in the record. `at` NULL: it is not there. `escaped`: it is not what it means. */
typedef struct {
    Place at;
    Py_ssize_t size;
    int escaped;
} Text;

typedef struct {
    Text text[FIELDS];
    int64_t ts, revenue; /* ms; integer of 1/10^9 */
    int consent;         /* -1: it says nothing */
    unsigned char id[32]; /* the event's, where the record brings none */
} Record;

/* Which field came next after each (at [FIELDS]: came first) in the record before: records of a source mostly have theirs in one order. */
typedef struct {
    unsigned char next[FIELDS + 1];
} Habit;

/* What decoding is told, of which a record must keep well clear. */
typedef struct {
    Py_ssize_t longest_record, longest_id, most_held;
    PyObject *marks; /* tuple of bytes: properties that mark a test */
} Limits;

/* Passes over bytes that are ASCII and no quote, backslash or control character, for as long as it can do so many at once. */
static Place plain_end(Place at, Place end) {
#ifdef __SSE2__
    for (; end - at >= 16; at += 16) {
        __m128i bytes = _mm_loadu_si128((const void *)at);
        __m128i odd = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20)); /* signed: what is not ASCII, too */
        odd = _mm_or_si128(odd, _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')));
        odd = _mm_or_si128(odd, _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
        odd = _mm_or_si128(odd, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f)));
        unsigned found = (unsigned)_mm_movemask_epi8(odd);
        if (found) return at + __builtin_ctz(found);
    }
#else
    const uint64_t ones = 0x0101010101010101ULL, highs = 0x8080808080808080ULL;
    for (; end - at >= 8; at += 8) {
        uint64_t word, odd, quote, slash, gone;
        memcpy(&word, at, 8);
        quote = word ^ ones * '"';
        slash = word ^ ones * '\\';
        gone = word ^ ones * 0x7f;
        odd = (word - ones * 0x20) | (quote - ones) | (slash - ones) | (gone - ones) | word;
        odd &= highs;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        if (odd) return at + __builtin_ctzll(odd) / 8; /* the first of them is never a mistake: sums only carry on to later ones */
#else
        if (odd) return at;
#endif
    }
#endif
    return at;
}

/* The place of a text's closing quote; NULL if it holds anything that takes more than to be copied. */
static Place text_end(Place at, Place end, int *wide, int *escaped) {
    for (;;) {
        at = plain_end(at, end);
        unsigned char c = at < end ? *at : 0;
        if (c == '"') return at;
        if (c < 0x20 || c == 0x7f) return NULL;
        if (c == '\\') {
            if (end - at < 2 || (at[1] != '/' && at[1] != '"' && at[1] != '\\')) return NULL;
            *escaped = 1;
            at++;
        } else if (c >= 0x80) *wide = 1;
        at++;
    }
}

/* The place after a number; NULL if it has an exponent, or more digits than fit into 64 bits or a double. */
static Place number_end(Place at, int *whole) {
    Place begin = at;
    if (*at == '-') at++;
    Place digits = at;
    while (*at >= '0' && *at <= '9') at++;
    if (at == digits || (*digits == '0' && at - digits > 1)) return NULL;
    *whole = 1;
    if (*at == '.') {
        Place fraction = ++at;
        while (*at >= '0' && *at <= '9') at++;
        if (at == fraction) return NULL;
        *whole = 0;
    }
    return *at == 'e' || *at == 'E' || at - begin > 18 ? NULL : at;
}

/* The place after true, false or null, and which (1, 0, -1); NULL for anything else. */
static Place word_end(Place at, Place end, int *which) {
    if (end - at >= 4 && memcmp(at, "null", 4) == 0) return *which = -1, at + 4;
    if (end - at >= 4 && memcmp(at, "true", 4) == 0) return *which = 1, at + 4;
    if (end - at >= 5 && memcmp(at, "false", 5) == 0) return *which = 0, at + 5;
    return NULL;
}

/* The place after a text, number or word. */
static Place scalar_end(Place at, Place end, int *wide) {
    int ignored;
    if (*at == '"') {
        at = text_end(at + 1, end, wide, &ignored);
        return at == NULL ? NULL : at + 1;
    }
    return *at == '-' || (*at >= '0' && *at <= '9') ? number_end(at, &ignored) : word_end(at, end, &ignored);
}

/* The place after an object of scalars (`texts`: of texts alone), in which no key is one of `marks`. */
static Place object_end(Place at, Place end, Limits *limits, int texts, int *wide) {
    Py_ssize_t held = 0, marks = texts ? 0 : PyTuple_Size(limits->marks);
    at = blank(at + 1);
    if (*at == '}') return at + 1;
    for (;; at = blank(at + 1)) {
        int escaped = 0;
        if (*at != '"' || ++held > limits->most_held) return NULL;
        Place key = at + 1;
        at = text_end(key, end, wide, &escaped);
        if (at == NULL || escaped) return NULL;
        for (Py_ssize_t i = 0; i < marks; i++) {
            PyObject *mark = PyTuple_GetItem(limits->marks, i);
            if (PyBytes_Size(mark) == at - key && memcmp(PyBytes_AsString(mark), key, (size_t)(at - key)) == 0) return NULL;
        }
        at = blank(at + 1);
        if (*at != ':') return NULL;
        at = blank(at + 1);
        if (texts && *at != '"') return NULL;
        at = scalar_end(at, end, wide);
        if (at == NULL) return NULL;
        at = blank(at);
        if (*at == '}') return at + 1;
        if (*at != ',') return NULL;
    }
}

static int two(Place at) { return at[0] < '0' || at[0] > '9' || at[1] < '0' || at[1] > '9' ? -1 : (at[0] - '0') * 10 + at[1] - '0'; }

/* 2025-06-02T10:20:30, with a fraction of a second or without, and Z, +02:00 or nothing (which is UTC, too), as ms since 1970, what is less cut
 * off; -1 for any other form. */
static int64_t iso_time(Place at, Py_ssize_t size) {
    static const int length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    Place end = at + size, zone = at + 19;
    if (size < 19 || at[4] != '-' || at[7] != '-' || (at[10] != 'T' && at[10] != ' ') || at[13] != ':' || at[16] != ':') return -1;
    int century = two(at), year = two(at + 2), month = two(at + 5), day = two(at + 8), hour = two(at + 11), minute = two(at + 14),
        second = two(at + 17), ms = 0, east = 0;
    if (century < 19 || year < 0 || month < 1 || month > 12 || day < 1 || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
        second < 0 || second > 59)
        return -1;
    if (zone < end && *zone == '.') {
        Place fraction = ++zone;
        for (int worth = 100; zone < end && *zone >= '0' && *zone <= '9'; zone++, worth /= 10) ms += (*zone - '0') * worth;
        if (zone == fraction || zone - fraction > 9) return -1;
    }
    if (end - zone == 6 && (*zone == '+' || *zone == '-') && zone[3] == ':') {
        int hours = two(zone + 1), minutes = two(zone + 4);
        if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return -1;
        east = (hours * 60 + minutes) * (*zone == '-' ? -1 : 1);
    } else if (zone != end && (end - zone != 1 || *zone != 'Z')) return -1;
    year += century * 100;
    int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (day > length[month - 1] + (month == 2 && leap)) return -1;
    int before = year - 1; /* whole years since 1 January of the year 1, which is 719,162 days before 1970 */
    int64_t days = (int64_t)before * 365 + before / 4 - before / 100 + before / 400 + day - 1 - 719162;
    for (int i = 0; i < month - 1; i++) days += length[i] + (i == 1 && leap);
    return ((days * 24 + hour) * 60 + minute - east) * 60000 + second * 1000 + ms;
}

/* Digits, with at most nine before and after the point, as an integer of 1/10^9; -1 for any other form. */
static int64_t amount_of(Place at, Place end) {
    int64_t value = 0;
    int whole = 0, places = 0;
    for (; at < end && *at != '.'; at++, whole++) {
        if (*at < '0' || *at > '9') return -1;
        value = value * 10 + *at - '0';
    }
    if (at < end)
        for (at++; at < end; at++, places++) value = value * 10 + *at - '0';
    if (whole > 9 || places > 9) return -1;
    for (; places < 9; places++) value *= 10;
    return value;
}

static int field_of(Place key, Py_ssize_t size) {
    for (int field = 0; field < FIELDS; field++)
        if (fields[field].size == size && fields[field].name[0] == (char)key[0] && memcmp(fields[field].name, key, (size_t)size) == 0)
            return field;
    return FIELDS;
}

/* Whether so many bytes, 16 at most, are the same: by compares of fixed widths, which overlap and are no calls. */
static int same(Place left, const char *right, Py_ssize_t size) {
    if (size >= 8) return memcmp(left, right, 8) == 0 && memcmp(left + size - 8, right + size - 8, 8) == 0;
    if (size >= 4) return memcmp(left, right, 4) == 0 && memcmp(left + size - 4, right + size - 4, 4) == 0;
    return memcmp(left, right, (size_t)size) == 0;
}

/* Reads the value of a field that begins at `at`; returns the place after it, NULL if it is unusual. */
static Place read_value(int field, Place at, Place end, Limits *limits, Record *record, int *wide) {
    int kind = fields[field].kind, which, whole;
    Text *text = &record->text[field];
    Place begin = at;
    if (*at == '"') {
        if (kind == MONEY || kind == A_CONSENT || kind == NEVER_TRUE || kind == HELD) return NULL;
        at = text_end(++begin, end, wide, &text->escaped);
        if (at == NULL) return NULL;
        text->at = begin;
        text->size = at - begin;
        if (text->size == 0 && kind != ANY_TEXT && kind != ARMS) return NULL;
        if (kind <= A_NUMBERED_ID && (text->escaped || text->size > (kind == A_NAME ? 256 : limits->longest_id))) return NULL;
        if (kind == A_TIME && (record->ts = text->escaped ? -1 : iso_time(begin, text->size)) < 0) return NULL;
        return at + 1;
    }
    if (*at == '{') {
        if (kind != HELD && kind != ARMS) return NULL;
        return object_end(at, end, limits, kind == ARMS, wide);
    }
    if (*at >= '0' && *at <= '9') {
        at = number_end(at, &whole);
        if (at == NULL) return NULL;
        if (kind == MONEY) {
            int64_t value = amount_of(begin, at);
            if (value < 0) return NULL;
            if (field == REVENUE) record->revenue = value;
        } else if (!whole || (kind != A_TIME && kind != A_NUMBERED_ID)) return NULL;
        else if (kind == A_TIME) {
            record->ts = 0;
            for (Place digit = begin; digit < at; digit++) record->ts = record->ts * 10 + *digit - '0';
            if (record->ts < 100000000000LL || record->ts >= 100000000000000LL) return NULL; /* not milliseconds */
        }
        text->at = begin;
        text->size = at - begin;
        return at;
    }
    at = word_end(at, end, &which);
    if (at == NULL || (which < 0 ? field == EVENT || field == TIMESTAMP || field == EVENT_ID || field == BOT : 0)) return NULL;
    if (which >= 0 && kind != A_CONSENT && !(kind == NEVER_TRUE && which == 0)) return NULL;
    if (kind == A_CONSENT) record->consent = which;
    return at;
}

/* 1: read. 0: it is unusual, or no event at all. */
static int read_record(Place at, Py_ssize_t size, Limits *limits, Habit *habit, Record *record) {
    Place end = at + size; /* and more follows, if only the zero after all bytes objects: what runs past the end is found out below */
    uint64_t seen = 0;
    int wide = 0, field = FIELDS;
    memset(record, 0, sizeof *record);
    record->consent = record->revenue = -1;
    if (size > limits->longest_record) return 0;
    Place begin = at;
    at = blank(at);
    if (*at != '{') return 0;
    do {
        int escaped = 0;
        at = blank(at + 1);
        if (*at != '"') return 0;
        Place key = at + 1;
        unsigned char *usual = &habit->next[field];
        Py_ssize_t length = fields[*usual].size;
        if (end - key > length && same(key, fields[*usual].name, length + 1)) {
            field = *usual;
            at = key + length;
        } else {
            at = text_end(key, end, &wide, &escaped);
            if (at == NULL || escaped) return 0;
            field = field_of(key, at - key);
            if (field < FIELDS) *usual = (unsigned char)field;
        }
        at = blank(at + 1);
        if (*at != ':') return 0;
        at = blank(at + 1);
        if (field < FIELDS) {
            if (seen >> field & 1) return 0;
            seen |= 1ULL << field;
            at = read_value(field, at, end, limits, record, &wide);
        } else at = scalar_end(at, end, &wide);
        if (at == NULL) return 0;
        at = blank(at);
    } while (*at == ',');
    if (*at != '}' || blank(at + 1) != end) return 0;
    if (record->text[EVENT].at == NULL || record->text[TIMESTAMP].at == NULL) return 0;
    if (record->text[SESSION_ID].at == NULL && record->text[VISITOR_ID].at == NULL && record->text[USER_ID].at == NULL &&
        record->text[ACCOUNT_ID].at == NULL)
        return 0;
    if (wide) {
        PyObject *read = PyUnicode_DecodeUTF8((const char *)begin, size, NULL);
        if (read == NULL) {
            PyErr_Clear();
            return 0;
        }
        Py_DECREF(read);
    }
    if (record->text[EVENT_ID].at == NULL) {
        if (!name_record(blank(begin), end, record->id)) return 0;
        record->text[EVENT_ID] = (Text){record->id, sizeof record->id, 0};
    }
    return 1;
}

#endif
