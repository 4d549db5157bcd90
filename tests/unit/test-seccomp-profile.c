/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The compiled programs are run here by an interpreter of their own, for every number of a system call and
 * the edges of every rule's arguments, and compared with the profile read a second time, without the code
 * under test, and without libseccomp: its numbers are the kernel's own, its meaning is written down once
 * more below. */

#include "sandboxd/seccomp-profile.h"

#include "basic/string-util.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cmocka.h>

#define N_NUMBERS     1100
#define N_VALUES_MAX  256U
#define X32_BIT       0x40000000U
#define RET_ERRNO(e)  (SECCOMP_RET_ERRNO | (uint32_t) (e))
#define N_RANDOM      32
#define N_EXPECTED    8U
#define HIGH_BIT      (UINT64_C(1) << 32)
#define TIOCLINUX_NUM 0x541cU

typedef struct Number {
        const char *name;
        int number;
} Number;

static const Number numbers_x86_64[] = {
#include "syscalls-x86_64.h"
};

static const Number numbers_aarch64[] = {
#include "syscalls-aarch64.h"
};

static const struct {
        const char *name;
        uint32_t audit;
        const Number *numbers;
        size_t n_numbers;
} machines[] = {
        { "x86_64", AUDIT_ARCH_X86_64, numbers_x86_64, ARRAY_SIZE(numbers_x86_64) },
        { "aarch64", AUDIT_ARCH_AARCH64, numbers_aarch64, ARRAY_SIZE(numbers_aarch64) },
};

static char *profile_text;
static size_t profile_size;
static json_object *profile_json;

/* Classic BPF over struct seccomp_data, as far as seccomp programs use it. */
static uint32_t interpret(const Buffer *program, const struct seccomp_data *data)
{
        const struct sock_filter *filter = (const struct sock_filter *) program->data;
        size_t n = program->size / sizeof(*filter);
        uint32_t a = 0;

        for (size_t i = 0; i < n; i++) {
                const struct sock_filter *f = &filter[i];

                switch (f->code) {
                case BPF_LD | BPF_W | BPF_ABS:
                        assert_true(f->k % 4 == 0 && f->k < sizeof(*data));
                        memcpy(&a, (const uint8_t *) data + f->k, sizeof(a));
                        break;
                case BPF_ALU | BPF_AND | BPF_K:
                        a &= f->k;
                        break;
                case BPF_JMP | BPF_JA:
                        i += f->k;
                        break;
                case BPF_JMP | BPF_JEQ | BPF_K:
                        i += a == f->k ? f->jt : f->jf;
                        break;
                case BPF_JMP | BPF_JGT | BPF_K:
                        i += a > f->k ? f->jt : f->jf;
                        break;
                case BPF_JMP | BPF_JGE | BPF_K:
                        i += a >= f->k ? f->jt : f->jf;
                        break;
                case BPF_RET | BPF_K:
                        return f->k;
                default:
                        fail_msg("instruction %zu has the code 0x%x", i, f->code);
                }
        }
        fail_msg("the program has no end");
        return 0;
}

/* The kernel asks the newest program first; another's answer counts where it is stricter. */
static uint32_t answer_of(const SeccompPrograms *programs, const struct seccomp_data *data)
{
        uint32_t answer = SECCOMP_RET_ALLOW;

        for (size_t i = programs->n_programs; i-- > 0;) {
                uint32_t one = interpret(&programs->programs[i], data);

                if ((int32_t) (one & SECCOMP_RET_ACTION_FULL) < (int32_t) (answer & SECCOMP_RET_ACTION_FULL))
                        answer = one;
        }
        return answer;
}

/* What the text of the profile says. */

static uint32_t action_of(json_object *owner, const char *action, const char *error)
{
        const char *name = json_object_get_string(json_object_object_get(owner, action));
        json_object *number = json_object_object_get(owner, error);

        if (streq(name, "SCMP_ACT_ALLOW"))
                return SECCOMP_RET_ALLOW;
        assert_string_equal(name, "SCMP_ACT_ERRNO");
        return RET_ERRNO(number ? json_object_get_int(number) : EPERM);
}

static uint64_t number_of(json_object *owner, const char *name)
{
        return json_object_get_uint64(json_object_object_get(owner, name));
}

