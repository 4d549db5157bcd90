/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Orders of a builder that was captured, and what the first process of a build says that was: against all of
 * buildd but the process and its scope. A build begins with what its plan says and nothing else, one at a
 * time; what comes of it stays within the plan's limits; an order gets at most one answer, the last word; no
 * descriptor stays. */

#include "order-peer.h"

#include "buildd/cache.h"
#include "buildd/orders.h"
#include "rootless/confined.h"

#include "basic/string-util.h"

#include <stdio.h>
#include <sys/stat.h>

#define OUTPUT_MAX 70000U
#define IMAGE_MAX  3000U

static struct World {
        Manager manager;
        int inside_fd; /* of the build that runs, as its first process has it */
        Scope *scope;
        bool is_woken, has_fault;
} world;

/* The manager */

void manager_wake(Manager *manager)
{
        world.is_woken = true;
}

int manager_settle(Manager *manager, const char *name)
{
        expect(!strchr(name, '/') && name[0] != '.');
        world.is_woken = true;
        return 0;
}

void manager_retire(Manager *manager, ListLink *build)
{
        list_append(&manager->dead, build);
}

static void free_dead(void)
{
        List *dead = &world.manager.dead;

        while (!list_is_empty(dead)) {
                Build *build = build_from_link(list_first(dead));

                list_remove(dead, list_first(dead));
                build_free(build);
        }
}

int cache_prepare(int cache_fd, const char *name, const Identity *identity)
{
        expect(!strchr(name, '/') && name[0] != '.');
        return 0;
}

bool cache_has_work(int cache_fd, const char *name)
{
        expect(!strchr(name, '/') && name[0] != '.');
        return false;
}

/* A process that never runs. */

static void expect_plan(const BuildPlan *plan)
{
        _cleanup_json_ json_object *said = build_plan_to_json(plan), *again = NULL;
        _cleanup_free_ char *error = NULL;
        BuildPlan copy;

        expect(job_id_is_valid(plan->job) && slug_is_valid(plan->track) && plan->channel < _CHANNEL_MAX);
        expect(build_limits_check_ceilings(&plan->limits, &world.manager.config.ceilings, &error) == 0);
        expect(build_plan_from_json(said, &copy, &error) == 0);
        again = build_plan_to_json(&copy);
        expect(streq(json_object_text(said), json_object_text(again)));
        build_plan_done(&copy);
}

static void expect_file(int fd)
{
        struct stat st;

        expect(fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode));
}

int confined_start(const ConfinedOptions *options, ConfinedProcess *ret)
{
        const BuildInside *inside = options->userdata;

        expect(world.inside_fd < 0);
        expect_plan(inside->plan);
        expect_file(inside->dockerfile_fd);
        expect_file(inside->context_fd);
        for (size_t i = 0; i < BUILD_BASES_MAX; i++)
                if (i < inside->plan->n_bases)
                        expect_file(inside->base_fds[i]);
                else
                        expect(inside->base_fds[i] < 0);
        world.inside_fd = fcntl(inside->socket_fd, F_DUPFD_CLOEXEC, 3);
        *ret = CONFINED_PROCESS_INIT;
        return fd_set_nonblock(world.inside_fd, true);
}

int confined_release(ConfinedProcess *process)
{
        return 0;
}

void confined_process_done(ConfinedProcess *process)
{
        world.inside_fd = safe_close(world.inside_fd);
}

int sd_event_add_child(sd_event *event, sd_event_source **ret, pid_t pid, int options,
                       sd_event_child_handler_t handler, void *userdata)
{
        return 0;
}

struct Scope {
        ScopeHandler handler;
        void *userdata;
};

int scope_new(ScopeManager *manager, const char *name, pid_t pid, const CgroupLimits *limits,
              usec_t runtime_usec, ScopeHandler handler, void *userdata, Scope **ret)
{
        expect(job_id_is_valid(name) && !world.scope);
        *ret = world.scope = malloc(sizeof(Scope));
        expect(*ret);
        **ret = (Scope){ handler, userdata };
        return 0;
}

