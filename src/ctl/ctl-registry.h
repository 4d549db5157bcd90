/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the verbs that work on the embedded registry share. */

#include "ctl.h"

#include "shared/oci-layout.h"

#define CTL_NO_REGISTRY "%s is not there: is the package pipeline-common installed?"

/* A version's place, checked; the channel under its own name. CTL_USAGE (said) where a name has not the form
 * of one. `version` may be NULL. */
int ctl_registry_check(const CtlVerb *verb, const char **channel, const char *track,
                       const char *version) _warn_unused_;

/* Locks a track's layout for writing. CTL_NOT_ALLOWED, CTL_FAILED (said). */
int ctl_registry_lock(const Ctl *ctl, const CtlVerb *verb, const char *channel, const char *track,
                      char **ret_path, int *ret_fd) _warn_unused_;

/* What can be said of an image in a layout: its layers' number, and the bytes of all its blobs. CTL_FAILED
 * where it is none that could be run: `ret_error` is a new string that says why. */
typedef struct CtlImage {
        size_t n_layers;
        uint64_t size;
} CtlImage;
int ctl_registry_inspect(const OciLayout *layout, const char *digest, CtlImage *ret,
                         char **ret_error) _warn_unused_;

/* "45.7 MB", into `ret` of CTL_SIZE_SIZE bytes. */
#define CTL_SIZE_SIZE 32U
void ctl_format_size(uint64_t size, char *ret);
