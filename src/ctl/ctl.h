/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The frame of pipelinectl: a verb is a file `ctl-verb-NAME.c` with one CtlVerb, listed in the table of
 * ctl.c. */

#include "basic/macro.h"

/* Exit codes, the same for every verb. */
typedef enum CtlExit {
        CTL_OK = 0,
        CTL_FAILED = 1,      /* it was tried and did not work; standard error says why */
        CTL_USAGE = 2,       /* the command line is not understood */
        CTL_NOT_ALLOWED = 3, /* a right is missing; standard error names the command that gives it */
        CTL_NO_ANSWER = 4,   /* no router, or none that answered in time */
} CtlExit;

/* The options every verb has. */
typedef struct Ctl {
        const char *router;   /* ZeroMQ address; NULL: the unix socket of the package */
        const char *key;      /* file of the key to speak to it with; NULL: none */
        const char *registry; /* folder of the embedded registry */
        bool json;            /* JSON on standard output, and nothing else */
        /* Of requests with `progress`; or NULL. */
        void (*on_progress)(const char *text, uint64_t step, uint64_t n_steps, void *userdata);
        void *progress_userdata;
        bool color; /* colours are wanted: a terminal, no NO_COLOR, no --no-color, no --json */
} Ctl;

typedef enum CtlOptionKind {
        CTL_FLAG, /* `value` is a bool *, set to true */
        CTL_TEXT, /* `value` is a const char **, borrows from argv */
        CTL_LIST, /* `value` is a char ***, a strv that grows by a copy each time */
} CtlOptionKind;

typedef struct CtlOption {
        const char *name; /* long, without dashes */
        CtlOptionKind kind;
        void *value;
        const char *metavar, *help; /* metavar is NULL for flags */
} CtlOption;

typedef struct CtlVerb {
        const char *name;
        /* "CHANNEL TRACK [VERSION]": what is in brackets may be left out; `...` behind the last word: and
         * more of them. */
        const char *arguments;
        /* One line for the list of verbs. */
        const char *summary;
        /* argv[0] is the verb. Returns a CtlExit, or -errno where nothing was said yet. */
        int (*run)(Ctl *ctl, const struct CtlVerb *verb, int argc, char **argv);
} CtlVerb;

/* Takes the options, those of every verb and the verb's own, out of argv wherever they stand (until `--`),
 * and checks the number of the arguments that remain, which are then argv[1] to argv[*ret_argc - 1].
 * CTL_USAGE where it does not fit (said), CTL_HELP where help was asked for (given): return either. */
enum {
        CTL_HELP = 100,
};
int ctl_parse(Ctl *ctl, const CtlVerb *verb, int argc, char **argv, const CtlOption *options,
              size_t n_options, int *ret_argc) _warn_unused_;

/* "pipelinectl VERB: …" on standard error. Returns `code`. */
int ctl_fail(const CtlVerb *verb, int code, const char *format, ...) _printf_(3, 4);

/* The name of a channel that has versions, for a name it is known by, or NULL. */
const char *ctl_channel(const char *name);
#define CTL_NO_CHANNEL "there is no channel %s; there are test_runners, static_analyzers and representers"

/* A terminal's control sequence for the style, or "" where no colours are wanted. */
typedef enum CtlStyle {
        CTL_NORMAL,
        CTL_BOLD,
        CTL_DIM,
        CTL_GOOD,
        CTL_BAD,
        CTL_DOUBTFUL,
        _CTL_STYLE_MAX,
} CtlStyle;
const char *ctl_style(const Ctl *ctl, CtlStyle style);
