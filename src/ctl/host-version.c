/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Versions and their known faults: two tables. Only faults that a guest could reach, through the profile and
 * the way sandboxes are made, make a version bad. */

#include "host.h"

#include "basic/string-util.h"

#include <errno.h>
#include <stdio.h>

/* The least that has what is needed. */
static const struct {
        const char *component;
        HostVersion least;
        const char *why;
} needs[] = {
        { "kernel", { { 5, 14, 0 } }, "cgroup.kill" },
        { "systemd", { { 252, 0, 0 } }, "scopes with limits in user managers" },
        { "crun", { { 1, 4, 4 } }, "CVE-2022-27650: capabilities that are inherited" },
        { "runc", { { 1, 1, 12 } }, "CVE-2024-21626: a descriptor of the host in the container" },
        { "libseccomp", { { 2, 5, 4 } }, "system calls of this kernel's age" },
};

/* From `first` on, before `mended`. */
static const struct {
        const char *component;
        HostVersion first, mended;
        HostVerdict verdict;
        const char *what;
} faults[] = {
        { "kernel",
          { { 5, 8, 0 } },
          { { 5, 10, 102 } },
          HOST_BAD,
          "CVE-2022-0847: writes to read-only files" },
        { "kernel",
          { { 5, 11, 0 } },
          { { 5, 15, 25 } },
          HOST_BAD,
          "CVE-2022-0847: writes to read-only files" },
        { "kernel",
          { { 5, 16, 0 } },
          { { 5, 16, 11 } },
          HOST_BAD,
          "CVE-2022-0847: writes to read-only files" },
        { "kernel",
          { { 6, 1, 0 } },
          { { 6, 1, 37 } },
          HOST_BAD,
          "CVE-2023-3269: memory maps used after free" },
        { "kernel",
          { { 6, 2, 0 } },
          { { 6, 3, 11 } },
          HOST_BAD,
          "CVE-2023-3269: memory maps used after free" },
        { "kernel",
          { { 6, 4, 0 } },
          { { 6, 4, 1 } },
          HOST_BAD,
          "CVE-2023-3269: memory maps used after free" },
        { "runc",
          { { 1, 2, 0 } },
          { { 1, 2, 8 } },
          HOST_DOUBTFUL,
          "CVE-2025-31133 and others, by links in images" },
        { "runc",
          { { 1, 3, 0 } },
          { { 1, 3, 3 } },
          HOST_DOUBTFUL,
          "CVE-2025-31133 and others, by links in images" },
        { "libseccomp",
          { { 2, 6, 0 } },
          { { 2, 6, 1 } },
          HOST_DOUBTFUL,
          "GHSA-4q85-33p6-j5g6: comparisons of arguments that are merged" },
};

bool host_version_parse(const char *text, HostVersion *ret)
{
        HostVersion version = {};

        if (sscanf(text, "%u.%u.%u", &version.part[0], &version.part[1], &version.part[2]) < 1)
                return false;
        *ret = version;
        return true;
}

static bool is_before(const HostVersion *a, const HostVersion *b)
{
        for (size_t i = 0; i < ARRAY_SIZE(a->part); i++)
                if (a->part[i] != b->part[i])
                        return a->part[i] < b->part[i];
        return false;
}

static int say(HostFinding *finding, HostVerdict verdict, char *text, char *mend)
{
        finding->verdict = verdict;
        finding->text = text;
        finding->mend = mend;
        return text && (mend || verdict == HOST_OK) ? 0 : -ENOMEM;
}

static const char *find_need(const char *component, const HostVersion *version, HostVersion *ret_least)
{
        for (size_t i = 0; i < ARRAY_SIZE(needs); i++)
                if (streq(needs[i].component, component) && is_before(version, &needs[i].least)) {
                        *ret_least = needs[i].least;
                        return needs[i].why;
                }
        return NULL;
}

int host_version_judge(const char *component, const char *text, HostFinding *finding)
{
        HostVersion version, wanted;
        const char *why;

        if (!host_version_parse(text, &version))
                return say(finding, HOST_DOUBTFUL,
                           string_format("%s: version %s is not understood", component, text),
                           strdup("look yourself whether it is kept up to date"));
        why = find_need(component, &version, &wanted);
        if (why)
                return say(finding, HOST_BAD, string_format("%s %s: %s", component, text, why),
                           string_format("update it to %u.%u.%u or newer", wanted.part[0], wanted.part[1],
                                         wanted.part[2]));
        for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
                if (streq(faults[i].component, component) && !is_before(&version, &faults[i].first) &&
                    is_before(&version, &faults[i].mended))
                        return say(finding, faults[i].verdict,
                                   string_format("%s %s: %s", component, text, faults[i].what),
                                   string_format("update it to %u.%u.%u or newer", faults[i].mended.part[0],
                                                 faults[i].mended.part[1], faults[i].mended.part[2]));
        return say(finding, HOST_OK, string_format("%s %s", component, text), NULL);
}
