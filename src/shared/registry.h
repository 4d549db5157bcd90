/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Asking a registry, from an event loop. What a registry sends is read by a program of its own,
 * `pipeline-registry`, one run a question: whatever stalls, lies or floods there ends as an answer here. */

#include "registry-settings.h"

#include <json-c/json.h>
#include <systemd/sd-event.h>

typedef struct RegistryCall RegistryCall;

typedef enum RegistryVerb {
        REGISTRY_RESOLVE, /* the digest of a version */
        REGISTRY_LIST,    /* all there is of a track */
        REGISTRY_FETCH,   /* an image, by digest, into a folder of this host */
        REGISTRY_PUSH,    /* an image out of an OCI layout, under one or more tags */
        _REGISTRY_VERB_MAX,
} RegistryVerb;

/* What is asked; borrowed while registry_call_new() runs. The names were checked by the caller. */
typedef struct RegistryQuestion {
        RegistryVerb verb;
        const char *channel, *track;
        const char *version; /* resolve; push: the tag */
        char *const *tags;   /* push: further ones; may be NULL */
        const char *digest;  /* fetch; push: of the image in the layout */
        const char *folder;  /* fetch: where images are put; push: the layout */
} RegistryQuestion;

/* Valid while the handler runs. */
typedef struct RegistryAnswer {
        /* 0; else a status code, and why: 400 there is no such version (repository, image), 503 the registry
         * does not answer as it should, 512 that image cannot be used. */
        unsigned code;
        const char *error;
        const char *digest;  /* resolve, push */
        json_object *images; /* list: {digest: [tags]} */
        const char *layout;  /* fetch: the path of an OCI layout that holds the image */
} RegistryAnswer;

typedef struct RegistryHandlers {
        /* fetch, push: how far it is; may be NULL. < 0 ends the event loop, as with the next. */
        int (*progress)(RegistryCall *call, uint64_t done_size, uint64_t total_size, void *userdata);
        /* Called once; may free the call. */
        int (*ended)(RegistryCall *call, const RegistryAnswer *answer, void *userdata);
} RegistryHandlers;

/* `settings`, `handlers` and `userdata` are borrowed. -ENOENT where the program is not installed. */
int registry_call_new(sd_event *event, const RegistrySettings *settings, const RegistryQuestion *question,
                      const RegistryHandlers *handlers, void *userdata, RegistryCall **ret) _warn_unused_;
/* Ends it, where it has not ended. NULL is allowed. */
RegistryCall *registry_call_free(RegistryCall *call);
DEFINE_CLEANUP(RegistryCall *, registry_call_free)

/* A fetched image is wanted no more: its sandbox service has it. Another process that uses it keeps it. */
void registry_fetched_remove(const char *folder, const char *digest);
