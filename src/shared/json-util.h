/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* JSON that others wrote, member by member; for what has no table (proto/json-fields.h). */

#include "basic/macro.h"

#include <json-c/json.h>

/* Parses one value at the start of the bytes. *ret is NULL where there is none, where it is `null`, where
 * it is deeper than `depth_max`, and where there are more than `size_max` bytes (at most INT_MAX).
 * 0 or -ENOMEM. */
int json_parse(const char *text, size_t size, size_t size_max, int depth_max,
               json_object **ret) _warn_unused_;

/* A member, borrowed; NULL where it is missing or null, or `object` is none. */
json_object *json_member(json_object *object, const char *name);
/* The text of a member, borrowed; NULL also where it is no text, or holds NUL. */
const char *json_member_text(json_object *object, const char *name);

static inline void json_putp(json_object **object)
{
        json_object_put(*object);
}
