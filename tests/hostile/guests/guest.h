/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A hostile guest: the exercise's name says what it tries. What it found goes into results.json, in the
 * member `found`: for each call it tried the errno, 0 where it worked; or a number.
 *
 *   run.sh CASE IN/ OUT/
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (1U << 20)

typedef struct Case {
        const char *name;
        int (*run)(void);
} Case;

/* A letter a file; each ends with an empty row. */
extern const Case cases_a[], cases_b[], cases_c[], cases_d[], cases_e[], cases_f[], cases_g[], cases_h[],
        cases_m[], cases_surface[];

extern const char *program, *in_folder, *out_folder;

void note(const char *name, long value);
void note_text(const char *name, const char *text);
/* The errno of a call, 0 where it worked. */
#define TRY(name, call)                             \
        do {                                        \
                errno = 0;                          \
                long r_ = (long) (call);            \
                note((name), r_ < 0 ? (errno) : 0); \
        } while (0)

/* Writes the result with what was noted; the exit status. */
int finish(void);
/* OUT/name, open for writing. */
FILE *out_open(const char *name);
/* Writes `text` as results.json; the exit status. */
int out_text(const char *text);
const char *out_path(const char *name);
int open_for_writing(const char *path);
/* < 0 where not one byte can be read of it. */
int read_byte(const char *path);
void sleep_milliseconds(unsigned n);
/* Whether a child can be had, and ends. */
bool fork_one(void);
_Noreturn void wait_for_the_end(void);
