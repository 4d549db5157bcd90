/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Metrics over HTTP, for scrapers: GET /metrics, one answer a connection. Whoever is slow, or says anything
 * else, is hung up on; there are never more than so many. */

#include "shared/openmetrics.h"

#include <systemd/sd-event.h>

typedef struct Metrics Metrics;

/* Writes everything but the last line. */
typedef void (*MetricsHandler)(MetricWriter *writer, void *userdata);

int metrics_new(sd_event *event, MetricsHandler write, void *userdata, Metrics **ret) _warn_unused_;
/* Listens on one more descriptor, which is taken over. */
int metrics_add_listener(Metrics *metrics, int fd) _warn_unused_;
Metrics *metrics_free(Metrics *metrics);
/* Of this process: CPU time, memory, descriptors. */
void metrics_write_process(MetricWriter *writer);

DEFINE_CLEANUP(Metrics *, metrics_free)
