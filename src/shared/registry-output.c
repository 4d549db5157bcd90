/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "registry-output.h"

#include "json-util.h"

#include "basic/digest.h"
#include "basic/string-util.h"

#include <errno.h>

#define REASON_SIZE_MAX  400U
#define CODE_MIN         100U
#define CODE_MAX         999U
#define CODE_UNAVAILABLE 503U

void registry_output_done(RegistryOutput *output)
{
        json_object_put(output->answer);
        free(output->reason);
        *output = (RegistryOutput){};
}

static uint64_t number(json_object *object, const char *name)
{
        json_object *value = json_object_object_get(object, name);

        return json_object_is_type(value, json_type_int) ? json_object_get_uint64(value) : 0;
}

int registry_output_take(RegistryOutput *output, const char *line, uint64_t *ret_done_size,
                         uint64_t *ret_total_size)
{
        json_object *object = json_tokener_parse(line);

        if (!json_object_is_type(object, json_type_object)) {
                json_object_put(object);
                free(output->reason);
                output->reason = string_escape(line, strlen(line), REASON_SIZE_MAX);
                return output->reason ? 0 : -ENOMEM;
        }
        if (json_object_object_get_ex(object, "done", NULL)) {
                *ret_done_size = number(object, "done");
                *ret_total_size = number(object, "total");
                json_object_put(object);
                return REGISTRY_PROGRESS;
        }
        json_object_put(output->answer);
        output->answer = object;
        return 0;
}

/* What may be used of an answer has its form; what has another is not there. */
static void take_values(json_object *object, RegistryAnswer *ret)
{
        json_object *images = json_object_object_get(object, "images");
        const char *digest = json_member_text(object, "digest"),
                   *layout = json_member_text(object, "layout");

        ret->digest = digest && digest_hex(digest) ? digest : NULL;
        ret->layout = layout && layout[0] == '/' ? layout : NULL;
        ret->images = json_object_is_type(images, json_type_object) ? images : NULL;
}

void registry_output_answer(const RegistryOutput *output, RegistryAnswer *ret)
{
        uint64_t code = output->answer ? number(output->answer, "code") : CODE_UNAVAILABLE;

        *ret = (RegistryAnswer){};
        if (!output->answer)
                ret->error = output->reason ?: "the program that asks the registry died";
        else if (code == 0)
                take_values(output->answer, ret);
        else
                ret->error = json_member_text(output->answer, "error")
                                     ?: "the program that asks the registry does not say why";
        ret->code = code == 0 || (code >= CODE_MIN && code <= CODE_MAX) ? (unsigned) code : CODE_UNAVAILABLE;
}
