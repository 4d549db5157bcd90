/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Strings and NULL-ended arrays of strings. */

#include "string-util.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/random.h>

const char *string_after(const char *s, const char *prefix)
{
        size_t n = strlen(prefix);

        return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

bool string_ends_with(const char *s, const char *suffix)
{
        size_t n = strlen(s), n_suffix = strlen(suffix);

        return n >= n_suffix && streq(s + n - n_suffix, suffix);
}

void hex_encode(const uint8_t *data, size_t size, char *ret)
{
        static const char digits[] = "0123456789abcdef";

        for (size_t i = 0; i < size; i++) {
                ret[2 * i] = digits[data[i] >> 4];
                ret[2 * i + 1] = digits[data[i] & 15];
        }
        ret[2 * size] = '\0';
}

char *random_hex(size_t n_bytes)
{
        _cleanup_free_ uint8_t *bytes = malloc(n_bytes);
        _cleanup_free_ char *hex = malloc(2 * n_bytes + 1);

        if (!bytes || !hex || getrandom(bytes, n_bytes, 0) != (ssize_t) n_bytes)
                return NULL;
        hex_encode(bytes, n_bytes, hex);
        return TAKE_PTR(hex);
}

/* The length of the well-formed, printable UTF-8 character at `s`, or 0. */
static size_t printable_character_size(const uint8_t *s, size_t size)
{
        size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 0;
        uint32_t c;

        if (n == 0 || n > size || s[0] > 0xf4)
                return 0;
        c = n == 1 ? s[0] : s[0] & (0x7fU >> n);
        for (size_t i = 1; i < n; i++) {
                if ((s[i] & 0xc0) != 0x80)
                        return 0;
                c = c << 6 | (s[i] & 0x3fU);
        }
        if ((n == 3 && c < 0x800) || (n == 4 && (c < 0x10000 || c > 0x10ffff)) ||
            (c >= 0xd800 && c < 0xe000))
                return 0;
        return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 ? 0 : n;
}

char *string_escape(const char *s, size_t size, size_t length_max)
{
        const uint8_t *p = (const uint8_t *) s;
        size_t left = MIN(size, length_max);
        char *escaped = malloc(left * 4 + 1), *out = escaped;

        if (!escaped)
                return NULL;
        while (left > 0) {
                size_t n = printable_character_size(p, left);

                if (n > 0)
                        out = mempcpy(out, p, n);
                else
                        out += sprintf(out, "\\x%02x", *p);
                n = MAX(n, 1U);
                p += n;
                left -= n;
        }
        *out = '\0';
        return escaped;
}

char *string_format(const char *format, ...)
{
        va_list arguments;
        char *s;
        int r;

        va_start(arguments, format);
        r = vasprintf(&s, format, arguments);
        va_end(arguments);
        return r < 0 ? NULL : s;
}

int error_set(char **ret_error, int code, const char *format, ...)
{
        va_list arguments;
        char *error;
        int r;

        va_start(arguments, format);
        r = vasprintf(&error, format, arguments);
        va_end(arguments);
        if (r < 0)
                return -ENOMEM;
        *ret_error = error;
        return code;
}

void strv_free(char **strv)
{
        for (char **s = strv; s && *s; s++)
                free(*s);
        free(strv);
}

size_t strv_length(char *const *strv)
{
        size_t n = 0;

        while (strv && strv[n])
                n++;
        return n;
}

bool strv_contains(char *const *strv, const char *s)
{
        for (; strv && *strv; strv++)
                if (streq(*strv, s))
                        return true;
        return false;
}

int strv_extend(char ***strv, const char *s)
{
        size_t n = strv_length(*strv);
        _cleanup_free_ char *copy = strdup(s);
        char **grown;

        if (!copy)
                return -ENOMEM;
        grown = reallocarray(*strv, n + 2, sizeof(char *));
        if (!grown)
                return -ENOMEM;
        grown[n] = TAKE_PTR(copy);
        grown[n + 1] = NULL;
        *strv = grown;
        return 0;
}

char *strv_join(char *const *strv, const char *separator)
{
        char *text = strdup("");

        for (char *const *s = strv; text && s && *s; s++) {
                char *longer = string_format("%s%s%s", text, s == strv ? "" : separator, *s);

                free(text);
                text = longer;
        }
        return text;
}

int strv_split(const char *text, const char *separators, char ***ret)
{
        _cleanup_(strv_freep) char **words = NULL;
        _cleanup_free_ char *copy = strdup(text);
        char *rest = copy, *word;
        int r = copy ? 0 : -ENOMEM;

        while (r == 0 && (word = strsep(&rest, separators)))
                if (*word != '\0')
                        r = strv_extend(&words, word);
        if (r == 0)
                *ret = TAKE_PTR(words);
        return r;
}
