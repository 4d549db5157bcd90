/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compiling seccomp profiles with libseccomp.
 *
 * libseccomp cannot say "this call is allowed, but not with these arguments": a rule without arguments
 * swallows those with. So a profile becomes up to two programs that the kernel asks both, taking the
 * stricter answer:
 *
 *   1. the denials that look at arguments; whatever they do not name is allowed;
 *   2. all other rules; whatever they do not name gets the default action.
 *
 * A profile thus means: a call is allowed where a rule without arguments, or one whose arguments match,
 * allows it and no rule whose arguments match denies it. Where both programs answer with an errno, the
 * second's counts.
 *
 * Calls of another architecture (i386 by `int 0x80`, x32) end the process: nothing native makes them, and an
 * errno would let a program run on for which no rule was meant. */

#include "seccomp-profile.h"

#include "basic/fd-util.h"
#include "basic/hashmap.h"
#include "basic/string-util.h"

#include <linux/filter.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

DEFINE_CLEANUP(scmp_filter_ctx, seccomp_release)

static const struct {
        const char *name, *scmp_name, *go_name;
        uint32_t token;
} architectures[] = {
        { "x86_64", "SCMP_ARCH_X86_64", "amd64", SCMP_ARCH_X86_64 },
        { "aarch64", "SCMP_ARCH_AARCH64", "arm64", SCMP_ARCH_AARCH64 },
};

typedef enum Program {
        PROGRAM_DENIALS,
        PROGRAM_LIST,
} Program;

void seccomp_programs_done(SeccompPrograms *programs)
{
        for (size_t i = 0; i < programs->n_programs; i++)
                buffer_done(&programs->programs[i]);
        *programs = (SeccompPrograms){};
}

static bool is_allowing(uint32_t action)
{
        return action == SCMP_ACT_ALLOW || action == SCMP_ACT_LOG;
}

static Program rule_program(const SeccompRule *rule)
{
        return rule->n_arguments > 0 && !is_allowing(rule->action) ? PROGRAM_DENIALS : PROGRAM_LIST;
}

static bool rule_applies(const SeccompRule *rule, const char *go_name)
{
        const SeccompCondition *in = &rule->includes, *out = &rule->excludes;

        if (strv_length(in->architectures) > 0 && !strv_contains(in->architectures, go_name))
                return false;
        return strv_length(in->capabilities) == 0 && !strv_contains(out->architectures, go_name) &&
               !out->kernel;
}

static uint32_t action_with_errno(uint32_t action, SeccompErrno error)
{
        return action == SCMP_ACT_ERRNO(0) ? SCMP_ACT_ERRNO(error.is_set ? error.value : EPERM) : action;
}

static int begin_program(Program program, uint32_t default_action, uint32_t token, scmp_filter_ctx *ret)
{
        _cleanup_(seccomp_releasep) scmp_filter_ctx ctx = NULL;
        int r = 0;

        ctx = seccomp_init(program == PROGRAM_DENIALS ? SCMP_ACT_ALLOW : default_action);
        if (!ctx)
                return -ENOMEM;
        if (token != seccomp_arch_native()) {
                r = seccomp_arch_add(ctx, token);
                if (r >= 0)
                        r = seccomp_arch_remove(ctx, seccomp_arch_native());
        }
        if (r >= 0)
                r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
        if (r >= 0) /* a binary tree: the kernel tries every call when the program is loaded */
                r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(ctx);
        return 0;
}

/* Remembers what a rule without arguments says of a call: two that differ, or one that denies beside one
 * that allows with some arguments, could not both be meant. `rules` maps names to the rule that was there
 * first. */
static int check_contradiction(Hashmap *rules, const SeccompRule *rule, const char *name, size_t i,
                               char **ret_error)
{
        const SeccompRule *first = hashmap_get_str(rules, name);

        if (!first)
                return hashmap_put_str(rules, name, (void *) rule);
        if (action_with_errno(first->action, first->error) == action_with_errno(rule->action, rule->error))
                return 0;
        return error_set(ret_error, SECCOMP_PROFILE_BAD,
                         "syscalls[%zu]: '%.64s' has another action in an earlier rule", i, name);
}

