/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The folder registry: what a reader sees of a layout, and what a writer makes of it. */

#include "shared/oci-layout.h"

#include "basic/fd-util.h"
#include "basic/io-util.h"
#include "basic/string-util.h"
#include "basic/tree.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define HEX_A    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define A        "sha256:" HEX_A
#define B        "sha256:" HEX_B
#define TAG(tag) "\"annotations\":{\"org.opencontainers.image.ref.name\":\"" tag "\"}"

/* A registry in a folder of its own, which is the current one meanwhile. */
static int set_up(void **state)
{
        char *folder = strdup("/tmp/test-oci-layout-XXXXXX");

        if (!folder || !mkdtemp(folder) || chdir(folder) < 0 || mkdir("registry", 0755) < 0)
                return -1;
        *state = folder;
        return 0;
}

static int tear_down(void **state)
{
        int r = chdir("/") < 0 ? -1 : tree_remove(AT_FDCWD, *state);

        free(*state);
        return r;
}

static void write_text(const char *path, const char *text)
{
        assert_int_equal(write_file_atomic(path, text, strlen(text), 0600), 0);
}

/* A layout of one image, as a tool would leave it. */
static void make_layout(const char *path, const char *digest, const char *text)
{
        _cleanup_free_ char
                *blobs = string_format("%s/blobs", path),
                *folder = string_format("%s/blobs/sha256", path),
                *index = string_format("%s/index.json", path),
                *json = string_format(
                        "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"m\",\"digest\":\"%s\","
                        "\"size\":1,\"platform\":{\"os\":\"linux\"}}]}",
                        digest),
                *blob = string_format("%s/%s", folder, digest + strlen("sha256:"));

        assert_int_equal(mkdir(path, 0700), 0);
        assert_int_equal(mkdir(blobs, 0700), 0);
        assert_int_equal(mkdir(folder, 0700), 0);
        write_text(index, json);
        write_text(blob, text);
}

static void push(const char *digest, const char *tag)
{
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int lock_fd = -EBADF;

        make_layout("stage", digest, "text");
        assert_int_equal(oci_layout_lock("registry", "test_runners", "ruby", &path, &lock_fd), 0);
        assert_int_equal(oci_layout_add(path, "stage", digest, tag), 0);
        assert_int_equal(tree_remove(AT_FDCWD, "stage"), 0);
}

static OciLayout *open_layout(void)
{
        _cleanup_free_ char *error = NULL;
        OciLayout *layout = NULL;

        assert_int_equal(oci_layout_open("registry", "test_runners", "ruby", &layout, &error), 0);
        return layout;
}

static void index_with_two_tags_of_one_image(void **state)
{
        static const char text[] =
                "{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"" A
                "\"," TAG("v1") "},{\"digest\":\"" B "\"},{\"digest\":\"" A "\"," TAG("v2") "}]}";
        _cleanup_(oci_index_done) OciIndex index = {};
        _cleanup_free_ char *error = NULL;

        assert_int_equal(oci_index_parse(text, strlen(text), &index, &error), 0);
        assert_int_equal(index.n_images, 2);
        assert_string_equal(index.images[0].digest, A);
        assert_string_equal(index.images[0].tags[0], "v1");
        assert_string_equal(index.images[0].tags[1], "v2");
        assert_string_equal(index.images[1].digest, B);
        assert_null(index.images[1].tags);
}

static void indexes_that_are_none(void **state)
{
        static const char *const cases[] = {
                "",
                "{",
                "[]",
                "{}",
                "{\"manifests\":7}",
                "{\"manifests\":[7]}",
                "{\"manifests\":[{}]}",
                "{\"manifests\":[{\"digest\":\"sha256:../../x\"}]}",
                "{\"manifests\":[{\"digest\":\"sha256:" HEX_A "/\"}]}",
                "{\"manifests\":[{\"digest\":\"sha256:" HEX_A "\\u0000\"}]}",
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_free_ char *error = NULL;
                OciIndex index;

                assert_int_equal(oci_index_parse(cases[i], strlen(cases[i]), &index, &error),
                                 OCI_LAYOUT_BAD);
                assert_non_null(error);
        }
}

static void nothing_there(void **state)
{
        _cleanup_free_ char *error = NULL;
        OciLayout *layout;

        assert_int_equal(oci_layout_open("nowhere", "test_runners", "ruby", &layout, &error),
                         OCI_LAYOUT_MISSING);
        assert_int_equal(oci_layout_open("registry", "test_runners", "ruby", &layout, &error),
                         OCI_LAYOUT_MISSING);
        assert_int_equal(mkdir("registry/test_runners", 0755), 0);
        assert_int_equal(mkdir("registry/test_runners/ruby", 0755), 0);
        assert_int_equal(oci_layout_open("registry", "test_runners", "ruby", &layout, &error),
                         OCI_LAYOUT_MISSING);
}

