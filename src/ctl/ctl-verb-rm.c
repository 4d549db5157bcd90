/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rm: a version is taken out of the registry. Workers that hold it go on; one that does not can no longer
 * get it. */

#include "ctl-registry.h"
#include "ctl-verbs.h"

#include "basic/fd-util.h"
#include "basic/string-util.h"

static int rm_run(Ctl *ctl, const CtlVerb *verb, int argc, char **argv)
{
        _cleanup_free_ char *path = NULL, *error = NULL;
        _cleanup_close_ int lock_fd = -EBADF;
        const char *channel;
        int r;

        r = ctl_parse(ctl, verb, argc, argv, NULL, 0, &argc);
        if (r != 0)
                return r;
        channel = argv[1];
        r = ctl_registry_check(verb, &channel, argv[2], argv[3]);
        if (r != 0)
                return r;
        r = ctl_registry_lock(ctl, verb, channel, argv[2], &path, &lock_fd);
        if (r != 0)
                return r;
        r = oci_layout_remove_tag(path, argv[3], &error);
        if (r == OCI_LAYOUT_NO_TAG || r == OCI_LAYOUT_MISSING)
                return ctl_fail(verb, CTL_FAILED, "%s/%s has no version %s", channel, argv[2], argv[3]);
        return r > 0 ? ctl_fail(verb, CTL_FAILED, "%s", error) : r;
}

const CtlVerb ctl_verb_rm = {
        .name = "rm",
        .arguments = "CHANNEL TRACK VERSION",
        .summary = "Take a version out of the registry",
        .run = rm_run,
};
