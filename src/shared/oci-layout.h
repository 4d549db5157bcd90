/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The embedded registry: a folder CHANNEL/TRACK below /var/lib/pipeline/registry is one OCI image layout,
 * whose tags are container versions. Whoever may write there may deploy code; what is read is checked all
 * the same. */

#include "basic/macro.h"

#define OCI_REGISTRY_FOLDER "/var/lib/pipeline/registry"

/* Of a layout. */
#define OCI_BLOBS          "blobs/sha256/"
#define OCI_INDEX          "index.json"
#define OCI_INDEX_SIZE_MAX (8U * 1024U * 1024U)
#define OCI_TAG_ANNOTATION "org.opencontainers.image.ref.name"

typedef struct OciLayout OciLayout;

/* Conditions. Where one says "error", `ret_error` is a new string that says what is wrong in which file
 * (NULL without memory), and is written for no other result. */
enum {
        OCI_LAYOUT_MISSING = 1, /* there is no such folder, or nothing was pushed to it yet */
        OCI_LAYOUT_BAD = 2,     /* error: it is not an OCI layout, or not one that can be used */
        OCI_LAYOUT_NO_TAG = 3,
        OCI_LAYOUT_NO_BLOB = 4,
};

/* Reads the layout in REGISTRY/CHANNEL/TRACK as it is now; what is pushed later is not seen. The names are
 * checked by the caller (slugs). OCI_LAYOUT_MISSING, OCI_LAYOUT_BAD, or -errno (-EACCES). */
int oci_layout_open(const char *registry, const char *channel, const char *track, OciLayout **ret,
                    char **ret_error) _warn_unused_;
/* The same for a layout anywhere. */
int oci_layout_open_path(const char *path, OciLayout **ret, char **ret_error) _warn_unused_;
OciLayout *oci_layout_free(OciLayout *layout);
DEFINE_CLEANUP(OciLayout *, oci_layout_free)

/* The digest of a tag; borrowed. OCI_LAYOUT_NO_TAG. */
int oci_layout_resolve(const OciLayout *layout, const char *tag, const char **ret_digest) _warn_unused_;

/* All images, each digest once, with its tags (perhaps none), in the order of their first mention. */
typedef struct OciImage {
        char *digest;
        char **tags;
} OciImage;
const OciImage *oci_layout_images(const OciLayout *layout, size_t *ret_n);

/* Opens a blob for reading: a regular file of the layout's own, no link. Its content is not checked.
 * OCI_LAYOUT_NO_BLOB where it is not there or the digest has not the form of one. */
int oci_layout_open_blob(const OciLayout *layout, const char *digest, int *ret_fd) _warn_unused_;

/* The same, and reads it into memory (NUL added). OCI_LAYOUT_NO_BLOB, or -EFBIG. */
int oci_layout_read_blob(const OciLayout *layout, const char *digest, size_t size_max, char **ret_data,
                         size_t *ret_size) _warn_unused_;

/* For writers: makes the folder where it is missing and holds it alone until the descriptor is closed; waits
 * for another writer. `ret_path` is the layout's path, as a new string. */
int oci_layout_lock(const char *registry, const char *channel, const char *track, char **ret_path,
                    int *ret_fd) _warn_unused_;

/* For who holds the lock: moves the blobs of a layout (a path on the same file system) to the one at `path`,
 * and gives the image of that digest the tag, which another image loses. A reader sees the tag before or
 * after, and never without its blobs. */
int oci_layout_add(const char *path, const char *from, const char *digest, const char *tag) _warn_unused_;
/* For who holds the lock: takes a tag away, and the blobs that no image needs any more. OCI_LAYOUT_NO_TAG,
 * OCI_LAYOUT_MISSING, OCI_LAYOUT_BAD with an error. */
int oci_layout_remove_tag(const char *path, const char *tag, char **ret_error) _warn_unused_;

/* Pure: the images of an index.json. OCI_LAYOUT_BAD with an error. */
typedef struct OciIndex {
        OciImage *images; /* owned */
        size_t n_images;
} OciIndex;
void oci_index_done(OciIndex *index);
int oci_index_parse(const char *text, size_t size, OciIndex *ret, char **ret_error) _warn_unused_;
