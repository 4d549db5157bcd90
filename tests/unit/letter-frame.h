/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* For tests of who takes frames: a conversation is a string, a letter a frame. */

#include "basic/macro.h"
#include "proto/frame.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

typedef struct LetterFrame {
        char letter;
        FrameType type;
        const void *payload;
        size_t size;
} LetterFrame;

/* Appends the frame that the table has for a letter. */
static inline void append_letter_of(const LetterFrame *table, size_t n, char letter, Buffer *out)
{
        size_t i = 0;

        while (i < n && table[i].letter != letter)
                i++;
        if (i == n)
                fail_msg("no frame is called '%c'", letter);
        assert_int_equal(frame_append(out, table[i].type, 0, table[i].payload, table[i].size, SIZE_MAX), 0);
}

static inline Frame only_frame(const Buffer *buffer)
{
        Frame frame;

        assert_int_equal(frame_parse(buffer->data, buffer->size, &frame), 0);
        return frame;
}
