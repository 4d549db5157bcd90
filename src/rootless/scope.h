/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Transient scopes of the daemon's own user manager: each sandbox lives in one, with its limits on it. */

#include "cgroup.h"

#include <systemd/sd-event.h>

typedef struct ScopeManager ScopeManager;

/* The user manager is there (and nothing of an earlier process is left in it), or it is lost. */
typedef void (*ScopeManagerHandler)(ScopeManager *manager, bool is_there, void *userdata);

/* Connects to it directly, without a bus, and again whenever the connection is lost. Scopes are named
 * KIND-HASH-NAME.scope, after the folder that only one daemon can have: so each ends what is its own. Those
 * that an earlier process left are killed first. */
int scope_manager_new(sd_event *event, const char *kind, const char *folder, ScopeManagerHandler handler,
                      void *userdata, ScopeManager **ret) _warn_unused_;
/* Every Scope of it was freed before. */
ScopeManager *scope_manager_free(ScopeManager *manager);
DEFINE_CLEANUP(ScopeManager *, scope_manager_free)

/* The manager's own control group, below the mount of cgroup v2; NULL before it is there. */
const char *scope_manager_cgroup(const ScopeManager *manager);
/* The path of a group `below` that of the scope which scope_new() makes for `name`; NULL without memory. */
char *scope_cgroup_below(const ScopeManager *manager, const char *name, const char *below);

typedef struct Scope Scope;

/* What was asked for is done, or failed with -errno. */
typedef void (*ScopeHandler)(Scope *scope, int error, void *userdata);

/* Starts a scope around a process. `limits` are then on it; it ends by itself after `runtime_usec`, whatever
 * becomes of the daemon. -ENOTCONN without a manager. */
int scope_new(ScopeManager *manager, const char *name, pid_t pid, const CgroupLimits *limits,
              usec_t runtime_usec, ScopeHandler handler, void *userdata, Scope **ret) _warn_unused_;
/* Other limits from now on; the same handler is called when they hold. */
int scope_set_limits(Scope *scope, const CgroupLimits *limits) _warn_unused_;
/* No handler is called any more. The unit itself goes when its last process is gone. NULL is allowed. */
Scope *scope_free(Scope *scope);

/* KIND-HASH-NAME.scope */
const char *scope_name(const Scope *scope);
