/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The checks: each says how one thing stands. 0, or -ENOMEM. */

#include "host-look.h"

/* host-kernel.c */
int host_check_cgroups(const Host *host, HostFinding *f) _warn_unused_;
int host_check_user_namespaces(const Host *host, HostFinding *f) _warn_unused_;
int host_check_namespaces(const Host *host, HostFinding *f) _warn_unused_;
int host_check_apparmor(const Host *host, HostFinding *f) _warn_unused_;
int host_check_smt(const Host *host, HostFinding *f) _warn_unused_;

/* host-user.c, of host->user */
int host_check_user(const Host *host, HostFinding *f) _warn_unused_;
int host_check_controllers(const Host *host, HostFinding *f) _warn_unused_;
int host_check_linger(const Host *host, HostFinding *f) _warn_unused_;
int host_check_manager(const Host *host, HostFinding *f) _warn_unused_;
int host_check_drop_in(const Host *host, HostFinding *f) _warn_unused_;
int host_check_swap(const Host *host, HostFinding *f) _warn_unused_;
int host_check_subordinate_ids(const Host *host, HostFinding *f) _warn_unused_;

/* host-program.c */
int host_check_kernel(const Host *host, HostFinding *f) _warn_unused_;
int host_check_crun(const Host *host, HostFinding *f) _warn_unused_;
int host_check_runc(const Host *host, HostFinding *f) _warn_unused_;
int host_check_systemd(const Host *host, HostFinding *f) _warn_unused_;
int host_check_libseccomp(const Host *host, HostFinding *f) _warn_unused_;
