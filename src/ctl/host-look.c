/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files below a root, and findings. */

#include "host-look.h"

#include "basic/io-util.h"
#include "basic/parse-util.h"
#include "basic/string-util.h"

#include <errno.h>
#include <unistd.h>

#define FILE_MAX (1U << 20)

bool host_exists(const Host *host, const char *path)
{
        return faccessat(host->root_fd, path, F_OK, 0) == 0;
}

char *host_read_text(const Host *host, const char *path)
{
        char *text = NULL;

        if (read_file_at(host->root_fd, path, FILE_MAX, &text, NULL) < 0)
                return NULL;
        if (string_ends_with(text, "\n"))
                text[strlen(text) - 1] = '\0';
        return text;
}

bool host_read_number(const Host *host, const char *path, uint64_t *ret)
{
        _cleanup_free_ char *text = host_read_text(host, path);

        return text && parse_uint64(text, 0, UINT64_MAX, ret) >= 0;
}

int host_finding(HostFinding *f, HostVerdict verdict, char *text, char *mend)
{
        f->verdict = verdict;
        f->text = text;
        f->mend = mend;
        return text && (mend || verdict == HOST_OK) ? 0 : -ENOMEM;
}

int host_well(HostFinding *f, char *text)
{
        return host_finding(f, HOST_OK, text, NULL);
}
