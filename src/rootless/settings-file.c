/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Empty lines and those that begin with '#' are passed over. */

#include "settings-file.h"

#include "basic/io-util.h"
#include "basic/parse-util.h"
#include "basic/string-util.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>

#define FILE_SIZE_MAX (64U * 1024U)

int setting_number(const char *value, void *ret)
{
        return parse_uint64(value, 0, UINT32_MAX, ret);
}

int setting_bytes(const char *value, void *ret)
{
        return parse_size(value, ret);
}

int setting_span(const char *value, void *ret)
{
        return parse_time_span(value, ret);
}

int setting_switch(const char *value, void *ret)
{
        return parse_bool(value, ret);
}

static char *strip(char *s)
{
        char *end;

        while (isspace((unsigned char) *s))
                s++;
        for (end = s + strlen(s); end > s && isspace((unsigned char) end[-1]);)
                end--;
        *end = '\0';
        return s;
}

static int refuse(const char *name, unsigned line, const char *what, const char *form, char **ret_error)
{
        return error_set(ret_error, SETTINGS_BAD, "%s:%u: %s%s", name, line, what, form);
}

/* A file, and the line of it that is read. */
typedef struct Place {
        const char *name;
        unsigned line;
} Place;

static int parse_line(char *text, const Place *place, const SettingKey *keys, size_t n_keys, void *target,
                      char **ret_error)
{
        char *value = strchr(text, '=');
        const char *key;

        if (!value)
                return refuse(place->name, place->line, "not KEY=VALUE", "", ret_error);
        *value++ = '\0';
        key = strip(text);
        for (size_t i = 0; i < n_keys; i++) {
                int r;

                if (!streq(keys[i].key, key))
                        continue;
                r = keys[i].parse(strip(value), (char *) target + keys[i].offset);
                if (r < 0 && r != -ENOMEM)
                        return refuse(place->name, place->line, "wanted here: ", keys[i].form, ret_error);
                return r;
        }
        return refuse(place->name, place->line, "unknown key", "", ret_error);
}

int settings_parse(char *text, const char *name, const SettingKey *keys, size_t n_keys, void *target,
                   char **ret_error)
{
        Place place = { .name = name };

        for (char *rest = text, *start; (start = strsep(&rest, "\n"));) {
                int r;

                place.line++;
                start = strip(start);
                if (*start == '\0' || *start == '#')
                        continue;
                r = parse_line(start, &place, keys, n_keys, target, ret_error);
                if (r != 0)
                        return r;
        }
        return 0;
}

int settings_read(const char *path, const SettingKey *keys, size_t n_keys, void *target, char **ret_error)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = read_file_at(AT_FDCWD, path, FILE_SIZE_MAX, &text, &size);

        if (r < 0)
                return r == -ENOENT ? 0 : r;
        if (strlen(text) != size) /* what follows NUL would be passed over */
                return error_set(ret_error, SETTINGS_BAD, "%s: it is no text", path);
        return settings_parse(text, path, keys, n_keys, target, ret_error);
}
