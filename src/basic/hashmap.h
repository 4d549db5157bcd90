/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A map from byte-string keys to pointers. Keys may come from peers, so the hash is keyed (SipHash-2-4 with
 * a random key a map): nobody can choose keys that collide. Keys are copied, values are borrowed. */

#include "macro.h"

typedef struct Hashmap Hashmap;

/* A new, empty map, or NULL without memory. */
Hashmap *hashmap_new(void);
/* Frees the map and its copies of the keys; not the values. NULL is allowed. */
Hashmap *hashmap_free(Hashmap *map);

/* The value of a key, or NULL. */
void *hashmap_get(const Hashmap *map, const void *key, size_t key_size);
/* Adds. -EEXIST where the key is there (nothing changes), -ENOMEM. `value` must not be NULL. */
int hashmap_put(Hashmap *map, const void *key, size_t key_size, void *value) _warn_unused_;
/* Removes and returns the value, or NULL. */
void *hashmap_remove(Hashmap *map, const void *key, size_t key_size);
size_t hashmap_size(const Hashmap *map);

/* The value in the first used place at or after *cursor, which moves on; NULL at the end. Start with 0.
 * Nothing may be added or removed meanwhile. */
void *hashmap_next(const Hashmap *map, size_t *cursor);

#define HASHMAP_FOREACH(type, i, map)                                              \
        for (size_t i##_cursor = 0; i##_cursor != SIZE_MAX; i##_cursor = SIZE_MAX) \
                for (type * i; (i = hashmap_next(map, &i##_cursor));)

/* The same with strings as keys. */
void *hashmap_get_str(const Hashmap *map, const char *key);
int hashmap_put_str(Hashmap *map, const char *key, void *value) _warn_unused_;
void *hashmap_remove_str(Hashmap *map, const char *key);

static inline void hashmap_freep(Hashmap **map)
{
        hashmap_free(*map);
}
