/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A recursive-descent recogniser of RFC 8259. It makes no value and allocates nothing: it only moves a place
 * through the bytes and stops at the first that is wrong. Its recursion is bounded by the depth that the
 * caller allows, its time by the size.
 *
 * Every check_* function starts at its construct's first byte and leaves the place behind its last. */

#include "json-check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

typedef struct Check {
        const uint8_t *data;
        size_t size, at;
        unsigned depth, depth_max;
        const char *reason;
} Check;

static int fail(Check *c, int code, const char *reason)
{
        c->reason = reason;
        return code;
}

/* The byte at the place, or -1 at the end. */
static int peek(const Check *c)
{
        return c->at < c->size ? c->data[c->at] : -1;
}

static bool accept_byte(Check *c, char byte)
{
        if (peek(c) != byte)
                return false;
        c->at++;
        return true;
}

static void skip_blanks(Check *c)
{
        while (peek(c) == ' ' || peek(c) == '\t' || peek(c) == '\n' || peek(c) == '\r')
                c->at++;
}

/* Table 3-7 of the Unicode standard: for each range of first bytes the range of the second, and how many
 * bytes follow in all. Overlong forms, surrogates and what is beyond U+10FFFF are not in it. */
static const struct {
        uint8_t first_min, first_max, second_min, second_max, n_following;
} utf8_forms[] = {
        { 0xc2, 0xdf, 0x80, 0xbf, 1 }, { 0xe0, 0xe0, 0xa0, 0xbf, 2 }, { 0xe1, 0xec, 0x80, 0xbf, 2 },
        { 0xed, 0xed, 0x80, 0x9f, 2 }, { 0xee, 0xef, 0x80, 0xbf, 2 }, { 0xf0, 0xf0, 0x90, 0xbf, 3 },
        { 0xf1, 0xf3, 0x80, 0xbf, 3 }, { 0xf4, 0xf4, 0x80, 0x8f, 3 },
};

/* How many bytes the UTF-8 character at `s` has, or 0 where there is none. `size` is at least 1. */
static size_t utf8_character_size(const uint8_t *s, size_t size)
{
        if (s[0] < 0x80)
                return 1;
        for (size_t i = 0; i < ARRAY_SIZE(utf8_forms); i++) {
                size_t n = utf8_forms[i].n_following;

                if (s[0] < utf8_forms[i].first_min || s[0] > utf8_forms[i].first_max)
                        continue;
                if (size <= n || s[1] < utf8_forms[i].second_min || s[1] > utf8_forms[i].second_max)
                        return 0;
                for (size_t k = 2; k <= n; k++)
                        if ((s[k] & 0xc0) != 0x80)
                                return 0;
                return n + 1;
        }
        return 0;
}

static bool is_digit(int byte)
{
        return byte >= '0' && byte <= '9';
}

static bool is_hex_digit(int byte)
{
        return is_digit(byte) || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
}

static int check_escape(Check *c)
{
        c->at++;
        if (peek(c) > 0 && strchr("\"\\/bfnrt", peek(c))) {
                c->at++;
                return 0;
        }
        if (!accept_byte(c, 'u'))
                return fail(c, JSON_MALFORMED, "unknown escape in a string");
        for (int i = 0; i < 4; i++, c->at++)
                if (!is_hex_digit(peek(c)))
                        return fail(c, JSON_MALFORMED, "\\u without four hexadecimal digits");
        return 0;
}

static int check_string(Check *c)
{
        c->at++;
        while (!accept_byte(c, '"')) {
                int byte = peek(c), r = 0;
                size_t n;

                if (byte < 0)
                        return fail(c, JSON_MALFORMED, "string without an end");
                if (byte < 0x20)
                        return fail(c, JSON_MALFORMED, "control character in a string");
                if (byte == '\\') {
                        r = check_escape(c);
                        if (r != 0)
                                return r;
                        continue;
                }
                n = utf8_character_size(c->data + c->at, c->size - c->at);
                if (n == 0)
                        return fail(c, JSON_BAD_UTF8, "not UTF-8");
                c->at += n;
        }
        return 0;
}

static int check_digits(Check *c)
{
        if (!is_digit(peek(c)))
                return fail(c, JSON_MALFORMED, "digit missing in a number");
        while (is_digit(peek(c)))
                c->at++;
        return 0;
}

static int check_number(Check *c)
{
        int r = 0;

        (void) accept_byte(c, '-');
        if (!accept_byte(c, '0'))
                r = check_digits(c);
        else if (is_digit(peek(c)))
                r = fail(c, JSON_MALFORMED, "number with a leading zero");
        if (r == 0 && accept_byte(c, '.'))
                r = check_digits(c);
        if (r == 0 && (accept_byte(c, 'e') || accept_byte(c, 'E'))) {
                if (!accept_byte(c, '+'))
                        (void) accept_byte(c, '-');
                r = check_digits(c);
        }
        return r;
}

