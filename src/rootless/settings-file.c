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

/* A file, the line of it that is read, and the key in it. */
typedef struct Place {
        const char *name;
        unsigned line;
        const char *key;
} Place;

/* Consumes `what`. */
static int refuse(const Place *place, char *what, char **ret_error)
{
        _cleanup_free_ char *message = what;

        if (!message)
                return -ENOMEM;
        return error_set(ret_error, SETTINGS_BAD, "%s:%u: %s: %s", place->name, place->line, place->key,
                         message);
}

static int refuse_key(const SettingsTable *table, const Place *place, char **ret_error)
{
        _cleanup_(strv_freep) char **names = NULL;
        _cleanup_free_ char *known = NULL;

        for (size_t i = 0; i < table->n_keys; i++)
                if (strv_extend(&names, table->keys[i].key) < 0)
                        return -ENOMEM;
        known = strv_join(names, ", ");
        if (!known)
                return -ENOMEM;
        return refuse(place, string_format("there is no such key; there are %s", known), ret_error);
}

static int parse_line(const SettingsTable *table, char *text, Place *place, void *target, char **ret_error)
{
        char *value = strchr(text, '=');

        place->key = text;
        if (!value)
                return refuse(place, strdup("must be KEY=VALUE"), ret_error);
        *value++ = '\0';
        value = strip(value);
        place->key = strip(text);
        for (size_t i = 0; i < table->n_keys; i++) {
                const SettingKey *known = &table->keys[i];
                int r;

                if (!streq(known->key, place->key))
                        continue;
                r = known->parse(value, (char *) target + known->offset);
                if (r == -ERANGE)
                        return refuse(place, string_format("is too large: %s", value), ret_error);
                if (r < 0 && r != -ENOMEM)
                        return refuse(place, string_format("must be %s, not %s", known->form, value),
                                      ret_error);
                return r;
        }
        return refuse_key(table, place, ret_error);
}

static int parse_lines(const SettingsTable *table, char *text, const char *name, void *target,
                       char **ret_error)
{
        Place place = { .name = name };

        for (char *rest = text, *start; (start = strsep(&rest, "\n"));) {
                int r;

                place.line++;
                start = strip(start);
                if (*start == '\0' || *start == '#')
                        continue;
                r = parse_line(table, start, &place, target, ret_error);
                if (r != 0)
                        return r;
        }
        return 0;
}

void settings_defaults(const SettingsTable *table, void *ret)
{
        (void) memcpy(ret, table->defaults, table->size);
}

int settings_parse(const SettingsTable *table, char *text, const char *name, void *ret, char **ret_error)
{
        _cleanup_free_ void *target = malloc(table->size);
        int r;

        if (!target)
                return -ENOMEM;
        settings_defaults(table, target);
        r = parse_lines(table, text, name, target, ret_error);
        if (r == 0)
                (void) memcpy(ret, target, table->size);
        return r;
}

int settings_read(const SettingsTable *table, const char *path, void *ret, char **ret_error)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = read_file_at(AT_FDCWD, path, FILE_SIZE_MAX, &text, &size);

        if (r == -ENOENT) {
                settings_defaults(table, ret);
                return 0;
        }
        if (r < 0)
                return r;
        if (strlen(text) != size) /* what follows NUL would be passed over */
                return error_set(ret_error, SETTINGS_BAD, "%s: it is no text", path);
        return settings_parse(table, text, path, ret, ret_error);
}
