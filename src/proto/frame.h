/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The frames of docs/PROTOCOL.md part 3 and 4: what goes over the sandbox socket, and over the one socket
 * that leads into a container. Bytes to structs and back, nothing else. */

#include "basic/io-util.h"

#define FRAME_HEADER_SIZE 8U
#define FRAME_PAYLOAD_MAX (64U * 1024U)

typedef enum FrameType {
        /* From worker to sandboxd. */
        FRAME_ORDER = 1, /* JSON: what is wanted */
        FRAME_BLOB = 2,  /* a descriptor; payload: its digest */

        /* Files, in both directions and on both sockets. */
        FRAME_FILE = 3, /* u64 size, path; DATA of that size follows. Flag: FRAME_FLAG_EXECUTABLE */
        FRAME_DATA = 4, /* bytes of the file announced last */
        FRAME_INPUT_END = 5,

        /* From sandboxd to pipeline-init. */
        FRAME_SETUP = 6,       /* InitSetup */
        FRAME_ARGUMENTS = 7,   /* strings, each ended by NUL */
        FRAME_ENVIRONMENT = 8, /* the same */
        FRAME_FOLDER = 9,      /* the working directory, one string */
        FRAME_FILTER = 10,     /* a seccomp program, struct sock_filter[]; may come more than once */
        FRAME_WANTED = 11,     /* name of a result file to send back; may come more than once */
        FRAME_START = 12,

        /* From pipeline-init to sandboxd, and on to the worker where it says so. */
        FRAME_READY = 13,   /* waiting for a job */
        FRAME_STARTED = 14, /* the guest runs; sandboxd adds JSON {"scope": …} for the worker */
        FRAME_STDOUT = 15,  /* bytes; on to the worker */
        FRAME_STDERR = 16,  /* bytes; on to the worker */
        FRAME_RESULT = 17,  /* u8 ResultState, u64 size, name; DATA follows where OK; on to the worker */
        FRAME_EXIT = 18,    /* InitExit; last */
        FRAME_FAILED = 19,  /* text: what could not be set up; last. Flag: FRAME_FLAG_PROGRAM */

        /* From sandboxd to worker: the answer, last on the connection. */
        FRAME_ANSWER = 20, /* JSON */

        /* From pipeline-init to sandboxd. */
        FRAME_ENDED = 21, /* the guest has ended or is being killed: what follows is what it left */
        _FRAME_TYPE_MAX,
} FrameType;

#define FRAME_FLAG_EXECUTABLE 1U
/* Of FAILED: the program or working folder that was asked for is at fault, not the set-up. */
#define FRAME_FLAG_PROGRAM 1U

typedef struct Frame {
        uint16_t type, flags;
        const uint8_t *payload; /* borrowed from the buffer it was read in */
        uint32_t size;
} Frame;

typedef enum ResultState {
        RESULT_OK,
        RESULT_MISSING,
        RESULT_NOT_REGULAR, /* a link, folder, device, pipe or socket, or more than one name */
        RESULT_TOO_LARGE,
        RESULT_UNREADABLE,
        _RESULT_STATE_MAX,
} ResultState;

/* What ended the guest, as pipeline-init saw it. Memory and processes are sandboxd's to see. */
typedef enum ExitCause {
        EXIT_CAUSE_EXITED,
        EXIT_CAUSE_SIGNALED,
        EXIT_CAUSE_WALL_TIME,
        EXIT_CAUSE_OUTPUT,  /* a stream went over its limit */
        EXIT_CAUSE_WRITTEN, /* the writable file system is full, by bytes or inodes */
        _EXIT_CAUSE_MAX,
} ExitCause;

/* Fixed-size payloads: little-endian, no padding; encoded field by field. */
typedef struct InitSetup {
        uint64_t wall_usec;    /* from the start of the guest */
        uint64_t output_size;  /* a stream */
        uint64_t result_size;  /* a result file */
        uint64_t written_size; /* all of the writable file system */
        uint64_t inodes;       /* likewise */
        uint64_t open_files;
        uint64_t guest_id; /* uid and gid inside the container */
} InitSetup;

#define INIT_SETUP_SIZE (7U * 8U)

typedef struct InitExit {
        uint64_t cause;  /* ExitCause */
        uint64_t status; /* the exit status, or the signal's number */
        uint64_t wall_usec;
        uint64_t user_usec, system_usec;   /* of the reaped children */
        uint64_t written_size, inodes;     /* in use when the guest was dead */
        uint64_t stdout_size, stderr_size; /* what the guest wrote, up to the limit and one read more */
} InitExit;

#define INIT_EXIT_SIZE (9U * 8U)

/* Reads one frame at the start of `size` bytes. Returns 0 or one of these. */
enum {
        /* More bytes are needed. */
        FRAME_INCOMPLETE = 1,
        /* An unknown type, or a payload over FRAME_PAYLOAD_MAX: the connection is of no more use. */
        FRAME_MALFORMED = 2,
};
int frame_parse(const uint8_t *data, size_t size, Frame *ret) _warn_unused_;
static inline size_t frame_total_size(const Frame *frame)
{
        return FRAME_HEADER_SIZE + frame->size;
}

/* Appends a frame; `size` is at most FRAME_PAYLOAD_MAX. -ENOBUFS where the buffer would grow over
 * `size_max`. */
int frame_append(Buffer *buffer, FrameType type, uint16_t flags, const void *payload, size_t size,
                 size_t size_max) _warn_unused_;

/* FILE: `path` is borrowed from the frame and `path_size` long, without NUL inside. FRAME_MALFORMED. */
typedef struct FrameFile {
        uint64_t size;
        const char *path;
        size_t path_size;
} FrameFile;
int frame_parse_file(const Frame *frame, FrameFile *ret) _warn_unused_;
int frame_append_file(Buffer *buffer, uint16_t flags, uint64_t size, const char *path,
                      size_t size_max) _warn_unused_;

/* RESULT: likewise. */
typedef struct FrameResult {
        ResultState state;
        uint64_t size;
        const char *name;
        size_t name_size;
} FrameResult;
int frame_parse_result(const Frame *frame, FrameResult *ret) _warn_unused_;
int frame_append_result(Buffer *buffer, ResultState state, uint64_t size, const char *name,
                        size_t size_max) _warn_unused_;

int frame_parse_setup(const Frame *frame, InitSetup *ret) _warn_unused_;
int frame_append_setup(Buffer *buffer, const InitSetup *setup, size_t size_max) _warn_unused_;
int frame_parse_exit(const Frame *frame, InitExit *ret) _warn_unused_;
int frame_append_exit(Buffer *buffer, const InitExit *exit, size_t size_max) _warn_unused_;

/* ARGUMENTS, ENVIRONMENT: a new array of strings that point into one new block (free the array,
 * that is all); at most `n_max` of them. FRAME_MALFORMED where the payload does not end with NUL or
 * holds too many. */
int frame_parse_strings(const Frame *frame, size_t n_max, char ***ret) _warn_unused_;
/* -E2BIG where they do not fit into one frame. */
int frame_append_strings(Buffer *buffer, FrameType type, char *const *strings,
                         size_t size_max) _warn_unused_;
