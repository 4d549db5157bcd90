/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of KEY=VALUE lines: what is read, that what is wrong is told with its line and key, and that the
 * defaults which the packaged files show are the code's. */

#include "buildd/build-config.h"
#include "rootless/settings-file.h"
#include "sandboxd/config.h"

#include "basic/io-util.h"
#include "basic/string-util.h"

#include <fcntl.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

typedef struct Settings {
        uint64_t number, bytes;
} Settings;

static const SettingKey keys[] = {
        { "Number", setting_number, offsetof(Settings, number), "a number" },
        { "Bytes", setting_bytes, offsetof(Settings, bytes), "bytes, such as 512M" },
};

static const Settings some_defaults = { .number = 7 };
static const SettingsTable table = SETTINGS_TABLE(keys, some_defaults);

static int parse(const char *text, Settings *ret, char **ret_error)
{
        _cleanup_free_ char *copy = strdup(text); /* it is taken apart */

        return settings_parse(&table, copy, "some.conf", ret, ret_error);
}

static void test_keys_are_read(void **state)
{
        _cleanup_free_ char *error = NULL;
        Settings settings;

        assert_int_equal(parse("# Number=1\n\n Bytes = 2K \n", &settings, &error), 0);
        assert_int_equal(settings.number, 7);
        assert_int_equal(settings.bytes, 2048);
}

static void test_what_is_wrong_is_told_with_its_place(void **state)
{
        static const struct {
                const char *text, *error;
        } bad[] = {
                { "\nNumber", "some.conf:2: Number: must be KEY=VALUE" },
                { "Number=1\nNumbre=2",
                  "some.conf:2: Numbre: there is no such key; there are Number, Bytes" },
                { "Number=many", "some.conf:1: Number: must be a number, not many" },
                { "Bytes=", "some.conf:1: Bytes: must be bytes, such as 512M, not " },
                { "Number=99999999999", "some.conf:1: Number: is too large: 99999999999" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                _cleanup_free_ char *error = NULL;
                Settings settings;

                assert_int_equal(parse(bad[i].text, &settings, &error), SETTINGS_BAD);
                assert_string_equal(error, bad[i].error);
        }
}

/* The file, with `#KEY=VALUE` taken out of its comment. */
static char *read_shown(const char *path)
{
        _cleanup_free_ char *full = string_format("%s/src/%s", getenv("PROJECT"), path);
        char *text;
        size_t n = 0;

        assert_int_equal(read_file_at(AT_FDCWD, full, SIZE_MAX, &text, NULL), 0);
        for (char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
                if (line[0] == '#' && line[1] != ' ' && line[1] != '\n') {
                        *line = ' ';
                        n++;
                }
        assert_in_range(n, 5, 100);
        return text;
}

static void test_the_packaged_files_show_the_defaults(void **state)
{
        const struct {
                const char *path;
                const SettingsTable *table;
        } files[] = { { "sandboxd/sandbox.conf", &sandbox_settings },
                      { "buildd/build.conf", &build_settings } };

        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                _cleanup_free_ char *text = read_shown(files[i].path), *error = NULL;
                _cleanup_free_ void *shown = malloc(files[i].table->size);

                assert_int_equal(settings_parse(files[i].table, text, files[i].path, shown, &error), 0);
                assert_memory_equal(shown, files[i].table->defaults, files[i].table->size);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_keys_are_read),
                cmocka_unit_test(test_what_is_wrong_is_told_with_its_place),
                cmocka_unit_test(test_the_packaged_files_show_the_defaults),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
