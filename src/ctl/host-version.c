/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Versions and their known faults: tables. Only faults that a guest could reach, through the profile and the
 * way sandboxes are made, make a version bad.
 *
 * Some are known and stand in no table, since neither a guest nor an image comes to them here, whatever the
 * version.
 *
 * CVE-2025-24965, crun before 1.20: its krun handler writes through a link of the image. No bundle of ours
 * asks for a handler, and an image cannot; nor does Debian 12 build it.
 *
 * CVE-2026-30892, crun 1.19 to 1.26: `exec --user` is misread. Only `run` is ever called.
 *
 * CVE-2026-47766, crun before 1.28, and CVE-2026-41579, runc before 1.3.6: /dev of the image is a link, and
 * devices are made where it leads. Such an image is refused before it can run (image-root.c).
 *
 * CVE-2026-88264 and CVE-2026-88265, crun up to 1.29.1: links in an image's /dev that is not mounted upon.
 * Each bundle mounts a tmpfs there.
 *
 * GHSA-46fr-jh49-xvhx and GHSA-2hqh-5c36-grrm, libseccomp before 2.6.1: filters too large for the kernel.
 * Profiles are an administrator's.
 *
 * The crun of a build's steps is called by buildah, and is led to nothing but what lies in its box. */

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

/* A distribution's packages that have the mends of a later version: from revision `least` on. Of Debian's
 * crun and libseccomp there is none with what is listed below. */
static const struct {
        const char *component, *package;
        unsigned least;
        HostVersion as;
} backports[] = {
        { "runc", "1.1.5+ds1-1+deb12u", 1, { { 1, 1, 12 } } },
};

#define RUNC_LINKS "CVE-2025-31133, -52565, -52881: masked paths and writes to /proc, led elsewhere by links"
#define RUNC_NONE  "or leave sandboxes to crun"

/* From `first` on, before `mended`. */
static const struct {
        const char *component;
        HostVersion first, mended;
        HostVerdict verdict;
        const char *what, *otherwise; /* what else can be done, or NULL */
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
        /* 1.1 was never mended by its authors. */
        { "runc", { { 0, 0, 0 } }, { { 1, 2, 8 } }, HOST_DOUBTFUL, RUNC_LINKS, RUNC_NONE },
        { "runc", { { 1, 3, 0 } }, { { 1, 3, 3 } }, HOST_DOUBTFUL, RUNC_LINKS, RUNC_NONE },
        { "runc", { { 1, 4, 0 }, 1 }, { { 1, 4, 0 }, 3 }, HOST_DOUBTFUL, RUNC_LINKS, RUNC_NONE },
        /* Of one argument, with two actions. The profile that is installed has no such comparison. */
        { "libseccomp",
          { { 2, 4, 0 } },
          { { 2, 6, 1 } },
          HOST_DOUBTFUL,
          "GHSA-4q85-33p6-j5g6: a profile's less-than comparisons may allow more than it says",
          "or have no profile that compares an argument by SCMP_CMP_LT or SCMP_CMP_LE: the default has "
          "none" },
};

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

bool host_version_parse(const char *text, HostVersion *ret)
{
        HostVersion version = {};
        const char *rest, *candidate;

        if (sscanf(text, "%u.%u.%u", &version.part[0], &version.part[1], &version.part[2]) < 1)
                return false;
        rest = text + strspn(text, "0123456789.");
        candidate = string_after(rest, "-rc") ?: string_after(rest, "~rc");
        if (candidate)
                (void) sscanf(candidate + (*candidate == '.'), "%u", &version.candidate);
        *ret = version;
        return true;
}

/* The first word that begins with a digit; and where a later one goes on from it, that. */
char *host_version_find(const char *text)
{
        const char *found = NULL;
        size_t found_size = 0;

        for (const char *word = text; *word; word += strspn(word, " \n")) {
                size_t size = strcspn(word, " \n");

                if (is_digit(*word) &&
                    (!found || (size > found_size && memcmp(word, found, found_size) == 0))) {
                        found = word;
                        found_size = size;
                }
                word += size;
        }
        return found ? strndup(found, found_size) : NULL;
}

static bool is_before(const HostVersion *a, const HostVersion *b)
{
        for (size_t i = 0; i < ARRAY_SIZE(a->part); i++)
                if (a->part[i] != b->part[i])
                        return a->part[i] < b->part[i];
        return a->candidate && (!b->candidate || a->candidate < b->candidate);
}

/* What a package's version is as good as. */
static void apply_backports(const char *component, const char *text, HostVersion *version)
{
        for (size_t i = 0; i < ARRAY_SIZE(backports); i++) {
                const char *revision = string_after(text, backports[i].package);
                unsigned n;

                if (streq(backports[i].component, component) && revision &&
                    sscanf(revision, "%u", &n) == 1 && n >= backports[i].least)
                        *version = backports[i].as;
        }
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

static char *mend_text(const HostVersion *mended, const char *otherwise)
{
        return string_format("update it to %u.%u.%u or newer%s%s", mended->part[0], mended->part[1],
                             mended->part[2], otherwise ? ", " : "", otherwise ?: "");
}

int host_version_judge(const char *component, const char *text, HostFinding *finding)
{
        HostVersion version, wanted;
        const char *why;

        if (!host_version_parse(text, &version))
                return say(finding, HOST_DOUBTFUL,
                           string_format("%s: version %s is not understood", component, text),
                           strdup("look yourself whether it is kept up to date"));
        apply_backports(component, text, &version);
        why = find_need(component, &version, &wanted);
        if (why)
                return say(finding, HOST_BAD, string_format("%s %s: %s", component, text, why),
                           mend_text(&wanted, NULL));
        for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
                if (streq(faults[i].component, component) && !is_before(&version, &faults[i].first) &&
                    is_before(&version, &faults[i].mended))
                        return say(finding, faults[i].verdict,
                                   string_format("%s %s: %s", component, text, faults[i].what),
                                   mend_text(&faults[i].mended, faults[i].otherwise));
        return say(finding, HOST_OK, string_format("%s %s", component, text), NULL);
}
