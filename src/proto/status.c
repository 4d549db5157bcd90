/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The status codes, their names and their sentences: the table of docs/PROTOCOL.md. */

#include "status.h"

static const struct {
        StatusCode code;
        const char *name, *message;
} statuses[] = {
        { STATUS_OK, "ok", "done" },
        { STATUS_BAD_INPUT, "bad_input", "the request cannot be carried out as it is" },
        { STATUS_TIMED_OUT, "timed_out", "the analyzer ran into its time limit" },
        { STATUS_EXCESSIVE_OUTPUT, "excessive_output", "the analyzer wrote too much" },
        { STATUS_TERMINATED, "terminated", "the analyzer was ended early" },
        { STATUS_INTERNAL_ERROR, "internal_error", "a fault of the service; its journal has more" },
        { STATUS_UNKNOWN_ACTION, "unknown_action", "there is no such action" },
        { STATUS_MALFORMED_REQUEST, "malformed_request", "the request is malformed" },
        { STATUS_NO_WORKER, "no_worker", "no worker could take the job" },
        { STATUS_NO_ANSWER, "no_answer", "no answer in time" },
        { STATUS_VERSION_NOT_DEPLOYED, "version_not_deployed", "this version is not deployed" },
        { STATUS_WORKER_ERROR, "worker_error", "the worker failed" },
        { STATUS_VERSION_NOT_ON_WORKER, "version_not_on_worker", "the worker does not hold this version" },
        { STATUS_SETUP_FAILED, "setup_failed", "input or image could not be made ready" },
        { STATUS_ANALYZER_FAILED, "analyzer_failed", "the analyzer's exit status is not 0" },
        { STATUS_BAD_RESULT, "bad_result", "the result is missing, too large or malformed" },
};

const char *status_name(unsigned code)
{
        for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
                if ((unsigned) statuses[i].code == code)
                        return statuses[i].name;
        return NULL;
}

const char *status_message(unsigned code)
{
        for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
                if ((unsigned) statuses[i].code == code)
                        return statuses[i].message;
        return NULL;
}
