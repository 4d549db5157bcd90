/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* From the start of the guest to the end of the container. */

#include "conversation.h"
#include "storage.h"

/* Runs the guest of `job`, sends its output, its results and how it ended, and waits until the socket is
 * closed. Returns 0 then, or -errno where nothing more can be said. Either way the caller ends, and all with
 * it. */
int relay_run(int socket, const Conversation *job, const Storage *storage) _warn_unused_;
