/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading seccomp profiles: the format that docker and its like share, so that a profile can be carried
 * over. Taken are archMap, defaultAction, defaultErrnoRet and syscalls; anything unknown is an error, for a
 * misspelt `excludes` would silently allow more than was meant. Not taken:
 *
 * - sub-architectures: guests make native system calls only;
 * - SCMP_ACT_TRACE and SCMP_ACT_NOTIFY: nobody would answer.
 *
 * Conditions are decided here and now: a guest has no capability, so `includes.caps` never holds and
 * `excludes.caps` always does; a kernel older than KERNEL_MAJOR.KERNEL_MINOR runs no sandbox at all. */

#include "seccomp-profile.h"

#include "basic/folder.h"
#include "basic/string-util.h"
#include "proto/json-fields.h"
#include "proto/name.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>

#define PROFILE_SIZE_MAX (1024U * 1024U)
#define KERNEL_MAJOR     5 /* cgroup.kill */
#define KERNEL_MINOR     14

/* The administrator's first. */
static const char *const folders[] = { SYSCONFDIR "/profiles", PROFILEDIR };

/* Members of the format that json-fields does not know: words for numbers, and a number that
 * may be missing. */
typedef struct Word {
        const char *name;
        uint32_t value;
} Word;

static const Word actions[] = {
        { "SCMP_ACT_ALLOW", SCMP_ACT_ALLOW },
        { "SCMP_ACT_LOG", SCMP_ACT_LOG },
        { "SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0) },
        { "SCMP_ACT_TRAP", SCMP_ACT_TRAP },
        { "SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD },
        { "SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD },
        { "SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS },
};

static const Word operators[] = {
        { "SCMP_CMP_NE", SCMP_CMP_NE },
        { "SCMP_CMP_LT", SCMP_CMP_LT },
        { "SCMP_CMP_LE", SCMP_CMP_LE },
        { "SCMP_CMP_EQ", SCMP_CMP_EQ },
        { "SCMP_CMP_GE", SCMP_CMP_GE },
        { "SCMP_CMP_GT", SCMP_CMP_GT },
        { "SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ },
};

static int read_word(const Word *words, size_t n, json_object *value, void *member, char **ret_error)
{
        const char *name = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";

        for (size_t i = 0; i < n; i++)
                if (streq(words[i].name, name)) {
                        *(uint32_t *) member = words[i].value;
                        return 0;
                }
        return error_set(ret_error, JSON_BAD,
                         ": '%.64s' is not one of those from %s to %s that are supported here", name,
                         words[0].name, words[n - 1].name);
}

static int action_read(const JsonField *field, json_object *value, void *member, char **ret_error)
{
        return read_word(actions, ARRAY_SIZE(actions), value, member, ret_error);
}

static int operator_read(const JsonField *field, json_object *value, void *member, char **ret_error)
{
        return read_word(operators, ARRAY_SIZE(operators), value, member, ret_error);
}

static int errno_read(const JsonField *field, json_object *value, void *member, char **ret_error)
{
        SeccompErrno *error = member;
        int r = field_uint.read(field, value, &error->value, ret_error);

        error->is_set = r == 0;
        return r;
}

static const FieldType field_action = { .read = action_read };
static const FieldType field_operator = { .read = operator_read };
static const FieldType field_errno = { .read = errno_read };

/* The format, from the inside out. */

static const JsonField argument_fields[] = {
        { .name = "index", .type = &field_uint, .offset = offsetof(SeccompArgument, index), .max = 5 },
        { .name = "value",
          .type = &field_uint,
          .offset = offsetof(SeccompArgument, value),
          .max = UINT64_MAX - 1 },
        { .name = "valueTwo",
          .type = &field_uint,
          .offset = offsetof(SeccompArgument, value_two),
          .max = UINT64_MAX - 1,
          .optional = true },
        { .name = "op", .type = &field_operator, .offset = offsetof(SeccompArgument, op) },
};
static const JsonTable argument_table = JSON_TABLE(SeccompArgument, argument_fields);

static const JsonField condition_fields[] = {
        { .name = "arches",
          .type = &field_texts,
          .offset = offsetof(SeccompCondition, architectures),
          .optional = true },
        { .name = "caps",
          .type = &field_texts,
          .offset = offsetof(SeccompCondition, capabilities),
          .optional = true },
        { .name = "minKernel",
          .type = &field_text,
          .offset = offsetof(SeccompCondition, kernel),
          .max = 16,
          .optional = true },
};
static const JsonTable condition_table = JSON_TABLE(SeccompCondition, condition_fields);

static const JsonField rule_fields[] = {
        { .name = "names",
          .type = &field_texts,
          .offset = offsetof(SeccompRule, names),
          .max = 1024,
          .is_valid = slug_is_valid,
          .form = "the name of a system call" },
        { .name = "action", .type = &field_action, .offset = offsetof(SeccompRule, action) },
        { .name = "errnoRet",
          .type = &field_errno,
          .offset = offsetof(SeccompRule, error),
          .max = 4095,
          .optional = true },
        { .name = "args",
          .type = &field_list,
          .offset = offsetof(SeccompRule, arguments),
          .max = 6,
          .count_offset = offsetof(SeccompRule, n_arguments),
          .table = &argument_table,
          .optional = true },
        { .name = "includes",
          .type = &field_struct,
          .offset = offsetof(SeccompRule, includes),
          .table = &condition_table,
          .optional = true },
        { .name = "excludes",
          .type = &field_struct,
          .offset = offsetof(SeccompRule, excludes),
          .table = &condition_table,
          .optional = true },
};
static const JsonTable rule_table = JSON_TABLE(SeccompRule, rule_fields);

static const JsonField architecture_fields[] = {
        { .name = "architecture",
          .type = &field_text,
          .offset = offsetof(SeccompArchitecture, name),
          .max = 64 },
        { .name = "subArchitectures",
          .type = &field_texts,
          .offset = offsetof(SeccompArchitecture, sub_architectures),
          .optional = true },
};
static const JsonTable architecture_table = JSON_TABLE(SeccompArchitecture, architecture_fields);

static const JsonField profile_fields[] = {
        { .name = "defaultAction",
          .type = &field_action,
          .offset = offsetof(SeccompProfile, default_action) },
        { .name = "defaultErrnoRet",
          .type = &field_errno,
          .offset = offsetof(SeccompProfile, default_error),
          .max = 4095,
          .optional = true },
        { .name = "archMap",
          .type = &field_list,
          .offset = offsetof(SeccompProfile, architectures),
          .max = 64,
          .count_offset = offsetof(SeccompProfile, n_architectures),
          .table = &architecture_table },
        { .name = "syscalls",
          .type = &field_list,
          .offset = offsetof(SeccompProfile, rules),
          .max = 1024,
          .count_offset = offsetof(SeccompProfile, n_rules),
          .table = &rule_table },
};
static const JsonTable profile_table = JSON_TABLE(SeccompProfile, profile_fields);

SeccompProfile *seccomp_profile_free(SeccompProfile *profile)
{
        if (profile)
                json_done(&profile_table, profile);
        free(profile);
        return NULL;
}

/* Refuses members that no table has, but `comment`. The values were read, so their types are right. */
static int check_members(const JsonTable *table, json_object *object, const char *path, char **ret_error)
{
        json_object_object_foreach(object, name, value)
        {
                const JsonField *field = table->fields, *end = field + table->n_fields;
                bool is_list;
                size_t n;

                while (field < end && !streq(field->name, name))
                        field++;
                if (field == end && !streq(name, "comment"))
                        return error_set(ret_error, SECCOMP_PROFILE_BAD, "%s%.64s: there is no such member",
                                         path, name);
                if (field == end || !field->table || !value)
                        continue;
                is_list = field->type == &field_list;
                n = is_list ? json_object_array_length(value) : 1;
                for (size_t i = 0; i < n; i++) {
                        _cleanup_free_ char *inner = is_list ? string_format("%s%s[%zu].", path, name, i)
                                                             : string_format("%s%s.", path, name);
                        int r;

                        if (!inner)
                                return -ENOMEM;
                        r = check_members(field->table,
                                          is_list ? json_object_array_get_idx(value, i) : value, inner,
                                          ret_error);
                        if (r != 0)
                                return r;
                }
        }
        return 0;
}

static int check_kernel(const char *kernel, size_t i, char **ret_error)
{
        int major, minor, n = -1;

        if (!kernel)
                return 0;
        if (sscanf(kernel, "%4d.%4d%n", &major, &minor, &n) == 2 && n == (int) strlen(kernel) &&
            (major < KERNEL_MAJOR || (major == KERNEL_MAJOR && minor <= KERNEL_MINOR)))
                return 0;
        return error_set(ret_error, SECCOMP_PROFILE_BAD,
                         "syscalls[%zu]: minKernel must be a version up to %d.%d, which every kernel here "
                         "is; for a later one, leave the condition out",
                         i, KERNEL_MAJOR, KERNEL_MINOR);
}

static int check_rule(const SeccompRule *rule, size_t i, char **ret_error)
{
        unsigned seen = 0;
        int r;

        for (size_t j = 0; j < rule->n_arguments; j++) {
                unsigned bit = 1U << rule->arguments[j].index;

                if (seen & bit)
                        return error_set(ret_error, SECCOMP_PROFILE_BAD,
                                         "syscalls[%zu].args[%zu].index: this argument was compared before; "
                                         "make a rule of its own of it",
                                         i, j);
                seen |= bit;
        }
        r = check_kernel(rule->includes.kernel, i, ret_error);
        return r != 0 ? r : check_kernel(rule->excludes.kernel, i, ret_error);
}

static int check_profile(const SeccompProfile *profile, char **ret_error)
{
        for (size_t i = 0; i < profile->n_architectures; i++)
                if (strv_length(profile->architectures[i].sub_architectures) > 0)
                        return error_set(ret_error, SECCOMP_PROFILE_BAD,
                                         "archMap[%zu].subArchitectures: must be empty: guests make native "
                                         "system calls only",
                                         i);
        for (size_t i = 0; i < profile->n_rules; i++) {
                int r = check_rule(&profile->rules[i], i, ret_error);

                if (r != 0)
                        return r;
        }
        return 0;
}

int seccomp_profile_parse(const char *text, size_t size, SeccompProfile **ret, char **ret_error)
{
        _cleanup_(seccomp_profile_freep) SeccompProfile *profile = NULL;
        _cleanup_json_ json_object *object = NULL;
        int r;

        r = json_object_from_bytes(text, size, &object, ret_error);
        if (r != 0)
                return r < 0 ? r : SECCOMP_PROFILE_BAD;
        profile = calloc(1, sizeof(*profile));
        if (!profile)
                return -ENOMEM;
        r = json_read(&profile_table, object, profile, ret_error);
        if (r != 0)
                return r < 0 ? r : SECCOMP_PROFILE_BAD;
        r = check_members(&profile_table, object, "", ret_error);
        if (r == 0)
                r = check_profile(profile, ret_error);
        if (r == 0)
                *ret = TAKE_PTR(profile);
        return r;
}

static const char *native_architecture(void)
{
        return seccomp_arch_native() == SCMP_ARCH_X86_64    ? "x86_64"
               : seccomp_arch_native() == SCMP_ARCH_AARCH64 ? "aarch64"
                                                            : "unknown";
}

static int compile_text(const char *text, size_t size, SeccompPrograms *ret, char **ret_error)
{
        _cleanup_(seccomp_profile_freep) SeccompProfile *profile = NULL;
        int r;

        r = seccomp_profile_parse(text, size, &profile, ret_error);
        return r != 0 ? r : seccomp_profile_compile(profile, native_architecture(), ret, ret_error);
}

static int load_file(const char *path, SeccompPrograms *ret, char **ret_error)
{
        _cleanup_free_ char *text = NULL, *error = NULL;
        size_t size;
        int r;

        r = read_file_at(AT_FDCWD, path, PROFILE_SIZE_MAX, &text, &size);
        if (r == -EFBIG)
                return error_set(ret_error, SECCOMP_PROFILE_BAD, "%s: is larger than a profile can be",
                                 path);
        if (r < 0)
                return r;
        r = compile_text(text, size, ret, &error);
        return r > 0 ? error_set(ret_error, SECCOMP_PROFILE_BAD, "%s: %s", path, error) : r;
}

int seccomp_profile_load(const char *name, SeccompPrograms *ret, char **ret_error)
{
        for (size_t i = 0; slug_is_valid(name) && i < ARRAY_SIZE(folders); i++) {
                _cleanup_free_ char *path = string_format("%s/%s.json", folders[i], name);
                int r;

                if (!path)
                        return -ENOMEM;
                r = load_file(path, ret, ret_error);
                if (r != -ENOENT)
                        return r;
        }
        return error_set(ret_error, SECCOMP_PROFILE_UNKNOWN,
                         "there is no seccomp profile '%.64s' in %s or %s", name, folders[0], folders[1]);
}

static int list_folder(const char *path, char ***names)
{
        _cleanup_folder_ DIR *folder = opendir(path);
        struct dirent *entry;
        int r = 0;

        if (!folder)
                return errno == ENOENT ? 0 : -errno;
        while (r == 0 && (r = folder_next(folder, &entry)) > 0) {
                char *end = string_ends_with(entry->d_name, ".json") ? strrchr(entry->d_name, '.') : NULL;

                if (end)
                        *end = '\0';
                r = end && slug_is_valid(entry->d_name) && !strv_contains(*names, entry->d_name)
                            ? strv_extend(names, entry->d_name)
                            : 0;
        }
        return r;
}

static int compare_names(const void *a, const void *b)
{
        return strcmp(*(char *const *) a, *(char *const *) b);
}

int seccomp_profile_list(char ***ret)
{
        _cleanup_(strv_freep) char **names = calloc(1, sizeof(char *));

        if (!names)
                return -ENOMEM;
        for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
                int r = list_folder(folders[i], &names);

                if (r < 0)
                        return r;
        }
        qsort(names, strv_length(names), sizeof(char *), compare_names);
        *ret = TAKE_PTR(names);
        return 0;
}
