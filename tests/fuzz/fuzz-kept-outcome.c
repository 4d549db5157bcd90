/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file with an outcome that the router has not acknowledged: what is read from it, written and read again,
 * is the same; and it has all that an outcome must have. */

#include "fuzz.h"

#include "worker/outcome-frames.h"

#include "basic/string-util.h"

#include <errno.h>

static void check_same(const Outcome *a, const Outcome *b)
{
        _cleanup_json_ json_object *a_object = outcome_to_json(a), *b_object = outcome_to_json(b);

        expect(a_object && b_object);
        expect(streq(json_object_text(a_object), json_object_text(b_object)));
}

static void check(const OutcomeText *text)
{
        _cleanup_(outcome_text_done) OutcomeText back = {};
        _cleanup_(buffer_done) Buffer written = {};
        int r;

        expect(job_id_is_valid(text->outcome.job) && token_is_valid(text->outcome.token));
        for (size_t i = 0; i < PEER_N_PARTS_MAX; i++)
                expect(text->parts[i].size <= PEER_PART_SIZE_MAX);
        r = outcome_text_encode(text, &written);
        expect(r == 0 || r == -E2BIG);
        if (r != 0)
                return;
        expect(outcome_text_decode(written.data, written.size, &back) == 0);
        check_same(&text->outcome, &back.outcome);
        for (size_t i = 0; i < PEER_N_PARTS_MAX; i++) {
                expect(text->parts[i].size == back.parts[i].size);
                expect(back.parts[i].size == 0 ||
                       memcmp(text->parts[i].data, back.parts[i].data, back.parts[i].size) == 0);
        }
        /* Of a file that ends early nothing is taken for whole. */
        for (size_t part = 0; part < 8; part++) {
                _cleanup_(outcome_text_done) OutcomeText cut = {};

                expect(outcome_text_decode(written.data, written.size * part / 8, &cut) == OUTCOME_BAD);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(outcome_text_done) OutcomeText text = {};
        int r = outcome_text_decode(data, size, &text);

        expect(r == 0 || r == OUTCOME_BAD);
        if (r == 0)
                check(&text);
        return 0;
}