static bool argument_matches(json_object *argument, const __u64 *arguments)
{
        uint64_t actual = arguments[number_of(argument, "index")], value = number_of(argument, "value");
        const char *op = json_object_get_string(json_object_object_get(argument, "op"));

        if (streq(op, "SCMP_CMP_EQ"))
                return actual == value;
        if (streq(op, "SCMP_CMP_NE"))
                return actual != value;
        if (streq(op, "SCMP_CMP_GT"))
                return actual > value;
        assert_string_equal(op, "SCMP_CMP_MASKED_EQ");
        return (actual & value) == number_of(argument, "valueTwo");
}

static bool rule_names(json_object *rule, const char *name)
{
        json_object *names = json_object_object_get(rule, "names");

        for (size_t i = 0; i < json_object_array_length(names); i++)
                if (streq(json_object_get_string(json_object_array_get_idx(names, i)), name))
                        return true;
        return false;
}

static size_t rule_n_arguments(json_object *rule)
{
        json_object *arguments = json_object_object_get(rule, "args");

        return arguments ? json_object_array_length(arguments) : 0;
}

static bool rule_matches(json_object *rule, const char *name, const __u64 *arguments)
{
        if (!rule_names(rule, name))
                return false;
        for (size_t i = 0; i < rule_n_arguments(rule); i++)
                if (!argument_matches(json_object_array_get_idx(json_object_object_get(rule, "args"), i),
                                      arguments))
                        return false;
        return true;
}

static json_object *rule_at(size_t i)
{
        json_object *rules = json_object_object_get(profile_json, "syscalls");

        return i < json_object_array_length(rules) ? json_object_array_get_idx(rules, i) : NULL;
}

/* All answers that the profile allows to give: where several denials match, any of them. */
static size_t expected_answers(const char *name, const __u64 *arguments, uint32_t *answers)
{
        uint32_t listed = action_of(profile_json, "defaultAction", "defaultErrnoRet");
        json_object *rule;
        size_t n = 0;

        for (size_t i = 0; (rule = rule_at(i)); i++) {
                uint32_t action = action_of(rule, "action", "errnoRet");

                if (!name || !rule_matches(rule, name, arguments))
                        continue;
                if (rule_n_arguments(rule) == 0 || action == SECCOMP_RET_ALLOW) {
                        listed = action;
                        continue;
                }
                assert_true(n < N_EXPECTED);
                answers[n++] = action;
        }
        if (n == 0 || listed != SECCOMP_RET_ALLOW) {
                answers[0] = listed;
                return 1;
        }
        return n;
}

static void check_call(const SeccompPrograms *programs, const char *name, const struct seccomp_data *data)
{
        uint32_t expected[N_EXPECTED], answer = answer_of(programs, data);
        size_t n = expected_answers(name, data->args, expected);

        for (size_t i = 0; i < n; i++)
                if (answer == expected[i])
                        return;
        fail_msg("%s (%d) with 0x%llx 0x%llx 0x%llx: 0x%x instead of 0x%x", name ?: "no call", data->nr,
                 data->args[0], data->args[1], data->args[2], answer, expected[0]);
}

static void compile(const char *machine, SeccompPrograms *programs)
{
        _cleanup_(seccomp_profile_freep) SeccompProfile *profile = NULL;
        char *error;

        assert_int_equal(seccomp_profile_parse(profile_text, profile_size, &profile, &error), 0);
        assert_int_equal(seccomp_profile_compile(profile, machine, programs, &error), 0);
        assert_int_equal(programs->n_programs, 2);
        for (size_t i = 0; i < 2; i++) {
                assert_true(programs->programs[i].size > 0);
                assert_true(programs->programs[i].size <= BPF_MAXINSNS * sizeof(struct sock_filter));
        }
}

/* The library may know calls that are newer than the kernel's headers here: for those, its word
 * has to do. */
static const char *name_of(size_t machine, int number)
{
        static char newer[64];
        const Number *numbers = machines[machine].numbers;
        int newest = 0;
        char *name;

        for (size_t i = 0; i < machines[machine].n_numbers; i++) {
                if (streq(numbers[i].name, "syscalls"))
                        continue; /* no call, but their count */
                if (numbers[i].number == number)
                        return numbers[i].name;
                newest = MAX(newest, numbers[i].number);
        }
        name = number > newest ? seccomp_syscall_resolve_num_arch(machines[machine].audit, number) : NULL;
        if (!name)
                return NULL;
        (void) snprintf(newer, sizeof(newer), "%s", name);
        free(name);
        return newer;
}