static int add_call(scmp_filter_ctx ctx, const SeccompRule *rule, uint32_t action, const char *name)
{
        struct scmp_arg_cmp arguments[6] = {};
        int number = seccomp_syscall_resolve_name(name), r;

        if (number == __NR_SCMP_ERROR)
                return 0; /* newer than the library, or of another architecture: gets the default action */
        for (size_t i = 0; i < rule->n_arguments; i++)
                arguments[i] = (struct scmp_arg_cmp){
                        .arg = (unsigned) rule->arguments[i].index,
                        .op = (enum scmp_compare) rule->arguments[i].op,
                        .datum_a = rule->arguments[i].value,
                        .datum_b = rule->arguments[i].value_two,
                };
        r = seccomp_rule_add_array(ctx, action, number, (unsigned) rule->n_arguments, arguments);
        return r == -EEXIST || r == -EDOM ? 0 : r; /* said before; a call that the architecture lacks */
}

static int add_rule(scmp_filter_ctx ctx, Hashmap *seen, const SeccompRule *rule, size_t i,
                    uint32_t default_action, char **ret_error)
{
        uint32_t action = action_with_errno(rule->action, rule->error);

        for (char **name = rule->names; name && *name; name++) {
                int r = 0;

                if (rule_program(rule) == PROGRAM_LIST)
                        r = check_contradiction(seen, rule, *name, i, ret_error);
                if (r == 0 && (rule_program(rule) == PROGRAM_DENIALS || action != default_action))
                        r = add_call(ctx, rule, action, *name);
                if (r != 0)
                        return r;
        }
        return 0;
}

static int export_program(scmp_filter_ctx ctx, Buffer *ret, char **ret_error)
{
        _cleanup_close_ int fd = memfd_create("seccomp", MFD_CLOEXEC);
        struct sock_filter bytes[BPF_MAXINSNS + 1];
        ssize_t n;
        int r;

        if (fd < 0)
                return -errno;
        r = seccomp_export_bpf(ctx, fd);
        if (r < 0)
                return r;
        if (lseek(fd, 0, SEEK_SET) < 0)
                return -errno;
        n = read_full(fd, bytes, sizeof(bytes));
        if (n < 0)
                return (int) n;
        if ((size_t) n > BPF_MAXINSNS * sizeof(*bytes))
                return error_set(ret_error, SECCOMP_PROFILE_BAD,
                                 "the compiled program is longer than the kernel takes");
        return buffer_append(ret, bytes, (size_t) n, sizeof(bytes));
}

static int compile_program(const SeccompProfile *profile, size_t architecture, Program program,
                           SeccompPrograms *programs, char **ret_error)
{
        uint32_t default_action = action_with_errno(profile->default_action, profile->default_error);
        _cleanup_(seccomp_releasep) scmp_filter_ctx ctx = NULL;
        _cleanup_(hashmap_freep) Hashmap *seen = hashmap_new();
        size_t n_rules = 0;
        int r;

        if (!seen)
                return -ENOMEM;
        r = begin_program(program, default_action, architectures[architecture].token, &ctx);
        for (size_t i = 0; r == 0 && i < profile->n_rules; i++) {
                const SeccompRule *rule = &profile->rules[i];

                if (rule_program(rule) != program ||
                    !rule_applies(rule, architectures[architecture].go_name))
                        continue;
                n_rules++;
                r = add_rule(ctx, seen, rule, i, default_action, ret_error);
        }
        if (r != 0 || (program == PROGRAM_DENIALS && n_rules == 0))
                return r;
        return export_program(ctx, &programs->programs[programs->n_programs++], ret_error);
}

static bool profile_has(const SeccompProfile *profile, const char *scmp_name)
{
        for (size_t i = 0; i < profile->n_architectures; i++)
                if (streq(profile->architectures[i].name, scmp_name))
                        return true;
        return false;
}

int seccomp_profile_compile(const SeccompProfile *profile, const char *architecture, SeccompPrograms *ret,
                            char **ret_error)
{
        _cleanup_(seccomp_programs_done) SeccompPrograms programs = {};
        size_t i = 0;
        int r;

        while (i < ARRAY_SIZE(architectures) && !streq(architectures[i].name, architecture))
                i++;
        if (i == ARRAY_SIZE(architectures) || !profile_has(profile, architectures[i].scmp_name))
                return error_set(ret_error, SECCOMP_PROFILE_BAD, "archMap: has no entry for %s",
                                 architecture);
        r = compile_program(profile, i, PROGRAM_DENIALS, &programs, ret_error);
        if (r == 0)
                r = compile_program(profile, i, PROGRAM_LIST, &programs, ret_error);
        if (r != 0)
                return r;
        *ret = programs;
        programs = (SeccompPrograms){};
        return 0;
}