const char *scope_name(const Scope *scope)
{
        return "build.scope";
}

Scope *scope_free(Scope *scope)
{
        expect(!scope || scope == world.scope);
        world.scope = NULL;
        free(scope);
        return NULL;
}

const char *scope_manager_cgroup(const ScopeManager *manager)
{
        return NULL;
}

int cgroup_open(pid_t pid, const char *name, Cgroup *ret)
{
        *ret = CGROUP_INIT;
        ret->folder_fd = open("/", O_PATH | O_CLOEXEC);
        return 0;
}

void cgroup_done(Cgroup *cgroup)
{
        safe_close(cgroup->folder_fd);
}

int cgroup_check_limits(const Cgroup *cgroup, const CgroupLimits *limits)
{
        return 0;
}

uint64_t cgroup_oom_kills(const Cgroup *cgroup)
{
        return world.has_fault;
}

uint64_t cgroup_refused_processes(const Cgroup *cgroup)
{
        return 0;
}

uint64_t cgroup_memory_peak(const Cgroup *cgroup)
{
        return 0;
}

usec_t cgroup_cpu_usec(const Cgroup *cgroup)
{
        return 0;
}

int cgroup_kill(const Cgroup *cgroup)
{
        return 0;
}

bool cgroup_is_populated(const Cgroup *cgroup)
{
        return true;
}

int cgroup_missing_controllers(const char *path, char **ret_missing)
{
        return -ENOENT;
}

/* What comes out */

static void expect_to_builder(void *userdata, const Frame *frame)
{
        Peer *peer = userdata;
        FrameFile file;

        expect(!peer->is_answered);
        switch (frame->type) {
        case FRAME_STARTED:
                expect(!peer->is_started);
                peer->is_started = true;
                return;
        case FRAME_ANSWER:
                expect_answer(frame);
                peer->is_answered = true;
                return;
        case FRAME_STDOUT:
                peer->output_size += frame->size;
                break;
        case FRAME_FILE:
                expect(frame_parse_file(frame, &file) == 0 && peer->file_left == 0 &&
                       file.size <= IMAGE_MAX);
                peer->file_left = file.size;
                peer->files_size += file.size;
                break;
        case FRAME_DATA:
                expect(frame->size > 0 && frame->size <= peer->file_left);
                peer->file_left -= frame->size;
                break;
        default:
                abort();
        }
        expect(peer->is_started && peer->output_size <= OUTPUT_MAX && peer->files_size <= IMAGE_MAX);
}

static bool begin_next(void)
{
        ListLink *first = list_first(&world.manager.waiting);
        bool is_woken = world.is_woken;

        world.is_woken = false;
        if (first && is_woken && !world.manager.current)
                build_begin(&world.manager, build_from_link(first));
        return is_woken;
}

static void run(void)
{
        do
                while (sd_event_run(world.manager.event, 0) > 0)
                        free_dead();
        while (read_peers(expect_to_builder) || begin_next());
}

/* Steps */

static void do_order(void)
{
        static const char form[] =
                "{'order':'build','plan':{'job':'0123456789abcdef0123456789abcdef','channel':'test_runners',"
                "'track':'ruby','timestamp':1,'bases':%c,'network':%s,'limits':{'wall_usec':1000000,"
                "'memory_bytes':16777216,'processes':8,'cpu_percent':100,'output_bytes':70000,"
                "'written_bytes':1048576,'image_bytes':3000}}}";
        Peer *peer = next_peer(&world.manager.server);
        uint8_t how = next(), where = next(), with = next();
        char text[1024];
        size_t n;

        (void) snprintf(text, sizeof(text), form, '0' + with % 3, with == 77 ? "true" : "false");
        n = spoil(text, how, where, with);
        say_frame(peer->fd, FRAME_ORDER, 0, text, n, -EBADF);
}

static void do_blob(void)
{
        static const char *const names[] = { "dockerfile", "context", "base", "bas" };
        Peer *peer = next_peer(&world.manager.server);
        uint8_t how = next();
        const char *name = names[how % 4];
        _cleanup_close_ int fd = open_some(how / 4 % 4);

        say_frame(peer->fd, how & 64 ? FRAME_DATA : FRAME_BLOB, 0, name, strlen(name),
                  how & 32 ? -EBADF : fd);
}

