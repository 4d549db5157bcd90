/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The input of a job: a folder named by a URI, turned into FILE and DATA frames a buffer at a time. Where it
 * may lie is a table of schemes; each is one file `input-SCHEME.c`. */

#include "s3-client.h"

#include "basic/io-util.h"
#include "proto/frame.h"

#define INPUT_FILES_MAX 10000U
#define INPUT_PATH_MAX  1024U
#define INPUT_DEPTH_MAX 32U

typedef struct Input Input;

/* What may be read, how much of it, and with what. All borrowed for as long as the input lives. */
typedef struct InputContext {
        char *const *folders; /* file: absolute paths */
        S3Client *s3;         /* NULL: there is no S3, for this reason: */
        const char *no_s3;
        const char *spool_folder; /* what is fetched is kept there, in files without a name */
        uint64_t size_max;        /* of all files together */
        uint64_t n_files_max;     /* INPUT_FILES_MAX is the most */
        /* What had to be fetched is there (`error` NULL), or will not be: called once, from the event loop,
         * where input_open() said INPUT_FETCHING. May free the input. < 0 ends the event loop. */
        int (*fetched)(const char *error, void *userdata);
        void *userdata;
} InputContext;

/* The positive answers. With INPUT_BAD there is a new string that says what is wrong: it goes to the client,
 * so it names nothing that the URI did not name. */
enum {
        INPUT_BAD = 1,
        INPUT_COMPLETE = 2,
        INPUT_FETCHING = 3,
};

/* 0 where it may be filled from at once, INPUT_FETCHING, INPUT_BAD, or -errno where this process is at its
 * end. */
int input_open(const char *uri, const InputContext *context, Input **ret, char **ret_error) _warn_unused_;
Input *input_free(Input *input);
DEFINE_CLEANUP(Input *, input_free)

/* Appends frames until the buffer holds about `size_max` bytes: 0 where more is to come, INPUT_COMPLETE with
 * the INPUT_END frame, INPUT_BAD, or -ENOMEM. */
int input_fill(Input *input, Buffer *out, size_t size_max, char **ret_error) _warn_unused_;

/* How far the fetching is, and what holds it up, for people: a new string; NULL without memory, or where
 * nothing is fetched. */
char *input_progress(const Input *input);

/* For the schemes. An input of theirs begins with this. */
typedef struct InputScheme {
        const char *prefix; /* of the URI; what follows it is given to `open` */
        int (*open)(const char *rest, const InputContext *context, Input **ret, char **ret_error);
        int (*fill)(Input *input, Buffer *out, size_t size_max, char **ret_error);
        void (*free)(Input *input);
        char *(*progress)(const Input *input); /* NULL: nothing is fetched */
} InputScheme;

struct Input {
        const InputScheme *scheme;
};

extern const InputScheme input_file, input_s3;
