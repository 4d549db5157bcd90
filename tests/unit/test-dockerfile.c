/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The images of a Dockerfile, and the text that the build service gets. */

#include "builder/dockerfile.h"

#include "basic/string-util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void check(const char *text, const char *rewritten, const char *const *bases)
{
        _cleanup_free_ char *error = NULL;
        Dockerfile dockerfile;

        assert_int_equal(dockerfile_parse(text, strlen(text), &dockerfile, &error), 0);
        assert_string_equal(dockerfile.text, rewritten);
        for (size_t i = 0; bases[i]; i++)
                assert_string_equal(dockerfile.bases[i], bases[i]);
        assert_int_equal(strv_length(dockerfile.bases), strv_length((char *const *) bases));
        dockerfile_done(&dockerfile);
}

static void refuse(const char *text, const char *why)
{
        _cleanup_free_ char *error = NULL;
        Dockerfile dockerfile;

        assert_int_equal(dockerfile_parse(text, strlen(text), &dockerfile, &error), DOCKERFILE_BAD);
        if (!strstr(error, why))
                assert_string_equal(error, why);
}

static void test_images_are_renamed(void **state)
{
        check("FROM ruby:3.1\nRUN x\n", "FROM localhost/base:0\nRUN x\n\n",
              (const char *[]){ "ruby:3.1", NULL });
        check("from  a/b@sha256:01  as build\nFROM scratch\nCOPY --from=build /x /y\n",
              "FROM localhost/base:0 AS build\nFROM scratch\nCOPY --from=build /x /y\n\n",
              (const char *[]){ "a/b@sha256:01", NULL });
        check("FROM a\nFROM b\nFROM a\nCOPY --chown=1 --from=c:1 x y\nCOPY --from=0 x y",
              "FROM localhost/base:0\nFROM localhost/base:1\nFROM localhost/base:0\n"
              "COPY --chown=1 --from=localhost/base:2 x y\nCOPY --from=0 x y\n",
              (const char *[]){ "a", "b", "c:1", NULL });
        check("FROM --platform=linux/amd64 a AS x\nFROM x\n", "FROM localhost/base:0 AS x\nFROM x\n\n",
              (const char *[]){ "a", NULL });
}

static void test_arguments_are_known_by_their_defaults(void **state)
{
        check("ARG V=3\nARG I=ruby:$V\nFROM ${I}-slim\nARG V=4\n",
              "ARG V=3\nARG I=ruby:$V\nFROM localhost/base:0\nARG V=4\n\n",
              (const char *[]){ "ruby:3-slim", NULL });
        check("ARG V\nFROM a:${V:-7}\n", "ARG V\nFROM localhost/base:0\n\n",
              (const char *[]){ "a:7", NULL });
}

static void test_lines_that_go_on_and_comments_are_left_alone(void **state)
{
        check("# FROM x\nFROM a\nRUN echo \\\n  # FROM y\n  FROM z\nRUN b\n",
              "# FROM x\nFROM localhost/base:0\nRUN echo \\\n  # FROM y\n  FROM z\nRUN b\n\n",
              (const char *[]){ "a", NULL });
}

static void test_what_is_no_dockerfile_is_refused(void **state)
{
        refuse("", "no FROM");
        refuse("RUN x\n", "no FROM");
        refuse("FROM\n", "line 1: FROM without");
        refuse("\nFROM -x\n", "line 2: this is no name");
        refuse("FROM a/../b\n", "no name");
        refuse("FROM a as\n", "AS and a name");
        refuse("FROM a b\n", "AS and a name");
        refuse("FROM a as -x\n", "AS and a name");
        refuse("FROM a as b c\n", "AS and a name");
        refuse("FROM a as b \\\nFROM c\n", "line 1: after the image only AS and a name");
        refuse("FROM a\nFROM \"\n", "line 2: this is no name"); /* no stage without a name */
        refuse("FROM ${x\n", "a variable");
        refuse("FROM a\nCOPY --from=;x y z\n", "line 2");
}

/* CVE-2024-9675: buildah takes a cache by such a name for a folder of its own surroundings. */
static void test_options_of_steps_lead_nowhere(void **state)
{
        static const char *const bad[] = {
                "RUN --mount=type=cache,id=../../etc,target=/c x\n",
                "RUN --network=none  --mount=target=/../c,type=cache x\n",
                "run\t--mount=type=cache,source=a/../../b,target=/c x",
                "RUN \\\n--mount=type=cache,id=../x x\n",
                "ONBUILD  onbuild RUN --mount=type=cache,id=../x x\n",
                "RUN\\\n --mount=type=cache,id=../x x\n",
                "R\\\nUN --mount=type=cache,id=../x x\n",
                "RUN \\\n# \\\n\n  \n --mount=type=cache,id=../x x\n",
                "RUN --mount=type=cache,id=.\\\n./x x\n",
                "RUN --mount=type=cache,id=../x \\\n",
                "RUN --mount=type=cache,id=.\\./x x\n",
                "RUN --m\"ount\"=type=cache,id=x x\n",
                "ENV U=../..\nRUN --mount=type=cache,id=$U,target=/c x\n",
                "RUN \302\240--mount=type=cache,id=../x x\n",
                "RUN --network=none\302\240--mount=type=cache,id=../x x\n",
                "RUN --mount=type=cache,target=/\303\251,id=../x x\n",
                "RUN\v--mount=type=cache,id=../x x\n",
                "RUN x \\\r\r\nRUN --mount=type=cache,id=../x x\n",
                "\302\240# x \\\nRUN --mount=type=cache,id=../x x\n",
                "#  Escape = `\nRUN `\n --mount=type=cache,id=../x x\n",
        };

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                _cleanup_free_ char *text = string_format("FROM a\n%s", bad[i]);

                refuse(text, "line ");
        }
        check("FROM a\nRUN --mount=type=cache,id=x,target=/root/.cache \\\n\n cd .. && x --to=../y\r\nRUN "
              "'..'\n",
              "FROM localhost/base:0\nRUN --mount=type=cache,id=x,target=/root/.cache \\\n\n cd .. && x "
              "--to=../y\n"
              "RUN '..'\n\n",
              (const char *[]){ "a", NULL });
        check("# escape=\\\nFROM a\nRUN x \\\n --mount=../y\n",
              "# escape=\\\nFROM localhost/base:0\nRUN x \\\n --mount=../y\n\n",
              (const char *[]){ "a", NULL });
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_images_are_renamed),
                cmocka_unit_test(test_arguments_are_known_by_their_defaults),
                cmocka_unit_test(test_lines_that_go_on_and_comments_are_left_alone),
                cmocka_unit_test(test_what_is_no_dockerfile_is_refused),
                cmocka_unit_test(test_options_of_steps_lead_nowhere),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
