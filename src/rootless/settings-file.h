/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Files of KEY=VALUE lines, read over defaults by a table. An unknown key is an error: a misspelt ceiling
 * must not be silently none. */

#include "basic/macro.h"

typedef struct SettingKey {
        const char *key;
        /* 0, or -errno: then the value has not the form. */
        int (*parse)(const char *value, void *ret);
        size_t offset; /* in the target */
        const char *form;
} SettingKey;

/* For `parse`. */
int setting_number(const char *value, void *ret) _warn_unused_; /* uint64_t */
int setting_bytes(const char *value, void *ret) _warn_unused_;  /* uint64_t, 512M */
int setting_span(const char *value, void *ret) _warn_unused_;   /* usec_t, 10min */
int setting_switch(const char *value, void *ret) _warn_unused_; /* bool */

/* Pure: reads text (which is taken apart). `name` is what errors call it. SETTINGS_BAD: `ret_error` is a new
 * string with file, line, and what is wrong; the target may then be half written. */
enum {
        SETTINGS_BAD = 1,
};
int settings_parse(char *text, const char *name, const SettingKey *keys, size_t n_keys, void *target,
                   char **ret_error) _warn_unused_;
/* The same from a file; a missing one is an empty one. */
int settings_read(const char *path, const SettingKey *keys, size_t n_keys, void *target,
                  char **ret_error) _warn_unused_;
