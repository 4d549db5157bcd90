/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hash.h"

#include "basic/string-util.h"

#include <errno.h>
#include <openssl/evp.h>

struct Hash {
        EVP_MD_CTX *context;
};

Hash *hash_free(Hash *hash)
{
        if (!hash)
                return NULL;
        EVP_MD_CTX_free(hash->context);
        free(hash);
        return NULL;
}

int hash_new(Hash **ret)
{
        _cleanup_(hash_freep) Hash *hash = calloc(1, sizeof(Hash));

        if (!hash)
                return -ENOMEM;
        hash->context = EVP_MD_CTX_new();
        if (!hash->context || EVP_DigestInit_ex(hash->context, EVP_sha256(), NULL) != 1)
                return -ENOMEM;
        *ret = TAKE_PTR(hash);
        return 0;
}

int hash_add(Hash *hash, const void *data, size_t size)
{
        return EVP_DigestUpdate(hash->context, data, size) == 1 ? 0 : -EIO;
}

int hash_end(Hash *hash, char *ret)
{
        uint8_t bytes[DIGEST_HEX_SIZE / 2];

        if (EVP_DigestFinal_ex(hash->context, bytes, NULL) != 1 ||
            EVP_DigestInit_ex(hash->context, EVP_sha256(), NULL) != 1)
                return -EIO;
        (void) memcpy(ret, DIGEST_PREFIX, sizeof(DIGEST_PREFIX));
        hex_encode(bytes, sizeof(bytes), ret + sizeof(DIGEST_PREFIX) - 1);
        return 0;
}

bool hash_is(Hash *hash, const char *digest)
{
        char own[DIGEST_SIZE + 1];

        return hash_end(hash, own) == 0 && streq(own, digest);
}

int hash_bytes(const void *data, size_t size, char *ret)
{
        _cleanup_(hash_freep) Hash *hash = NULL;
        int r = hash_new(&hash);

        if (r == 0)
                r = hash_add(hash, data, size);
        return r < 0 ? r : hash_end(hash, ret);
}