/* Values around what the rules about one argument of a call compare it with. */
static size_t edges_of(const char *name, unsigned index, uint64_t *values)
{
        static const uint64_t always[] = { 0, 1, HIGH_BIT, HIGH_BIT | 1, UINT64_MAX, UINT32_MAX, INT64_MIN };
        json_object *rule;
        size_t n = ARRAY_SIZE(always);

        memcpy(values, always, sizeof(always));
        for (size_t i = 0; (rule = rule_at(i)); i++)
                for (size_t j = 0; rule_names(rule, name) && j < rule_n_arguments(rule); j++) {
                        json_object *a = json_object_array_get_idx(json_object_object_get(rule, "args"), j);
                        uint64_t value = number_of(a, "value"), two = number_of(a, "valueTwo");

                        if (number_of(a, "index") != index)
                                continue;
                        for (size_t k = 0; k < 2; k++, value = two) {
                                const uint64_t edges[] = {
                                        value,  value - 1,  value + 1, value | HIGH_BIT, value | INT64_MIN,
                                        ~value, value << 32
                                };

                                for (size_t e = 0; e < ARRAY_SIZE(edges) && n < N_VALUES_MAX; e++)
                                        values[n++] = edges[e];
                        }
                }
        return n;
}

static bool has_argument_rules(const char *name)
{
        json_object *rule;

        for (size_t i = 0; (rule = rule_at(i)); i++)
                if (rule_n_arguments(rule) > 0 && rule_names(rule, name))
                        return true;
        return false;
}

static void check_edges(const SeccompPrograms *programs, const char *name, struct seccomp_data data)
{
        uint64_t first[N_VALUES_MAX], second[N_VALUES_MAX], third[N_VALUES_MAX];
        size_t n_first = edges_of(name, 0, first), n_second = edges_of(name, 1, second),
               n_third = edges_of(name, 2, third);

        for (size_t i = 0; i < n_first; i++)
                for (size_t j = 0; j < n_second; j++)
                        for (size_t k = 0; k < n_third; k += 3) {
                                data.args[0] = first[i];
                                data.args[1] = second[j];
                                data.args[2] = third[(k + i + j) % n_third];
                                check_call(programs, name, &data);
                        }
}

static void test_every_number(void **state)
{
        for (size_t m = 0; m < ARRAY_SIZE(machines); m++) {
                _cleanup_(seccomp_programs_done) SeccompPrograms programs = {};
                size_t n_named = 0;

                compile(machines[m].name, &programs);
                for (int number = 0; number <= N_NUMBERS; number++) {
                        const char *name = name_of(m, number);
                        struct seccomp_data data = { .nr = number, .arch = machines[m].audit };

                        n_named += name != NULL;
                        check_call(&programs, name, &data);
                        memset(data.args, 0xff, sizeof(data.args));
                        check_call(&programs, name, &data);
                        if (name && has_argument_rules(name))
                                check_edges(&programs, name, data);
                }
#ifndef __x86_64__
                if (streq(machines[m].name, "x86_64"))
                        continue; /* this machine's headers do not have its numbers */
#endif
                assert_true(n_named > 280);
        }
}

static void test_random_arguments(void **state)
{
        for (size_t m = 0; m < ARRAY_SIZE(machines); m++) {
                _cleanup_(seccomp_programs_done) SeccompPrograms programs = {};

                compile(machines[m].name, &programs);
                srandom(1);
                for (int number = 0; number <= N_NUMBERS; number++)
                        for (int i = 0; i < N_RANDOM; i++) {
                                struct seccomp_data data = { .nr = number, .arch = machines[m].audit };

                                for (size_t a = 0; a < ARRAY_SIZE(data.args); a++)
                                        data.args[a] = ((uint64_t) random() << 32 | (uint64_t) random()) >>
                                                       (random() % 64);
                                check_call(&programs, name_of(m, number), &data);
                        }
        }
}

