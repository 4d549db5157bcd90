/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The router's file: what is read, what is refused and where, what a change leaves as it was, and that a
 * death at any moment of a change leaves the old file or the new one. The system calls of a change go
 * through the functions below (linked with --wrap). */

#include "router/store.h"

#include "basic/io-util.h"
#include "basic/string-util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define DIGEST "sha256:1111111111111111111111111111111111111111111111111111111111111111"

/* Faults */

static struct {
        int left;     /* calls until it happens; below 0: never */
        bool is_kill; /* else the call fails */
} fault = { .left = -1 };

int __real_mkostemp64(char *path, int flags);
ssize_t __real_write(int fd, const void *data, size_t size);
int __real_fchmod(int fd, mode_t mode);
int __real_fsync(int fd);
int __real_rename(const char *from, const char *to);
int __wrap_mkostemp64(char *path, int flags);
ssize_t __wrap_write(int fd, const void *data, size_t size);
int __wrap_fchmod(int fd, mode_t mode);
int __wrap_fsync(int fd);
int __wrap_rename(const char *from, const char *to);

static bool fails(void)
{
        if (fault.left < 0 || fault.left-- > 0)
                return false;
        if (fault.is_kill)
                _exit(9);
        errno = ENOSPC;
        return true;
}

int __wrap_mkostemp64(char *path, int flags)
{
        return fails() ? -1 : __real_mkostemp64(path, flags);
}

/* Dies in the middle, too: half of it is written. */
ssize_t __wrap_write(int fd, const void *data, size_t size)
{
        if (fault.left == 0 && fault.is_kill)
                (void) __real_write(fd, data, size / 2);
        return fails() ? -1 : __real_write(fd, data, size);
}

int __wrap_fchmod(int fd, mode_t mode)
{
        return fails() ? -1 : __real_fchmod(fd, mode);
}

int __wrap_fsync(int fd)
{
        return fails() ? -1 : __real_fsync(fd);
}

int __wrap_rename(const char *from, const char *to)
{
        return fails() ? -1 : __real_rename(from, to);
}

/* A file in a folder of its own */

typedef struct File {
        char folder[32], path[64];
        Store *store;
        char *error;
} File;

static int set_up(void **state)
{
        File *f = calloc(1, sizeof(File));

        assert_non_null(f);
        (void) snprintf(f->folder, sizeof(f->folder), "/tmp/test-store-XXXXXX");
        assert_non_null(mkdtemp(f->folder));
        (void) snprintf(f->path, sizeof(f->path), "%s/router.yml", f->folder);
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        File *f = *state;
        DIR *folder = opendir(f->folder);

        for (struct dirent *entry; (entry = readdir(folder));)
                (void) unlinkat(dirfd(folder), entry->d_name, 0);
        (void) closedir(folder);
        (void) rmdir(f->folder);
        if (f->store)
                store_free(f->store);
        free(f->error);
        free(f);
        return 0;
}

static void write_text(File *f, const char *text)
{
        assert_int_equal(write_file_atomic(f->path, text, strlen(text), 0600), 0);
}

static char *read_text(File *f)
{
        char *text;

        assert_int_equal(read_file_at(AT_FDCWD, f->path, SIZE_MAX, &text, NULL), 0);
        return text;
}

static void open_store(File *f, const char *text)
{
        if (text)
                write_text(f, text);
        assert_int_equal(store_open(f->path, NULL, &f->store, &f->error), 0);
}

static void assert_bad(File *f, const char *text, const char *expected)
{
        Store *store;

        write_text(f, text);
        free(TAKE_PTR(f->error));
        assert_int_equal(store_open(f->path, NULL, &store, &f->error), STORE_BAD);
        assert_ptr_equal(strstr(f->error, f->path), f->error);
        assert_string_equal(f->error + strlen(f->path), expected);
}

/* What was passed over, "LINE:COLUMN: PATH LINE:COLUMN: PATH …". */
static void assert_unknown(const File *f, const char *expected)
{
        _cleanup_free_ char *got = strdup("");

        for (char **place = store_config(f->store)->unknown; place && *place; place++) {
                char *longer = string_format("%s%s%s", got, *got ? " " : "", *place);

                free(got);
                got = longer;
        }
        assert_string_equal(got, expected);
}

