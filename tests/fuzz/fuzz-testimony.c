/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A pipeline-init that lies. The first byte says after how many frames it is told to start the guest, the
 * second how its bytes are cut and when its reader pauses; what follows are its frames. Whatever they are:
 * no more than the plan allows goes on to the worker, in the order that was agreed, and how the bytes were
 * cut changes nothing. */

#include "fuzz.h"

#include "sandboxd/testimony.h"

#include "basic/fd-util.h"
#include "basic/string-util.h"
#include "rootless/frame-stream.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUTPUT_MAX 1000U
#define RESULT_MAX 300U

static char *names[] = { (char *) "results.json", (char *) "b", NULL };
static const Plan plan = {
        .limits = { .output_bytes = OUTPUT_MAX, .result_bytes = RESULT_MAX },
        .results = names,
};

/* What came of all frames: for each what was heard, and what went on. */
typedef struct Hearing {
        Testimony testimony;
        unsigned told_at, n_frames;
        Buffer log;
        uint64_t sizes[2], results_size, left;
        unsigned n_started, n_ended, n_names[ARRAY_SIZE(names)];
        bool is_over;
} Hearing;

static void note(Hearing *h, const void *data, size_t size)
{
        expect(buffer_append(&h->log, data, size, SIZE_MAX) == 0);
}

static void expect_result(Hearing *h, const Frame *frame)
{
        FrameResult result;
        bool is_known = false;

        expect(h->left == 0 && frame_parse_result(frame, &result) == 0);
        for (size_t i = 0; names[i]; i++)
                if (strlen(names[i]) == result.name_size &&
                    memcmp(names[i], result.name, result.name_size) == 0)
                        is_known = ++h->n_names[i] == 1;
        expect(is_known);
        h->left = result.state == RESULT_OK ? result.size : 0;
        expect(h->left <= RESULT_MAX);
}

/* It goes on to the worker. */
static void expect_output(Hearing *h, const Frame *frame)
{
        expect(h->n_started == 1);
        if (frame->type == FRAME_RESULT)
                expect_result(h, frame);
        else if (frame->type == FRAME_DATA) {
                expect(frame->size > 0 && frame->size <= h->left);
                h->left -= frame->size;
                h->results_size += frame->size;
        } else {
                expect(frame->type == FRAME_STDOUT || frame->type == FRAME_STDERR);
                h->sizes[frame->type - FRAME_STDOUT] += frame->size;
        }
        expect(h->sizes[0] <= OUTPUT_MAX + FRAME_PAYLOAD_MAX &&
               h->sizes[1] <= OUTPUT_MAX + FRAME_PAYLOAD_MAX);
        expect(h->results_size <= RESULT_MAX * strv_length(names));
        note(h, frame->payload, frame->size);
}

static void expect_heard(Hearing *h, const Frame *frame, const Heard *heard)
{
        const InitExit *e = &heard->exit;

        switch (heard->type) {
        case HEARD_STARTED:
                expect(h->testimony.is_told && h->n_started++ == 0);
                break;
        case HEARD_ENDED:
                expect(h->testimony.is_told && h->n_ended++ == 0);
                break;
        case HEARD_OUTPUT:
                expect_output(h, frame);
                break;
        case HEARD_EXIT:
                expect(h->n_started == 1 && h->n_ended == 1 && h->left == 0 && e->cause < _EXIT_CAUSE_MAX &&
                       e->status <= 255);
                expect(e->stdout_size >= h->sizes[0] && e->stdout_size <= INT64_MAX);
                expect(e->stderr_size >= h->sizes[1] && e->stderr_size <= INT64_MAX);
                expect(e->wall_usec <= INT64_MAX && e->written_size <= INT64_MAX && e->inodes <= INT64_MAX);
                h->is_over = true;
                break;
        case HEARD_FAILED:
                h->is_over = true;
                break;
        }
}

static void hear(Hearing *h, const Frame *frame)
{
        Heard heard;
        int r;

        expect(!h->is_over);
        h->testimony.is_told = h->n_frames++ >= h->told_at;
        r = testimony_take(&h->testimony, frame, &heard);
        note(h, &frame->type, sizeof(frame->type));
        note(h, &r, sizeof(r));
        if (r == 0)
                expect_heard(h, frame, &heard);
        else
                h->is_over = true;
        if (h->is_over)
                expect(testimony_take(&h->testimony, frame, &heard) == TESTIMONY_BROKEN);
}

static Hearing begin(const uint8_t *data)
{
        return (Hearing){ .testimony = { .plan = &plan }, .told_at = data[0] };
}

/* All at once */
static void hear_all(Hearing *h, const uint8_t *data, size_t size)
{
        Frame frame;
        int r;

        while (!h->is_over && (r = frame_parse(data, size, &frame)) == 0) {
                data += frame_total_size(&frame);
                size -= frame_total_size(&frame);
                hear(h, &frame);
        }
        if (!h->is_over && r == FRAME_MALFORMED)
                note(h, "malformed", 9);
}

/* As they come by a socket */

static unsigned pauses;

static void on_frame(FrameStream *stream, const Frame *frame, int *fd, void *userdata)
{
        Hearing *h = userdata;

        expect(*fd < 0 && !stream->paused);
        hear(h, frame);
        if (h->is_over)
                frame_stream_done(stream);
        else if (pauses > 0 && h->n_frames % pauses == 0)
                frame_stream_pause(stream, true);
}

static void on_ended(FrameStream *stream, FrameStreamEnd end, void *userdata)
{
        expect(end == FRAME_STREAM_MALFORMED);
        note(userdata, "malformed", 9);
        frame_stream_done(stream);
}

static const FrameStreamHandlers handlers = { on_frame, NULL, on_ended };

/* Whoever resumes it may do so more than once. */
static void run(sd_event *event, FrameStream *stream)
{
        for (;;) {
                while (sd_event_run(event, 0) > 0)
                        ;
                if (!frame_stream_is_open(stream) || !stream->paused)
                        return;
                frame_stream_pause(stream, false);
                frame_stream_pause(stream, false);
        }
}

static void hear_by_socket(Hearing *h, const uint8_t *data, size_t size, size_t chunk)
{
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_close_ int theirs = -EBADF;
        FrameStream stream;
        int fds[2];

        expect(sd_event_new(&event) >= 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        theirs = fds[1];
        expect(frame_stream_init(&stream, event, fds[0], &handlers, h) == 0);
        while (size > 0 && frame_stream_is_open(&stream)) {
                size_t n = MIN(chunk, size);

                expect(write(theirs, data, n) == (ssize_t) n);
                data += n;
                size -= n;
                run(event, &stream);
        }
        frame_stream_done(&stream);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const size_t chunks[] = { 64U * 1024U, 1, 7, 8, 9, 100, 1000, 4096 };
        Hearing whole, cut;

        if (size < 2)
                return 0;
        whole = begin(data);
        hear_all(&whole, data + 2, size - 2);
        cut = begin(data);
        pauses = data[1] / 8 % 4;
        hear_by_socket(&cut, data + 2, size - 2, MAX(chunks[data[1] % 8], size / 64));
        expect(whole.log.size == cut.log.size);
        expect(whole.log.size == 0 || memcmp(whole.log.data, cut.log.data, cut.log.size) == 0);
        buffer_done(&whole.log);
        buffer_done(&cut.log);
        return 0;
}
