/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One job has one verdict, whatever comes together. The rules:
 *
 * - a limit beats the way in which the main process went (it is killed for the limit, or died of it);
 * - of several limits the first that was seen counts;
 * - the time is up only for a guest whose main process still runs: one that is reaped in the same moment has
 * made it. What it wrote before it ended still counts, though it may be seen only afterwards. */

#include "verdict.h"

#include <sys/wait.h>

size_t stream_admit(Stream *stream, size_t size)
{
        uint64_t room = stream_is_over(stream) ? 0 : stream->limit - stream->seen;

        stream->seen += size;
        return (size_t) MIN((uint64_t) size, room);
}

void verdict_limit(Verdict *verdict, ExitCause limit)
{
        if (verdict->has_limit || (limit == EXIT_CAUSE_WALL_TIME && verdict->has_end))
                return;
        verdict->has_limit = true;
        verdict->limit = limit;
}

void verdict_end(Verdict *verdict, int wait_status)
{
        verdict->has_end = true;
        verdict->wait_status = wait_status;
}

void verdict_read(const Verdict *verdict, InitExit *exit)
{
        bool signaled = WIFSIGNALED(verdict->wait_status);

        assert(verdict->has_end);
        exit->status =
                (uint64_t) (signaled ? WTERMSIG(verdict->wait_status) : WEXITSTATUS(verdict->wait_status));
        exit->cause = verdict->has_limit ? verdict->limit
                      : signaled         ? EXIT_CAUSE_SIGNALED
                                         : EXIT_CAUSE_EXITED;
}
