/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The input of a job: a folder named by a URI, turned into FILE and DATA frames a buffer at a time. Where it
 * may lie is a table of schemes; each is one file `input-SCHEME.c`. */

#include "basic/io-util.h"
#include "proto/frame.h"

#define INPUT_FILES_MAX 10000U
#define INPUT_PATH_MAX  1024U
#define INPUT_DEPTH_MAX 32U

/* What may be read, and how much of it. */
typedef struct InputLimits {
        char *const *folders; /* file: absolute paths; borrowed for as long as the input lives */
        uint64_t size_max;    /* of all files together */
} InputLimits;

typedef struct Input Input;

/* The positive answers. With INPUT_BAD there is a new string that says what is wrong: it goes to the client,
 * so it names nothing that the URI did not name. */
enum {
        INPUT_BAD = 1,
        INPUT_COMPLETE = 2,
};

/* 0, INPUT_BAD, or -ENOMEM. */
int input_open(const char *uri, const InputLimits *limits, Input **ret, char **ret_error) _warn_unused_;
Input *input_free(Input *input);
DEFINE_CLEANUP(Input *, input_free)

/* Appends frames until the buffer holds about `size_max` bytes: 0 where more is to come, INPUT_COMPLETE with
 * the INPUT_END frame, INPUT_BAD, or -ENOMEM. */
int input_fill(Input *input, Buffer *out, size_t size_max, char **ret_error) _warn_unused_;

/* For the schemes. An input of theirs begins with this. */
typedef struct InputScheme {
        const char *prefix; /* of the URI; what follows it is given to `open` */
        int (*open)(const char *rest, const InputLimits *limits, Input **ret, char **ret_error);
        int (*fill)(Input *input, Buffer *out, size_t size_max, char **ret_error);
        void (*free)(Input *input);
} InputScheme;

struct Input {
        const InputScheme *scheme;
};

extern const InputScheme input_file;

/* Says what is wrong: INPUT_BAD, or -ENOMEM. Takes `message`. */
int input_bad(char **ret_error, char *message) _warn_unused_;
