/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the router says, docs/PROTOCOL.md part 2: a table. A connection goes hello, configure, configured;
 * with the first `configured` of a connection what no router has acknowledged is said again. */

#include "manager-private.h"

#include "basic/string-util.h"
#include "shared/daemon-util.h"
#include "shared/log.h"
#include "shared/message-ids.h"

#include <errno.h>

#define RETRY_HELLO_USEC (2 * USEC_PER_SEC)
#define LOG_TEXT_MAX     512U

/* What to hold. Each of these answers 0, JSON_BAD with what is wrong, or -errno. */

/* By hand, a track that nobody deployed to is more likely a slip of the pen. */
static int check_topics(Manager *m, const Configure *configure)
{
        for (char **topic = m->settings->topics; !m->options.waits && topic && *topic; topic++) {
                bool is_known = false;

                for (size_t i = 0; i < configure->versions.n_items; i++)
                        is_known = is_known || streq(configure->versions.items[i].track, *topic);
                if (is_known)
                        continue;
                log_error("No version is deployed for track %s of %s; --wait waits for one", *topic,
                          channel_to_string(m->settings->channel));
                return sd_event_exit(m->event, MANAGER_FAILED);
        }
        return 0;
}

static int show_what_would_be(Manager *m, const Configure *configure)
{
        for (size_t i = 0; i < configure->versions.n_items; i++) {
                const VersionItem *item = &configure->versions.items[i];

                log_info("Would install %s %s %s", item->track, item->version, item->digest ?: "");
        }
        return sd_event_exit(m->event, 0);
}

static int on_configure(Manager *m, json_object *body, char **ret_error)
{
        _cleanup_(configure_done) Configure configure = {};
        bool is_first = !m->is_configured;
        int r;

        r = configure_from_json(body, &configure, ret_error);
        if (r != 0)
                return r;
        router_link_set_times(m->link, configure.heartbeat_usec, configure.dead_usec);
        if (!m->was_configured) {
                r = check_topics(m, &configure);
                if (r < 0)
                        return r;
        }
        if (m->options.mode == MANAGER_DRYRUN)
                return show_what_would_be(m, &configure);
        m->configure_serial = configure.serial;
        m->is_configured = m->was_configured = true;
        r = holdings_configure(m->holdings, &configure);
        if (r >= 0 && m->options.mode == MANAGER_LISTEN) {
                canary_configure(m->canary, &configure);
                r = canary_when_held(m->canary);
        }
        if (r >= 0)
                r = manager_say_configured(m);
        if (r >= 0 && is_first)
                r = manager_say_kept_outcomes(m);
        manager_show_status(m);
        return r < 0 ? r : manager_when_settled(m);
}

int manager_on_hello_again(sd_event_source *source, uint64_t usec, void *userdata)
{
        return manager_say_hello(userdata);
}

/* The router's words, fit for a line of the log and for the service manager, which reads one line as one
 * setting. */
static char *escaped(const char *text)
{
        return string_escape(text, strlen(text), LOG_TEXT_MAX);
}

static int on_refused(Manager *m, json_object *body, char **ret_error)
{
        _cleanup_(notice_done) Notice notice = {};
        _cleanup_free_ char *error = NULL;
        int r;

        r = notice_from_json(body, &notice, ret_error);
        if (r != 0)
                return r;
        error = escaped(notice.error ?: "it does not say why");
        if (!error)
                return -ENOMEM;
        log_struct(
                LOG_WARNING,
                LOG_FIELDS({ "MESSAGE_ID", MSG_WORKER_REFUSED }, { "PIPELINE_WORKER", m->settings->name }),
                "The router refuses this worker: %s", error);
        daemon_notify_status("refused by the router: %s", error);
        if (m->is_draining)
                return 0;
        /* Who was accepted before is only to begin anew; whoever is refused again waits. */
        r = sd_event_source_set_time_relative(m->hello_again, m->is_configured ? 0 : RETRY_HELLO_USEC);
        m->is_configured = false;
        return r < 0 ? r : sd_event_source_set_enabled(m->hello_again, SD_EVENT_ONESHOT);
}

static int on_heartbeat(Manager *m, json_object *body, char **ret_error)
{
        return 0; /* that it came is all it says */
}

static int (*const messages[_PEER_TYPE_MAX])(Manager *m, json_object *body, char **ret_error) = {
        [PEER_CONFIGURE] = on_configure,     [PEER_JOB] = manager_on_job,
        [PEER_CANCEL] = manager_on_cancel,   [PEER_OUTCOME_ACK] = manager_on_outcome_ack,
        [PEER_RESOLVE] = manager_on_resolve, [PEER_LIST] = manager_on_list,
        [PEER_HEARTBEAT] = on_heartbeat,     [PEER_REFUSED] = on_refused,
};

static int on_message(RouterLink *link, const PeerMessage *message, void *userdata)
{
        _cleanup_free_ char *error = NULL;
        Manager *m = userdata;
        int r;

        if (!messages[message->type])
                return 0;
        r = messages[message->type](m, message->body, &error);
        if (r == JSON_BAD) {
                _cleanup_free_ char *shown = escaped(error ?: "");

                log_warning("The router's %s is malformed: %s", peer_type_to_string(message->type),
                            shown ?: "");
        }
        return r < 0 ? r : 0;
}

/* The connection. */

static int on_connected(RouterLink *link, void *userdata)
{
        Manager *m = userdata;

        int r;

        m->is_configured = false;
        r = manager_say_hello(m);
        /* What it still runs is for the router that is there now, too. */
        return r < 0 || !m->is_draining ? r : manager_say_goodbye(m, "it is being stopped");
}

static int on_lost(RouterLink *link, const char *why, void *userdata)
{
        Manager *m = userdata;

        m->is_configured = false;
        log_struct(LOG_WARNING,
                   LOG_FIELDS({ "MESSAGE_ID", MSG_WORKER_ROUTER_LOST },
                              { "PIPELINE_WORKER", m->settings->name }),
                   "The router at %s is lost: %s", m->settings->router, why);
        manager_show_status(m);
        return 0;
}

static int on_beat(RouterLink *link, void *userdata)
{
        Manager *m = userdata;

        return m->is_configured ? manager_say_heartbeat(m) : 0;
}

const RouterLinkHandlers manager_link_handlers = { on_connected, on_message, on_beat, on_lost };
