/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One loop from fork to the end. It goes through the phases below, each only forward:
 *
 *   STARTING  the guest's process exists, its program is not executed yet
 *   RUNNING   it runs
 *   ENDING    the main process is gone or a limit was hit; everything was killed and is being reaped
 *   DRAINING  nothing of the guest lives; what is left in the two pipes is read
 *   SENDING   the results are read and sent, then EXIT
 *   LEAVING   all was said; what remains is to be delivered, and the socket to be closed by the other end
 *
 * The socket's close ends all of it at any time. Nothing ever blocks: output that sandboxd does not take
 * stays in the pipes, and the guest waits, while the clock runs on. The deadline is a timer of this loop's
 * own; when the guest has ended it is set once more, to a grace within which the rest must be delivered. */

#include "relay.h"

#include "basic/capability-util.h"
#include "basic/time-util.h"
#include "confine.h"
#include "guest.h"
#include "verdict.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define RELAY_CHUNK_SIZE FRAME_PAYLOAD_MAX
#define RELAY_OUT_MAX    (4U * (FRAME_HEADER_SIZE + RELAY_CHUNK_SIZE) + FRAME_HEADER_SIZE)
#define RELAY_TICK_USEC  (50U * USEC_PER_MSEC) /* between two looks at the writable file system */
#define RELAY_GRACE_USEC (30U * USEC_PER_SEC)  /* from the guest's end to the container's */

typedef enum Phase {
        PHASE_STARTING,
        PHASE_RUNNING,
        PHASE_ENDING,
        PHASE_DRAINING,
        PHASE_SENDING,
        PHASE_LEAVING,
} Phase;

typedef struct Relay {
        const Conversation *job;
        const Storage *storage;
        Phase phase;
        int socket, signal_fd, deadline_fd, tick_fd;
        Guest guest;
        Stream streams[2]; /* stdout and stderr, like the guest's output_fds */
        Verdict verdict;
        usec_t started_usec, ended_usec;
        Buffer out; /* at most RELAY_OUT_MAX; not yet sent */
        size_t n_results_sent;
        int result_fd; /* the result being sent, or negative */
        uint64_t result_left;
        uint8_t *chunk; /* of RELAY_CHUNK_SIZE */
} Relay;

static void relay_done(Relay *relay)
{
        safe_close(relay->signal_fd);
        safe_close(relay->deadline_fd);
        safe_close(relay->tick_fd);
        safe_close(relay->guest.start_fd);
        safe_close(relay->guest.output_fds[0]);
        safe_close(relay->guest.output_fds[1]);
        safe_close(relay->result_fd);
        buffer_done(&relay->out);
}

static bool relay_has_room(const Relay *relay)
{
        /* ENDED can come at any time. */
        return RELAY_OUT_MAX - relay->out.size >= FRAME_HEADER_SIZE + RELAY_CHUNK_SIZE + FRAME_HEADER_SIZE;
}

static int set_timer(int fd, usec_t usec, bool repeat)
{
        struct itimerspec timer = {
                .it_value = {
                        .tv_sec = (time_t) (usec / USEC_PER_SEC),
                        .tv_nsec = (long) (usec % USEC_PER_SEC * 1000),
                },
        };

        if (repeat)
                timer.it_interval = timer.it_value;
        return timerfd_settime(fd, 0, &timer, NULL) < 0 ? -errno : 0;
}

static int relay_open(Relay *relay)
{
        sigset_t child;

        (void) sigemptyset(&child);
        (void) sigaddset(&child, SIGCHLD);
        if (sigprocmask(SIG_BLOCK, &child, NULL) < 0)
                return -errno;
        relay->signal_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
        relay->deadline_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        relay->tick_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        return relay->signal_fd < 0 || relay->deadline_fd < 0 || relay->tick_fd < 0 ? -errno : 0;
}

