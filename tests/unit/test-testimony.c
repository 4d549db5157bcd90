/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sandboxd/testimony.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define ALL (-1)

/* A frame a letter. */
static Frame frame_of(char what, Buffer *out)
{
        static const char bytes[FRAME_PAYLOAD_MAX];
        const InitExit end = { .wall_usec = 1 }, liar = { .written_size = UINT64_MAX };
        Frame frame;
        int r = -1;

        switch (what) {
        case 'S':
                r = frame_append(out, FRAME_STARTED, 0, NULL, 0, SIZE_MAX);
                break;
        case 'e':
                r = frame_append(out, FRAME_ENDED, 0, NULL, 0, SIZE_MAX);
                break;
        case 'o':
                r = frame_append(out, FRAME_STDOUT, 0, bytes, 10, SIZE_MAX);
                break;
        case 'O':
                r = frame_append(out, FRAME_STDERR, 0, bytes, FRAME_PAYLOAD_MAX, SIZE_MAX);
                break;
        case 'r':
                r = frame_append_result(out, RESULT_OK, 5, "results.json", SIZE_MAX);
                break;
        case 'R':
                r = frame_append_result(out, RESULT_OK, 101, "results.json", SIZE_MAX);
                break;
        case 'm':
                r = frame_append_result(out, RESULT_MISSING, UINT64_MAX, "other", SIZE_MAX);
                break;
        case 'x':
                r = frame_append_result(out, RESULT_OK, 1, "../results.json", SIZE_MAX);
                break;
        case 'd':
                r = frame_append(out, FRAME_DATA, 0, bytes, 3, SIZE_MAX);
                break;
        case 'D':
                r = frame_append(out, FRAME_DATA, 0, bytes, 5, SIZE_MAX);
                break;
        case '0':
                r = frame_append(out, FRAME_DATA, 0, NULL, 0, SIZE_MAX);
                break;
        case 'E':
                r = frame_append_exit(out, &end, SIZE_MAX);
                break;
        case 'L':
                r = frame_append_exit(out, &liar, SIZE_MAX);
                break;
        case 'F':
                r = frame_append(out, FRAME_FAILED, 0, "no", 2, SIZE_MAX);
                break;
        case 'A':
                r = frame_append(out, FRAME_ANSWER, 0, "{}", 2, SIZE_MAX);
                break;
        }
        assert_int_equal(r, 0);
        assert_int_equal(frame_parse(out->data, out->size, &frame), 0);
        return frame;
}

/* The place of the frame that is not taken. */
static int broken_at(const char *frames)
{
        char *names[] = { (char *) "results.json", (char *) "other", NULL };
        const Plan plan = { .limits = { .output_bytes = 20, .result_bytes = 100 }, .results = names };
        Testimony testimony = { .plan = &plan, .is_told = true };

        for (int i = 0; frames[i]; i++) {
                _cleanup_(buffer_done) Buffer out = {};
                Frame frame = frame_of(frames[i], &out);
                Heard heard;

                if (testimony_take(&testimony, &frame, &heard) != 0)
                        return i;
        }
        return ALL;
}

static void test_lies(void **state)
{
        static const struct {
                const char *frames;
                int broken_at;
        } cases[] = {
                { "SoorDmF", ALL }, { "SeE", ALL }, { "SmrddF", 4 }, { "SrdF", ALL }, { "F", ALL },
                { "o", 0 },         { "E", 0 },     { "r", 0 },      { "SS", 1 },     { "SoeE", 3 },
                { "SeL", 2 },       { "SeED", 3 },  { "SeES", 3 },   { "FF", 1 },     { "SR", 1 },
                { "Sx", 1 },        { "Smm", 2 },   { "SrDrD", 3 },  { "SrdeE", 4 },  { "Srm", 2 },
                { "Sd", 1 },        { "Sr0", 2 },   { "SmD", 2 },    { "SOO", 2 },    { "SOo", ALL },
                { "A", 0 },         { "SA", 1 },    { "Srdo", ALL }, { "SE", 1 },     { "See", 2 },
                { "eSE", ALL },     { "eE", 1 },    { "eF", ALL },   { "SeoE", 3 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                if (broken_at(cases[i].frames) != cases[i].broken_at)
                        fail_msg("%s: broken at %d", cases[i].frames, broken_at(cases[i].frames));
}

static void test_a_guest_that_nobody_asked_for(void **state)
{
        const Plan plan = {};
        Testimony testimony = { .plan = &plan };
        _cleanup_(buffer_done) Buffer out = {};
        Frame frame = frame_of('S', &out);
        Heard heard;

        assert_int_equal(testimony_take(&testimony, &frame, &heard), TESTIMONY_BROKEN);
        testimony.is_told = true;
        assert_int_equal(testimony_take(&testimony, &frame, &heard), TESTIMONY_BROKEN);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lies),
                cmocka_unit_test(test_a_guest_that_nobody_asked_for),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
