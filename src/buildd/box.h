/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One build, seen from outside: the confined process, its scope, and the limits that end it. */

#include "build-config.h"
#include "build-inside.h"

#include "rootless/frame-stream.h"
#include "rootless/identity.h"
#include "rootless/scope.h"

typedef enum BoxFault {
        BOX_SETUP,     /* it could not begin */
        BOX_DIED,      /* it ended without a word */
        BOX_WALL_TIME, /* limits, from here on */
        BOX_MEMORY,
        BOX_PROCESSES,
        BOX_WRITTEN,
        _BOX_FAULT_MAX,
} BoxFault;

/* The name of a limit; NULL where it is none. */
const char *box_fault_limit(BoxFault fault);

typedef struct Box Box;

/* The box may be ended in any of them, and freed in none. */
typedef struct BoxHandlers {
        /* It is in its scope, and begins. */
        void (*started)(Box *box, void *userdata);
        void (*frame)(Box *box, const Frame *frame, void *userdata);
        /* Its queue is empty again. */
        void (*drained)(Box *box, void *userdata);
        /* It ends early. Called once. */
        void (*fault)(Box *box, BoxFault fault, const char *text, void *userdata);
} BoxHandlers;

/* All borrowed. */
typedef struct BoxOptions {
        sd_event *event;
        ScopeManager *scopes;
        const Identity *identity;
        const char *state_folder; /* which it must not see, */
        const char *folder;       /* but for this below it */
        bool limits_enforced;
        const BuildInside *inside; /* without the socket */
        const BoxHandlers *handlers;
        void *userdata;
} BoxOptions;

typedef struct BoxUsage {
        usec_t wall_usec, cpu_usec;
        uint64_t memory_peak; /* 0: the kernel does not say */
        uint64_t written;     /* as last measured */
} BoxUsage;

int box_new(const BoxOptions *options, Box **ret) _warn_unused_;
/* Kills all of it, and waits until it is gone; no handler is called any more. */
void box_end(Box *box);
/* Ends it, where it is not. NULL is allowed. */
Box *box_free(Box *box);
DEFINE_CLEANUP(Box *, box_free)

FrameStream *box_stream(Box *box);
/* NULL before it has one. */
const char *box_scope_name(const Box *box);
void box_read_usage(const Box *box, BoxUsage *ret);
/* Whether a limit of the control group was hit: then that is why it ended, whatever it says itself. */
bool box_check_fault(const Box *box, BoxFault *ret);
/* The disk it took, as measured; ends it where that is too much. */
void box_set_written(Box *box, uint64_t bytes);
/* What it wrote cannot be counted: over its limit. */
void box_end_for_depth(Box *box);
/* Ends it as a host that has no room ends it: that is no limit of the build. */
void box_end_for_disk(Box *box);
