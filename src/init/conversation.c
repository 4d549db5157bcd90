/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The conversation of docs/PROTOCOL.md part 4, as pipeline-init hears it. One table says which frame may
 * come in which state and what state follows; a handler each checks the payload and keeps it. Pure: it
 * touches no file and makes no system call, so that it can be fuzzed whole; what has to be done is handed
 * back as a Step. */

#include "conversation.h"

#include <errno.h>
#include <linux/filter.h>
#include <string.h>

/* The states are bits, so that a row of the table can name several. */
enum {
        EXPECT_SETUP = 0,
        EXPECT_ARGUMENTS = 1 << 0,
        EXPECT_ENVIRONMENT = 1 << 1,
        EXPECT_FOLDER = 1 << 2,
        EXPECT_FILTER = 1 << 3, /* or what comes after filters */
        EXPECT_WANTED = 1 << 4, /* likewise */
        EXPECT_FILE = 1 << 5,   /* or the end of the input */
        EXPECT_DATA = 1 << 6,
        EXPECT_START = 1 << 7,
        EXPECT_NOTHING = 1 << 8,
};

void conversation_done(Conversation *conversation)
{
        free(conversation->arguments);
        free(conversation->environment);
        free(conversation->folder);
        for (size_t i = 0; i < conversation->n_filters; i++)
                buffer_done(&conversation->filters[i]);
        for (size_t i = 0; i < conversation->n_wanted; i++)
                free(conversation->wanted[i]);
        *conversation = (Conversation){};
}

bool path_is_beneath(const char *path, size_t size, size_t size_max)
{
        size_t begin = 0;

        if (size > size_max || memchr(path, '\0', size))
                return false;
        for (size_t i = 0; i <= size; i++) {
                size_t length = i - begin;

                if (i < size && path[i] != '/')
                        continue;
                if (length == 0 || (length <= 2 && memcmp(path + begin, "..", length) == 0))
                        return false;
                begin = i + 1;
        }
        return true;
}

/* The limits have to make sense before a kernel interface is told of them: there, 0 often means "none". */
static int take_setup(Conversation *c, const Frame *frame, Step *step, const char **error)
{
        InitSetup s;
        const struct {
                const uint64_t *value;
                uint64_t min, max;
                const char *error;
        } ranges[] = {
                { &s.wall_usec, 1, UINT64_C(86400) * 1000 * 1000, "SETUP: the wall time is out of range" },
                { &s.output_size, 0, UINT64_C(1) << 32, "SETUP: the output limit is out of range" },
                { &s.result_size, 0, UINT64_C(1) << 32, "SETUP: the result limit is out of range" },
                { &s.written_size, 1, UINT64_C(1) << 40,
                  "SETUP: the limit of written bytes is out of range" },
                { &s.inodes, 1, UINT64_C(1) << 31, "SETUP: the limit of inodes is out of range" },
                { &s.open_files, 16, UINT64_C(1) << 20, "SETUP: the limit of open files is out of range" },
                { &s.guest_id, 1, UINT32_MAX - UINT64_C(1), "SETUP: the guest's id is out of range" },
        };

        *error = "SETUP: not of its size";
        if (frame_parse_setup(frame, &s) != 0)
                return CONVERSATION_REFUSED;
        for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
                *error = ranges[i].error;
                if (*ranges[i].value < ranges[i].min || *ranges[i].value > ranges[i].max)
                        return CONVERSATION_REFUSED;
        }
        c->setup = s;
        step->type = STEP_MOUNT;
        return 0;
}

static int take_arguments(Conversation *c, const Frame *frame, Step *step, const char **error)
{
        *error = "ARGUMENTS: not a list of strings, too many, or no program named";
        if (frame->size == 0 || frame->payload[0] == '\0')
                return CONVERSATION_REFUSED;
        return frame_parse_strings(frame, WORD_STRINGS_MAX, &c->arguments);
}

static int take_environment(Conversation *c, const Frame *frame, Step *step, const char **error)
{
        *error = "ENVIRONMENT: not a list of strings, or too many";
        return frame_parse_strings(frame, WORD_STRINGS_MAX, &c->environment);
}

static int take_folder(Conversation *c, const Frame *frame, Step *step, const char **error)
{
        *error = "FOLDER: not an absolute path";
        if (frame->size == 0 || frame->size > FOLDER_LENGTH_MAX || frame->payload[0] != '/' ||
            memchr(frame->payload, '\0', frame->size))
                return CONVERSATION_REFUSED;
        c->folder = strndup((const char *) frame->payload, frame->size);
        return c->folder ? 0 : -ENOMEM;
}

