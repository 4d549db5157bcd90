/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sandbox.conf and build.conf: what was read, written as a file of every key, is read again as the same; a
 * file with a fault changes nothing. */

#include "fuzz.h"

#include "buildd/build-config.h"
#include "sandboxd/config.h"

#include "basic/parse-util.h"
#include "basic/string-util.h"

#include <inttypes.h>

/* Taken from every struct that has its parts in the same form. */
#define NUMBER      "%" PRIu64 "\n"
#define SPAN        "%" PRIu64 ".%06" PRIu64 "s\n"
#define SPAN_OF(us) (us) / USEC_PER_SEC, (us) % USEC_PER_SEC

static char *sandbox_text(const Config *c)
{
        const Limits *l = &c->ceilings;

        return string_format("Running=" NUMBER "Parked=" NUMBER "ParkedMemory=" NUMBER "ParkedAge=" SPAN
                             "Connections=" NUMBER "Runtime=%s\nImageAge=" SPAN "ImageFreeSpace=" NUMBER
                             "UnenforcedLimits=%s\nMaxWallTime=" SPAN "MaxMemory=" NUMBER
                             "MaxProcesses=" NUMBER "MaxCPUPercent=" NUMBER "MaxOutput=" NUMBER
                             "MaxResult=" NUMBER "MaxWritten=" NUMBER "MaxInodes=" NUMBER
                             "MaxOpenFiles=" NUMBER,
                             c->running_max, c->parked_max, c->parked_bytes, SPAN_OF(c->parked_usec),
                             c->connections_max, c->runtime, SPAN_OF(c->image_age_usec), c->image_free_bytes,
                             c->unenforced_limits ? "yes" : "no", SPAN_OF(l->wall_usec), l->memory_bytes,
                             l->processes, l->cpu_percent, l->output_bytes, l->result_bytes,
                             l->written_bytes, l->inodes, l->open_files);
}

static char *build_text(const BuildConfig *c)
{
        const BuildLimits *l = &c->ceilings;

        return string_format(
                "Waiting=" NUMBER "Cache=" NUMBER "TrackCache=" NUMBER "UnenforcedLimits=%s\n"
                "MaxWallTime=" SPAN "MaxMemory=" NUMBER "MaxProcesses=" NUMBER "MaxCPUPercent=" NUMBER
                "MaxOutput=" NUMBER "MaxWritten=" NUMBER "MaxImage=" NUMBER,
                c->waiting_max, c->cache_bytes, c->track_cache_bytes, c->unenforced_limits ? "on" : "off",
                SPAN_OF(l->wall_usec), l->memory_bytes, l->processes, l->cpu_percent, l->output_bytes,
                l->written_bytes, l->image_bytes);
}

static void check_sandbox(char *text)
{
        _cleanup_free_ char *error = NULL, *written = NULL, *again = NULL;
        Config config, back;
        int r;

        settings_defaults(&sandbox_settings, &config);
        written = sandbox_text(&config);
        r = settings_parse(&sandbox_settings, text, "sandbox.conf", &config, &error);
        expect(r == 0 || r == SETTINGS_BAD);
        expect((r == SETTINGS_BAD) == (error != NULL) && (!error || string_after(error, "sandbox.conf:")));
        again = sandbox_text(&config);
        expect(written && again && (r == 0 || streq(written, again)));
        expect(config.runtime[0] == '/' && strlen(config.runtime) < CONFIG_PATH_SIZE);
        expect(config.running_max <= UINT32_MAX && config.parked_max <= UINT32_MAX);
        expect(config.ceilings.wall_usec <= TIME_SPAN_MAX && config.parked_usec <= TIME_SPAN_MAX);

        free(written);
        written = strdup(again); /* `again` is taken apart */
        expect(written && settings_parse(&sandbox_settings, again, "again", &back, &error) == 0);
        free(again);
        again = sandbox_text(&back);
        expect(again && streq(written, again));
}

static void check_build(char *text)
{
        _cleanup_free_ char *error = NULL, *written = NULL, *copy = NULL, *again = NULL;
        BuildConfig config, back;
        int r = settings_parse(&build_settings, text, "build.conf", &config, &error);

        expect(r == 0 || r == SETTINGS_BAD);
        expect((r == SETTINGS_BAD) == (error != NULL) && (!error || string_after(error, "build.conf:")));
        if (r != 0)
                return;
        written = build_text(&config);
        copy = written ? strdup(written) : NULL;
        expect(copy && settings_parse(&build_settings, copy, "again", &back, &error) == 0);
        again = build_text(&back);
        expect(again && streq(written, again));
        expect(config.ceilings.wall_usec <= TIME_SPAN_MAX && config.waiting_max <= UINT32_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static void (*const checks[])(char *text) = { check_sandbox, check_build };

        for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
                _cleanup_free_ char *text = calloc(1, size + 1);

                expect(text);
                if (size > 0)
                        (void) memcpy(text, data, size);
                checks[i](text);
        }
        return 0;
}
