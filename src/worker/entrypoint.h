/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What runs in a container: found once, when the image is installed, from what the image says of itself and
 * from what is there. Pure: the looking is done by sandboxd, inside the image. */

#include "proto/json-fields.h"
#include "proto/name.h"

/* Where input lies and results are written, as the guest sees it. */
#define ENTRYPOINT_FOLDER "/mnt/exercism-iteration/"

typedef struct Entrypoint {
        char **command;     /* the program and its own arguments; NULL: the image has none that would do */
        bool takes_output;  /* SLUG IN/ OUT/ come behind; else SLUG IN/ */
        char *folder;       /* the working directory */
        char **environment; /* of the image, with PATH and HOME that work */
        char *missing;      /* where `command` is NULL: what was looked for */
} Entrypoint;

/* The paths to look at in an image whose own working directory is `image_folder` (NULL where it is not known
 * yet: then those that are known without it). */
int entrypoint_probe(Channel channel, const char *image_folder, char ***ret) _warn_unused_;

/* Whether the answer to `install` says that the channel's own folder is there: then the image's is
 * of no interest. */
bool entrypoint_has_folder(Channel channel, json_object *answer);

/* From the answer to `install` (members `config` and `probed`). JSON_BAD with what is wrong with it. */
int entrypoint_resolve(Channel channel, json_object *answer, Entrypoint *ret,
                       char **ret_error) _warn_unused_;
void entrypoint_done(Entrypoint *entrypoint);

/* The arguments of a job, as a new array: by `setting` where it is not NULL, else by the image.
 * ENTRYPOINT_NONE where there is neither. */
enum {
        ENTRYPOINT_NONE = 1,
};
int entrypoint_arguments(const Entrypoint *entrypoint, char *const *setting, const char *exercise,
                         char ***ret) _warn_unused_;
