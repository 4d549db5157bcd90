/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A text is a profile or an error that says why; a small profile compiles for both architectures or says why
 * not. (Filters that were too large broke libseccomp's memory: GHSA-46fr, GHSA-2hqh.) */

#include "fuzz.h"

#include "sandboxd/seccomp-profile.h"

#include <linux/filter.h>
#include <stdio.h>

#define N_RULES_COMPILED 8U /* libseccomp takes its time */
#define SIZE_COMPILED    4096U

static void compile(const SeccompProfile *profile, const char *architecture)
{
        _cleanup_(seccomp_programs_done) SeccompPrograms programs = {};
        _cleanup_free_ char *error = NULL;

        if (seccomp_profile_compile(profile, architecture, &programs, &error) == 0) {
                if (programs.n_programs == 0 || error)
                        abort();
                for (size_t i = 0; i < programs.n_programs; i++)
                        if (programs.programs[i].size == 0 ||
                            programs.programs[i].size > BPF_MAXINSNS * sizeof(struct sock_filter))
                                abort();
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(seccomp_profile_freep) SeccompProfile *profile = NULL;
        _cleanup_free_ char *error = NULL;
        int r;

        r = seccomp_profile_parse((const char *) data, size, &profile, &error);
        if ((r == 0) != (profile != NULL) || (r == SECCOMP_PROFILE_BAD) != (error != NULL))
                abort();
        if (r == 0 && profile->n_rules <= N_RULES_COMPILED && size <= SIZE_COMPILED) {
                compile(profile, "x86_64");
                compile(profile, "aarch64");
        }
        return 0;
}