static int take_filter(Conversation *c, const Frame *frame, Step *step, const char **error)
{
        *error = "FILTER: one too many, or not a seccomp program";
        if (c->n_filters == FILTERS_MAX || frame->size == 0 ||
            frame->size % sizeof(struct sock_filter) != 0 ||
            frame->size / sizeof(struct sock_filter) > BPF_MAXINSNS)
                return CONVERSATION_REFUSED;
        return buffer_append(&c->filters[c->n_filters++], frame->payload, frame->size, FRAME_PAYLOAD_MAX);
}

static int take_wanted(Conversation *c, const Frame *frame, Step *step, const char **error)
{
        const char *name = (const char *) frame->payload;

        *error = "WANTED: one too many, or not a relative path";
        if (c->n_wanted == WANTED_MAX || !path_is_beneath(name, frame->size, WANTED_NAME_MAX))
                return CONVERSATION_REFUSED;
        c->wanted[c->n_wanted] = strndup(name, frame->size);
        return c->wanted[c->n_wanted++] ? 0 : -ENOMEM;
}

static int take_file(Conversation *c, const Frame *frame, Step *step, const char **error)
{
        FrameFile file;

        *error = "FILE: one too many, or not a relative path";
        if (c->n_files == INPUT_FILES_MAX || frame_parse_file(frame, &file) != 0 ||
            !path_is_beneath(file.path, file.path_size, INPUT_PATH_MAX))
                return CONVERSATION_REFUSED;
        c->n_files++;
        c->file_left = file.size;
        step->type = STEP_FILE;
        step->executable = frame->flags & FRAME_FLAG_EXECUTABLE;
        *(char *) mempcpy(step->path, file.path, file.path_size) = '\0';
        return 0;
}

static int take_data(Conversation *c, const Frame *frame, Step *step, const char **error)
{
        *error = "DATA: empty, or more than the file was said to hold";
        if (frame->size == 0 || frame->size > c->file_left)
                return CONVERSATION_REFUSED;
        c->file_left -= frame->size;
        step->type = STEP_DATA;
        step->data = frame->payload;
        step->size = frame->size;
        return 0;
}

static int take_input_end(Conversation *c, const Frame *frame, Step *step, const char **error)
{
        return 0;
}

static int take_start(Conversation *c, const Frame *frame, Step *step, const char **error)
{
        step->type = STEP_START;
        return 0;
}

static const struct {
        int (*take)(Conversation *c, const Frame *frame, Step *step, const char **error);
        unsigned from, to;
} grammar[] = {
        [FRAME_SETUP] = { take_setup, EXPECT_SETUP, EXPECT_ARGUMENTS },
        [FRAME_ARGUMENTS] = { take_arguments, EXPECT_ARGUMENTS, EXPECT_ENVIRONMENT },
        [FRAME_ENVIRONMENT] = { take_environment, EXPECT_ENVIRONMENT, EXPECT_FOLDER },
        [FRAME_FOLDER] = { take_folder, EXPECT_FOLDER, EXPECT_FILTER },
        [FRAME_FILTER] = { take_filter, EXPECT_FILTER, EXPECT_FILTER },
        [FRAME_WANTED] = { take_wanted, EXPECT_FILTER | EXPECT_WANTED, EXPECT_WANTED },
        [FRAME_FILE] = { take_file, EXPECT_FILTER | EXPECT_WANTED | EXPECT_FILE, EXPECT_FILE },
        [FRAME_DATA] = { take_data, EXPECT_DATA, EXPECT_FILE },
        [FRAME_INPUT_END] = { take_input_end, EXPECT_FILTER | EXPECT_WANTED | EXPECT_FILE, EXPECT_START },
        [FRAME_START] = { take_start, EXPECT_START, EXPECT_NOTHING },
};

int conversation_take(Conversation *conversation, const Frame *frame, Step *ret, const char **ret_error)
{
        unsigned state = conversation->state;
        const char *error = "a frame that may not come now";
        Step step = { .type = STEP_NONE };
        int r = CONVERSATION_REFUSED;

        if (frame->type < ARRAY_SIZE(grammar) && grammar[frame->type].take &&
            (state == EXPECT_SETUP ? frame->type == FRAME_SETUP : (grammar[frame->type].from & state) != 0))
                r = grammar[frame->type].take(conversation, frame, &step, &error);
        if (r < 0)
                return r;
        if (r > 0) {
                conversation->state = EXPECT_NOTHING;
                *ret_error = error;
                return CONVERSATION_REFUSED;
        }
        conversation->state = conversation->file_left > 0 ? EXPECT_DATA : grammar[frame->type].to;
        *ret = step;
        return 0;
}
