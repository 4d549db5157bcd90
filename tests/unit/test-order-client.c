/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An order that comes to nothing says which service it was for, and why. */

#include "basic/fd-util.h"
#include "basic/string-util.h"
#include "worker/order-client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* A service, played. */
static char folder[] = "/tmp/test-order-client-XXXXXX";
static char socket_path[sizeof(folder) + sizeof("/socket")];

static int make_folder(void **state)
{
        if (!mkdtemp(folder))
                return -1;
        (void) snprintf(socket_path, sizeof(socket_path), "%s/socket", folder);
        return 0;
}

static int remove_folder(void **state)
{
        return rmdir(folder);
}

static int listen_here(void)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        (void) strcpy(address.sun_path, socket_path);
        assert_return_code(bind(fd, (struct sockaddr *) &address, sizeof(address)), errno);
        assert_return_code(listen(fd, 1), errno);
        return fd;
}

/* An order */

static int on_ended(Order *order, json_object *answer, const char *error, void *userdata)
{
        char **ret_error = userdata;

        assert_null(answer);
        assert_null(*ret_error);
        *ret_error = strdup(error);
        assert_non_null(*ret_error);
        return 0;
}

static const OrderHandlers handlers = { .ended = on_ended };

/* Gives an order to a service that says so much, and hangs up; with NULL, to one that is not there. */
static void expect_error(const OrderService *service, const Bytes *said, const char *expected)
{
        _cleanup_json_ json_object *body = json_object_new_object();
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(order_freep) Order *order = NULL;
        _cleanup_free_ char *error = NULL;
        _cleanup_close_ int door_fd = said ? listen_here() : -EBADF;

        assert_return_code(sd_event_new(&event), errno);
        assert_int_equal(order_new(event, service, body, &handlers, &error, &order), 0);
        if (said) {
                _cleanup_close_ int fd = accept(door_fd, NULL, NULL);

                assert_true(fd >= 0);
                assert_int_equal(write(fd, said->data, said->size), said->size);
                assert_return_code(unlink(socket_path), errno);
        }
        while (!error)
                assert_true(sd_event_run(event, UINT64_C(10000000)) > 0);
        assert_string_equal(error, expected);
}

static void test_nobody_is_there(void **state)
{
        expect_error(SANDBOX_SERVICE(socket_path), NULL, "the sandbox service does not run");
        expect_error(BUILD_SERVICE(socket_path), NULL, "the build service does not run");
}

static void test_it_hangs_up(void **state)
{
        expect_error(BUILD_SERVICE(socket_path), &(Bytes){ "", 0 },
                     "the build service ended in the middle of it");
}

static void test_it_sends_what_is_no_frame(void **state)
{
        static const uint8_t bytes[64] = { 255, 255, 255, 255, 255, 255, 255, 255 };

        expect_error(SANDBOX_SERVICE(socket_path), &(Bytes){ bytes, sizeof(bytes) },
                     "the sandbox service sent what is no frame");
}

static void test_its_answer_is_no_object(void **state)
{
        _cleanup_(buffer_done) Buffer out = {};

        assert_int_equal(frame_append(&out, FRAME_ANSWER, 0, "[]", 2, SIZE_MAX), 0);
        expect_error(BUILD_SERVICE(socket_path), &(Bytes){ out.data, out.size },
                     "the build service gave an answer that is no object");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_nobody_is_there),
                cmocka_unit_test(test_it_hangs_up),
                cmocka_unit_test(test_it_sends_what_is_no_frame),
                cmocka_unit_test(test_its_answer_is_no_object),
        };

        return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
