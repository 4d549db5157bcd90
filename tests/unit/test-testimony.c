/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "letter-frame.h"

#include "sandboxd/testimony.h"

#include <string.h>

#define ALL (-1)

static void append_letter(char letter, Buffer *out)
{
        static const char bytes[FRAME_PAYLOAD_MAX];
        static const LetterFrame letters[] = {
                { 'S', FRAME_STARTED, NULL, 0 },  { 'e', FRAME_ENDED, NULL, 0 },
                { 'o', FRAME_STDOUT, bytes, 10 }, { 'O', FRAME_STDERR, bytes, FRAME_PAYLOAD_MAX },
                { 'd', FRAME_DATA, bytes, 3 },    { 'D', FRAME_DATA, bytes, 5 },
                { '0', FRAME_DATA, NULL, 0 },     { '1', FRAME_STDOUT, NULL, 0 },
                { 'F', FRAME_FAILED, "no", 2 },   { 'A', FRAME_ANSWER, "{}", 2 },
        };
        static const struct {
                char letter;
                ResultState state;
                uint64_t size;
                const char *name;
        } results[] = {
                { 'r', RESULT_OK, 5, "results.json" },
                { 'R', RESULT_OK, 101, "results.json" },
                { 'm', RESULT_MISSING, UINT64_MAX, "other" },
                { 'x', RESULT_OK, 1, "../results.json" },
        };
        const InitExit end = { .wall_usec = 1 }, liar = { .written_size = UINT64_MAX };

        for (size_t i = 0; i < ARRAY_SIZE(results); i++)
                if (results[i].letter == letter) {
                        assert_int_equal(frame_append_result(out, results[i].state, results[i].size,
                                                             results[i].name, SIZE_MAX),
                                         0);
                        return;
                }
        if (letter == 'E' || letter == 'L')
                assert_int_equal(frame_append_exit(out, letter == 'E' ? &end : &liar, SIZE_MAX), 0);
        else
                append_letter_of(letters, ARRAY_SIZE(letters), letter, out);
}

static int take(Testimony *testimony, char letter)
{
        _cleanup_(buffer_done) Buffer out = {};
        Frame frame;
        Heard heard;

        append_letter(letter, &out);
        frame = only_frame(&out);
        return testimony_take(testimony, &frame, &heard);
}

/* The place of the frame that is not taken. */
static int broken_at(const char *frames)
{
        char *names[] = { (char *) "results.json", (char *) "other", NULL };
        const Plan plan = { .limits = { .output_bytes = 20, .result_bytes = 100 }, .results = names };
        Testimony testimony = { .plan = &plan, .is_told = true };

        for (int i = 0; frames[i]; i++)
                if (take(&testimony, frames[i]) != 0)
                        return i;
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
                { "eSE", ALL },     { "So1", 2 },   { "eE", 1 },     { "eF", ALL },   { "SeoE", 3 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                if (broken_at(cases[i].frames) != cases[i].broken_at)
                        fail_msg("%s: broken at %d", cases[i].frames, broken_at(cases[i].frames));
}

static void test_a_guest_that_nobody_asked_for(void **state)
{
        const Plan plan = {};
        Testimony testimony = { .plan = &plan };

        assert_int_equal(take(&testimony, 'S'), TESTIMONY_BROKEN);
        testimony.is_told = true;
        assert_int_equal(take(&testimony, 'S'), TESTIMONY_BROKEN);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lies),
                cmocka_unit_test(test_a_guest_that_nobody_asked_for),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
