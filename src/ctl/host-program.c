/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The versions of what Pipeline stands on. The kernel says its own; programs and libraries are asked, where
 * the host is this one. */

#include "host-checks.h"

#include "basic/string-util.h"
#include "shared/process-util.h"

#include <dlfcn.h>
#include <errno.h>

#define VERSION_USEC (5 * USEC_PER_SEC)

/* The kernel's own number: distributions keep the name of a series and say behind "Debian" what it is. */
int host_check_kernel(const Host *host, HostFinding *f)
{
        _cleanup_free_ char *version = host_read_text(host, "proc/version"), *release = NULL;
        char *debian = version ? strstr(version, "Debian ") : NULL;
        HostVersion unused;

        /* "gcc (Debian 12.2.0-14)" stands there too: the last one is it. */
        for (char *next = debian; next && (next = strstr(next + 1, "Debian "));)
                debian = next;
        if (debian && host_version_parse(debian + strlen("Debian "), &unused)) {
                debian += strlen("Debian ");
                debian[strcspn(debian, " )")] = '\0';
                return host_version_judge("kernel", debian, f);
        }
        release = host_read_text(host, "proc/sys/kernel/osrelease");
        return host_version_judge("kernel", release ?: "unknown", f);
}

/* NULL where there is no such program. */
static char *ask_version(const char *program)
{
        const char *const argv[] = { program, "--version", NULL };
        const ProcessOptions options = { .argv = argv,
                                         .timeout_usec = VERSION_USEC,
                                         .output_size_max = 4096 };
        ProcessResult result = {};
        char *found = NULL;

        if (process_run(&options, &result) == 0) {
                _cleanup_free_ char *text =
                        strndup((const char *) result.output.data ?: "", result.output.size);

                found = text ? host_version_find(text) : NULL;
                process_result_done(&result);
        }
        return found;
}

static int check_program(const Host *host, const char *program, bool is_needed, HostFinding *f)
{
        _cleanup_free_ char *version = host->is_this ? ask_version(program) : NULL;

        if (version)
                return host_version_judge(program, version, f);
        if (!is_needed || !host->is_this)
                return host_well(f, strdup(host->is_this ? "not installed, and not needed" : "not asked"));
        return host_finding(f, HOST_BAD, string_format("%s is not installed", program),
                            string_format("apt install %s", program));
}

int host_check_crun(const Host *host, HostFinding *f)
{
        return check_program(host, "crun", true, f);
}

int host_check_runc(const Host *host, HostFinding *f)
{
        return check_program(host, "runc", false, f);
}

int host_check_systemd(const Host *host, HostFinding *f)
{
        _cleanup_free_ char *version = host->is_this ? ask_version("systemctl") : NULL;

        return version ? host_version_judge("systemd", version, f) : host_well(f, strdup("not asked"));
}

/* The library says it itself; it is sandboxd that uses it, so it need not be there for this program. */
int host_check_libseccomp(const Host *host, HostFinding *f)
{
        struct LibraryVersion {
                unsigned major, minor, micro;
        };
        _cleanup_free_ char *text = NULL;
        const struct LibraryVersion *(*ask)(void) = NULL;
        void *library = host->is_this ? dlopen("libseccomp.so.2", RTLD_NOW | RTLD_LOCAL) : NULL;
        int r;

        if (library)
                *(void **) &ask = dlsym(library, "seccomp_version");
        if (ask)
                text = string_format("%u.%u.%u", ask()->major, ask()->minor, ask()->micro);
        if (text)
                r = host_version_judge("libseccomp", text, f);
        else if (!host->is_this)
                r = host_well(f, strdup("not asked"));
        else
                r = host_finding(f, HOST_BAD, strdup("libseccomp is not installed"),
                                 strdup("apt install libseccomp2"));
        if (library)
                (void) dlclose(library);
        return r;
}
