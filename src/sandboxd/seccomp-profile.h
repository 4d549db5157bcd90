/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Seccomp profiles: the OCI (docker) profile format in, seccomp programs as bytes out. Compiling takes some
 * 20 ms, so it is done once a profile and never at the start of a sandbox. */

#include "basic/io-util.h"

/* Denials that look at arguments come first, the list of what is allowed second. */
#define SECCOMP_PROGRAMS_MAX 2U

/* Arrays of struct sock_filter, each ready as the payload of one FILTER frame, in the order in which
 * pipeline-init loads them. Zero-initialised is empty. */
typedef struct SeccompPrograms {
        Buffer programs[SECCOMP_PROGRAMS_MAX];
        size_t n_programs;
} SeccompPrograms;

void seccomp_programs_done(SeccompPrograms *programs);

/* What can be wrong with a profile; `ret_error` then says in which file, where, and what. It is a new
 * string, written for these results only. */
enum {
        SECCOMP_PROFILE_UNKNOWN = 1, /* not a name (slug of docs/PROTOCOL.md), or no such file */
        SECCOMP_PROFILE_BAD = 2,     /* not a profile, or one that asks for what is not supported */
};

/* Compiles NAME.json of /etc/pipeline/profiles (the administrator's), or else of the package's folder, for
 * the machine's own architecture. */
int seccomp_profile_load(const char *name, SeccompPrograms *ret, char **ret_error) _warn_unused_;

/* The names of all profiles in both folders, sorted, each once. A missing folder is an empty one. */
int seccomp_profile_list(char ***ret) _warn_unused_;

/* A profile, parsed. The members are those of the format; enumerations are libseccomp's. */
typedef struct SeccompErrno {
        bool is_set; /* EPERM where not */
        uint64_t value;
} SeccompErrno;

typedef struct SeccompArgument {
        uint64_t index, value, value_two;
        uint32_t op; /* enum scmp_compare */
} SeccompArgument;

typedef struct SeccompCondition {
        char **architectures; /* as Go names them */
        char **capabilities;
        char *kernel; /* MAJOR.MINOR, at least */
} SeccompCondition;

typedef struct SeccompRule {
        char **names;
        uint32_t action; /* SCMP_ACT_…, without the errno */
        SeccompErrno error;
        SeccompArgument *arguments;
        size_t n_arguments;
        SeccompCondition includes, excludes;
} SeccompRule;

typedef struct SeccompArchitecture {
        char *name; /* SCMP_ARCH_… */
        char **sub_architectures;
} SeccompArchitecture;

typedef struct SeccompProfile {
        uint32_t default_action;
        SeccompErrno default_error;
        SeccompArchitecture *architectures;
        size_t n_architectures;
        SeccompRule *rules;
        size_t n_rules;
} SeccompProfile;

SeccompProfile *seccomp_profile_free(SeccompProfile *profile);
DEFINE_CLEANUP(SeccompProfile *, seccomp_profile_free)

/* Pure: text to profile. SECCOMP_PROFILE_BAD, with an error such as `syscalls[12].args[0].op: …`. */
int seccomp_profile_parse(const char *text, size_t size, SeccompProfile **ret,
                          char **ret_error) _warn_unused_;

/* Profile to programs for an architecture, named as libseccomp does (`x86_64`, `aarch64`). Touches nothing
 * outside. SECCOMP_PROFILE_BAD where the profile has no entry for it in archMap, or its rules contradict. */
int seccomp_profile_compile(const SeccompProfile *profile, const char *architecture, SeccompPrograms *ret,
                            char **ret_error) _warn_unused_;
