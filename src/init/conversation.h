/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What sandboxd says to pipeline-init, from SETUP to START: which frame may come when, and what
 * it may hold. */

#include "basic/io-util.h"
#include "proto/frame.h"

#define INPUT_PATH_MAX    1024U
#define INPUT_FILES_MAX   10000U
#define FILTERS_MAX       2U
#define WANTED_MAX        8U
#define WANTED_NAME_MAX   255U
#define WORD_STRINGS_MAX  8192U /* arguments, and as many variables */
#define FOLDER_LENGTH_MAX 4095U

/* Everything that was said. Zero-initialised is the beginning. */
typedef struct Conversation {
        unsigned state; /* private */
        InitSetup setup;
        char **arguments, **environment; /* owned, each one block */
        char *folder;                    /* owned */
        Buffer filters[FILTERS_MAX];
        size_t n_filters;
        char *wanted[WANTED_MAX]; /* owned */
        size_t n_wanted;
        size_t n_files;
        uint64_t file_left; /* bytes still to come for the file announced last */
} Conversation;

void conversation_done(Conversation *conversation);

/* What is to be done now that a frame was taken. */
typedef enum StepType {
        STEP_NONE,
        STEP_MOUNT, /* the limits are known: make the writable file system */
        STEP_FILE,  /* make a file: `path`, `executable`; it stays open for data until the next one */
        STEP_DATA,  /* append `data` to it */
        STEP_START, /* all was said: start the guest */
} StepType;

typedef struct Step {
        StepType type;
        bool executable;
        char path[INPUT_PATH_MAX + 1];
        const uint8_t *data; /* borrowed from the frame */
        size_t size;
} Step;

/* Takes the next frame. Returns 0, -ENOMEM, or CONVERSATION_REFUSED where it may not come now, or holds what
 * it must not: `ret_error` says which (a literal), and nothing that comes later is of any use. */
enum {
        CONVERSATION_REFUSED = 1,
};
int conversation_take(Conversation *conversation, const Frame *frame, Step *ret,
                      const char **ret_error) _warn_unused_;

/* Whether a path of `size` bytes stays below the folder it is meant for: relative, without NUL, without
 * empty, `.` or `..` parts, at most `size_max` bytes. */
bool path_is_beneath(const char *path, size_t size, size_t size_max);
