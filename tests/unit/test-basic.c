/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The layer below everything: descriptors, buffers, files, texts, times, lists, maps, queues. */

#include "basic/fd-util.h"
#include "basic/hashmap.h"
#include "basic/io-util.h"
#include "basic/list.h"
#include "basic/parse-util.h"
#include "basic/prioq.h"
#include "basic/string-util.h"
#include "basic/time-util.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define N_MANY 5000U

static bool fd_is_open(int fd)
{
        return fcntl(fd, F_GETFD) >= 0;
}

/* Descriptors */

static void test_close_keeps_errno(void **state)
{
        int pipe_fds[2];

        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        errno = EXDEV;
        assert_int_equal(safe_close(pipe_fds[0]), -EBADF);
        assert_int_equal(safe_close(pipe_fds[1]), -EBADF);
        assert_int_equal(safe_close(-EBADF), -EBADF);
        assert_int_equal(errno, EXDEV);
        assert_false(fd_is_open(pipe_fds[0]));
}

static void test_cleanup_and_handing_over(void **state)
{
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), kept;

        {
                _cleanup_close_ int owner = fd;

                kept = TAKE_FD(owner);
                assert_int_equal(owner, -EBADF);
        }
        assert_true(fd_is_open(kept));
        {
                _cleanup_close_ int owner = kept;

                assert_int_equal(owner, fd);
        }
        assert_false(fd_is_open(fd));
}

static void test_descriptor_flags(void **state)
{
        _cleanup_close_ int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        for (int on = 1; on >= 0; on--) {
                assert_int_equal(fd_set_nonblock(fd, on), 0);
                assert_int_equal(fd_set_cloexec(fd, on), 0);
                assert_int_equal((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0, on);
                assert_int_equal((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0, on);
        }
        assert_int_equal(fd_set_nonblock(-1, true), -EBADF);
}

static void test_descriptors_are_passed(void **state)
{
        int sockets[2], received = -EBADF;
        char data[8] = {};

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets), 0);
        assert_int_equal(fd_receive(sockets[1], data, sizeof(data), &received), -EAGAIN);
        assert_int_equal(fd_send(sockets[0], "abc", 3, STDERR_FILENO), 3);
        assert_int_equal(fd_receive(sockets[1], data, sizeof(data), &received), 3);
        assert_string_equal(data, "abc");
        assert_true(received > STDERR_FILENO && (fcntl(received, F_GETFD) & FD_CLOEXEC));
        safe_close(received);
        assert_int_equal(fd_send(sockets[0], "d", 1, -1), 1);
        assert_int_equal(fd_receive(sockets[1], data, sizeof(data), &received), 1);
        assert_int_equal(received, -EBADF);
        safe_close(sockets[0]);
        assert_int_equal(fd_receive(sockets[1], data, sizeof(data), &received), 0);
        assert_int_equal(fd_send(sockets[1], "d", 1, -1), -EPIPE);
        safe_close(sockets[1]);
}

/* A peer that sends more descriptors than it should leaves none behind. */
static void test_further_descriptors_are_closed(void **state)
{
        char byte = 'x';
        union {
                struct cmsghdr header;
                char room[CMSG_SPACE(3 * sizeof(int))];
        } control = {};
        int sockets[2], three[3] = { 0, 1, 2 }, received, next;
        struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
        struct msghdr message = { .msg_iov = &iov,
                                  .msg_iovlen = 1,
                                  .msg_control = &control,
                                  .msg_controllen = sizeof(control.room) };

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
        control.header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
                                           .cmsg_type = SCM_RIGHTS,
                                           .cmsg_len = CMSG_LEN(sizeof(three)) };
        memcpy(CMSG_DATA(&control.header), three, sizeof(three));
        assert_int_equal(sendmsg(sockets[0], &message, 0), 1);
        assert_int_equal(fd_receive(sockets[1], &byte, 1, &received), 1);
        assert_true(received >= 0);
        next = dup(0);
        assert_int_equal(next, received + 1); /* the lowest that is free */
        safe_close(next);
        safe_close(received);
        safe_close(sockets[0]);
        safe_close(sockets[1]);
}

