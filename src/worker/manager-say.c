/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the router is told. Whatever was said to a router that is gone is said again after the next hello. */

#include "manager-private.h"

#include "basic/string-util.h"

#include <errno.h>
#include <sys/sysinfo.h>

static int fill_hello(Manager *m, Hello *hello)
{
        int r = manager_describe_jobs(m, &hello->jobs, &hello->n_jobs);

        for (size_t i = 0; r >= 0 && i < outcome_store_size(m->outcomes); i++)
                r = strv_extend(&hello->unacknowledged, outcome_store_job(m->outcomes, i));
        return r;
}

int manager_say_hello(Manager *m)
{
        _cleanup_(configured_done) Configured configured = {};
        Hello hello = {
                .version = PEER_PROTOCOL,
                .name = m->settings->name,
                .channel = m->settings->channel,
                .topics = m->settings->topics,
                .slots = manager_slots(m),
        };
        json_object *body = NULL;
        int r;

        r = holdings_describe(m->holdings, &configured);
        hello.held = configured.held;
        if (r >= 0)
                r = fill_hello(m, &hello);
        if (r >= 0)
                body = hello_to_json(&hello);
        free(hello.jobs);
        strv_free(hello.unacknowledged);
        if (r < 0 || !body)
                return r < 0 ? r : -ENOMEM;
        return router_link_send(m->link, PEER_HELLO, body, NULL, 0);
}

int manager_say_configured(Manager *m)
{
        _cleanup_(configured_done) Configured configured = {};
        int r;

        if (!m->is_configured || m->is_draining || m->options.mode != MANAGER_LISTEN)
                return 0;
        r = holdings_describe(m->holdings, &configured);
        if (r < 0)
                return r;
        configured.serial = m->configure_serial;
        return router_link_send(m->link, PEER_CONFIGURED, configured_to_json(&configured), NULL, 0);
}

int manager_say_heartbeat(Manager *m)
{
        SandboxFigures sandbox = sandbox_status_figures(m->sandbox);
        Heartbeat heartbeat = { .slots = manager_slots(m),
                                .running = m->tasks.n_members,
                                .sandbox = sandbox.answers,
                                .parked = sandbox.parked,
                                .sandboxes = sandbox.running };
        struct sysinfo info;

        if (sysinfo(&info) == 0) /* /proc/loadavg is not there under the unit */
                heartbeat.load = info.loads[0] * 100 >> SI_LOAD_SHIFT;
        return router_link_send(m->link, PEER_HEARTBEAT, heartbeat_to_json(&heartbeat), NULL, 0);
}

int manager_say_goodbye(Manager *m, const char *reason)
{
        const Notice notice = { .reason = (char *) reason };

        return router_link_send(m->link, PEER_GOODBYE, notice_to_json(&notice), NULL, 0);
}

int manager_say_outcome(Manager *m, const OutcomeText *text)
{
        json_object *body = outcome_to_json(&text->outcome);
        Bytes parts[PEER_N_PARTS_MAX];

        if (!body)
                return -ENOMEM;
        for (size_t i = 0; i < PEER_N_PARTS_MAX; i++)
                parts[i] = (Bytes){ text->parts[i].data, text->parts[i].size };
        return router_link_send(m->link, PEER_OUTCOME, body, parts, PEER_N_PARTS_MAX);
}

int manager_say_progress(Manager *m, const Progress *progress)
{
        return router_link_send(m->link, PEER_PROGRESS, progress_to_json(progress), NULL, 0);
}

int manager_say_kept_outcomes(Manager *m)
{
        outcome_store_expire(m->outcomes);
        for (size_t i = 0; i < outcome_store_size(m->outcomes); i++) {
                _cleanup_(outcome_text_done) OutcomeText text = {};
                int r = outcome_store_get(m->outcomes, i, &text);

                if (r == 0)
                        r = manager_say_outcome(m, &text);
                if (r < 0)
                        return r;
        }
        return 0;
}