static size_t n_files(const File *f)
{
        DIR *folder = opendir(f->folder);
        size_t n = 0;

        for (struct dirent *entry; (entry = readdir(folder));)
                n += entry->d_name[0] != '.';
        (void) closedir(folder);
        return n;
}

static int set_versions(File *f, const char *track, const char *first, const char *second)
{
        VersionItem items[] = {
                { .track = (char *) track, .version = (char *) first, .digest = (char *) DIGEST },
                { .track = (char *) track, .version = (char *) second }
        };
        const VersionList versions = { items, second ? 2 : 1 };

        free(TAKE_PTR(f->error));
        return store_set_versions(f->store, CHANNEL_TEST_RUNNERS, track, &versions, &f->error);
}

/* "v1 v2" */
static char *versions_of(const Store *store, const char *name)
{
        const StoreTrack *track = store_config_track(store_config(store), CHANNEL_TEST_RUNNERS, name);
        char *text = strdup("");

        for (size_t i = 0; track && i < track->versions.n_items; i++) {
                char *longer =
                        string_format("%s%s%s", text, i > 0 ? " " : "", track->versions.items[i].version);

                free(text);
                text = longer;
        }
        return text;
}

static void assert_versions(const Store *store, const char *track, const char *expected)
{
        _cleanup_free_ char *got = versions_of(store, track);

        assert_string_equal(got, expected);
}

/* Reading */

static void test_the_seed_makes_the_file_once(void **state)
{
        File *f = *state;
        _cleanup_free_ char *seed = string_format("%s/seed", f->folder), *text = NULL;
        static const char seed_text[] =
                "# by hand\nworkers: {test_runners: {ruby: {worker_versions: [v1]}}}\n";

        assert_int_equal(store_open(f->path, seed, &f->store, &f->error), STORE_BAD);
        assert_non_null(strstr(f->error, "neither is there a template"));
        assert_int_equal(write_file_atomic(seed, seed_text, strlen(seed_text), 0600), 0);
        free(TAKE_PTR(f->error));
        assert_int_equal(store_open(f->path, seed, &f->store, &f->error), 0);
        assert_versions(f->store, "ruby", "v1");
        text = read_text(f);
        assert_string_equal(text, seed_text);
        f->store = store_free(f->store);
        write_text(f, "workers: {test_runners: {ruby: {worker_versions: [v2]}}}\n");
        assert_int_equal(store_open(f->path, seed, &f->store, &f->error), 0);
        assert_versions(f->store, "ruby", "v2");
}

static void test_the_ancestors_file_is_read(void **state)
{
        File *f = *state;

        open_store(f,
                   "aws_access_key_id: x\naws_region: eu-west-1\nanalyzer_suffix: -dev\nworkers:\n  "
                   "static_analyzers:\n    shared_queue: 5560\n"
                   "  test_runners:\n    shared_queue: 5570\n    8th:\n      queue: 5571\n"
                   "      worker_versions:\n      - git-b6ea39c\n      - git-da69496\n    x86-64-assembly:\n"
                   "      queue: 5572\n      worker_versions: []\n");
        assert_versions(f->store, "8th", "git-b6ea39c git-da69496");
        assert_true(store_config(f->store)->has_aws);
        assert_true(store_config(f->store)->has_ports);
        assert_non_null(store_config_track(store_config(f->store), CHANNEL_TEST_RUNNERS, "x86-64-assembly"));
        assert_null(store_config_track(store_config(f->store), CHANNEL_STATIC_ANALYZERS, "shared_queue"));
        assert_unknown(f, "3:1: analyzer_suffix");
}

static void test_settings_are_layered(void **state)
{
        File *f = *state;
        const StoreTrack *ruby, *c;

        open_store(f, "workers:\n  test_runners:\n    c: {settings: {memory: 1G, execution_timeout: 90s}}\n"
                      "    ruby: {}\n    settings: {memory: 2G, profile: strict, entrypoint: [/a, b]}\n");
        ruby = store_config_track(store_config(f->store), CHANNEL_TEST_RUNNERS, "ruby");
        c = store_config_track(store_config(f->store), CHANNEL_TEST_RUNNERS, "c");
        assert_int_equal(ruby->settings.limits.memory_bytes, UINT64_C(2) << 30);
        assert_int_equal(c->settings.limits.memory_bytes, UINT64_C(1) << 30);
        assert_string_equal(c->settings.profile, "strict");
        assert_string_equal(ruby->settings.entrypoint[1], "b");
        assert_int_equal(ruby->wall_max_usec, 60 * USEC_PER_SEC);
        assert_int_equal(c->wall_max_usec, 90 * USEC_PER_SEC);
}