static void test_foreign_calls_end_the_process(void **state)
{
        static const uint32_t foreign[] = { AUDIT_ARCH_I386, AUDIT_ARCH_ARM, AUDIT_ARCH_X86_64,
                                            AUDIT_ARCH_AARCH64, 0 };

        for (size_t m = 0; m < ARRAY_SIZE(machines); m++) {
                _cleanup_(seccomp_programs_done) SeccompPrograms programs = {};

                compile(machines[m].name, &programs);
                for (size_t i = 0; i < ARRAY_SIZE(foreign); i++)
                        for (int number = 0; number <= N_NUMBERS; number++) {
                                struct seccomp_data data = { .nr = number, .arch = foreign[i] };

                                if (foreign[i] != machines[m].audit)
                                        assert_int_equal(answer_of(&programs, &data),
                                                         SECCOMP_RET_KILL_PROCESS);
                        }
        }
}

static void test_x32_ends_the_process(void **state)
{
        _cleanup_(seccomp_programs_done) SeccompPrograms programs = {};
        struct seccomp_data data = { .arch = AUDIT_ARCH_X86_64 };

        compile("x86_64", &programs);
        for (uint32_t number = 0; number <= N_NUMBERS; number++) {
                data.nr = (int) (number | X32_BIT);
                assert_int_equal(answer_of(&programs, &data), SECCOMP_RET_KILL_PROCESS);
        }
        data.nr = -1;
        assert_int_not_equal(answer_of(&programs, &data), SECCOMP_RET_ALLOW);
}

