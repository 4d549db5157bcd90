/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What pipeline-registry says, line by line, to an answer. It has read what strangers sent, so what it says
 * is read like that. Pure. */

#include "registry.h"

typedef struct RegistryOutput {
        json_object *answer; /* owned: what it said at last; or NULL */
        char *reason;        /* owned: the last line that is no object, fit to be shown; or NULL */
} RegistryOutput;

void registry_output_done(RegistryOutput *output);

/* A line without its end. 0, -ENOMEM, or REGISTRY_PROGRESS: it says how far it is. */
enum {
        REGISTRY_PROGRESS = 1,
};
int registry_output_take(RegistryOutput *output, const char *line, uint64_t *ret_done_size,
                         uint64_t *ret_total_size) _warn_unused_;

/* It has ended: what came of it, borrowed from `output`. An answer that is none has a code of its own. */
void registry_output_answer(const RegistryOutput *output, RegistryAnswer *ret);
