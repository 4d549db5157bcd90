/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Open addressing with linear probing; a removed place is filled by moving later entries of its run back, so
 * there are no tombstones and a lookup's cost depends on the load alone (at most 3/4). */

#include "hashmap.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define N_BUCKETS_MIN 16U

typedef struct Entry {
        void *key; /* owned; NULL: the place is free */
        size_t key_size;
        uint64_t hash;
        void *value;
} Entry;

struct Hashmap {
        uint64_t seed[2];
        Entry *buckets;
        size_t n_buckets; /* a power of two */
        size_t n_entries;
};

static uint64_t rotl(uint64_t x, int n)
{
        return x << n | x >> (64 - n);
}

static void sip_round(uint64_t v[4])
{
        v[0] += v[1];
        v[1] = rotl(v[1], 13) ^ v[0];
        v[0] = rotl(v[0], 32);
        v[2] += v[3];
        v[3] = rotl(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotl(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotl(v[1], 17) ^ v[2];
        v[2] = rotl(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t word)
{
        v[3] ^= word;
        sip_round(v);
        sip_round(v);
        v[0] ^= word;
}

/* SipHash-2-4, as Aumasson and Bernstein published it. */
static uint64_t siphash(const uint64_t seed[2], const uint8_t *p, size_t size)
{
        uint64_t v[4] = { seed[0] ^ 0x736f6d6570736575ULL, seed[1] ^ 0x646f72616e646f6dULL,
                          seed[0] ^ 0x6c7967656e657261ULL, seed[1] ^ 0x7465646279746573ULL };
        uint64_t last = (uint64_t) size << 56;

        for (; size >= 8; p += 8, size -= 8) {
                uint64_t word;

                memcpy(&word, p, 8);
                sip_word(v, word);
        }
        for (size_t i = 0; i < size; i++)
                last |= (uint64_t) p[i] << (8 * i);
        sip_word(v, last);
        v[2] ^= 0xff;
        for (int i = 0; i < 4; i++)
                sip_round(v);
        return v[0] ^ v[1] ^ v[2] ^ v[3];
}

Hashmap *hashmap_new(void)
{
        _cleanup_(hashmap_freep) Hashmap *map = calloc(1, sizeof(Hashmap));

        if (!map)
                return NULL;
        map->n_buckets = N_BUCKETS_MIN;
        map->buckets = calloc(map->n_buckets, sizeof(Entry));
        if (!map->buckets || getrandom(map->seed, sizeof(map->seed), 0) != sizeof(map->seed))
                return NULL;
        return TAKE_PTR(map);
}

Hashmap *hashmap_free(Hashmap *map)
{
        if (!map)
                return NULL;
        for (size_t i = 0; map->buckets && i < map->n_buckets; i++)
                free(map->buckets[i].key);
        free(map->buckets);
        free(map);
        return NULL;
}

/* The place of the key, or the free place where it belongs. */
static Entry *find(const Hashmap *map, const void *key, size_t key_size, uint64_t hash)
{
        for (size_t i = hash & (map->n_buckets - 1);; i = (i + 1) & (map->n_buckets - 1)) {
                Entry *e = &map->buckets[i];

                if (!e->key ||
                    (e->hash == hash && e->key_size == key_size && memcmp(e->key, key, key_size) == 0))
                        return e;
        }
}

static int grow(Hashmap *map)
{
        Entry *old = map->buckets;
        size_t n_old = map->n_buckets;

        if ((map->n_entries + 1) * 4 <= map->n_buckets * 3)
                return 0;
        map->buckets = calloc(n_old * 2, sizeof(Entry));
        if (!map->buckets) {
                map->buckets = old;
                return -ENOMEM;
        }
        map->n_buckets = n_old * 2;
        for (size_t i = 0; i < n_old; i++)
                if (old[i].key)
                        *find(map, old[i].key, old[i].key_size, old[i].hash) = old[i];
        free(old);
        return 0;
}

void *hashmap_get(const Hashmap *map, const void *key, size_t key_size)
{
        return find(map, key, key_size, siphash(map->seed, key, key_size))->value;
}

int hashmap_put(Hashmap *map, const void *key, size_t key_size, void *value)
{
        uint64_t hash = siphash(map->seed, key, key_size);
        Entry *e;
        int r;

        assert(value);
        r = grow(map);
        if (r < 0)
                return r;
        e = find(map, key, key_size, hash);
        if (e->key)
                return -EEXIST;
        e->key = malloc(key_size + 1);
        if (!e->key)
                return -ENOMEM;
        memcpy(e->key, key, key_size);
        e->key_size = key_size;
        e->hash = hash;
        e->value = value;
        map->n_entries++;
        return 0;
}

/* Whether place `home` lies in the cyclic range (hole, at]: then the entry there must stay. */
static bool is_between(size_t hole, size_t home, size_t at)
{
        return hole <= at ? (hole < home && home <= at) : (hole < home || home <= at);
}

void *hashmap_remove(Hashmap *map, const void *key, size_t key_size)
{
        Entry *e = find(map, key, key_size, siphash(map->seed, key, key_size));
        size_t mask = map->n_buckets - 1, hole = (size_t) (e - map->buckets);
        void *value = e->value;

        if (!e->key)
                return NULL;
        free(e->key);
        map->n_entries--;
        for (size_t i = (hole + 1) & mask; map->buckets[i].key; i = (i + 1) & mask) {
                if (is_between(hole, map->buckets[i].hash & mask, i))
                        continue;
                map->buckets[hole] = map->buckets[i];
                hole = i;
        }
        map->buckets[hole] = (Entry){};
        return value;
}

size_t hashmap_size(const Hashmap *map)
{
        return map->n_entries;
}

void *hashmap_next(const Hashmap *map, size_t *cursor)
{
        for (; *cursor < map->n_buckets; (*cursor)++)
                if (map->buckets[*cursor].key)
                        return map->buckets[(*cursor)++].value;
        return NULL;
}

void *hashmap_get_str(const Hashmap *map, const char *key)
{
        return hashmap_get(map, key, strlen(key));
}

int hashmap_put_str(Hashmap *map, const char *key, void *value)
{
        return hashmap_put(map, key, strlen(key), value);
}

void *hashmap_remove_str(Hashmap *map, const char *key)
{
        return hashmap_remove(map, key, strlen(key));
}