/* What the default profile is for, said without the profile. */
static const struct {
        const char *name;
        uint64_t arguments[3];
        uint32_t answer;
} promises[] = {
        { "read", {}, SECCOMP_RET_ALLOW },
        { "rseq", {}, SECCOMP_RET_ALLOW },
        { "clone", { CLONE_VM | CLONE_THREAD | CLONE_SIGHAND }, SECCOMP_RET_ALLOW },
        { "clone", { CLONE_NEWUSER | 17 }, RET_ERRNO(EPERM) },
        { "clone", { CLONE_NEWNS }, RET_ERRNO(EPERM) },
        { "clone", { CLONE_NEWPID | HIGH_BIT }, RET_ERRNO(EPERM) },
        { "clone", { CLONE_NEWNET | CLONE_NEWIPC }, RET_ERRNO(EPERM) },
        { "clone", { CLONE_NEWUTS | CLONE_VM }, RET_ERRNO(EPERM) },
        { "clone", { CLONE_NEWCGROUP }, RET_ERRNO(EPERM) },
        { "clone3", {}, RET_ERRNO(ENOSYS) },
        { "unshare", {}, RET_ERRNO(EPERM) },
        { "setns", {}, RET_ERRNO(EPERM) },
        { "mount", {}, RET_ERRNO(EPERM) },
        { "open_tree", {}, RET_ERRNO(EPERM) },
        { "chroot", {}, RET_ERRNO(EPERM) },
        { "ptrace", {}, RET_ERRNO(EPERM) },
        { "process_vm_readv", {}, RET_ERRNO(EPERM) },
        { "process_vm_writev", {}, RET_ERRNO(EPERM) },
        { "pidfd_getfd", {}, RET_ERRNO(EPERM) },
        { "kcmp", {}, RET_ERRNO(EPERM) },
        { "bpf", {}, RET_ERRNO(EPERM) },
        { "perf_event_open", {}, RET_ERRNO(EPERM) },
        { "userfaultfd", {}, RET_ERRNO(EPERM) },
        { "io_uring_setup", {}, RET_ERRNO(EPERM) },
        { "keyctl", {}, RET_ERRNO(EPERM) },
        { "add_key", {}, RET_ERRNO(EPERM) },
        { "request_key", {}, RET_ERRNO(EPERM) },
        { "open_by_handle_at", {}, RET_ERRNO(EPERM) },
        { "fanotify_init", {}, RET_ERRNO(EPERM) },
        { "init_module", {}, RET_ERRNO(EPERM) },
        { "kexec_load", {}, RET_ERRNO(EPERM) },
        { "reboot", {}, RET_ERRNO(EPERM) },
        { "clock_settime", {}, RET_ERRNO(EPERM) },
        { "syslog", {}, RET_ERRNO(EPERM) },
        { "quotactl", {}, RET_ERRNO(EPERM) },
        { "acct", {}, RET_ERRNO(EPERM) },
        { "sync", {}, RET_ERRNO(0) },
        { "ioctl", { 0, TCGETS }, SECCOMP_RET_ALLOW },
        { "ioctl", { 0, TIOCSTI }, RET_ERRNO(EPERM) },
        { "ioctl", { 0, TIOCSTI | HIGH_BIT }, RET_ERRNO(EPERM) },
        { "ioctl", { 0, TIOCSTI | UINT64_C(0xffffffff00000000) }, RET_ERRNO(EPERM) },
        { "fcntl", { 0, F_NOTIFY }, RET_ERRNO(EPERM) },
        { "fcntl", { 0, F_NOTIFY | HIGH_BIT }, RET_ERRNO(EPERM) },
        { "fcntl", { 0, F_SETLK }, SECCOMP_RET_ALLOW },
        { "setsockopt", { 0, SOL_SOCKET, SO_ATTACH_FILTER }, RET_ERRNO(EPERM) },
        { "setsockopt", { 0, SOL_SOCKET, SO_ATTACH_FILTER | HIGH_BIT }, RET_ERRNO(EPERM) },
        { "setsockopt", { 0, SOL_SOCKET | HIGH_BIT, SO_ATTACH_FILTER }, RET_ERRNO(EPERM) },
        { "setsockopt", { 0, SOL_SOCKET, SO_ATTACH_BPF }, RET_ERRNO(EPERM) },
        { "setsockopt", { 0, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF }, RET_ERRNO(EPERM) },
        { "setsockopt", { 0, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF }, RET_ERRNO(EPERM) },
        { "setsockopt", { 0, SOL_SOCKET, SO_REUSEADDR }, SECCOMP_RET_ALLOW },
        { "setsockopt", { 0, 6, SO_ATTACH_FILTER }, SECCOMP_RET_ALLOW },
        { "ioctl", { 0, TIOCLINUX_NUM | HIGH_BIT }, RET_ERRNO(EPERM) },
        { "socket", { AF_UNIX, SOCK_STREAM }, SECCOMP_RET_ALLOW },
        { "socket", { AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 6 }, SECCOMP_RET_ALLOW },
        { "socket", { AF_INET6, SOCK_DGRAM, 17 }, SECCOMP_RET_ALLOW },
        { "socket", { AF_INET, SOCK_RAW }, RET_ERRNO(EPERM) },
        { "socket", { AF_INET6, SOCK_RAW | SOCK_CLOEXEC }, RET_ERRNO(EPERM) },
        { "socket", { AF_INET, SOCK_PACKET }, RET_ERRNO(EPERM) },
        { "socket", { AF_NETLINK, SOCK_DGRAM }, RET_ERRNO(EAFNOSUPPORT) },
        { "socket", { AF_PACKET, SOCK_DGRAM }, RET_ERRNO(EAFNOSUPPORT) },
        { "socket", { AF_ALG, SOCK_SEQPACKET }, RET_ERRNO(EAFNOSUPPORT) },
        { "socket", { AF_VSOCK, SOCK_STREAM }, RET_ERRNO(EAFNOSUPPORT) },
        { "socket", { AF_BLUETOOTH, SOCK_STREAM }, RET_ERRNO(EAFNOSUPPORT) },
        { "socket", { AF_UNIX | HIGH_BIT, SOCK_STREAM }, RET_ERRNO(EAFNOSUPPORT) },
        { "socket", { AF_INET, SOCK_STREAM, 262 }, RET_ERRNO(EPROTONOSUPPORT) },
        { "socket", { AF_INET, SOCK_STREAM, 132 }, RET_ERRNO(EPROTONOSUPPORT) },
        { "socketpair", { AF_UNIX, SOCK_STREAM }, SECCOMP_RET_ALLOW },
        { "socketpair", { AF_TIPC, SOCK_STREAM }, RET_ERRNO(EAFNOSUPPORT) },
        { "personality", { 0 }, SECCOMP_RET_ALLOW },
        { "personality", { 0xffffffff }, SECCOMP_RET_ALLOW },
        { "personality", { 0x0040000 }, RET_ERRNO(ENOSYS) },
        { "personality", { 0x0400000 }, RET_ERRNO(ENOSYS) },
        { "personality", { HIGH_BIT }, RET_ERRNO(ENOSYS) },
};

