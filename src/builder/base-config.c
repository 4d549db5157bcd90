/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Go takes names of members whatever their case, and of two with one name it joins what they hold, where
 * json-c keeps the last. So no name is compared by case, and none may be there twice. */

#include "base-config.h"

#include "proto/image.h"
#include "proto/json-fields.h"
#include "shared/json-util.h"

#include <strings.h>

static int bad(const char **ret_reason, const char *reason)
{
        *ret_reason = reason;
        return BASE_CONFIG_BAD;
}

/* In valid JSON each member has one colon outside of strings. */
static size_t count_colons(const char *text, size_t size)
{
        bool is_string = false;
        size_t n = 0;

        for (size_t i = 0; i < size; i++)
                if (is_string && text[i] == '\\')
                        i++;
                else if (text[i] == '"')
                        is_string = !is_string;
                else
                        n += !is_string && text[i] == ':';
        return n;
}

/* As deep as json_check() let it be. */
static size_t count_members(json_object *value)
{
        size_t n = 0;

        if (json_object_is_type(value, json_type_object)) {
                n = (size_t) json_object_object_length(value);
                json_object_object_foreach(value, name, member)
                {
                        (void) name;
                        n += count_members(member);
                }
        } else if (json_object_is_type(value, json_type_array)) {
                for (size_t i = 0; i < json_object_array_length(value); i++)
                        n += count_members(json_object_array_get_idx(value, i));
        }
        return n;
}

static bool is_empty(json_object *value)
{
        return !value ||
               (json_object_is_type(value, json_type_array) && json_object_array_length(value) == 0);
}

static bool has_steps(json_object *config)
{
        if (!json_object_is_type(config, json_type_object))
                return false;
        json_object_object_foreach(config, name, value) if (strcasecmp(name, "OnBuild") == 0 &&
                                                            !is_empty(value)) return true;
        return false;
}

int base_config_check(const char *text, size_t size, const char **ret_reason)
{
        _cleanup_json_ json_object *object = NULL;
        JsonReport report;
        int r = json_check(text, size, IMAGE_CONFIG_SIZE_MAX, JSON_CHECK_DEPTH_MAX, &report);

        if (r < 0)
                return r;
        if (r != 0 || report.kind != JSON_KIND_OBJECT)
                return bad(ret_reason, "its configuration is no JSON object of a size that is taken");
        r = json_parse(text, size, IMAGE_CONFIG_SIZE_MAX, JSON_CHECK_DEPTH_MAX + 1, &object);
        if (r < 0)
                return r;
        if (!object || count_members(object) != count_colons(text, size))
                return bad(ret_reason, "its configuration has a member twice");
        json_object_object_foreach(object, name, value) if (
                strcasecmp(name, "config") == 0 &&
                has_steps(value)) return bad(ret_reason,
                                             "it brings steps of its own (ONBUILD): write them into the "
                                             "Dockerfile, and take an image without them");
        return 0;
}