static void do_frame(void)
{
        Peer *peer = next_peer(&world.manager.server);
        uint8_t type = next();
        size_t size;
        const uint8_t *bytes = next_bytes(next(), &size);

        say_frame(peer->fd, FRAME_ORDER + type % (_FRAME_TYPE_MAX - 1), 0, bytes, size, -EBADF);
}

static void do_scope(void)
{
        ScopeHandler handler = world.scope ? world.scope->handler : NULL;

        if (!handler)
                return;
        world.scope->handler = NULL; /* it is made once */
        handler(world.scope, next() % 4 == 3 ? -EIO : 0, world.scope->userdata);
}

static void do_written(void)
{
        if (world.manager.current)
                build_set_written(world.manager.current, (uint64_t) next() << 16);
}

static void do_fault(void)
{
        world.has_fault = next() & 1;
}

static void do_inside(void)
{
        static const uint8_t zeros[FRAME_PAYLOAD_MAX];
        uint8_t what = next(), how = next();
        const InitExit end = { .status = how };
        _cleanup_(buffer_done) Buffer out = {};
        int r = 0;

        switch (what % 8) {
        case 0:
                r = frame_append(&out, FRAME_STDOUT, 0, zeros, how == 255 ? sizeof(zeros) : how, SIZE_MAX);
                break;
        case 1:
                r = frame_append_file(&out, 0, what / 8U * how, "oci-layout", SIZE_MAX);
                break;
        case 2:
                r = frame_append(&out, FRAME_DATA, 0, zeros, (size_t) (what / 8U) * how, SIZE_MAX);
                break;
        case 3:
                r = frame_append(&out, FRAME_INPUT_END, 0, NULL, 0, SIZE_MAX);
                break;
        case 4:
                r = frame_append_exit(&out, &end, SIZE_MAX);
                break;
        case 5:
                r = frame_append(&out, FRAME_FAILED, 0, "no\n", 3, SIZE_MAX);
                break;
        case 6:
                r = frame_append(&out, FRAME_ORDER + how % (_FRAME_TYPE_MAX - 1), 0, zeros, what, SIZE_MAX);
                break;
        default:
                r = buffer_append(&out, zeros, 1 + how, SIZE_MAX);
        }
        expect(r == 0);
        say(world.inside_fd, out.data, out.size, -EBADF);
}

/* The whole */

static void begin(void)
{
        Manager *m = &world.manager;

        *m = (Manager){ .folder = "/nowhere", .cache_fd = -EBADF };
        expect(sd_event_new(&m->event) >= 0);
        for (size_t i = 0; i < build_limits_table.n_fields; i++)
                *(uint64_t *) ((char *) &m->config.ceilings + build_limits_table.fields[i].offset) =
                        UINT64_C(1) << 32;
        m->config.ceilings.output_bytes = OUTPUT_MAX;
        m->config.ceilings.image_bytes = IMAGE_MAX;
        list_init(&m->waiting);
        list_init(&m->dead);
        world.inside_fd = -EBADF;
        m->server = (OrderServer){ .event = m->event,
                                   .name = "buildd",
                                   .types = build_orders,
                                   .connections_max = 2,
                                   .userdata = m };
        expect(order_server_start(&m->server, NULL, 0) >= 0);
}

static void end(void)
{
        Manager *m = &world.manager;

        order_server_done(&m->server);
        free_dead();
        expect(!m->current && m->waiting.n_members == 0 && !world.scope && world.inside_fd < 0);
        sd_event_unref(m->event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static void (*const steps[])(void) = { do_order,  do_blob,   do_blob,  do_frame,   do_scope,
                                               do_inside, do_inside, do_leave, do_written, do_fault };
        static const Play builds = { begin, run, end, steps, ARRAY_SIZE(steps) };

        world = (struct World){};
        play(&builds, data, size);
        return 0;
}
