/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the OCI runtime is told. That it does so is tried in the machine. */

#include "sandboxd/bundle.h"

#include "basic/string-util.h"

#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static json_object *options_of(json_object *config, const char *destination)
{
        json_object *mounts = json_object_object_get(config, "mounts");

        for (size_t i = 0; i < json_object_array_length(mounts); i++) {
                json_object *mount = json_object_array_get_idx(mounts, i);

                if (streq(json_object_get_string(json_object_object_get(mount, "destination")), destination))
                        return json_object_object_get(mount, "options");
        }
        fail_msg("nothing is mounted on %s", destination);
        return NULL;
}

static bool has(json_object *list, const char *text)
{
        for (size_t i = 0; i < json_object_array_length(list); i++)
                if (streq(json_object_get_string(json_object_array_get_idx(list, i)), text))
                        return true;
        return false;
}

static void terminals_have_a_limit(void **state)
{
        const Identity identity = {};
        const Bundle bundle = { .rootfs = "/r", .init_program = "/i", .identity = &identity };
        _cleanup_free_ char *text = NULL;
        json_object *config, *options;

        assert_int_equal(bundle_format(&bundle, &text), 0);
        config = json_tokener_parse(text);
        options = options_of(config, "/dev/pts");
        assert_true(has(options, "newinstance"));
        assert_true(has(options, "max=64"));
        json_object_put(config);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(terminals_have_a_limit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