/* What reading results and killing needs is kept, nothing else. */
static int relay_start_guest(Relay *relay)
{
        int r;

        relay->started_usec = now_usec(CLOCK_MONOTONIC); /* first, so that no guest ends before its time */
        r = set_timer(relay->deadline_fd, relay->job->setup.wall_usec, false);
        if (r >= 0)
                r = set_timer(relay->tick_fd, RELAY_TICK_USEC, true);
        if (r < 0)
                return r;
        r = guest_start(relay->job, &relay->guest);
        if (r < 0)
                return r;
        return confine_capabilities(CAPABILITY(CAP_KILL) | CAPABILITY(CAP_DAC_OVERRIDE));
}

static int append(Relay *relay, FrameType type, uint16_t flags, const void *data, size_t size)
{
        return frame_append(&relay->out, type, flags, data, size, RELAY_OUT_MAX);
}

/* A fork sees the signal pending and fails, so one kill reaches all that there are or could be. */
static void kill_everything(void)
{
        (void) kill(-1, SIGKILL);
}

static int relay_end_guest(Relay *relay)
{
        int r;

        if (relay->phase >= PHASE_ENDING)
                return 0;
        relay->phase = PHASE_ENDING;
        kill_everything();
        r = append(relay, FRAME_ENDED, 0, NULL, 0);
        return r < 0 ? r : set_timer(relay->deadline_fd, RELAY_GRACE_USEC, false);
}

static int relay_check_storage(Relay *relay)
{
        StorageUse use;
        int r = storage_measure(relay->storage, &use);

        if (r < 0)
                return r;
        if (!use.is_over)
                return 0;
        verdict_limit(&relay->verdict, EXIT_CAUSE_WRITTEN);
        return relay_end_guest(relay);
}

/* The pipe that tells how the start went has something to say, or was closed by the execve. */
static int on_start(Relay *relay)
{
        _cleanup_free_ char *text = NULL;
        uint16_t flags;
        int r;

        if (relay->guest.start_fd < 0)
                return 0;
        r = guest_check_start(&relay->guest, relay->job, &text, &flags);
        if (r < 0)
                return r;
        relay->guest.start_fd = safe_close(relay->guest.start_fd);
        if (r == GUEST_FAILED) {
                r = relay_end_guest(relay);
                relay->phase = PHASE_LEAVING;
                return r < 0 ? r
                             : append(relay, FRAME_FAILED, flags, text,
                                      MIN(strlen(text), FRAME_PAYLOAD_MAX));
        }
        if (relay->phase == PHASE_STARTING)
                relay->phase = PHASE_RUNNING;
        return append(relay, FRAME_STARTED, 0, NULL, 0);
}

/* Moves one chunk from a pipe into the buffer, where the other stream has left room for it. */
static int relay_pass_output(Relay *relay, size_t i)
{
        static const FrameType types[] = { FRAME_STDOUT, FRAME_STDERR };
        Stream *stream = &relay->streams[i];
        ssize_t n;
        int r = 0;

        if (!relay_has_room(relay))
                return 0;
        n = read(relay->guest.output_fds[i], relay->chunk, RELAY_CHUNK_SIZE);
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        if (n > 0) {
                size_t admitted = stream_admit(stream, (size_t) n);

                if (admitted > 0)
                        r = append(relay, types[i], 0, relay->chunk, admitted);
        }
        if (n == 0 || stream_is_over(stream))
                relay->guest.output_fds[i] = safe_close(relay->guest.output_fds[i]);
        if (r < 0 || !stream_is_over(stream))
                return r;
        verdict_limit(&relay->verdict, EXIT_CAUSE_OUTPUT);
        return relay_end_guest(relay);
}

static int on_stdout(Relay *relay)
{
        return relay_pass_output(relay, 0);
}

static int on_stderr(Relay *relay)
{
        return relay_pass_output(relay, 1);
}

/* Reaps what there is: the main process, and whatever was left to PID 1 by its parent's death. */
static int on_child(Relay *relay)
{
        struct signalfd_siginfo infos[16];
        int r;

        while (read(relay->signal_fd, infos, sizeof(infos)) > 0)
                ;
        for (;;) {
                int status;
                pid_t pid = waitpid(-1, &status, WNOHANG);

                if (pid == 0)
                        return 0;
                if (pid < 0)
                        break;
                if (pid != relay->guest.pid)
                        continue;
                relay->ended_usec = now_usec(CLOCK_MONOTONIC);
                verdict_end(&relay->verdict, status);
                r = on_start(relay); /* it may be over before its start was noticed */
                if (r >= 0)
                        r = relay_end_guest(relay);
                if (r < 0)
                        return r;
        }
        if (relay->phase == PHASE_ENDING)
                relay->phase = PHASE_DRAINING;
        return 0;
}

