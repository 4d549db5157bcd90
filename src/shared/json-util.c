/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json-util.h"

#include <errno.h>
#include <string.h>

int json_parse(const char *text, size_t size, size_t size_max, int depth_max, json_object **ret)
{
        json_tokener *tokener = json_tokener_new_ex(depth_max);

        if (!tokener)
                return -ENOMEM;
        *ret = size <= size_max ? json_tokener_parse_ex(tokener, text, (int) size) : NULL;
        json_tokener_free(tokener);
        return 0;
}

json_object *json_member(json_object *object, const char *name)
{
        return json_object_is_type(object, json_type_object) ? json_object_object_get(object, name) : NULL;
}

const char *json_member_text(json_object *object, const char *name)
{
        json_object *value = json_member(object, name);
        const char *s = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;

        return s && strlen(s) == (size_t) json_object_get_string_len(value) ? s : NULL;
}
