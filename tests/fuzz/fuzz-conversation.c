/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whatever frames come: no step ever leads out of the input's folder or beyond what a file was said to hold,
 * nothing starts before all was said, and after a refusal or the start nothing is taken any more. */

#include "fuzz.h"

#include "init/conversation.h"

#include <string.h>

static void check_step(const Conversation *c, const Step *step, uint64_t *left, bool *has_ended)
{
        expect(!*has_ended);
        switch (step->type) {
        case STEP_NONE:
                break;
        case STEP_MOUNT:
                expect(c->setup.guest_id > 0 && c->setup.written_size > 0 && c->setup.inodes > 0);
                break;
        case STEP_FILE:
                expect(*left == 0 && path_is_beneath(step->path, strlen(step->path), INPUT_PATH_MAX));
                expect(step->path[0] != '/' && !strstr(step->path, "//") && strcmp(step->path, "..") != 0 &&
                       strncmp(step->path, "../", 3) != 0 && !strstr(step->path, "/../"));
                *left = c->file_left;
                break;
        case STEP_DATA:
                expect(step->size > 0 && step->size <= *left);
                *left -= step->size;
                break;
        case STEP_START:
                expect(*left == 0 && c->arguments && c->arguments[0] && c->arguments[0][0] &&
                       c->environment && c->folder && c->folder[0] == '/');
                *has_ended = true;
                break;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(conversation_done) Conversation c = {};
        bool has_ended = false;
        uint64_t left = 0;
        Frame frame;

        for (; frame_parse(data, size, &frame) == 0;
             data += frame_total_size(&frame), size -= frame_total_size(&frame)) {
                const char *error = NULL;
                Step step;

                if (conversation_take(&c, &frame, &step, &error) == 0) {
                        check_step(&c, &step, &left, &has_ended);
                        continue;
                }
                expect(error && *error);
                has_ended = true;
        }
        expect(c.n_filters <= FILTERS_MAX && c.n_wanted <= WANTED_MAX && c.n_files <= INPUT_FILES_MAX);
        return 0;
}
