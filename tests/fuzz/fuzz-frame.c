/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whatever can be read as frames is written again to the same bytes, and what their payloads were read to,
 * too. */

#include "fuzz.h"

#include "proto/frame.h"

#include <string.h>

#define N_STRINGS_MAX 1024U

static void expect_payload(const Buffer *out, const Frame *frame)
{
        expect(out->size == FRAME_HEADER_SIZE + frame->size);
        expect(memcmp(out->data + FRAME_HEADER_SIZE, frame->payload, frame->size) == 0);
}

static void read_file(const Frame *frame)
{
        _cleanup_(buffer_done) Buffer out = {};
        char path[FRAME_PAYLOAD_MAX + 1];
        FrameFile file;

        if (frame_parse_file(frame, &file) != 0)
                return;
        *(char *) mempcpy(path, file.path, file.path_size) = '\0';
        expect(strlen(path) == file.path_size);
        if (frame_append_file(&out, 0, file.size, path, SIZE_MAX) == 0)
                expect_payload(&out, frame);
}

static void read_result(const Frame *frame)
{
        _cleanup_(buffer_done) Buffer out = {};
        char name[FRAME_PAYLOAD_MAX + 1];
        FrameResult result;

        if (frame_parse_result(frame, &result) != 0)
                return;
        *(char *) mempcpy(name, result.name, result.name_size) = '\0';
        expect(result.state < _RESULT_STATE_MAX);
        if (frame_append_result(&out, result.state, result.size, name, SIZE_MAX) == 0)
                expect_payload(&out, frame);
}

static void read_numbers(const Frame *frame)
{
        _cleanup_(buffer_done) Buffer setup_out = {}, exit_out = {};
        InitSetup setup;
        InitExit exit;

        if (frame_parse_setup(frame, &setup) == 0) {
                expect(frame_append_setup(&setup_out, &setup, SIZE_MAX) == 0);
                expect_payload(&setup_out, frame);
        }
        if (frame_parse_exit(frame, &exit) == 0) {
                expect(exit.cause < _EXIT_CAUSE_MAX);
                expect(frame_append_exit(&exit_out, &exit, SIZE_MAX) == 0);
                expect_payload(&exit_out, frame);
        }
}

static void read_strings(const Frame *frame)
{
        _cleanup_(buffer_done) Buffer out = {};
        _cleanup_free_ char **strings = NULL;

        if (frame_parse_strings(frame, N_STRINGS_MAX, &strings) != 0)
                return;
        expect(frame_append_strings(&out, FRAME_ARGUMENTS, strings, SIZE_MAX) == 0);
        expect_payload(&out, frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Frame frame;

        for (; frame_parse(data, size, &frame) == 0;
             data += frame_total_size(&frame), size -= frame_total_size(&frame)) {
                _cleanup_(buffer_done) Buffer out = {};

                expect(frame.size <= FRAME_PAYLOAD_MAX && frame_total_size(&frame) <= size);
                expect(frame_append(&out, frame.type, frame.flags, frame.payload, frame.size, SIZE_MAX) ==
                       0);
                expect(out.size == frame_total_size(&frame) && memcmp(out.data, data, out.size) == 0);
                read_file(&frame);
                read_result(&frame);
                read_numbers(&frame);
                read_strings(&frame);
        }
        return 0;
}
