/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pipeline-init: PID 1 of every container, and all of the suite that is in there with the guest.
 *
 * It is container root in a user namespace of its own and waits, parked, on one socket. The job comes as
 * frames: limits, arguments, input. It makes the writable file system, writes the input, starts the guest as
 * another user with nothing but its program, relays output, and when the guest is dead reads the results and
 * says how it went. It never outlives its job: when the socket closes, or its own deadline passes, it exits,
 * and the kernel ends everything else in the namespace. It trusts neither the guest nor, further than it
 * must, the other end. */

#include "confine.h"
#include "conversation.h"
#include "relay.h"
#include "storage.h"

#include "basic/string-util.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define INIT_SOCKET   3
#define INIT_TEXT_MAX 512U

/* Bytes that came and were not taken yet: room for the largest frame and more, so that small ones come
 * together. */
typedef struct Input {
        uint8_t data[4U * (FRAME_HEADER_SIZE + FRAME_PAYLOAD_MAX)];
        size_t begin, end;
} Input;

static int say(FrameType type, const void *payload, size_t size)
{
        _cleanup_(buffer_done) Buffer out = {};
        int r;

        r = frame_append(&out, type, 0, payload, size, SIZE_MAX);
        return r < 0 ? r : write_all(INIT_SOCKET, out.data, out.size);
}

/* Says what went wrong and stays until the other end has heard it, whatever it still sends. */
static int fail(const char *format, ...) _printf_(1, 2);
static int fail(const char *format, ...)
{
        char text[INIT_TEXT_MAX], discarded[4096];
        va_list arguments;
        ssize_t n;
        int r;

        va_start(arguments, format);
        (void) vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        r = say(FRAME_FAILED, text, strlen(text));
        if (r < 0)
                return r;
        do
                n = read(INIT_SOCKET, discarded, sizeof(discarded));
        while (n > 0 || (n < 0 && errno == EINTR));
        return -ECONNRESET;
}

/* Reads the next frame; what it borrows is valid until the next call. -ECONNRESET at the end
 * of the socket. */
static int next_frame(Input *input, Frame *ret)
{
        for (;;) {
                ssize_t n;
                int r = frame_parse(input->data + input->begin, input->end - input->begin, ret);

                if (r == 0) {
                        input->begin += frame_total_size(ret);
                        return 0;
                }
                if (r != FRAME_INCOMPLETE)
                        return fail("the frames are malformed");
                input->end -= input->begin;
                memmove(input->data, input->data + input->begin, input->end);
                input->begin = 0;
                n = read(INIT_SOCKET, input->data + input->end, sizeof(input->data) - input->end);
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n == 0)
                        return -ECONNRESET;
                input->end += (size_t) MAX(n, 0);
        }
}

static int set_up(Storage *storage, const InitSetup *setup)
{
        const char *what;
        int r;

        r = storage_mount(storage, setup, &what);
        if (r >= 0)
                r = confine_namespace(&what); /* second: a detached mount counts as a mount namespace */
        return r < 0 ? fail("cannot set the container up: %s: %s", what, strerror(-r)) : 0;
}

static int take_step(const Step *step, const Conversation *job, Storage *storage, char *file)
{
        int r = 0;

        switch (step->type) {
        case STEP_NONE:
        case STEP_START:
                return 0;
        case STEP_MOUNT:
                return set_up(storage, &job->setup);
        case STEP_FILE:
                (void) strcpy(file, step->path);
                r = storage_begin_file(storage, step->path, step->executable);
                break;
        case STEP_DATA:
                r = storage_append(storage, step->data, step->size);
                break;
        }
        return r < 0 ? fail("cannot write the input file '%s': %s", file, strerror(-r)) : 0;
}

/* Takes the conversation up to START. */
static int hear(Conversation *job, Storage *storage)
{
        static Input input; /* large, and there is only one */
        char file[INPUT_PATH_MAX + 1] = "";
        Step step = {};

        while (step.type != STEP_START) {
                const char *error;
                Frame frame;
                int r;

                r = next_frame(&input, &frame);
                if (r < 0)
                        return r;
                r = conversation_take(job, &frame, &step, &error);
                if (r == CONVERSATION_REFUSED)
                        return fail("%s", error);
                if (r >= 0)
                        r = take_step(&step, job, storage, file);
                if (r < 0)
                        return r;
        }
        storage_end_file(storage);
        return 0;
}

/* Nothing that is opened later may become one of the standard descriptors. */
static int fill_standard_descriptors(void)
{
        int fd;

        do
                fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        while (fd >= 0 && fd <= STDERR_FILENO);
        if (fd < 0)
                return -errno;
        safe_close(fd);
        return fd_set_cloexec(INIT_SOCKET, true);
}

static int run(void)
{
        _cleanup_(conversation_done) Conversation job = {};
        Storage storage = STORAGE_INIT;
        int r;

        (void) umask(0);
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return -errno;
        r = fill_standard_descriptors();
        if (r >= 0)
                r = say(FRAME_READY, NULL, 0);
        if (r >= 0)
                r = hear(&job, &storage);
        if (r >= 0)
                r = relay_run(INIT_SOCKET, &job, &storage);
        return r;
}

/* Executed by a guest it is a program like any other, whose one word says that guests can be executed. */
static int sing(void)
{
        static const char word[] = "pipeline canary\n";

        return write_all(STDOUT_FILENO, word, strlen(word)) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
        int r;

        if (argc > 1 && streq(argv[1], "canary"))
                return sing();
        r = run();

        if (r < 0 && r != -ECONNRESET && r != -EPIPE)
                (void) fprintf(stderr, "pipeline-init: %s\n", strerror(-r));
        return r < 0 && r != -ECONNRESET && r != -EPIPE ? EXIT_FAILURE : EXIT_SUCCESS;
}
