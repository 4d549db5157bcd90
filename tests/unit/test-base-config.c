/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Configurations of base images: none brings steps, however it is written. */

#include "builder/base-config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static int check(const char *text)
{
        const char *reason = NULL;
        int r = base_config_check(text, strlen(text), &reason);

        assert_int_equal(r == BASE_CONFIG_BAD, reason != NULL);
        return r;
}

static void test_images_without_steps_are_taken(void **state)
{
        assert_int_equal(check("{}\n"), 0);
        assert_int_equal(check("{\"config\": null}"), 0);
        assert_int_equal(check("{\"config\": {\"OnBuild\": null}, \"x\": [{\"a\": \":\\\":\"}]}"), 0);
        assert_int_equal(check("{\"config\": {\"OnBuild\": [], \"Labels\": {\"onbuild\": \"x\"}}}"), 0);
}

static void test_images_that_bring_steps_are_refused(void **state)
{
        static const char *const bad[] = {
                "{\"config\": {\"OnBuild\": [\"RUN x\"]}}",
                "{\"Config\": {\"oNbUILD\": [\"RUN x\"]}}",
                "{\"\\u0063onfig\": {\"\\u004fnBuild\": [\"RUN x\"]}}",
                "{\"config\": {\"OnBuild\": [\"RUN x\"], \"OnBuild\": []}}",
                "{\"config\": {\"OnBuild\": [\"RUN x\"]}, \"config\": {}}",
                "{\"config\": {\"OnBuild\": [\"RUN x\"]}, \"CONFIG\": {}}",
                "{\"config\": {\"OnBuild\": \"RUN x\"}}",
                "",
                "[]",
                "{\"config\": {}} {\"config\": {}}",
                "{\"config\": {}",
        };

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_int_equal(check(bad[i]), BASE_CONFIG_BAD);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_images_without_steps_are_taken),
                cmocka_unit_test(test_images_that_bring_steps_are_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
