/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Strings and NULL-ended arrays of strings. */

#include "macro.h"

#include <string.h>

static inline bool streq(const char *a, const char *b)
{
        return strcmp(a, b) == 0;
}

/* What follows the prefix in `s`, or NULL where `s` does not begin with it. */
const char *string_after(const char *s, const char *prefix);
bool string_ends_with(const char *s, const char *suffix);

/* Writes 2 * size hexadecimal digits, lower case, and a NUL. */
void hex_encode(const uint8_t *data, size_t size, char *ret);
/* `2 * n_bytes` random hexadecimal digits, as a new string; NULL without memory or entropy. */
char *random_hex(size_t n_bytes);

/* A new string that is safe in a log or on a terminal: printable UTF-8 stays, every other byte becomes \xNN;
 * at most `length_max` bytes of the input are taken. NULL without memory. */
char *string_escape(const char *s, size_t size, size_t length_max);

/* Formats to a new string, NULL without memory. */
char *string_format(const char *format, ...) _printf_(1, 2);

/* Says why something is refused: *ret_error becomes a new string. Returns `code`, the condition that the
 * caller's header lists; -ENOMEM without memory, and then nothing is written. */
int error_set(char **ret_error, int code, const char *format, ...) _printf_(3, 4) _warn_unused_;

/* NULL-ended arrays that own their strings. */
void strv_free(char **strv);
size_t strv_length(char *const *strv);
bool strv_contains(char *const *strv, const char *s);
/* Adds a copy at the end; *strv may be NULL. */
int strv_extend(char ***strv, const char *s) _warn_unused_;
/* All, with the separator between, as a new string; NULL without memory. */
char *strv_join(char *const *strv, const char *separator);
/* The words of a text, between any of the `separators`; *ret is NULL where there are none. 0 or -ENOMEM. */
int strv_split(const char *text, const char *separators, char ***ret) _warn_unused_;

static inline void strv_freep(char ***strv)
{
        strv_free(*strv);
}
