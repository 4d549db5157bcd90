/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One connection of a build: one request, its server, and the bytes between them. */

/* Blocks until either side is at its end, or silent for too long. Closes nothing. */
void proxy_serve(int client_fd, const char *job);
