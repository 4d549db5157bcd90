/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What Pipeline needs of a host, looked at check by check: a name, how it stands, and what to do where it is
 * not well. Nothing is changed. */

#include "basic/macro.h"

typedef enum HostVerdict {
        HOST_OK,
        HOST_DOUBTFUL, /* it works; an administrator may want it otherwise */
        HOST_BAD,      /* no job will run, or less safely than is promised */
        _HOST_VERDICT_MAX,
} HostVerdict;

const char *host_verdict_name(HostVerdict verdict);

typedef struct HostFinding {
        const char *check;
        HostVerdict verdict;
        char *text; /* how it stands */
        char *mend; /* what to do; NULL where all is well */
} HostFinding;

/* An array that the caller frees with host_findings_free(). `root` is the folder of the host's root, "/" for
 * this host; only then are programs asked for their versions. */
int host_check(const char *root, HostFinding **ret, size_t *ret_n) _warn_unused_;
void host_findings_free(HostFinding *findings, size_t n);

/* A version, "6.1.170" or with more behind it. Pure; false where it does not begin with a number. */
typedef struct HostVersion {
        unsigned part[3];
        unsigned candidate; /* 2 of "1.4.0-rc.2", which comes before 1.4.0; 0: a release */
} HostVersion;
bool host_version_parse(const char *text, HostVersion *ret);

/* The version in what a program says of itself, with its package's revision where it says that too; NULL
 * where there is none. Pure. */
char *host_version_find(const char *text);

/* Judges the version of `crun`, `runc`, `kernel`, `libseccomp` or `systemd` by what is known of it: too old,
 * or within the range of a known fault. Pure. Fills in verdict, text and mend (new strings). */
int host_version_judge(const char *component, const char *version, HostFinding *finding) _warn_unused_;