/* Buffers and files */

static void test_buffer(void **state)
{
        _cleanup_(buffer_done) Buffer buffer = {};

        assert_int_equal(buffer_append(&buffer, "abc", 3, 5), 0);
        assert_int_equal(buffer_append(&buffer, "def", 3, 5), -ENOBUFS);
        assert_int_equal(buffer_append(&buffer, "de", 2, 5), 0);
        assert_int_equal(buffer_append(&buffer, NULL, 0, 5), 0);
        assert_int_equal(buffer_append(&buffer, "x", SIZE_MAX, SIZE_MAX), -ENOBUFS);
        buffer_consume(&buffer, 2);
        assert_int_equal(buffer.size, 3);
        assert_memory_equal(buffer.data, "cde", 3);
        assert_int_equal(buffer_append(&buffer, "fg", 2, 5), 0);
        assert_memory_equal(buffer.data, "cdefg", 5);
        buffer_consume(&buffer, 5);
        assert_int_equal(buffer.size, 0);
}

static void test_a_buffer_grows(void **state)
{
        _cleanup_(buffer_done) Buffer buffer = {};

        for (size_t i = 0; i < N_MANY; i++)
                assert_int_equal(buffer_append(&buffer, &(uint8_t){ (uint8_t) i }, 1, N_MANY), 0);
        for (size_t i = 0; i < N_MANY; i++)
                assert_int_equal(buffer.data[i], (uint8_t) i);
        assert_true(buffer.allocated <= N_MANY);
}

static char *make_folder(void)
{
        char *path = strdup("/tmp/test-basic-XXXXXX");

        assert_non_null(path);
        assert_non_null(mkdtemp(path));
        return path;
}

static void test_files_are_replaced_whole(void **state)
{
        _cleanup_free_ char *folder = make_folder(), *path = string_format("%s/file", folder);
        struct stat s;

        for (size_t i = 0; i < 3; i++) {
                static const char *const contents[] = { "first", "", "third, and longer" };
                _cleanup_free_ char *data = NULL;
                size_t size;

                assert_int_equal(write_file_atomic(path, contents[i], strlen(contents[i]), 0640), 0);
                assert_int_equal(read_file_at(AT_FDCWD, path, 100, &data, &size), 0);
                assert_string_equal(data, contents[i]);
                assert_int_equal(size, strlen(contents[i]));
        }
        assert_int_equal(stat(path, &s), 0);
        assert_int_equal(s.st_mode & 07777, 0640);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(folder), 0); /* nothing temporary is left */
}

static void test_files_that_cannot_be_read_or_written(void **state)
{
        _cleanup_free_ char *folder = make_folder(), *path = string_format("%s/file", folder), *data = NULL;

        assert_int_equal(read_file_at(AT_FDCWD, path, 100, &data, NULL), -ENOENT);
        assert_int_equal(write_file_atomic("/nowhere/file", "x", 1, 0600), -ENOENT);
        assert_int_equal(write_file_atomic(path, "12345", 5, 0600), 0);
        assert_int_equal(read_file_at(AT_FDCWD, path, 4, &data, NULL), -EFBIG);
        assert_int_equal(read_file_at(AT_FDCWD, path, 5, &data, NULL), 0);
        free(data);
        data = NULL;
        assert_int_equal(read_file_at(AT_FDCWD, "/dev/zero", 10000, &data, NULL), -EFBIG);
        assert_null(data);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkdir(path, 0700), 0);
        assert_int_not_equal(write_file_atomic(path, "x", 1, 0600), 0); /* a folder is in its place */
        assert_int_equal(rmdir(path), 0);
        assert_int_equal(rmdir(folder), 0);
}

