/* BLAKE2b (RFC 7693), without a key: Python's own hashlib costs three times as much to call as to compute. */
#ifndef FUNNELWATCH_BLAKE2B_H
#define FUNNELWATCH_BLAKE2B_H
#include <stdint.h>
#include <string.h>

typedef struct {
    uint64_t state[8], length;
    unsigned char block[128];
    size_t held, digest;
} Blake2b;

static const uint64_t blake2b_iv[8] = {
    0x6a09e667f3bcc908ULL, 0xbb67ae8584caa73bULL, 0x3c6ef372fe94f82bULL, 0xa54ff53a5f1d36f1ULL,
    0x510e527fade682d1ULL, 0x9b05688c2b3e6c1fULL, 0x1f83d9abfb41bd6bULL, 0x5be0cd19137e2179ULL,
};

static uint64_t load64(const unsigned char *from) {
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--) value = value << 8 | from[i];
    return value;
}

static uint64_t turned(uint64_t value, int by) { return value >> by | value << (64 - by); }

static void blake2b_mix(Blake2b *hash, int last) {
    static const unsigned char order[10][16] = {
        {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
        {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
        {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
        {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
        {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
    };
    uint64_t v[16], m[16];
    for (int i = 0; i < 16; i++) m[i] = load64(hash->block + 8 * i);
    memcpy(v, hash->state, 64);
    memcpy(v + 8, blake2b_iv, 64);
    v[12] ^= hash->length;
    if (last) v[14] = ~v[14];
    for (int round = 0; round < 12; round++) {
        const unsigned char *s = order[round % 10];
#define MIX(a, b, c, d, x, y)           \
    v[a] += v[b] + m[x];                \
    v[d] = turned(v[d] ^ v[a], 32);     \
    v[c] += v[d];                       \
    v[b] = turned(v[b] ^ v[c], 24);     \
    v[a] += v[b] + m[y];                \
    v[d] = turned(v[d] ^ v[a], 16);     \
    v[c] += v[d];                       \
    v[b] = turned(v[b] ^ v[c], 63);
        MIX(0, 4, 8, 12, s[0], s[1])
        MIX(1, 5, 9, 13, s[2], s[3])
        MIX(2, 6, 10, 14, s[4], s[5])
        MIX(3, 7, 11, 15, s[6], s[7])
        MIX(0, 5, 10, 15, s[8], s[9])
        MIX(1, 6, 11, 12, s[10], s[11])
        MIX(2, 7, 8, 13, s[12], s[13])
        MIX(3, 4, 9, 14, s[14], s[15])
#undef MIX
    }
    for (int i = 0; i < 8; i++) hash->state[i] ^= v[i] ^ v[i + 8];
}

static void blake2b_begin(Blake2b *hash, size_t digest) {
    memset(hash, 0, sizeof *hash);
    memcpy(hash->state, blake2b_iv, 64);
    hash->state[0] ^= 0x01010000 ^ digest;
    hash->digest = digest;
}

static void blake2b_add(Blake2b *hash, const void *bytes, size_t size) {
    const unsigned char *from = bytes;
    while (size > 0) {
        if (hash->held == 128) { /* the last block is kept back: it is mixed differently */
            hash->length += 128;
            blake2b_mix(hash, 0);
            hash->held = 0;
        }
        size_t part = 128 - hash->held < size ? 128 - hash->held : size;
        memcpy(hash->block + hash->held, from, part);
        hash->held += part;
        from += part;
        size -= part;
    }
}

static void blake2b_end(Blake2b *hash, unsigned char *digest) {
    hash->length += hash->held;
    memset(hash->block + hash->held, 0, 128 - hash->held);
    blake2b_mix(hash, 1);
    for (size_t i = 0; i < hash->digest; i++) digest[i] = (unsigned char)(hash->state[i / 8] >> 8 * (i % 8));
}

#endif