static void assert_canary(const File *f, const char *name, bool is_off, const char *exercise,
                          const char *input)
{
        const StoreTrack *track = store_config_track(store_config(f->store), CHANNEL_TEST_RUNNERS, name);

        assert_non_null(track);
        assert_int_equal(track->settings.canary_is_off, is_off);
        assert_true((track->settings.canary_exercise == NULL) == (exercise == NULL));
        assert_true((track->settings.canary_input == NULL) == (input == NULL));
        if (exercise)
                assert_string_equal(track->settings.canary_exercise, exercise);
        if (input)
                assert_string_equal(track->settings.canary_input, input);
}

/* Where the channel says nothing; and what it says, which a track takes over or has otherwise. */
static void test_the_canary_is_layered(void **state)
{
        static const char *const channels[] = { "{}", "{canary: off}",
                                                "{canary: {exercise: known, input: file:///in/}}" };
        File *f = *state;

        for (size_t i = 0; i < ARRAY_SIZE(channels); i++) {
                _cleanup_free_ char *text = string_format(
                        "workers:\n  test_runners:\n    settings: %s\n    heir: {}\n"
                        "    on: {settings: {canary: on}}\n    off: {settings: {canary: off}}\n"
                        "    own: {settings: {canary: {exercise: mine, input: s3://b/mine}}}\n",
                        channels[i]);

                f->store = f->store ? store_free(f->store) : NULL;
                open_store(f, text);
                assert_canary(f, "heir", i == 1, i == 2 ? "known" : NULL, i == 2 ? "file:///in/" : NULL);
                assert_canary(f, "on", false, NULL, NULL);
                assert_canary(f, "off", true, NULL, NULL);
                assert_canary(f, "own", false, "mine", "s3://b/mine");
        }
}

/* Nothing behind a name: a track without versions, a channel without tracks. */
static void test_an_empty_track_is_one(void **state)
{
        File *f = *state;

        open_store(f, "workers:\n  representers:\n  test_runners:\n    ruby:\n    c: ~\n");
        assert_non_null(store_config_track(store_config(f->store), CHANNEL_TEST_RUNNERS, "ruby"));
        assert_non_null(store_config_track(store_config(f->store), CHANNEL_TEST_RUNNERS, "c"));
        assert_unknown(f, "");
}

static void test_keys_nobody_knows_are_told(void **state)
{
        File *f = *state;

        open_store(f, "ours: {a: 1}\nworkers:\n  test_runners:\n    ruby:\n      note: mine\n"
                      "      worker_versions:\n      - {version: v1, by: me}\n");
        assert_unknown(f, "1:1: ours 5:7: workers.test_runners.ruby.note "
                          "7:23: workers.test_runners.ruby.worker_versions.by");
}

static void test_of_many_keys_nobody_knows_some_are_told(void **state)
{
        _cleanup_(buffer_done) Buffer text = {};
        File *f = *state;

        for (int i = 0; i < 30; i++) {
                _cleanup_free_ char *line = string_format("a%d: 1\n", i);

                assert_int_equal(buffer_append(&text, line, strlen(line), SIZE_MAX), 0);
        }
        assert_int_equal(buffer_append(&text, "", 1, SIZE_MAX), 0);
        open_store(f, (const char *) text.data);
        assert_int_equal(strv_length(store_config(f->store)->unknown), 20);
        assert_int_equal(store_config(f->store)->n_unknown, 30);
}