static void test_what_the_default_profile_says(void **state)
{
        for (size_t m = 0; m < ARRAY_SIZE(machines); m++) {
                _cleanup_(seccomp_programs_done) SeccompPrograms programs = {};

                compile(machines[m].name, &programs);
                for (size_t i = 0; i < ARRAY_SIZE(promises); i++)
                        for (size_t j = 0; j < machines[m].n_numbers; j++) {
                                struct seccomp_data data = { .nr = machines[m].numbers[j].number,
                                                             .arch = machines[m].audit };

                                if (!streq(machines[m].numbers[j].name, promises[i].name))
                                        continue;
                                memcpy(data.args, promises[i].arguments, sizeof(promises[i].arguments));
                                if (answer_of(&programs, &data) != promises[i].answer)
                                        fail_msg("case %zu, %s: 0x%x", i, promises[i].name,
                                                 answer_of(&programs, &data));
                        }
        }
}

#define PROFILE(rules)                                                              \
        "{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"archMap\": [{\"architecture\": " \
        "\"SCMP_ARCH_X86_64\"}], \"syscalls\": [" rules "]}"

static int compile_text(const char *text, const char *machine, SeccompPrograms *programs, char **error)
{
        _cleanup_(seccomp_profile_freep) SeccompProfile *profile = NULL;
        int r = seccomp_profile_parse(text, strlen(text), &profile, error);

        return r != 0 ? r : seccomp_profile_compile(profile, machine, programs, error);
}