static int check_word(Check *c, const char *word)
{
        size_t n = strlen(word);

        if (c->size - c->at < n || memcmp(c->data + c->at, word, n) != 0)
                return fail(c, JSON_MALFORMED, "not a JSON value");
        c->at += n;
        return 0;
}

static int check_value(Check *c, JsonKind *ret);

static int check_member(Check *c)
{
        JsonKind kind;
        int r;

        skip_blanks(c);
        if (peek(c) != '"')
                return fail(c, JSON_MALFORMED, "name of a member expected");
        r = check_string(c);
        if (r != 0)
                return r;
        skip_blanks(c);
        if (!accept_byte(c, ':'))
                return fail(c, JSON_MALFORMED, "':' expected");
        return check_value(c, &kind);
}

static int check_element(Check *c)
{
        JsonKind kind;

        return check_value(c, &kind);
}

/* An object or array: what it holds, separated by commas, up to the byte that ends it. */
static int check_container(Check *c, char end, int (*check_one)(Check *c))
{
        int r;

        if (c->depth == c->depth_max)
                return fail(c, JSON_TOO_DEEP, "nested too deep");
        c->depth++;
        c->at++;
        skip_blanks(c);
        if (!accept_byte(c, end)) {
                do {
                        r = check_one(c);
                        if (r != 0)
                                return r;
                        skip_blanks(c);
                } while (accept_byte(c, ','));
                if (!accept_byte(c, end))
                        return fail(c, JSON_MALFORMED,
                                    end == '}' ? "',' or '}' expected" : "',' or ']' expected");
        }
        c->depth--;
        return 0;
}

/* A value with the blanks before it. */
static int check_value(Check *c, JsonKind *ret)
{
        skip_blanks(c);
        switch (peek(c)) {
        case '{':
                *ret = JSON_KIND_OBJECT;
                return check_container(c, '}', check_member);
        case '[':
                *ret = JSON_KIND_ARRAY;
                return check_container(c, ']', check_element);
        case '"':
                *ret = JSON_KIND_STRING;
                return check_string(c);
        case 't':
                *ret = JSON_KIND_BOOLEAN;
                return check_word(c, "true");
        case 'f':
                *ret = JSON_KIND_BOOLEAN;
                return check_word(c, "false");
        case 'n':
                *ret = JSON_KIND_NULL;
                return check_word(c, "null");
        case '-':
        case '0' ... '9':
                *ret = JSON_KIND_NUMBER;
                return check_number(c);
        case -1:
                return fail(c, JSON_MALFORMED, "value missing");
        default:
                return fail(c, JSON_MALFORMED, "not a JSON value");
        }
}

static int check_text(Check *c, JsonKind *ret)
{
        int r = check_value(c, ret);

        if (r != 0)
                return r;
        skip_blanks(c);
        return c->at == c->size ? 0 : fail(c, JSON_MALFORMED, "something behind the value");
}

int json_check(const void *data, size_t size, size_t size_max, unsigned depth_max, JsonReport *report)
{
        Check c = { .data = data, .size = size, .depth_max = depth_max };
        JsonKind kind = JSON_KIND_NULL;
        int r;

        assert(depth_max <= JSON_CHECK_DEPTH_MAX);
        if (size > size_max) {
                *report = (JsonReport){ .offset = size_max, .reason = "too large" };
                return JSON_TOO_LARGE;
        }
        r = check_text(&c, &kind);
        *report = (JsonReport){ .kind = kind, .offset = c.at, .reason = c.reason };
        return r;
}

/* The escape of a byte, written to `room`; NULL where it stays as it is. */
static const char *escape_of(uint8_t byte, bool is_valid, char room[static 8])
{
        static const char *const named[256] = {
                ['"'] = "\\\"", ['\\'] = "\\\\", ['\b'] = "\\b", ['\f'] = "\\f",
                ['\n'] = "\\n", ['\r'] = "\\r",  ['\t'] = "\\t",
        };

        if (named[byte])
                return named[byte];
        if (is_valid && byte >= 0x20 && byte != 0x7f)
                return NULL;
        (void) snprintf(room, 8, is_valid ? "\\u%04x" : "\\\\x%02x", byte);
        return room;
}

int json_escape_append(Buffer *buffer, const void *data, size_t size, size_t size_max)
{
        const uint8_t *p = data, *plain = p, *end = p + size;
        char room[8];
        int r = buffer_append(buffer, "\"", 1, size_max);

        while (r >= 0 && p < end) {
                size_t n = utf8_character_size(p, (size_t) (end - p));
                const char *escape = escape_of(*p, n > 0, room);

                if (!escape) {
                        p += n;
                        continue;
                }
                r = buffer_append(buffer, plain, (size_t) (p - plain), size_max);
                if (r >= 0)
                        r = buffer_append(buffer, escape, strlen(escape), size_max);
                plain = ++p;
        }
        if (r >= 0)
                r = buffer_append(buffer, plain, (size_t) (p - plain), size_max);
        if (r >= 0)
                r = buffer_append(buffer, "\"", 1, size_max);
        return r;
}