static void test_whole_reads_and_writes(void **state)
{
        int pipe_fds[2];
        char data[8] = {};

        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        assert_int_equal(write_all(pipe_fds[1], "abc", 3), 0);
        assert_int_equal(write_all(pipe_fds[1], "de", 2), 0);
        safe_close(pipe_fds[1]);
        assert_int_equal(read_full(pipe_fds[0], data, 4), 4);
        assert_string_equal(data, "abcd");
        assert_int_equal(read_full(pipe_fds[0], data, 4), 1);
        assert_int_equal(read_full(pipe_fds[0], data, 4), 0);
        safe_close(pipe_fds[0]);
        assert_int_equal(read_full(-1, data, 4), -EBADF);
        assert_int_equal(write_all(-1, data, 4), -EBADF);
}

/* Texts */

static void test_prefix_and_suffix(void **state)
{
        assert_string_equal(string_after("sha256:ab", "sha256:"), "ab");
        assert_string_equal(string_after("abc", ""), "abc");
        assert_string_equal(string_after("abc", "abc"), "");
        assert_null(string_after("ab", "abc"));
        assert_true(string_ends_with("a.json", ".json"));
        assert_true(string_ends_with("a", ""));
        assert_false(string_ends_with("json", ".json"));
}

static void test_hex(void **state)
{
        _cleanup_free_ char *a = random_hex(8), *b = random_hex(8);
        char text[7];

        hex_encode((const uint8_t *) "\x00\xff\x1a", 3, text);
        assert_string_equal(text, "00ff1a");
        assert_int_equal(strspn(a, "0123456789abcdef"), 16);
        assert_string_not_equal(a, b);
}

static void test_error(void **state)
{
        _cleanup_free_ char *error = NULL;

        assert_int_equal(error_set(&error, 7, "%s: line %u", "a file", 3), 7);
        assert_string_equal(error, "a file: line 3");
}

