/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A line is KEY=VALUE; empty ones and those that begin with '#' are passed over. An unknown key is an error:
 * a misspelt ceiling must not be silently none. */

#include "config.h"

#include "basic/io-util.h"
#include "basic/parse-util.h"
#include "basic/string-util.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>

#define FILE_SIZE_MAX (64U * 1024U)

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)

static const Config defaults = {
        .ceilings = {
                .wall_usec = 600 * USEC_PER_SEC,
                .memory_bytes = 16 * GIB,
                .processes = 8192,
                .cpu_percent = 1600,
                .output_bytes = 16 * MIB,
                .result_bytes = 4 * MIB,
                .written_bytes = 4 * GIB,
                .inodes = 1000000,
                .open_files = 65536,
        },
        .running_max = 64,
        .parked_max = 8,
        .parked_bytes = 512 * MIB,
        .parked_usec = 600 * USEC_PER_SEC,
        .connections_max = 256,
};

static int parse_number(const char *value, void *ret)
{
        return parse_uint64(value, 0, UINT32_MAX, ret);
}

static int parse_bytes(const char *value, void *ret)
{
        return parse_size(value, ret);
}

static int parse_span(const char *value, void *ret)
{
        return parse_time_span(value, ret);
}

static int parse_switch(const char *value, void *ret)
{
        return parse_bool(value, ret);
}

static const struct {
        const char *key;
        int (*parse)(const char *value, void *ret);
        size_t offset;
        const char *form;
} keys[] = {
        { "Running", parse_number, offsetof(Config, running_max), "a number" },
        { "Parked", parse_number, offsetof(Config, parked_max), "a number" },
        { "ParkedMemory", parse_bytes, offsetof(Config, parked_bytes), "bytes, such as 512M" },
        { "ParkedAge", parse_span, offsetof(Config, parked_usec), "a time, such as 10min" },
        { "Connections", parse_number, offsetof(Config, connections_max), "a number" },
        { "UnenforcedLimits", parse_switch, offsetof(Config, unenforced_limits), "yes or no" },
        { "MaxWallTime", parse_span, offsetof(Config, ceilings.wall_usec), "a time, such as 10min" },
        { "MaxMemory", parse_bytes, offsetof(Config, ceilings.memory_bytes), "bytes, such as 8G" },
        { "MaxProcesses", parse_number, offsetof(Config, ceilings.processes), "a number" },
        { "MaxCPUPercent", parse_number, offsetof(Config, ceilings.cpu_percent), "a number" },
        { "MaxOutput", parse_bytes, offsetof(Config, ceilings.output_bytes), "bytes, such as 16M" },
        { "MaxResult", parse_bytes, offsetof(Config, ceilings.result_bytes), "bytes, such as 4M" },
        { "MaxWritten", parse_bytes, offsetof(Config, ceilings.written_bytes), "bytes, such as 4G" },
        { "MaxInodes", parse_number, offsetof(Config, ceilings.inodes), "a number" },
        { "MaxOpenFiles", parse_number, offsetof(Config, ceilings.open_files), "a number" },
};

void config_init(Config *ret)
{
        *ret = defaults;
}

static char *strip(char *s)
{
        char *end;

        while (isspace((unsigned char) *s))
                s++;
        for (end = s + strlen(s); end > s && isspace((unsigned char) end[-1]);)
                end--;
        *end = '\0';
        return s;
}

static int refuse(const char *name, unsigned line, const char *what, const char *form, char **ret_error)
{
        *ret_error = string_format("%s:%u: %s%s", name, line, what, form);
        return *ret_error ? CONFIG_BAD : -ENOMEM;
}

static int parse_line(char *text, const char *name, unsigned line, Config *config, char **ret_error)
{
        char *value = strchr(text, '=');
        const char *key;

        if (!value)
                return refuse(name, line, "not KEY=VALUE", "", ret_error);
        *value++ = '\0';
        key = strip(text);
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
                int r;

                if (!streq(keys[i].key, key))
                        continue;
                r = keys[i].parse(strip(value), (char *) config + keys[i].offset);
                if (r < 0 && r != -ENOMEM)
                        return refuse(name, line, "wanted here: ", keys[i].form, ret_error);
                return r;
        }
        return refuse(name, line, "unknown key", "", ret_error);
}

int config_parse(char *text, const char *name, Config *ret, char **ret_error)
{
        Config config = defaults;
        unsigned line = 0;

        for (char *rest = text, *start; (start = strsep(&rest, "\n"));) {
                int r;

                line++;
                start = strip(start);
                if (*start == '\0' || *start == '#')
                        continue;
                r = parse_line(start, name, line, &config, ret_error);
                if (r != 0)
                        return r;
        }
        *ret = config;
        return 0;
}

int config_read(const char *path, Config *ret, char **ret_error)
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = read_file_at(AT_FDCWD, path, FILE_SIZE_MAX, &text, NULL);
        if (r < 0 && r != -ENOENT)
                return r;
        if (text)
                return config_parse(text, path, ret, ret_error);
        config_init(ret);
        return 0;
}
