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
        check("FROM ruby:3.1\nRUN x\n", "FROM localhost/base:0\nRUN x\n",
              (const char *[]){ "ruby:3.1", NULL });
        check("from  a/b@sha256:01  as build\nFROM scratch\nCOPY --from=build /x /y\n",
              "FROM localhost/base:0 AS build\nFROM scratch\nCOPY --from=build /x /y\n",
              (const char *[]){ "a/b@sha256:01", NULL });
        check("FROM a\nFROM b\nFROM a\nCOPY --chown=1 --from=c:1 x y\nCOPY --from=0 x y",
              "FROM localhost/base:0\nFROM localhost/base:1\nFROM localhost/base:0\n"
              "COPY --chown=1 --from=localhost/base:2 x y\nCOPY --from=0 x y\n",
              (const char *[]){ "a", "b", "c:1", NULL });
        check("FROM --platform=linux/amd64 a AS x\nFROM x\n", "FROM localhost/base:0 AS x\nFROM x\n",
              (const char *[]){ "a", NULL });
}

static void test_arguments_are_known_by_their_defaults(void **state)
{
        check("ARG V=3\nARG I=ruby:$V\nFROM ${I}-slim\nARG V=4\n",
              "ARG V=3\nARG I=ruby:$V\nFROM localhost/base:0\nARG V=4\n",
              (const char *[]){ "ruby:3-slim", NULL });
        check("ARG V\nFROM a:${V:-7}\n", "ARG V\nFROM localhost/base:0\n", (const char *[]){ "a:7", NULL });
}

/* The last definition is the one that holds, and an ARG may have several. */
static void test_arguments_are_known_as_buildah_knows_them(void **state)
{
        check("ARG A=1 B='x y' C=$A\nARG A=2\nFROM a:$A-$C\n",
              "ARG A=1 B='x y' C=$A\nARG A=2\nFROM localhost/base:0\n", (const char *[]){ "a:2-1", NULL });
        check("ARG A=1 \\\n B=2\nFROM a:$B\n", "ARG A=1  B=2\nFROM localhost/base:0\n",
              (const char *[]){ "a:2", NULL });
        refuse("ARG A='$B'\nFROM a:$A\n", "line 2: this is no name");
        refuse("ARG --\"x A=1\" B=2\nFROM a:$A\n", "line 1: ARG has no options");
        refuse("ARG A=\\ B\nFROM a\n", "line 1: an ARG before FROM has no backslash");
}

/* Each instruction is written as one line, so that nothing depends on where others see its end. */
static void test_lines_are_joined(void **state)
{
        check("# FROM x\nFROM a\nRUN echo \\\n  # FROM y\n  FROM z\nRUN b\n",
              "FROM localhost/base:0\nRUN echo   FROM z\nRUN b\n", (const char *[]){ "a", NULL });
        check("FR\\\nOM dir:/etc\nCOPY \\\n --from=x /y \\\n /z\n",
              "FROM localhost/base:0\nCOPY --from=localhost/base:1 /y  /z\n",
              (const char *[]){ "dir:/etc", "x", NULL });
        check("FROM a as b \\\n\n", "FROM localhost/base:0 AS b\n", (const char *[]){ "a", NULL });
        refuse("FROM a\nRUN x \\\\\n", "line 2: a backslash at the end");
        refuse("FROM a as b \\\nFROM c\n", "line 1: after the image only AS and a name");
}

/* A longer line is the end of the file for buildah. */
static void test_lines_are_not_endless(void **state)
{
        _cleanup_free_ char *more = malloc(65536), *line = NULL, *comment = NULL, *joined = NULL,
                            *good = NULL;

        assert_non_null(more);
        memset(more, 'x', 65535);
        more[65535] = '\0';
        line = string_format("FROM a\nRUN %s\n", more);
        comment = string_format("FROM a\n#%s\n", more);
        joined = string_format("FROM a\nRUN %.40000s\\\n%.40000s\n", more, more);
        good = string_format("FROM a\nRUN %.65530s\n", more);
        refuse(line, "line 2: 65535 bytes or more");
        refuse(comment, "line 2: 65535 bytes or more");
        refuse(joined, "line 2: 65535 bytes or more");
        assert_non_null(good);
        assert_int_equal(strlen(good), 7 + 65534 + 1);
        free(line);
        line = string_format("FROM localhost/base:0\n%s", good + 7);
        check(good, line, (const char *[]){ "a", NULL });
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
        refuse("FROM a as b/c\n", "AS and a name");
        refuse("FROM --x a\n", "FROM has no option but");
        refuse("FROM a\nCP x y\n", "line 2: there is no such instruction");
        refuse("FROM a\nRUN <<EOF\nx\nEOF\n", "line 3: there is no such instruction");
        refuse("FROM a\nONBUILD RUN x\n", "line 2: ONBUILD is not taken");
        refuse("FROM a\nFROM \"\n", "line 2: this is no name"); /* no stage without a name */
        refuse("FROM ${x\n", "a variable");
        refuse("FROM a\nCOPY --from=;x y z\n", "line 2");
}

