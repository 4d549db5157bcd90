/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The order `hold`: images that stay for as long as the connection does. It is answered only where it is
 * refused. */

#include "orders.h"
#include "proto/status.h"

#include <errno.h>

#define DIGESTS_MAX 1024U

typedef struct HoldOrder {
        char **digests;
} HoldOrder;

static const JsonField hold_fields[] = {
        { "digests", &field_texts, offsetof(HoldOrder, digests), .is_valid = digest_is_valid,
          .form = "a digest", .max = DIGESTS_MAX },
};

static const JsonTable hold_table = JSON_TABLE(HoldOrder, hold_fields);

static void hold_start(Connection *connection, json_object *order)
{
        _cleanup_free_ char *error = NULL;
        HoldOrder said = {};
        Hold *hold;
        int r;

        r = json_read(&hold_table, order, &said, &error);
        if (r > 0) {
                connection_refuse(connection, STATUS_BAD_INPUT, "the order: %s", error);
                return;
        }
        if (r == 0)
                r = collector_hold(&manager_of(connection)->collector, said.digests, &hold);
        if (r < 0) {
                json_done(&hold_table, &said);
                connection_fail(connection, r, "hold images");
        } else
                connection->state = hold;
}

static void hold_done(Connection *connection)
{
        Hold *hold = connection->state;

        connection->state = NULL;
        (void) collector_release(&manager_of(connection)->collector, hold);
}

const OrderType order_hold = { "hold", hold_start, NULL, NULL, hold_done };
