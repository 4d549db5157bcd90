/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Image manifests and configurations, of OCI and of docker's schema 2: hostile JSON to structs. */

#include "basic/macro.h"

#define IMAGE_MANIFEST_SIZE_MAX (1024U * 1024U)
#define IMAGE_CONFIG_SIZE_MAX   (1024U * 1024U)
#define IMAGE_LAYERS_MAX        128U
/* Every blob of an image: the manifest, its config, its layers. */
#define IMAGE_BLOBS_MAX (IMAGE_LAYERS_MAX + 2U)
/* Of the configuration's strings together: they go into one frame. */
#define IMAGE_STRINGS_SIZE_MAX (32U * 1024U)

typedef enum ImageCompression {
        IMAGE_TAR,
        IMAGE_TAR_GZIP,
        IMAGE_TAR_ZSTD,
} ImageCompression;

typedef struct ImageBlob {
        char *digest; /* of the form of basic/digest.h */
        uint64_t size;
        ImageCompression compression; /* of layers */
} ImageBlob;

typedef struct ImageManifest {
        ImageBlob config;
        ImageBlob *layers; /* the lowest first */
        size_t n_layers;
} ImageManifest;

typedef struct ImageConfig {
        char **entrypoint;  /* NULL where there is none; Cmd is not read */
        char **environment; /* NAME=VALUE */
        char *folder;       /* absolute, without `.` and `..`; "/" where the image names none */
        char *user;         /* as the image writes it, printable; empty where it names none */
        char *architecture; /* as Go names it; NULL where the image names none */
        char **diff_ids;    /* NULL where there is none */
} ImageConfig;

/* What is wrong, in `ret_error`: a new string (NULL without memory), written for this result only. */
enum {
        IMAGE_BAD = 1,
};

int image_manifest_parse(const char *text, size_t size, ImageManifest *ret, char **ret_error) _warn_unused_;
void image_manifest_done(ImageManifest *manifest);

int image_config_parse(const char *text, size_t size, ImageConfig *ret, char **ret_error) _warn_unused_;
void image_config_done(ImageConfig *config);
