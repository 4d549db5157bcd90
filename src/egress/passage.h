/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The way out of one build: a socket that listens where nothing else leads out, and a process for each
 * connection that comes by it. */

#include "basic/list.h"

#include <systemd/sd-event.h>

typedef struct Passage Passage;

/* Takes `peer_fd` over: a connection on which one message comes, a job's id with the listening socket of
 * its build; one byte is the answer that it is served, and the connection's end is the end of all. The
 * passage is in the list until it ends and frees itself. */
int passage_new(sd_event *event, int peer_fd, List *passages) _warn_unused_;
/* Ends each. */
void passage_free_all(List *passages);
