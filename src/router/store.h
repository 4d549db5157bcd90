/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the router must remember, and how it was told to behave. The interface is as narrow as it is so that
 * a database can stand behind it one day; today one YAML file does (store-yaml.c). */

#include "store-config.h"

typedef struct Store Store;

/* Opens the file; where it is missing it is made from `seed` first (NULL: from nothing). STORE_BAD with what
 * is wrong and where, -errno. */
enum {
        STORE_BAD = 1,
};
int store_open(const char *path, const char *seed, Store **ret, char **ret_error) _warn_unused_;
Store *store_free(Store *store);

/* What it holds; changed by the two functions below alone. */
const StoreConfig *store_config(const Store *store);

/* Whether the file could not be read when it was to be: it is other than what is held. */
bool store_is_stale(const Store *store);

/* Reads the file anew. STORE_BAD, -errno: then nothing has changed, but that it is stale. */
int store_reload(Store *store, char **ret_error) _warn_unused_;
/* Sets which versions are deployed for a track (in their order; the track may be a new one), in memory and,
 * durably, in the file. STORE_BAD where the file has become bad in the meantime, -errno: then nothing has
 * changed. */
int store_set_versions(Store *store, Channel channel, const char *track, const VersionList *versions,
                       char **ret_error) _warn_unused_;

DEFINE_CLEANUP(Store *, store_free)
