/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One sandbox: a scope, a container in it, and pipeline-init waiting for a job; used once,
 * then wholly gone. */

#include "bundle.h"
#include "config.h"
#include "launcher.h"
#include "rootless/cgroup-watch.h"
#include "rootless/fitness.h"
#include "rootless/frame-stream.h"
#include "rootless/scope.h"

#include "basic/list.h"

typedef enum SandboxState {
        SANDBOX_NEW,
        SANDBOX_SCOPING,  /* a process that waits; its scope is asked for */
        SANDBOX_STARTING, /* the process, in its scope, became the OCI runtime */
        SANDBOX_PARKED,   /* pipeline-init waits for a job */
        SANDBOX_TAKEN,    /* a job has it: its limits, then its input */
        SANDBOX_TOLD,     /* pipeline-init was told to start the guest */
        SANDBOX_RUNNING,  /* the guest runs */
        SANDBOX_LEAVING,  /* the guest has ended, pipeline-init sends what it left */
        SANDBOX_ENDING,   /* killed; not all is gone yet */
        SANDBOX_DEAD,     /* no process, id or file is left */
        _SANDBOX_STATE_MAX,
} SandboxState;

/* Why a sandbox is of no use any more. */
typedef enum SandboxFault {
        SANDBOX_FAULT_SETUP,     /* it could not be made, or broke down */
        SANDBOX_FAULT_MEMORY,    /* the kernel killed a process for want of memory */
        SANDBOX_FAULT_PROCESSES, /* the kernel refused a process */
        SANDBOX_FAULT_TIME,      /* the guest ran beyond its deadline */
        SANDBOX_FAULT_AGE,       /* it was PARKED for long enough */
} SandboxFault;

typedef struct Sandbox Sandbox;

/* What its owner hears. The owner may call sandbox_end() in any of them. */
typedef struct SandboxHandlers {
        void (*ready)(Sandbox *sandbox, void *owner);                     /* PARKED */
        void (*limited)(Sandbox *sandbox, void *owner);                   /* TAKEN, and the limits hold */
        void (*frame)(Sandbox *sandbox, const Frame *frame, void *owner); /* of pipeline-init */
        void (*drained)(Sandbox *sandbox, void *owner);                   /* it took all frames */
        /* It shall be ended. `text` says what went wrong, borrowed. */
        void (*fault)(Sandbox *sandbox, SandboxFault fault, const char *text, void *owner);
} SandboxHandlers;

/* What all sandboxes share. */
typedef struct SandboxContext {
        sd_event *event;
        ScopeManager *scopes;
        const Config *config;
        const Identity *identity;
        const char *runtime_folder, *init_program;
        const Runtime *runtime;
        Launcher *launcher;
        const Fitness *fitness;
        uint64_t guests_used[4096 / 64];                /* a bit for each guest's id in use */
        void (*dead)(Sandbox *sandbox, void *userdata); /* free it, but not from within */
        void *userdata;
} SandboxContext;

struct Sandbox {
        SandboxContext *context;
        SandboxState state;
        char *name, *image, *folder;
        uint32_t guest;
        bool has_guest;
        pid_t pid; /* of the OCI runtime; 0: reaped */
        int release_fd, errors_fd;
        Scope *scope;
        Cgroup cgroup;
        CgroupWatch watch;
        CgroupLimits limits;
        usec_t cpu_base_usec;
        bool is_overdue;    /* RUNNING, beyond the guest's deadline */
        FrameStream stream; /* to pipeline-init */
        sd_event_source *child, *timer;
        const SandboxHandlers *handlers;
        void *owner;
        ListLink link; /* its context's owner's */
};

/* Makes one for an image, whose root file system lies at `rootfs`; it parks when it is ready. `limits` are
 * those of the job it is likely to get. SANDBOX_NO_ID where every guest's id is in use. */
enum {
        SANDBOX_NO_ID = 1,
};
int sandbox_new(SandboxContext *context, const char *image, const char *rootfs, const Limits *limits,
                Sandbox **ret) _warn_unused_;
/* Only of one that is DEAD, or with the whole daemon. */
Sandbox *sandbox_free(Sandbox *sandbox);

void sandbox_set_owner(Sandbox *sandbox, const SandboxHandlers *handlers, void *owner);
/* PARKED only: puts the limits of a job on it, where it has others. `limited` is called when they hold,
 * perhaps before this returns. */
int sandbox_take(Sandbox *sandbox, const Limits *limits) _warn_unused_;
/* TAKEN only: tells pipeline-init to start the guest. */
int sandbox_start_guest(Sandbox *sandbox) _warn_unused_;
/* pipeline-init said that the guest runs, that it has ended: from now on another deadline holds. */
int sandbox_guest_started(Sandbox *sandbox, usec_t wall_usec) _warn_unused_;
int sandbox_guest_ended(Sandbox *sandbox) _warn_unused_;

/* Whether the kernel has counted a limit as hit, though no event said so yet. */
bool sandbox_check_fault(const Sandbox *sandbox, SandboxFault *ret);

typedef struct SandboxUsage {
        usec_t cpu_usec;                      /* since it was taken */
        uint64_t memory_peak, processes_peak; /* 0: the kernel does not say */
} SandboxUsage;
void sandbox_read_usage(const Sandbox *sandbox, SandboxUsage *ret);

/* Kills all of it. The owner hears nothing any more. */
void sandbox_end(Sandbox *sandbox);

static inline const char *sandbox_scope_name(const Sandbox *sandbox)
{
        return sandbox->scope ? scope_name(sandbox->scope) : NULL;
}
