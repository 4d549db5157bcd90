/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* SHA-256, as it comes, to a digest in OCI's form. */

#include "basic/digest.h"

typedef struct Hash Hash;

int hash_new(Hash **ret) _warn_unused_;
Hash *hash_free(Hash *hash);
DEFINE_CLEANUP(Hash *, hash_free)
int hash_add(Hash *hash, const void *data, size_t size) _warn_unused_;
/* Writes DIGEST_SIZE characters and a NUL. It begins anew then. */
int hash_end(Hash *hash, char *ret) _warn_unused_;
/* Ends it: whether what came is what `digest` names. */
bool hash_is(Hash *hash, const char *digest);

/* All at once; writes like hash_end(). */
int hash_bytes(const void *data, size_t size, char *ret) _warn_unused_;
