/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Files of KEY=VALUE lines, read over defaults by a table. An unknown key is an error: a misspelt ceiling
 * must not be silently none. */

#include "basic/macro.h"

typedef struct SettingKey {
        const char *key;
        /* 0, or -errno: then the value has not the form. */
        int (*parse)(const char *value, void *ret);
        size_t offset; /* in the struct */
        const char *form;
} SettingKey;

/* For `parse`. */
int setting_number(const char *value, void *ret) _warn_unused_; /* uint64_t */
int setting_bytes(const char *value, void *ret) _warn_unused_;  /* uint64_t, 512M */
int setting_span(const char *value, void *ret) _warn_unused_;   /* usec_t, 10min */
int setting_switch(const char *value, void *ret) _warn_unused_; /* bool */

/* The struct that a file is read into, which is plain bytes: nothing in it is owned. */
typedef struct SettingsTable {
        const SettingKey *keys;
        size_t n_keys;
        const void *defaults;
        size_t size;
} SettingsTable;

#define SETTINGS_TABLE(keys, defaults)                                  \
        {                                                               \
                (keys), ARRAY_SIZE(keys), &(defaults), sizeof(defaults) \
        }

/* All as it is without a file. */
void settings_defaults(const SettingsTable *table, void *ret);
/* Pure: reads text (which is taken apart) over the defaults. `name` is what errors call it. SETTINGS_BAD:
 * `ret_error` is a new string with file, line, key, and what is wrong. */
enum {
        SETTINGS_BAD = 1,
};
int settings_parse(const SettingsTable *table, char *text, const char *name, void *ret,
                   char **ret_error) _warn_unused_;
/* The same from a file; a missing one is an empty one. */
int settings_read(const SettingsTable *table, const char *path, void *ret, char **ret_error) _warn_unused_;
