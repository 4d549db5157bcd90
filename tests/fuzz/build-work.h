/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A build's work in a folder of its own, for fuzzers of the builder. */

#include "fuzz.h"

#include "builder/build-work.h"

#include "basic/fd-util.h"
#include "basic/string-util.h"
#include "basic/tree.h"
#include "shared/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define IMAGE_MAX 20000U

static BuilderSettings build_settings = {
        .sources = { (char *) "https://example.org/{track}" },
        .dockerfile = (char *) "Dockerfile",
        .limits = { .image_bytes = IMAGE_MAX },
};

static Job build_job = {
        .job = (char *) "0123456789abcdef0123456789abcdef",
        .channel = CHANNEL_BUILDERS,
        .target = CHANNEL_TEST_RUNNERS,
        .track = (char *) "ruby",
        .build_usec = 60 * USEC_PER_SEC,
};

static char build_parent[] = "/tmp/pipeline-fuzz-XXXXXX";

static void remove_parent(void)
{
        if (tree_remove(AT_FDCWD, build_parent) < 0)
                perror(build_parent);
}

/* The work's folder is the only thing in its parent. */
static inline Work work_begin(void)
{
        static bool is_there;
        Work work = { .settings = &build_settings, .job = &build_job, .step = "fuzz" };

        log_set_max_level(-1);
        if (!is_there) {
                expect(mkdtemp(build_parent));
                is_there = true;
                expect(atexit(remove_parent) == 0);
        }
        work.folder = string_format("%s/work", build_parent);
        expect(work.folder && mkdir(work.folder, 0700) == 0);
        work.report_fd = memfd_create("report", MFD_CLOEXEC);
        expect(work.report_fd >= 0);
        return work;
}

/* What is in a folder are these names, ended by NULL; or fewer. */
static inline void expect_only(const char *folder, const char *const *names)
{
        DIR *dir = opendir(folder);

        for (struct dirent *entry; dir && (entry = readdir(dir));) {
                bool is_known =
                        entry->d_name[0] == '.' && strspn(entry->d_name, ".") == strlen(entry->d_name);

                for (const char *const *name = names; *name && !is_known; name++)
                        is_known = streq(*name, entry->d_name);
                expect(is_known);
        }
        if (dir)
                (void) closedir(dir);
}

/* Each line of the report is an object; a step is one of so many. A build that ended said so. */
static inline void expect_report(const Work *work)
{
        _cleanup_free_ char *text = NULL, *path = string_format("/proc/self/fd/%d", work->report_fd);
        bool has_end = false;

        expect(path && read_file_at(AT_FDCWD, path, 64U << 20, &text, NULL) == 0);
        for (char *rest = text, *line; (line = strsep(&rest, "\n")) && *line;) {
                _cleanup_json_ json_object *object = NULL;
                _cleanup_free_ char *error = NULL;
                json_object *progress, *n, *n_all;

                expect(!has_end && json_object_from_bytes(line, strlen(line), &object, &error) == 0);
                if (!json_object_object_get_ex(object, "progress", &progress)) {
                        has_end = true;
                        continue;
                }
                expect(json_object_object_get_ex(progress, "step", &n) &&
                       json_object_object_get_ex(progress, "steps", &n_all) && json_text(progress, "text"));
                expect(json_object_get_int64(n) <= json_object_get_int64(n_all) &&
                       json_object_get_int64(n_all) <= 9999);
        }
        expect(has_end == work->is_over);
}

static inline void work_end(Work *work)
{
        static const char *const only_work[] = { "work", NULL };

        expect_report(work);
        expect_only(build_parent, only_work);
        expect(tree_remove(AT_FDCWD, work->folder) >= 0);
        safe_close(work->report_fd);
        buffer_done(&work->log);
        free(work->folder);
        free(work->source);
        free(work->image);
        free(work->digest);
}