static int on_deadline(Relay *relay)
{
        uint64_t n;

        if (read(relay->deadline_fd, &n, sizeof(n)) < 0)
                return errno == EAGAIN ? 0 : -errno; /* it was set anew meanwhile */
        if (relay->phase >= PHASE_ENDING)
                return -ETIMEDOUT;
        verdict_limit(&relay->verdict, EXIT_CAUSE_WALL_TIME);
        return relay_end_guest(relay);
}

static int on_tick(Relay *relay)
{
        uint64_t n;

        if (read(relay->tick_fd, &n, sizeof(n)) < 0)
                return errno == EAGAIN ? 0 : -errno;
        if (relay->phase == PHASE_ENDING)
                kill_everything();
        return relay->phase <= PHASE_RUNNING ? relay_check_storage(relay) : 0;
}

static int send_out(Relay *relay)
{
        ssize_t n;

        if (relay->out.size == 0)
                return 0;
        n = send(relay->socket, relay->out.data, relay->out.size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        buffer_consume(&relay->out, (size_t) n);
        return 0;
}

/* Nothing is to be said to a running guest's init: whatever can be read is the end. */
static int on_socket(Relay *relay)
{
        uint8_t byte;
        ssize_t n = recv(relay->socket, &byte, sizeof(byte), MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return send_out(relay);
        return -ECONNRESET;
}

/* Nothing writes to the pipes any more: they are empty when there is nothing to read. */
static int relay_drain(Relay *relay)
{
        for (size_t i = 0; i < ARRAY_SIZE(relay->streams); i++)
                while (relay->guest.output_fds[i] >= 0) {
                        uint64_t seen = relay->streams[i].seen;
                        int r;

                        if (!relay_has_room(relay))
                                return 0;
                        r = relay_pass_output(relay, i);
                        if (r < 0)
                                return r;
                        if (relay->streams[i].seen == seen)
                                relay->guest.output_fds[i] = safe_close(relay->guest.output_fds[i]);
                }
        relay->phase = PHASE_SENDING;
        return relay_check_storage(relay);
}

static int relay_begin_result(Relay *relay)
{
        const char *name = relay->job->wanted[relay->n_results_sent++];
        uint64_t size = 0;
        ResultState state;

        state = storage_open_result(relay->storage, name, relay->job->setup.result_size, &relay->result_fd,
                                    &size);
        relay->result_left = size;
        return frame_append_result(&relay->out, state, size, name, RELAY_OUT_MAX);
}

/* Its size was announced and nobody can change it: less than that is a fault. */
static int relay_continue_result(Relay *relay)
{
        size_t size = (size_t) MIN(relay->result_left, (uint64_t) RELAY_CHUNK_SIZE);
        ssize_t n = read_full(relay->result_fd, relay->chunk, size);

        if (n < 0)
                return (int) n;
        if ((size_t) n < size)
                return -EIO;
        relay->result_left -= size;
        if (relay->result_left == 0)
                relay->result_fd = safe_close(relay->result_fd);
        return size > 0 ? append(relay, FRAME_DATA, 0, relay->chunk, size) : 0;
}

static usec_t usec_from_timeval(struct timeval t)
{
        return (usec_t) t.tv_sec * USEC_PER_SEC + (usec_t) t.tv_usec;
}

static int relay_append_exit(Relay *relay)
{
        InitExit exit = {
                .wall_usec = relay->ended_usec - relay->started_usec,
                .stdout_size = relay->streams[0].seen,
                .stderr_size = relay->streams[1].seen,
        };
        struct rusage usage;
        StorageUse use;
        int r;

        r = storage_measure(relay->storage, &use);
        if (r < 0)
                return r;
        if (getrusage(RUSAGE_CHILDREN, &usage) < 0)
                return -errno;
        verdict_read(&relay->verdict, &exit);
        exit.user_usec = usec_from_timeval(usage.ru_utime);
        exit.system_usec = usec_from_timeval(usage.ru_stime);
        exit.written_size = use.size;
        exit.inodes = use.inodes;
        relay->phase = PHASE_LEAVING;
        return frame_append_exit(&relay->out, &exit, RELAY_OUT_MAX);
}

/* Goes on with what needs no event, as far as there is room. */
static int relay_advance(Relay *relay)
{
        int r = 0;

        if (relay->phase == PHASE_DRAINING)
                r = relay_drain(relay);
        while (r >= 0 && relay->phase == PHASE_SENDING && relay_has_room(relay)) {
                if (relay->result_fd >= 0)
                        r = relay_continue_result(relay);
                else if (relay->n_results_sent < relay->job->n_wanted)
                        r = relay_begin_result(relay);
                else
                        r = relay_append_exit(relay);
        }
        return r < 0 ? r : send_out(relay);
}

/* In the order in which they count when they come together: how the start went, that the guest has ended,
 * what it has written, and only then that its time is up. */
enum {
        WATCH_SOCKET,
        WATCH_START,
        WATCH_CHILD,
        WATCH_STDOUT,
        WATCH_STDERR,
        WATCH_TICK,
        WATCH_DEADLINE,
        _WATCH_MAX,
};

static int (*const handlers[_WATCH_MAX])(Relay *relay) = {
        [WATCH_SOCKET] = on_socket,     [WATCH_START] = on_start,   [WATCH_CHILD] = on_child,
        [WATCH_STDOUT] = on_stdout,     [WATCH_STDERR] = on_stderr, [WATCH_TICK] = on_tick,
        [WATCH_DEADLINE] = on_deadline,
};

static int relay_turn(Relay *relay)
{
        bool reads_output =
                relay->phase >= PHASE_RUNNING && relay->phase <= PHASE_ENDING && relay_has_room(relay);
        bool has_more =
                relay->out.size > 0 || relay->phase == PHASE_DRAINING || relay->phase == PHASE_SENDING;
        struct pollfd watches[_WATCH_MAX] = {
                [WATCH_SOCKET] = { relay->socket, (short) (POLLIN | (has_more ? POLLOUT : 0)) },
                [WATCH_START] = { relay->guest.start_fd, POLLIN },
                [WATCH_CHILD] = { relay->signal_fd, POLLIN },
                [WATCH_STDOUT] = { reads_output ? relay->guest.output_fds[0] : -1, POLLIN },
                [WATCH_STDERR] = { reads_output ? relay->guest.output_fds[1] : -1, POLLIN },
                [WATCH_TICK] = { relay->phase <= PHASE_ENDING ? relay->tick_fd : -1, POLLIN },
                [WATCH_DEADLINE] = { relay->deadline_fd, POLLIN },
        };

        if (poll(watches, _WATCH_MAX, -1) < 0)
                return errno == EINTR ? 0 : -errno;
        for (size_t i = 0; i < _WATCH_MAX; i++) {
                int r = watches[i].revents != 0 ? handlers[i](relay) : 0;

                if (r < 0)
                        return r;
        }
        return relay_advance(relay);
}

int relay_run(int socket, const Conversation *job, const Storage *storage)
{
        static uint8_t chunk[RELAY_CHUNK_SIZE]; /* large, and there is only one */
        Relay relay = {
                .job = job,
                .storage = storage,
                .socket = socket,
                .signal_fd = -EBADF,
                .deadline_fd = -EBADF,
                .tick_fd = -EBADF,
                .guest = { .start_fd = -EBADF, .output_fds = { -EBADF, -EBADF } },
                .streams = { { .limit = job->setup.output_size }, { .limit = job->setup.output_size } },
                .result_fd = -EBADF,
                .chunk = chunk,
        };
        int r;

        r = relay_open(&relay);
        if (r >= 0)
                r = relay_start_guest(&relay);
        while (r >= 0)
                r = relay_turn(&relay);
        relay_done(&relay);
        return r == -ECONNRESET || r == -EPIPE ? 0 : r;
}