/* What is shown in comments, taken out of them, is right. */
static void test_the_template_is_right(void **state)
{
        _cleanup_free_ char *path = string_format("%s/src/router/router.yml", getenv("PROJECT")),
                            *text = NULL;
        File *f = *state;
        char *shown, *last;

        assert_int_equal(read_file_at(AT_FDCWD, path, SIZE_MAX, &text, NULL), 0);
        shown = strstr(text, "# loopback_roles");
        assert_non_null(shown);
        last = strstr(shown, "\nworkers: {}\n");
        assert_non_null(last);
        last[1] = '\0';
        for (char *line = shown; line && *line == '#';
             line = strchr(line, '\n'), line = line ? line + 1 : NULL)
                *line = ' ';
        write_text(f, shown);
        assert_int_equal(store_open(f->path, NULL, &f->store, &f->error), 0);
        assert_unknown(f, "");
        assert_int_equal(store_config_track(store_config(f->store), CHANNEL_TEST_RUNNERS, "ruby")
                                 ->settings.limits.memory_bytes,
                         UINT64_C(1) << 30);
}

static void test_bad_files_are_refused_with_a_place(void **state)
{
        static const struct {
                const char *text, *error;
        } bad[] = {
                { "workers: [", ":2:1: did not find expected node content, while parsing a flow node" },
                { "a: 1\nb\n", ":3:1: could not find expected ':', while scanning a simple key" },
                { "- a\n", ":1:1: must be a mapping of keys to values" },
                { "a: 1\n---\nb: 1\n", ":3:1: a second document" },
                { "workers: 3\n", ":1:10: workers: must be a mapping of keys to values" },
                { "workers: {dancers: {}}\n", ":1:11: workers.dancers: is not a channel: test_runners, "
                                              "static_analyzers, representers, builders" },
                { "workers:\n  test_runners:\n    ru/by: {}\n",
                  ":3:5: workers.test_runners.ru/by: is not the name of a track" },
                { "workers:\n  test_runners:\n    ruby: {worker_versions: v1}\n",
                  ":3:29: workers.test_runners.ruby.worker_versions: must be a list" },
                { "workers:\n  test_runners:\n    ruby:\n      worker_versions:\n      - ok\n      - no/t\n",
                  ":6:9: workers.test_runners.ruby.worker_versions: must be a version, or {version: …, "
                  "digest: …}" },
                { "workers:\n  test_runners:\n    ruby:\n      worker_versions: [{version: v1, digest: "
                  "x}]\n",
                  ":4:47: workers.test_runners.ruby.worker_versions.digest: must be sha256: and 64 "
                  "hexadecimal "
                  "digits" },
                { "workers:\n  test_runners:\n    ruby:\n      settings: {memroy: 3G}\n",
                  ":4:18: workers.test_runners.ruby.settings.memroy: there is no such key; there are "
                  "execution_timeout, execution_timeout_max, memory, processes, cpu_percent, output, "
                  "result, "
                  "written, inodes, open_files, profile, entrypoint, canary, late_success" },
                { "peer_limits: {reqests: 3}\n",
                  ":1:15: peer_limits.reqests: there is no such key; there are requests, memory, rate" },
                { "workers:\n  test_runners:\n    ruby: v1\n",
                  ":3:11: workers.test_runners.ruby: must be a mapping of keys to values" },
                { "workers:\n  dancers:\n", ":2:3: workers.dancers: is not a channel: test_runners, "
                                            "static_analyzers, representers, builders" },
                { "workers:\n  test_runners:\n    ruby: {worker_versions: [{digest: x}]}\n",
                  ":3:39: workers.test_runners.ruby.worker_versions.digest: must be sha256: and 64 "
                  "hexadecimal digits" },
                { "workers:\n  test_runners:\n    ruby: {worker_versions: [{by: me}]}\n",
                  ":3:30: workers.test_runners.ruby.worker_versions: must be a version, or {version: …, "
                  "digest: …}" },
                { "workers:\n  test_runners:\n    settings: {canary: {exercise: a, input: b, version: "
                  "v1}}\n",
                  ":3:24: workers.test_runners.settings.canary: must be on, off, or {exercise: …, input: "
                  "URI}" },
                { "workers: {test_runners: {canary: {exercise: a, input: b}}}\n",
                  ":1:26: workers.test_runners.canary: is a setting, and holds only below `settings:` of a "
                  "track or a channel" },
                { "settings: {memory: 1G}\n",
                  ":1:1: settings: holds only in a track or a channel, below `workers:`" },
                { "workers:\n  test_runners:\n    settings: {memory: lots}\n",
                  ":3:24: workers.test_runners.settings.memory: must be a size like 500K, 3G or a number of "
                  "bytes" },
                { "workers:\n  test_runners:\n    settings: {canary: maybe}\n",
                  ":3:24: workers.test_runners.settings.canary: must be on, off, or {exercise: …, input: "
                  "URI}" },
                { "workers:\n  test_runners:\n    settings: {canary: {exercise: two-fer}}\n",
                  ":3:24: workers.test_runners.settings.canary: must be on, off, or {exercise: …, input: "
                  "URI}" },
                { "workers: {test_runners: {ruby: {}}, test-runner: {ruby: {}}}\n",
                  ":1:57: workers.test-runner.ruby: the track stands in two channels that are one" },
                { "queue_length: 1\nqueue_length: 2\n", ":2:1: the key stands here twice" },
                { "queue_length: -1\n", ":1:15: queue_length: must be a whole number" },
                { "times: {queue: 1ms}\n", ":1:16: times.queue: is out of range: 10ms to 1d" },
                { "request_memory: 9999999T\n", ":1:17: request_memory: is out of range: 1M to 64G" },
                { "queue_length: 1000001\n", ":1:15: queue_length: is out of range: 0 to 1000000" },
                { "times: {dead: 1s}\n", ":1:1: times.dead must be at least two times times.heartbeat" },
                { "loopback_roles: [root]\n",
                  ":1:17: loopback_roles: must be a list of worker, submit, deploy, admin" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_bad(*state, bad[i].text, bad[i].error);
}

/* It would silently not hold. */
static void test_a_setting_out_of_its_place_is_refused(void **state)
{
        static const struct {
                const char *text, *place;
        } bad[] = {
                { "workers:\n  test_runners:\n    ruby:\n      memory: 1G\n      worker_versions: [v1]\n",
                  "4:7: workers.test_runners.ruby.memory" },
                { "workers:\n  test_runners:\n    ruby:\n      canary: {exercise: a, input: b}\n",
                  "4:7: workers.test_runners.ruby.canary" },
                { "workers:\n  test_runners:\n    execution_timeout: 5s\n",
                  "3:5: workers.test_runners.execution_timeout" },
                { "workers: {}\nlate_success: yes\n", "2:1: late_success" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                _cleanup_free_ char *error = string_format(
                        ":%s: is a setting, and holds only below `settings:` of a track or a channel",
                        bad[i].place);

                assert_bad(*state, bad[i].text, error);
        }
}

static void test_a_bad_reload_changes_nothing(void **state)
{
        File *f = *state;

        open_store(f, "workers: {test_runners: {ruby: {worker_versions: [v1]}}}\n");
        write_text(f, "workers: {test_runners: {ruby: {worker_versions: [v2, '']}}}\n");
        assert_int_equal(store_reload(f->store, &f->error), STORE_BAD);
        assert_versions(f->store, "ruby", "v1");
        assert_int_equal(unlink(f->path), 0);
        assert_int_equal(store_reload(f->store, &f->error), -ENOENT);
        assert_true(store_is_stale(f->store));
        assert_versions(f->store, "ruby", "v1");
}

/* Changing */

static void test_a_change_leaves_the_rest(void **state)
{
        File *f = *state;
        _cleanup_free_ char *text = NULL;

        open_store(f, "ours: {a: [1, x]}\nworkers:\n  test-runner:\n    shared_queue: 5570\n    ruby:\n"
                      "      queue: 5571\n      note: keep me\n      worker_versions:\n"
                      "      - {version: v1, by: me}\n    c: {worker_versions: [v7]}\n");
        assert_int_equal(set_versions(f, "ruby", "v2", "v1"), 0);
        assert_int_equal(set_versions(f, "python", "v1", NULL), 0);
        assert_versions(f->store, "ruby", "v2 v1");
        text = read_text(f);
        for (const char *const *kept = (const char *const[]){ "ours", "keep me", "5570", "5571", "by: me",
                                                              "v7", "test-runner:", NULL };
             *kept; kept++)
                assert_non_null(strstr(text, *kept));
        assert_null(strstr(text, "test_runners"));
        store_free(f->store);
        open_store(f, NULL);
        assert_versions(f->store, "ruby", "v2 v1");
        assert_versions(f->store, "python", "v1");
        assert_versions(f->store, "c", "v7");
        assert_int_equal(n_files(f), 1);
}

static void test_a_change_is_made_to_the_file_as_it_is_now(void **state)
{
        File *f = *state;

        open_store(f, "workers: {test_runners: {ruby: {worker_versions: [v1]}}}\n");
        write_text(f, "queue_length: 7\nworkers: {test_runners: {ruby: {worker_versions: [v1]}}}\n");
        assert_int_equal(set_versions(f, "ruby", "v2", NULL), 0);
        assert_int_equal(store_config(f->store)->queue_length, 7);
}

static void test_an_alias_is_not_changed_in_two_places(void **state)
{
        File *f = *state;
        static const char before[] = "workers: {test_runners: {ruby: &r {worker_versions: [v1]}, c: *r}}\n";
        _cleanup_free_ char *text = NULL;

        open_store(f, before);
        assert_int_equal(set_versions(f, "ruby", "v2", NULL), STORE_BAD);
        assert_non_null(strstr(f->error, "workers.test_runners.c is an alias"));
        text = read_text(f);
        assert_string_equal(text, before);
        assert_versions(f->store, "ruby", "v1");
}

/* Dying, and failing */

#define BEFORE "workers: {test_runners: {ruby: {worker_versions: [v1]}}}\n"

/* Lets a child make the change, with a fault at the n-th call; its exit status. */
static int change_in_child(File *f, int n)
{
        int status;
        pid_t pid = fork();

        assert_int_not_equal(pid, -1);
        if (pid == 0) {
                fault.left = n;
                fault.is_kill = true;
                _exit(set_versions(f, "ruby", "v2", "v1") == 0 ? 0 : 1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static void test_death_at_any_moment_leaves_the_old_or_the_new(void **state)
{
        File *f = *state;
        int n_old = 0, n_new = 0, status = 9;

        for (int n = 0; status != 0; n++) {
                _cleanup_free_ char *got = NULL;

                assert_in_range(n, 0, 100);
                open_store(f, BEFORE);
                status = change_in_child(f, n);
                assert_true(status == 0 || status == 9);
                store_free(f->store);
                open_store(f, NULL);
                got = versions_of(f->store, "ruby");
                n_old += streq(got, "v1");
                n_new += streq(got, "v2 v1");
                assert_int_equal(n_old + n_new, n + 1);
                assert_int_equal(n_files(f), 1); /* what was half written is swept */
                f->store = store_free(f->store);
        }
        assert_true(n_old >= 5 && n_new >= 2);
}

static void test_a_call_that_fails_changes_nothing(void **state)
{
        File *f = *state;
        int r = -ENOSPC, n = 0;

        for (; r != 0; n++) {
                _cleanup_free_ char *text = NULL;

                assert_in_range(n, 0, 100);
                open_store(f, BEFORE);
                fault.left = n;
                fault.is_kill = false;
                r = set_versions(f, "ruby", "v2", "v1");
                fault.left = -1;
                text = read_text(f);
                if (r != 0 && streq(text, BEFORE))
                        assert_versions(f->store, "ruby", "v1");
                assert_int_equal(n_files(f), 1);
                f->store = store_free(f->store);
        }
        assert_true(n >= 5);
}

static void test_backups_are_not_swept(void **state)
{
        File *f = *state;
        _cleanup_free_ char *backup = string_format("%s.backup", f->path);

        assert_int_equal(write_file_atomic(backup, "x", 1, 0600), 0);
        open_store(f, BEFORE);
        assert_int_equal(n_files(f), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_the_seed_makes_the_file_once),
                TEST(test_the_ancestors_file_is_read),
                TEST(test_settings_are_layered),
                TEST(test_the_canary_is_layered),
                TEST(test_an_empty_track_is_one),
                TEST(test_keys_nobody_knows_are_told),
                TEST(test_of_many_keys_nobody_knows_some_are_told),
                TEST(test_the_template_is_right),
                TEST(test_bad_files_are_refused_with_a_place),
                TEST(test_a_setting_out_of_its_place_is_refused),
                TEST(test_a_bad_reload_changes_nothing),
                TEST(test_a_change_leaves_the_rest),
                TEST(test_a_change_is_made_to_the_file_as_it_is_now),
                TEST(test_an_alias_is_not_changed_in_two_places),
                TEST(test_death_at_any_moment_leaves_the_old_or_the_new),
                TEST(test_a_call_that_fails_changes_nothing),
                TEST(test_backups_are_not_swept),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
