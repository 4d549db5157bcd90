/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A registry is asked by a program of its own (shared/registry.h); a build waits for its answer. */

#include "build-work.h"

#include <errno.h>
#include <string.h>

void asked_done(Asked *asked)
{
        free(asked->error);
        free(asked->digest);
        free(asked->layout);
        *asked = (Asked){};
}

static char *copy(const char *text)
{
        return text ? strdup(text) : NULL;
}

static int on_answer(RegistryCall *call, const RegistryAnswer *answer, void *userdata)
{
        Asked *asked = userdata;

        asked->is_done = true;
        asked->code = answer->code;
        asked->error = strdup(answer->error ?: "");
        asked->digest = copy(answer->digest);
        asked->layout = copy(answer->layout);
        return asked->error && !asked->digest == !answer->digest && !asked->layout == !answer->layout
                       ? 0
                       : -ENOMEM;
}

int build_ask(const RegistrySettings *registry, const RegistryQuestion *question, Asked *asked)
{
        static const RegistryHandlers handlers = { .ended = on_answer };
        _cleanup_(registry_call_freep) RegistryCall *call = NULL;
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        int r = sd_event_new(&event);

        if (r >= 0)
                r = registry_call_new(event, registry, question, &handlers, asked, &call);
        while (r >= 0 && !asked->is_done)
                r = sd_event_run(event, UINT64_MAX);
        return MIN(r, 0);
}
