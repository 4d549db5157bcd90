/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One fetch at a time, whoever wants it: those who wait, or the timer before the end of what is held. That
 * there are none is remembered for a moment, so that a host without them is not asked for each job. */

#include "aws-identity.h"

#include "basic/list.h"
#include "basic/string-util.h"

#include <errno.h>
#include <sys/random.h>

#define REFRESH_EARLY_USEC  (5 * 60 * USEC_PER_SEC)
#define REFRESH_JITTER_USEC (60 * USEC_PER_SEC)
#define REFRESH_AGAIN_USEC  (15 * USEC_PER_SEC) /* after a refresh that failed */
#define REFRESH_LEAST_USEC  USEC_PER_SEC
#define ERROR_USEC          (5 * USEC_PER_SEC)
#define TIMER_ACCURACY      USEC_PER_SEC

struct AwsIdentity {
        sd_event *event; /* borrowed, like the next */
        CurlSource *source;
        AwsLookup lookup;
        AwsFetch *fetch; /* under way */
        AwsCredentials held;
        bool is_held;
        char *error; /* of the last fetch, where it failed */
        usec_t error_until_usec;
        List waiters;          /* borrowed */
        sd_event_source *tell; /* tells those who wait */
        sd_event_source *refresh;
};

struct AwsWaiter {
        ListLink link;
        AwsIdentity *identity;
        AwsWaiterHandler on_ended;
        void *userdata;
};

AwsWaiter *aws_waiter_free(AwsWaiter *waiter)
{
        if (waiter)
                list_remove(&waiter->identity->waiters, &waiter->link);
        free(waiter);
        return NULL;
}

AwsIdentity *aws_identity_free(AwsIdentity *identity)
{
        if (!identity)
                return NULL;
        assert(list_is_empty(&identity->waiters));
        aws_fetch_free(identity->fetch);
        sd_event_source_disable_unref(identity->tell);
        sd_event_source_disable_unref(identity->refresh);
        aws_credentials_done(&identity->held);
        free(identity->error);
        free(identity);
        return NULL;
}

const AwsCredentials *aws_identity_peek(const AwsIdentity *identity)
{
        if (!identity->is_held || identity->held.expires_usec <= now_usec(CLOCK_REALTIME))
                return NULL;
        return &identity->held;
}

void aws_identity_forget(AwsIdentity *identity, const char *access_key)
{
        if (!identity->is_held || !streq(identity->held.access_key, access_key))
                return;
        aws_credentials_done(&identity->held);
        identity->is_held = false;
}

/* Those who wait now are told the same; who begins to wait in one of their handlers may be among them. */
static int on_tell(sd_event_source *source, void *userdata)
{
        AwsIdentity *identity = userdata;
        int r = 0;

        for (size_t n = identity->waiters.n_members; n > 0 && r >= 0; n--) {
                const AwsCredentials *credentials = aws_identity_peek(identity);
                ListLink *link = list_first(&identity->waiters);
                AwsWaiter *waiter;

                if (!link)
                        break;
                waiter = CONTAINER_OF(link, AwsWaiter, link);
                list_remove(&identity->waiters, link);
                r = waiter->on_ended(waiter, credentials,
                                     credentials ? NULL : identity->error ?: "they have expired",
                                     waiter->userdata);
        }
        return r < 0 ? r : 0;
}

static int tell(AwsIdentity *identity)
{
        return sd_event_source_set_enabled(identity->tell, SD_EVENT_ONESHOT) < 0 ? -EIO : 0;
}

/* Refreshing. */

static int refresh_after(AwsIdentity *identity, usec_t usec)
{
        int r = sd_event_source_set_time_relative(identity->refresh, usec);

        return r < 0 ? r : sd_event_source_set_enabled(identity->refresh, SD_EVENT_ONESHOT);
}

/* When what is held is fetched anew: minutes before its end, earlier by chance, so that many hosts do not
 * come together; what has but minutes to live after half of them. */
static usec_t refresh_delay(usec_t left_usec)
{
        uint16_t random = 0;
        usec_t early = MIN(REFRESH_EARLY_USEC, left_usec / 2), jitter;

        (void) !getrandom(&random, sizeof(random), GRND_NONBLOCK);
        jitter = MIN(REFRESH_JITTER_USEC, left_usec / 8) / UINT16_MAX * random;
        return MAX(left_usec - early - jitter, REFRESH_LEAST_USEC);
}

static int refresh_when_due(AwsIdentity *identity)
{
        usec_t now = now_usec(CLOCK_REALTIME);

        if (identity->held.expires_usec == USEC_INFINITY || identity->held.expires_usec <= now)
                return 0;
        return refresh_after(identity, refresh_delay(identity->held.expires_usec - now));
}

/* Fetching. */

static int on_fetched(AwsFetch *fetch, AwsCredentials *credentials, const char *error, void *userdata)
{
        AwsIdentity *identity = userdata;
        int r;

        free(identity->error);
        identity->error = NULL;
        if (credentials) {
                aws_credentials_done(&identity->held);
                identity->held = *credentials;
                identity->is_held = true;
                *credentials = (AwsCredentials){};
                r = refresh_when_due(identity);
        } else {
                identity->error = strdup(error);
                identity->error_until_usec = now_usec(CLOCK_MONOTONIC) + ERROR_USEC;
                r = !identity->error              ? -ENOMEM
                    : aws_identity_peek(identity) ? refresh_after(identity, REFRESH_AGAIN_USEC)
                                                  : 0;
        }
        identity->fetch = aws_fetch_free(fetch);
        return r < 0 ? r : tell(identity);
}

static int fetch(AwsIdentity *identity)
{
        if (identity->fetch)
                return 0;
        return aws_fetch_new(identity->event, identity->source, identity->lookup, on_fetched, identity,
                             &identity->fetch);
}

static int on_refresh(sd_event_source *source, uint64_t usec, void *userdata)
{
        return fetch(userdata);
}

int aws_identity_wait(AwsIdentity *identity, AwsWaiterHandler on_ended, void *userdata, AwsWaiter **ret)
{
        bool is_known = identity->error && now_usec(CLOCK_MONOTONIC) < identity->error_until_usec;
        _cleanup_(aws_waiter_freep) AwsWaiter *waiter = calloc(1, sizeof(AwsWaiter));
        int r;

        if (!waiter)
                return -ENOMEM;
        waiter->identity = identity;
        waiter->on_ended = on_ended;
        waiter->userdata = userdata;
        list_append(&identity->waiters, &waiter->link);
        r = is_known || aws_identity_peek(identity) ? tell(identity) : fetch(identity);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(waiter);
        return 0;
}

static int add_sources(AwsIdentity *identity)
{
        int r = sd_event_add_defer(identity->event, &identity->tell, on_tell, identity);

        if (r >= 0)
                r = sd_event_source_set_enabled(identity->tell, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time(identity->event, &identity->refresh, CLOCK_MONOTONIC, USEC_INFINITY,
                                      TIMER_ACCURACY, on_refresh, identity);
        return r < 0 ? r : 0;
}

int aws_identity_new(sd_event *event, CurlSource *source, AwsLookup lookup, AwsIdentity **ret)
{
        _cleanup_(aws_identity_freep) AwsIdentity *identity = calloc(1, sizeof(AwsIdentity));
        int r;

        if (!identity)
                return -ENOMEM;
        identity->event = event;
        identity->source = source;
        identity->lookup = lookup;
        list_init(&identity->waiters);
        r = add_sources(identity);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(identity);
        return 0;
}