static void pushed_and_found(void **state)
{
        _cleanup_(oci_layout_freep) OciLayout *layout = NULL;
        _cleanup_free_ char *text = NULL;
        const char *digest;
        struct stat st;
        size_t size;

        push(A, "v1");
        layout = open_layout();
        assert_int_equal(oci_layout_resolve(layout, "v1", &digest), 0);
        assert_string_equal(digest, A);
        assert_int_equal(oci_layout_resolve(layout, "v", &digest), OCI_LAYOUT_NO_TAG);
        assert_int_equal(oci_layout_read_blob(layout, A, 100, &text, &size), 0);
        assert_string_equal(text, "text");
        assert_int_equal(oci_layout_read_blob(layout, A, 3, &text, &size), -EFBIG);
        assert_int_equal(oci_layout_read_blob(layout, B, 100, &text, &size), OCI_LAYOUT_NO_BLOB);
        assert_int_equal(oci_layout_read_blob(layout, "sha256:../../../index.json", 100, &text, &size),
                         OCI_LAYOUT_NO_BLOB);
        /* Everybody may read, the group may write. */
        assert_int_equal(stat("registry/test_runners/ruby/blobs/sha256/" HEX_A, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0644);
        assert_int_equal(stat("registry/test_runners/ruby/blobs/sha256", &st), 0);
        assert_int_equal(st.st_mode & 07777, 02775);
}

static void a_tag_moves(void **state)
{
        _cleanup_(oci_layout_freep) OciLayout *layout = NULL, *before = NULL;
        const char *digest;
        size_t n;

        push(A, "v1");
        push(A, "v2");
        before = open_layout();
        push(B, "v1");
        layout = open_layout();
        assert_int_equal(oci_layout_resolve(layout, "v1", &digest), 0);
        assert_string_equal(digest, B);
        assert_int_equal(oci_layout_resolve(layout, "v2", &digest), 0);
        assert_string_equal(digest, A);
        (void) oci_layout_images(layout, &n);
        assert_int_equal(n, 2);
        assert_int_equal(oci_layout_resolve(before, "v1", &digest), 0);
        assert_string_equal(digest, A);
}

static void links_lead_nowhere(void **state)
{
        _cleanup_(oci_layout_freep) OciLayout *layout = NULL;
        _cleanup_free_ char *error = NULL;
        OciLayout *other;
        int fd;

        push(A, "v1");
        write_text("secret", "secret");
        assert_int_equal(symlink("../../../../../secret", "registry/test_runners/ruby/blobs/sha256/" HEX_B),
                         0);
        layout = open_layout();
        assert_int_equal(oci_layout_open_blob(layout, B, &fd), OCI_LAYOUT_NO_BLOB);
        assert_int_equal(symlink("ruby", "registry/test_runners/link"), 0);
        assert_int_equal(oci_layout_open("registry", "test_runners", "link", &other, &error),
                         OCI_LAYOUT_BAD);
        assert_non_null(strstr(error, "link"));
        assert_int_equal(rename("registry/test_runners/ruby/index.json", "index.json"), 0);
        assert_int_equal(symlink("../../../index.json", "registry/test_runners/ruby/index.json"), 0);
        free(TAKE_PTR(error));
        assert_int_equal(oci_layout_open("registry", "test_runners", "ruby", &other, &error),
                         OCI_LAYOUT_BAD);
        assert_non_null(strstr(error, "index.json"));
}

static void pipes_do_not_block(void **state)
{
        _cleanup_(oci_layout_freep) OciLayout *layout = NULL;
        int fd;

        push(A, "v1");
        assert_int_equal(mkfifo("registry/test_runners/ruby/blobs/sha256/" HEX_B, 0644), 0);
        layout = open_layout();
        assert_int_equal(oci_layout_open_blob(layout, B, &fd), OCI_LAYOUT_NO_BLOB);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(index_with_two_tags_of_one_image),
                cmocka_unit_test(indexes_that_are_none),
                cmocka_unit_test_setup_teardown(nothing_there, set_up, tear_down),
                cmocka_unit_test_setup_teardown(pushed_and_found, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_tag_moves, set_up, tear_down),
                cmocka_unit_test_setup_teardown(links_lead_nowhere, set_up, tear_down),
                cmocka_unit_test_setup_teardown(pipes_do_not_block, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
