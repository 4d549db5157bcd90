/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text to values. strtoull() alone takes signs, white space and other bases: what may stand there is checked
 * first. */

#include "parse-util.h"

#include "string-util.h"

#include <ctype.h>
#include <errno.h>

static int parse_digits(const char *s, uint64_t *ret, const char **ret_end)
{
        char *end;
        uint64_t value;

        if (!isdigit((unsigned char) *s))
                return -EINVAL;
        errno = 0;
        value = strtoull(s, &end, 10);
        if (errno != 0)
                return -ERANGE;
        *ret = value;
        *ret_end = end;
        return 0;
}

int parse_uint64(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
        const char *end;
        uint64_t value;
        int r = parse_digits(s, &value, &end);

        if (r < 0)
                return r;
        if (*end != '\0')
                return -EINVAL;
        if (value < min || value > max)
                return -ERANGE;
        *ret = value;
        return 0;
}

int parse_bool(const char *s, bool *ret)
{
        static const char *const words[][2] = {
                { "no", "yes" }, { "false", "true" }, { "off", "on" }, { "0", "1" }
        };

        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                for (size_t value = 0; value < 2; value++)
                        if (streq(s, words[i][value])) {
                                *ret = value;
                                return 0;
                        }
        return -EINVAL;
}

int parse_size(const char *s, uint64_t *ret)
{
        static const char units[] = "KMGT";
        const char *end, *unit;
        uint64_t value;
        int r = parse_digits(s, &value, &end);

        if (r < 0)
                return r;
        if (*end != '\0') {
                unit = strchr(units, *end);
                if (!unit || end[1] != '\0')
                        return -EINVAL;
                if (__builtin_mul_overflow(value, UINT64_C(1) << (10 * (unit - units + 1)), &value))
                        return -ERANGE;
        }
        *ret = value;
        return 0;
}

int parse_time_span(const char *s, usec_t *ret_usec)
{
        static const struct {
                const char *name;
                usec_t usec;
        } units[] = {
                { "", USEC_PER_SEC },         { "ms", USEC_PER_MSEC },      { "s", USEC_PER_SEC },
                { "min", 60 * USEC_PER_SEC }, { "h", 3600 * USEC_PER_SEC }, { "d", 86400 * USEC_PER_SEC },
        };
        uint64_t whole, value;
        usec_t fraction = 0, scale = USEC_PER_SEC; /* the fraction in millionths of the unit */
        const char *end;
        int r = parse_digits(s, &whole, &end);

        if (r < 0)
                return r;
        if (*end == '.')
                for (end++; isdigit((unsigned char) *end); end++) {
                        scale /= 10;
                        fraction += scale * (usec_t) (*end - '0');
                }
        for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
                if (!streq(end, units[i].name))
                        continue;
                if (__builtin_mul_overflow(whole, units[i].usec, &value) ||
                    __builtin_add_overflow(value, fraction * (units[i].usec / USEC_PER_MSEC) / 1000, &value))
                        return -ERANGE;
                if (value > TIME_SPAN_MAX)
                        return -ERANGE;
                *ret_usec = value;
                return 0;
        }
        return -EINVAL;
}