/* CVE-2024-9675, CVE-2024-9407, CVE-2024-1753: what buildah takes for a folder of its own surroundings. */
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
                "ENV M=mount=type=cache,id=../..,target=/h\nRUN --$M x\n",
                "ARG X=ount\nRUN --m${X}=type=cache,id=x,target=/h x\n",
                "ENV T=type\nRUN --mount=$T=cache,id=x,target=/h x\n",
                "RUN --mount=type=bind,source=evil,target=/h x\n",
                "RUN --mount=type=bind,src=evil,target=/h x\n",
                "RUN --mount=type=bind,from=a,target=/h x\n",
                "RUN --mount=type=bind,from=dir:/etc,target=/h x\n",
                "RUN --mount=type=bind,from=,target=/h x\n",
                "FROM b AS one\nRUN --mount=type=bind,from=one,source=/evil,target=/h x\n",
                "FROM b AS one\nRUN --mount=type=cache,from=one,target=/h x\n",
                "RUN --mount=type=cache,id=links/up,target=/h x\n",
                "RUN --mount=type=cache,id=.,target=/h x\n",
                "RUN --mount=type=cache,id=..,target=/h x\n",
                "RUN --mount=type=cache,id=,target=/h x\n",
                "RUN --mount=type=cache,id=a,id=b,target=/h x\n",
                "RUN --mount=type=cache,target=/h,dst=/i x\n",
                "RUN --mount=type=cache,target=h x\n",
                "RUN --mount=type=cache,id=x x\n",
                "RUN --mount=type=cache,id=x,target=/a --mount=id=x,target=/b x\n",
                "RUN --mount=type=cache,type=bind,target=/a x\n",
                "RUN --mount=type=secret,id=x,target=/a x\n",
                "RUN --mount=type=ssh,target=/a x\n",
                "RUN --mount=type=tmpfs,tmpcopyup,target=/a x\n",
                "RUN --mount=type=tmpfs,id=x,target=/a x\n",
                "RUN --mount=type=cache,ro=1,target=/a x\n",
                "RUN --mount=type=cache,target x\n",
                "RUN --mount=type=cache,mode=x,target=/a x\n",
                "RUN --mount=type=cache,sharing=x,target=/a x\n",
                "RUN --network=host x\n",
                "RUN --security=insecure x\n",
                "RUN -- --mount=type=cache,id=../x,target=/a x\n",
                "COPY --from=$X y z\n",
                "COPY --\"from=x\" y z\n",
                "COPY --chown=--from y z\n",
                "COPY --link y z\n",
                "ADD --from=x y z\n",
        };

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                _cleanup_free_ char *text = string_format("FROM a\n%s", bad[i]);

                refuse(text, "line ");
        }
        check("FROM a\nRUN cd .. && x --to=../y $Z \\\n --mount=../y\r\nRUN '..'\n",
              "FROM localhost/base:0\nRUN cd .. && x --to=../y $Z  --mount=../y\nRUN '..'\n",
              (const char *[]){ "a", NULL });
        check("# escape=\\\nFROM a\nCOPY --chown=$U:b --chmod=755 $X y\n",
              "FROM localhost/base:0\nCOPY --chown=$U:b --chmod=755 $X y\n", (const char *[]){ "a", NULL });
}

static void check_mount(const char *mount, const char *rewritten)
{
        _cleanup_free_ char *text = string_format("FROM a AS one\nRUN %s x\n", mount),
                            *expected = string_format("FROM localhost/base:0 AS one\nRUN %s x\n", rewritten);

        check(text, expected, (const char *[]){ "a", NULL });
}

/* A cache without an id gets one that no link can be part of. */
static void test_mounts_are_written_anew(void **state)
{
        check_mount("--mount=type=cache,id=a.B-c_1,target=/c", "--mount=type=cache,target=/c,id=a.B-c_1");
        check_mount("--mount=target=/root/.cache/,type=cache",
                    "--mount=type=cache,target=/root/.cache/,id=at.root._2ecache");
        check_mount("--mount=type=cache,dst=/a_b", "--mount=type=cache,target=/a_b,id=at.a_5fb");
        check_mount("--mount=type=cache,destination=/c,sharing=locked,mode=0755,uid=1,gid=2,readonly,id=x",
                    "--mount=type=cache,target=/c,id=x,readonly,mode=0755,uid=1,gid=2");
        check_mount("--mount=type=tmpfs,target=/t,tmpfs-size=64m,tmpfs-mode=1777",
                    "--mount=type=tmpfs,target=/t,tmpfs-size=64m,tmpfs-mode=1777");
        check_mount("--mount=type=bind,target=/b \\\n --mount=type=bind,from=one,target=/o,rw",
                    "--mount=type=bind,target=/b --mount=type=bind,target=/o,from=one,rw");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_images_are_renamed),
                cmocka_unit_test(test_arguments_are_known_by_their_defaults),
                cmocka_unit_test(test_arguments_are_known_as_buildah_knows_them),
                cmocka_unit_test(test_lines_are_joined),
                cmocka_unit_test(test_lines_are_not_endless),
                cmocka_unit_test(test_what_is_no_dockerfile_is_refused),
                cmocka_unit_test(test_options_of_steps_lead_nowhere),
                cmocka_unit_test(test_mounts_are_written_anew),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