static void test_escape(void **state)
{
        static const struct {
                const char *text, *escaped;
        } cases[] = {
                { "", "" },
                { "a b~", "a b~" },
                { "\n\t\x1b[31m", "\\x0a\\x09\\x1b[31m" },
                { "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
                { "\xe2\x82\xac\xf0\x9f\x98\x80", "\xe2\x82\xac\xf0\x9f\x98\x80" },
                { "\xff\xfe", "\\xff\\xfe" },
                { "\xc3", "\\xc3" },                            /* cut */
                { "\xc0\xaf", "\\xc0\\xaf" },                   /* too long a form of '/' */
                { "\xe0\x80\xaf", "\\xe0\\x80\\xaf" },          /* likewise */
                { "\xed\xa0\x80", "\\xed\\xa0\\x80" },          /* a surrogate */
                { "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" }, /* beyond Unicode */
                { "\xc2\x85", "\\xc2\\x85" },                   /* a control character */
                { "\xe2\x80\xa8", "\\xe2\\x80\\xa8" },          /* a line separator */
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_free_ char *escaped = string_escape(cases[i].text, strlen(cases[i].text), SIZE_MAX);

                assert_string_equal(escaped, cases[i].escaped);
        }
}

static void test_escape_is_cut(void **state)
{
        _cleanup_free_ char *escaped = string_escape("a\0bcdef", 7, 3);

        assert_string_equal(escaped, "a\\x00b");
}

static void test_string_arrays(void **state)
{
        _cleanup_(strv_freep) char **strv = NULL;
        _cleanup_free_ char *none = strv_join(NULL, ", "), *joined = NULL;

        assert_string_equal(none, "");
        assert_int_equal(strv_length(NULL), 0);
        assert_false(strv_contains(NULL, "a"));
        assert_int_equal(strv_extend(&strv, "a"), 0);
        assert_int_equal(strv_extend(&strv, ""), 0);
        assert_int_equal(strv_length(strv), 2);
        assert_true(strv_contains(strv, ""));
        assert_false(strv_contains(strv, "b"));
        assert_int_equal(strv_extend(&strv, "b"), 0);
        joined = strv_join(strv, ", ");
        assert_string_equal(joined, "a, , b");
}

static void test_words(void **state)
{
        _cleanup_(strv_freep) char **words = NULL;

        assert_int_equal(strv_split("", " ,", &words), 0);
        assert_null(words);
        assert_int_equal(strv_split(", ,", " ,", &words), 0);
        assert_null(words);
        assert_int_equal(strv_split(",a b,,c ", " ,", &words), 0);
        assert_int_equal(strv_length(words), 3);
        assert_string_equal(words[0], "a");
        assert_string_equal(words[1], "b");
        assert_string_equal(words[2], "c");
}

static void test_numbers(void **state)
{
        static const struct {
                const char *text;
                int result;
                uint64_t value;
        } cases[] = {
                { "0", -ERANGE, 0 },    { "1", 0, 1 },         { "0099", 0, 99 },
                { "100", 0, 100 },      { "101", -ERANGE, 0 }, { "18446744073709551616", -ERANGE, 0 },
                { "", -EINVAL, 0 },     { "-1", -EINVAL, 0 },  { "+1", -EINVAL, 0 },
                { " 1", -EINVAL, 0 },   { "1 ", -EINVAL, 0 },  { "1a", -EINVAL, 0 },
                { "0x10", -EINVAL, 0 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                uint64_t value = 0;

                assert_int_equal(parse_uint64(cases[i].text, 1, 100, &value), cases[i].result);
                assert_int_equal(value, cases[i].value);
        }
}

static void test_booleans(void **state)
{
        static const char *const yes[] = { "yes", "true", "on", "1" },
                                 *const no[] = { "no", "false", "off", "0" },
                                 *const bad[] = { "", "y", "YES", "2", "yes ", "tru" };
        bool value;

        for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
                assert_int_equal(parse_bool(yes[i], &value), 0);
                assert_true(value);
                assert_int_equal(parse_bool(no[i], &value), 0);
                assert_false(value);
        }
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_int_equal(parse_bool(bad[i], &value), -EINVAL);
}

static void test_sizes(void **state)
{
        static const struct {
                const char *text;
                int result;
                uint64_t value;
        } cases[] = {
                { "0", 0, 0 },
                { "17", 0, 17 },
                { "500K", 0, 500 * 1024 },
                { "3G", 0, UINT64_C(3) << 30 },
                { "1T", 0, UINT64_C(1) << 40 },
                { "", -EINVAL, 0 },
                { "K", -EINVAL, 0 },
                { "1k", -EINVAL, 0 },
                { "1KB", -EINVAL, 0 },
                { "1.5G", -EINVAL, 0 },
                { "-1", -EINVAL, 0 },
                { "99999999999T", -ERANGE, 0 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                uint64_t value = 0;

                assert_int_equal(parse_size(cases[i].text, &value), cases[i].result);
                assert_int_equal(value, cases[i].value);
        }
}

static void test_time_spans(void **state)
{
        static const struct {
                const char *text;
                int result;
                usec_t value;
        } cases[] = {
                { "0", 0, 0 },
                { "20", 0, 20 * USEC_PER_SEC },
                { "20s", 0, 20 * USEC_PER_SEC },
                { "1.5", 0, 1500000 },
                { "0.000001s", 0, 1 },
                { "0.0000001s", 0, 0 },
                { "250ms", 0, 250000 },
                { "1.5ms", 0, 1500 },
                { "2min", 0, 120 * USEC_PER_SEC },
                { "1.5h", 0, 5400 * USEC_PER_SEC },
                { "1d", 0, 86400 * USEC_PER_SEC },
                { "", -EINVAL, 0 },
                { "s", -EINVAL, 0 },
                { "1 s", -EINVAL, 0 },
                { "-1", -EINVAL, 0 },
                { "1.s.", -EINVAL, 0 },
                { "1m", -EINVAL, 0 },
                { "365000d", 0, TIME_SPAN_MAX },
                { "365000.1d", -ERANGE, 0 },
                { "99999999999999d", -ERANGE, 0 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                usec_t value = 0;

                if (parse_time_span(cases[i].text, &value) != cases[i].result || value != cases[i].value)
                        fail_msg("'%s': %llu", cases[i].text, (unsigned long long) value);
        }
}

static void test_timestamps(void **state)
{
        char text[TIMESTAMP_SIZE];

        format_timestamp(0, text);
        assert_string_equal(text, "1970-01-01T00:00:00.000Z");
        format_timestamp(UINT64_C(1769862896789999), text);
        assert_string_equal(text, "2026-01-31T12:34:56.789Z");
        assert_true(now_usec(CLOCK_MONOTONIC) <= now_usec(CLOCK_MONOTONIC));
}

/* Lists, maps, queues */

typedef struct Member {
        int value;
        ListLink link;
        PrioqLink deadline;
} Member;

static void test_list(void **state)
{
        Member members[4] = { { 0 }, { 1 }, { 2 }, { 3 } };
        int expected = 0;
        List list;

        list_init(&list);
        assert_null(list_first(&list));
        for (size_t i = 0; i < ARRAY_SIZE(members); i++)
                list_append(&list, &members[i].link);
        LIST_FOREACH(Member, member, &list, link) {
                assert_int_equal(member->value, expected++);
                if (member->value % 2 == 0)
                        list_remove(&list, &member->link); /* the current one may go */
        }
        assert_int_equal(expected, 4);
        assert_int_equal(list.n_members, 2);
        assert_ptr_equal(list_first(&list), &members[1].link);
        list_remove(&list, &members[0].link); /* it is in none: nothing happens */
        assert_false(list_link_is_in(&members[0].link));
        list_append(&list, &members[0].link);
        assert_int_equal(list.n_members, 3);
}

static void test_hashmap(void **state)
{
        _cleanup_(hashmap_freep) Hashmap *map = hashmap_new();
        int values[2];

        assert_null(hashmap_get_str(map, "a"));
        assert_int_equal(hashmap_put_str(map, "a", &values[0]), 0);
        assert_int_equal(hashmap_put_str(map, "a", &values[1]), -EEXIST);
        assert_ptr_equal(hashmap_get_str(map, "a"), &values[0]);
        assert_int_equal(hashmap_put(map, "a\0b", 3, &values[1]), 0);
        assert_ptr_equal(hashmap_get(map, "a\0b", 3), &values[1]);
        assert_int_equal(hashmap_put(map, "", 0, &values[1]), 0);
        assert_int_equal(hashmap_size(map), 3);
        assert_ptr_equal(hashmap_remove_str(map, "a"), &values[0]);
        assert_null(hashmap_remove_str(map, "a"));
        assert_ptr_equal(hashmap_get(map, "a\0b", 3), &values[1]);
        assert_int_equal(hashmap_size(map), 2);
}

/* Against an array that says what is in: every key is found at any time, also when runs were closed. */
static void test_hashmap_under_load(void **state)
{
        _cleanup_(hashmap_freep) Hashmap *map = hashmap_new();
        _cleanup_free_ bool *is_in = calloc(N_MANY, sizeof(bool));
        static uint32_t keys[N_MANY];
        size_t n = 0, n_seen = 0;

        srandom(1);
        for (size_t step = 0; step < 20 * N_MANY; step++) {
                uint32_t k = (uint32_t) random() % N_MANY;

                keys[k] = k;
                if (is_in[k])
                        assert_ptr_equal(hashmap_remove(map, &k, sizeof(k)), &keys[k]);
                else
                        assert_int_equal(hashmap_put(map, &k, sizeof(k), &keys[k]), 0);
                is_in[k] = !is_in[k];
                n = is_in[k] ? n + 1 : n - 1;
                assert_int_equal(hashmap_size(map), n);
        }
        for (uint32_t k = 0; k < N_MANY; k++)
                assert_ptr_equal(hashmap_get(map, &k, sizeof(k)), is_in[k] ? &keys[k] : NULL);
        HASHMAP_FOREACH(uint32_t, key, map) {
                assert_true(is_in[*key]);
                n_seen++;
        }
        assert_int_equal(n_seen, n);
}

static void test_prioq(void **state)
{
        _cleanup_(prioq_done) Prioq queue = {};
        Member members[3] = {};

        assert_null(prioq_first(&queue));
        prioq_remove(&queue, &members[0].deadline);
        assert_int_equal(prioq_put(&queue, &members[0].deadline, 30), 0);
        assert_int_equal(prioq_put(&queue, &members[1].deadline, 10), 0);
        assert_int_equal(prioq_put(&queue, &members[2].deadline, 20), 0);
        assert_ptr_equal(prioq_first(&queue), &members[1].deadline);
        assert_int_equal(prioq_put(&queue, &members[1].deadline, 40), 0);
        assert_ptr_equal(prioq_first(&queue), &members[2].deadline);
        prioq_remove(&queue, &members[2].deadline);
        assert_ptr_equal(prioq_first(&queue), &members[0].deadline);
        prioq_remove(&queue, &members[0].deadline);
        prioq_remove(&queue, &members[1].deadline);
        assert_null(prioq_first(&queue));
}

static void test_prioq_under_load(void **state)
{
        _cleanup_(prioq_done) Prioq queue = {};
        _cleanup_free_ PrioqLink *links = calloc(N_MANY, sizeof(PrioqLink));
        uint64_t last = 0;
        size_t n = 0;

        srandom(2);
        for (size_t i = 0; i < 10 * N_MANY; i++) {
                PrioqLink *link = &links[(size_t) random() % N_MANY];

                if (random() % 3 == 0)
                        prioq_remove(&queue, link);
                else
                        assert_int_equal(prioq_put(&queue, link, (uint64_t) random()), 0);
        }
        for (size_t i = 0; i < N_MANY; i++)
                n += links[i].place != 0;
        assert_int_equal(queue.n_members, n);
        for (PrioqLink *link; (link = prioq_first(&queue)); n--) {
                assert_true(link->priority >= last);
                last = link->priority;
                prioq_remove(&queue, link);
        }
        assert_int_equal(n, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_close_keeps_errno),
                cmocka_unit_test(test_cleanup_and_handing_over),
                cmocka_unit_test(test_descriptor_flags),
                cmocka_unit_test(test_descriptors_are_passed),
                cmocka_unit_test(test_further_descriptors_are_closed),
                cmocka_unit_test(test_buffer),
                cmocka_unit_test(test_a_buffer_grows),
                cmocka_unit_test(test_files_are_replaced_whole),
                cmocka_unit_test(test_files_that_cannot_be_read_or_written),
                cmocka_unit_test(test_whole_reads_and_writes),
                cmocka_unit_test(test_prefix_and_suffix),
                cmocka_unit_test(test_hex),
                cmocka_unit_test(test_error),
                cmocka_unit_test(test_escape),
                cmocka_unit_test(test_escape_is_cut),
                cmocka_unit_test(test_string_arrays),
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_numbers),
                cmocka_unit_test(test_booleans),
                cmocka_unit_test(test_sizes),
                cmocka_unit_test(test_time_spans),
                cmocka_unit_test(test_timestamps),
                cmocka_unit_test(test_list),
                cmocka_unit_test(test_hashmap),
                cmocka_unit_test(test_hashmap_under_load),
                cmocka_unit_test(test_prioq),
                cmocka_unit_test(test_prioq_under_load),
        };

        (void) signal(SIGPIPE, SIG_DFL); /* none of ours may raise it */
        return cmocka_run_group_tests(tests, NULL, NULL);
}