static void test_what_is_refused_says_where(void **state)
{
        static const struct {
                const char *text, *error;
        } cases[] = {
                { "", "is not JSON" },
                { "[]", "is not an object" },
                { "{}", "defaultAction is missing" },
                { "{\"defaultAction\": \"SCMP_ACT_NOTIFY\"}", "defaultAction: 'SCMP_ACT_NOTIFY'" },
                { "{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 4096}",
                  "defaultErrnoRet must be" },
                { PROFILE("7"), "syscalls[0] must be an object" },
                { PROFILE("{\"names\": [\"read\"]}"), "syscalls[0].action is missing" },
                { PROFILE("{\"names\": \"read\", \"action\": \"SCMP_ACT_ALLOW\"}"),
                  "syscalls[0].names must be" },
                { PROFILE("{\"names\": [\"../x\"], \"action\": \"SCMP_ACT_ALLOW\"}"),
                  "syscalls[0].names must be" },
                { PROFILE("{\"names\": [\"read\"], \"action\": \"SCMP_ACT_ALLOW\", \"exclude\": {}}"),
                  "syscalls[0].exclude: there is no such member" },
                { PROFILE("{\"names\": [\"read\"], \"action\": \"SCMP_ACT_ALLOW\", \"excludes\": {\"cap\": "
                          "[]}}"),
                  "syscalls[0].excludes.cap: there is no such member" },
                { PROFILE("{\"names\": [\"read\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": [{\"index\": "
                          "6, "
                          "\"value\": 0, \"op\": \"SCMP_CMP_EQ\"}]}"),
                  "syscalls[0].args[0].index must be" },
                { PROFILE("{\"names\": [\"read\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": [{\"index\": "
                          "0, "
                          "\"value\": -1, \"op\": \"SCMP_CMP_EQ\"}]}"),
                  "syscalls[0].args[0].value must be" },
                { PROFILE("{\"names\": [\"read\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": [{\"index\": "
                          "0, "
                          "\"value\": 0, \"op\": \"EQ\"}]}"),
                  "syscalls[0].args[0].op: 'EQ'" },
                { PROFILE("{\"names\": [\"read\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": [{\"index\": "
                          "0, "
                          "\"value\": 0, \"op\": \"SCMP_CMP_EQ\"}, {\"index\": 0, \"value\": 1, \"op\": "
                          "\"SCMP_CMP_EQ\"}]}"),
                  "syscalls[0].args[1].index: this argument was compared before" },
                { PROFILE("{\"names\": [\"read\"], \"action\": \"SCMP_ACT_ALLOW\", \"includes\": "
                          "{\"minKernel\": "
                          "\"6.9\"}}"),
                  "syscalls[0]: minKernel" },
                { PROFILE("{\"names\": [\"read\"], \"action\": \"SCMP_ACT_ALLOW\"}, {\"names\": [\"read\"], "
                          "\"action\": \"SCMP_ACT_KILL\"}"),
                  "syscalls[1]: 'read' has another action" },
                { PROFILE("{\"names\": [\"personality\"], \"action\": \"SCMP_ACT_TRAP\"}, {\"names\": "
                          "[\"personality\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": [{\"index\": 0, "
                          "\"value\": 0, \"op\": \"SCMP_CMP_EQ\"}]}"),
                  "syscalls[1]: 'personality' has another action" },
                { "{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"archMap\": [{\"architecture\": "
                  "\"SCMP_ARCH_X86_64\", \"subArchitectures\": [\"SCMP_ARCH_X86\"]}], \"syscalls\": []}",
                  "archMap[0].subArchitectures: must be empty" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(seccomp_programs_done) SeccompPrograms programs = {};
                _cleanup_free_ char *error = NULL;

                if (compile_text(cases[i].text, "x86_64", &programs, &error) != SECCOMP_PROFILE_BAD)
                        fail_msg("case %zu was taken", i);
                if (!string_after(error, cases[i].error))
                        fail_msg("case %zu: '%s' instead of '%s'", i, error, cases[i].error);
        }
}

static void test_architectures(void **state)
{
        for (size_t i = 0; i < 2; i++) {
                _cleanup_(seccomp_programs_done) SeccompPrograms programs = {};
                _cleanup_free_ char *error = NULL;

                assert_int_equal(compile_text(PROFILE(""), i == 0 ? "aarch64" : "mips", &programs, &error),
                                 SECCOMP_PROFILE_BAD);
                assert_non_null(strstr(error, "archMap: has no entry for"));
        }
}

/* A guest has no capability; conditions on architectures are decided for the one compiled for. */
static void test_conditions(void **state)
{
        static const struct {
                const char *condition;
                bool holds;
        } cases[] = {
                { "\"includes\": {\"caps\": [\"CAP_SYS_ADMIN\"]}", false },
                { "\"excludes\": {\"caps\": [\"CAP_SYS_ADMIN\"]}", true },
                { "\"includes\": {\"arches\": [\"amd64\", \"arm\"]}", true },
                { "\"includes\": {\"arches\": [\"arm64\"]}", false },
                { "\"excludes\": {\"arches\": [\"amd64\"]}", false },
                { "\"excludes\": {\"arches\": [\"s390x\"]}, \"includes\": {}", true },
                { "\"includes\": {\"minKernel\": \"4.8\"}", true },
                { "\"excludes\": {\"minKernel\": \"4.8\"}", false },
                { "\"args\": null", true },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(seccomp_programs_done) SeccompPrograms programs = {};
                _cleanup_free_ char *text = NULL;
                struct seccomp_data data = { .nr = 0, .arch = AUDIT_ARCH_X86_64 };
                char *error = NULL;

                text = string_format(PROFILE("{\"names\": [\"read\"], \"action\": \"SCMP_ACT_ALLOW\", %s}"),
                                     cases[i].condition);
                assert_int_equal(compile_text(text, "x86_64", &programs, &error), 0);
                assert_int_equal(programs.n_programs, 1);
                assert_int_equal(answer_of(&programs, &data),
                                 cases[i].holds ? SECCOMP_RET_ALLOW : RET_ERRNO(EPERM));
        }
}

static void test_names_are_checked_before_they_become_paths(void **state)
{
        static const char *const names[] = { "", ".", "..", "../default", "a/b", "nowhere-at-all", "-x" };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                _cleanup_(seccomp_programs_done) SeccompPrograms programs = {};
                _cleanup_free_ char *error = NULL;

                assert_int_equal(seccomp_profile_load(names[i], &programs, &error), SECCOMP_PROFILE_UNKNOWN);
                assert_non_null(strstr(error, "there is no seccomp profile"));
        }
}

static int read_profile(void **state)
{
        _cleanup_free_ char *path = string_format("%s/profiles/default.json", getenv("PROJECT") ?: ".");

        if (read_file_at(AT_FDCWD, path, 1024 * 1024, &profile_text, &profile_size) < 0)
                return -1;
        profile_json = json_tokener_parse(profile_text);
        return profile_json ? 0 : -1;
}

static int free_profile(void **state)
{
        json_object_put(profile_json);
        free(profile_text);
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_number),
                cmocka_unit_test(test_random_arguments),
                cmocka_unit_test(test_foreign_calls_end_the_process),
                cmocka_unit_test(test_x32_ends_the_process),
                cmocka_unit_test(test_what_the_default_profile_says),
                cmocka_unit_test(test_what_is_refused_says_where),
                cmocka_unit_test(test_architectures),
                cmocka_unit_test(test_conditions),
                cmocka_unit_test(test_names_are_checked_before_they_become_paths),
        };

        return cmocka_run_group_tests(tests, read_profile, free_profile);
}
