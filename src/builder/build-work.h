/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One build, as the process that carries it out sees it: from a reference to tags in a registry. Its steps
 * are one file each; each gives 0, BUILD_ENDS where the build ends there (build_end() was called), or
 * -errno. */

#include "builder-settings.h"

#include "proto/job.h"
#include "shared/registry.h"
#include "worker/settings.h"

#include <json-c/json.h>

#define COMMIT_SIZE 41U

enum {
        BUILD_ENDS = 1,
};

/* What the log keeps of its end. */
#define LOG_TAIL_MAX (16U * 1024U)

typedef struct Work {
        const WorkerSettings *worker; /* borrowed, like the next two */
        const BuilderSettings *settings;
        const Job *job;
        usec_t started_usec;
        int report_fd; /* lines of JSON to the builder */
        char *folder;  /* of this build alone */

        char *source; /* the repository's address */
        char commit[COMMIT_SIZE];
        uint64_t commit_time;
        char *dockerfile; /* rewritten */
        char **bases;     /* names of images */
        char *image;      /* folder of the OCI layout that was built */
        char *digest;
        uint64_t size; /* of all its blobs */
        char **tags;

        const char *step; /* a literal */
        Buffer log;       /* its tail */
        bool is_over;
} Work;

/* build-report.c: what the builder is told. */

/* Says what is being done. */
int build_say(Work *work, const char *step, const char *format, ...) _printf_(3, 4) _warn_unused_;
/* Step N of M of the Dockerfile. */
int build_say_step(Work *work, uint64_t step, uint64_t n_steps, const char *text) _warn_unused_;
/* Adds to the log, and to the journal. */
int build_log(Work *work, const char *data, size_t size) _warn_unused_;
/* The build fails. `detail` is an object with more for error_detail, taken; or NULL. BUILD_ENDS. */
int build_end(Work *work, StatusCode code, json_object *detail, const char *format, ...)
        _printf_(4, 5) _warn_unused_;
/* It is well: `built` or `ignored`. */
int build_succeed(Work *work, const char *status) _warn_unused_;

/* build-ask.c: asks a registry, and waits. What `asked` holds then is the caller's; zero-initialised is
 * empty. */
typedef struct Asked {
        unsigned code; /* as in RegistryAnswer */
        char *error, *digest, *layout;
        bool is_done;
} Asked;
void asked_done(Asked *asked);
int build_ask(const RegistrySettings *registry, const RegistryQuestion *question,
              Asked *asked) _warn_unused_;

/* build-source.c: resolves the reference (commit, commit_time), makes context.tar and dockerfile, lists
 * bases. */
int build_resolve(Work *work) _warn_unused_;
int build_fetch(Work *work) _warn_unused_;

/* build-bases.c: fetches each base image to base-N.tar. */
int build_fetch_bases(Work *work) _warn_unused_;

/* build-image.c: has the build service make the image; then image, digest and size are known. */
int build_make_image(Work *work) _warn_unused_;

/* build-trial.c: has the sandbox service try it, like a job. */
int build_try(Work *work) _warn_unused_;

/* build-publish.c: whether this commit was built already (then digest and tags are known); tags it. */
int build_find_published(Work *work, bool *ret_is_there) _warn_unused_;
int build_publish(Work *work) _warn_unused_;

/* A path in the work's folder, a new string; NULL without memory. */
char *build_path(const Work *work, const char *name);

/* The whole. */
int build_run(Work *work) _warn_unused_;
