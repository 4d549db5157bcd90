/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The OCI distribution protocol, from the side of who asks, for one repository. */

#include "web.h"

typedef struct Distribution Distribution;

/* What all give: 0; below 0 -errno; or one of these, which are status codes, with why in *ret_error: a new
 * string without a secret in it. */
enum {
        ASK_MISSING = 400,     /* there is no such thing */
        ASK_UNAVAILABLE = 503, /* the registry does not answer, or not as it should */
        ASK_BAD_IMAGE = 512,   /* it is there, and cannot be used */
};

typedef struct DistributionOptions {
        const RegistrySettings *settings; /* borrowed */
        const char *channel, *track;
        usec_t time_usec; /* for all that is asked */
        bool pushes;
} DistributionOptions;

int distribution_new(const DistributionOptions *options, Distribution **ret, char **ret_error) _warn_unused_;
Distribution *distribution_free(Distribution *d);
DEFINE_CLEANUP(Distribution *, distribution_free)

/* A manifest by tag or digest: its bytes, which were checked to be those of the digest, and that. */
typedef struct Manifest {
        char *text; /* NUL added */
        size_t size;
        char digest[80];
} Manifest;
void manifest_done(Manifest *manifest);
int distribution_manifest(Distribution *d, const char *reference, Manifest *ret,
                          char **ret_error) _warn_unused_;

/* All tags, NULL-ended. */
int distribution_tags(Distribution *d, char ***ret, char **ret_error) _warn_unused_;

/* A blob from `offset` on; *ret_start is where what came begins, 0 where the registry knows no offsets, and
 * is set before the sink is called first. */
typedef struct BlobRequest {
        const char *digest;
        uint64_t offset, size; /* of the whole blob */
        WebSink sink;
        void *userdata;
        uint64_t *ret_start;
} BlobRequest;
int distribution_blob(Distribution *d, const BlobRequest *request, char **ret_error) _warn_unused_;

/* Sends a blob, unless it is there. */
int distribution_put_blob(Distribution *d, const char *digest, int fd, uint64_t size,
                          char **ret_error) _warn_unused_;
int distribution_put_manifest(Distribution *d, const char *tag, const char *media_type, Bytes manifest,
                              char **ret_error) _warn_unused_;
