/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a peer may have at once, so that one cannot starve others: requests under way, their memory, and how
 * many a second, for a principal and for one connection of it. A job counts until its worker is done with
 * it, also where it was answered before; what is answered at once counts against the rate alone, so that
 * whoever is at a limit can still cancel.
 *
 * An account is there as long as something of its peer is under way, or its rate remembers it: a second at
 * the most. */

#include "router-private.h"

#include "basic/string-util.h"
#include "shared/log.h"
#include "shared/message-ids.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define BURST_USEC   USEC_PER_SEC /* the requests of as long may come at once */
#define LOG_INTERVAL USEC_PER_SEC
#define KEY_SIZE_MAX (1U + IDENTITY_MAX)

static const char *const scopes[_PEER_SCOPE_MAX] = { "peer", "connection" };

struct Account {
        uint8_t key[KEY_SIZE_MAX];
        size_t key_size;
        size_t n_requests, size;
        usec_t rate_usec; /* when the requests so far would have come, evenly spread */
        usec_t log_usec;
        ListLink link; /* in router->idle_accounts, while nothing of it is under way */
};

static void account_free(Router *router, Account *account)
{
        (void) hashmap_remove(router->accounts, account->key, account->key_size);
        list_remove(&router->idle_accounts, &account->link);
        free(account);
}

void peer_forget_all(Router *router)
{
        LIST_FOREACH(Account, account, &router->idle_accounts, link)
                account_free(router, account);
}

/* Two a request, so that they become fewer than there are requests. */
static void forget_some(Router *router, usec_t now)
{
        for (size_t i = 0; i < _PEER_SCOPE_MAX; i++) {
                ListLink *link = list_first(&router->idle_accounts);

                if (!link || CONTAINER_OF(link, Account, link)->rate_usec > now)
                        return;
                account_free(router, CONTAINER_OF(link, Account, link));
        }
}

static void account_key(const Ask *ask, PeerScope scope, uint8_t *ret, size_t *ret_size)
{
        ret[0] = (uint8_t) scope;
        if (scope == PEER_PRINCIPAL) {
                memcpy(ret + 1, &ask->principal, sizeof(ask->principal));
                *ret_size = 1 + sizeof(ask->principal);
        } else {
                memcpy(ret + 1, ask->identity, ask->identity_size);
                *ret_size = 1 + ask->identity_size;
        }
}

static int account_get(Router *router, const Ask *ask, PeerScope scope, Account **ret)
{
        uint8_t key[KEY_SIZE_MAX];
        size_t key_size;
        Account *account;

        account_key(ask, scope, key, &key_size);
        account = hashmap_get(router->accounts, key, key_size);
        if (!account) {
                account = calloc(1, sizeof(Account));
                if (!account)
                        return -ENOMEM;
                memcpy(account->key, key, key_size);
                account->key_size = key_size;
                if (hashmap_put(router->accounts, key, key_size, account) < 0) {
                        free(account);
                        return -ENOMEM;
                }
        }
        list_remove(&router->idle_accounts, &account->link);
        *ret = account;
        return 0;
}

int peer_enter(Router *router, Ask *ask)
{
        forget_some(router, router_now(router));
        for (PeerScope scope = 0; scope < _PEER_SCOPE_MAX; scope++) {
                int r = account_get(router, ask, scope, &ask->accounts[scope]);

                if (r < 0)
                        return r;
                ask->accounts[scope]->n_requests++;
                ask->accounts[scope]->size += ask->charge;
        }
        return 0;
}

void peer_leave(Router *router, Ask *ask)
{
        for (PeerScope scope = 0; scope < _PEER_SCOPE_MAX; scope++) {
                Account *account = ask->accounts[scope];

                if (!account)
                        continue;
                account->size -= ask->charge;
                if (--account->n_requests > 0)
                        continue;
                if (account->rate_usec <= router_now(router))
                        account_free(router, account);
                else
                        list_append(&router->idle_accounts, &account->link);
        }
}

/* Whether one more came too early; one that did is not counted. */
static bool is_over_rate(Account *account, uint64_t rate, usec_t now)
{
        usec_t step = rate > 0 ? USEC_PER_SEC / rate : 0, begin = MAX(account->rate_usec, now);

        if (rate == 0)
                return false;
        if (begin + step > now + BURST_USEC)
                return true;
        account->rate_usec = begin + step;
        return false;
}

static const char *const limit_names[_PEER_LIMIT_MAX] = { "requests", "memory", "rate" };

typedef struct Excess {
        PeerScope scope;
        PeerLimit limit;
        uint64_t value, used;
} Excess;

static bool find_excess(Router *router, Ask *ask, bool waits, Excess *ret)
{
        const StoreConfig *config = store_config(router->store);
        usec_t now = router_now(router);

        for (PeerScope scope = 0; scope < _PEER_SCOPE_MAX; scope++) {
                const PeerLimits *limits = &config->peer_limits[scope];
                uint64_t memory =
                        limits->memory_bytes > 0 ? limits->memory_bytes : config->memory_bytes / 4 * 3;
                Account *account = ask->accounts[scope];

                if (is_over_rate(account, limits->rate, now))
                        *ret = (Excess){ scope, PEER_LIMIT_RATE, limits->rate, limits->rate + 1 };
                else if (waits && limits->requests > 0 && account->n_requests > limits->requests)
                        *ret = (Excess){ scope, PEER_LIMIT_REQUESTS, limits->requests, account->n_requests };
                else if (waits && account->size > memory)
                        *ret = (Excess){ scope, PEER_LIMIT_MEMORY, memory, account->size };
                else
                        continue;
                return true;
        }
        return false;
}

static void log_excess(Ask *ask, const Excess *excess, usec_t now)
{
        Account *account = ask->accounts[excess->scope];

        if (now < account->log_usec)
                return;
        account->log_usec = now + LOG_INTERVAL;
        log_struct(LOG_NOTICE, LOG_FIELDS({ "MESSAGE_ID", MSG_ROUTER_PEER_LIMITED }),
                   "A %s of %s is at its limit of %s, %" PRIu64 ": what is beyond is refused",
                   scopes[excess->scope], ask->principal->name, limit_names[excess->limit], excess->value);
}

int peer_check(Router *router, Ask *ask, bool waits)
{
        _cleanup_free_ char *error = NULL, *limit = NULL;
        json_object *detail;
        Excess excess;
        int r;

        if (!find_excess(router, ask, waits, &excess))
                return 0;
        router->stats.n_limited[excess.scope][excess.limit]++;
        log_excess(ask, &excess, router_now(router));
        limit = string_format("%s_%s", scopes[excess.scope], limit_names[excess.limit]);
        error = string_format("this %s has as much under way as one may have (%s, %" PRIu64
                              "); try again later",
                              scopes[excess.scope], limit_names[excess.limit], excess.value);
        detail = json_object_new_object();
        if (!limit || !error || !detail || json_add_text(detail, "limit", limit) < 0 ||
            json_add_uint(detail, "value", excess.value) < 0 ||
            json_add_uint(detail, "used", excess.used) < 0) {
                json_object_put(detail);
                return -ENOMEM;
        }
        r = ask_fail(router, ask, STATUS_NO_WORKER, error, detail);
        return r < 0 ? r : PEER_REFUSED_IT;
}
