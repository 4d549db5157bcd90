/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* OpenMetrics 1.0 text: families with their samples. What fails is told once, at the end. */

#include "basic/io-util.h"
#include "basic/time-util.h"

#define METRIC_TEXT_MAX     (8U * 1024U * 1024U)
#define METRIC_CONTENT_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define METRIC_N_BUCKETS    13U /* and one for what is longer */

typedef struct MetricWriter {
        Buffer text;
        const char *family; /* borrowed; the one that is being written */
        int error;          /* 0 or -errno: then the text is of no use */
} MetricWriter;

typedef struct MetricLabel {
        const char *name, *value; /* a value of NULL: the label is left out */
} MetricLabel;

#define METRIC_LABELS(...) ((const MetricLabel[]){ __VA_ARGS__, {} })

/* How long things took. */
typedef struct Histogram {
        uint64_t n_in[METRIC_N_BUCKETS + 1]; /* by bucket, not summed up */
        usec_t sum_usec;
} Histogram;

void histogram_add(Histogram *histogram, usec_t usec);

/* A family begins; its name ends with its unit, and has no `_total`. `unit` may be NULL. */
void metric_family(MetricWriter *w, const char *name, const char *type, const char *unit, const char *help);
/* One sample, of a family of the type `info`. */
void metric_info(MetricWriter *w, const MetricLabel *labels);
/* Samples of it; `labels` ends with an empty one, or is NULL. */
void metric_gauge(MetricWriter *w, const MetricLabel *labels, uint64_t value);
void metric_counter(MetricWriter *w, const MetricLabel *labels, uint64_t value);
void metric_counter_usec(MetricWriter *w, const MetricLabel *labels, usec_t usec);
void metric_histogram(MetricWriter *w, const MetricLabel *labels, const Histogram *histogram);
/* The last line. */
void metric_end(MetricWriter *w);
