/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text for scrapers. Values of labels may be anybody's words: they are escaped as the format wants it. */

#include "openmetrics.h"

#include "basic/string-util.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* From a refusal to the longest job there is by default. The texts are what `le` says. */
static const struct {
        usec_t usec;
        const char *text;
} buckets[METRIC_N_BUCKETS] = {
        { 5 * USEC_PER_MSEC, "0.005" }, { 10 * USEC_PER_MSEC, "0.01" }, { 25 * USEC_PER_MSEC, "0.025" },
        { 50 * USEC_PER_MSEC, "0.05" }, { 100 * USEC_PER_MSEC, "0.1" }, { 250 * USEC_PER_MSEC, "0.25" },
        { 500 * USEC_PER_MSEC, "0.5" }, { USEC_PER_SEC, "1.0" },        { 2500 * USEC_PER_MSEC, "2.5" },
        { 5 * USEC_PER_SEC, "5.0" },    { 10 * USEC_PER_SEC, "10.0" },  { 25 * USEC_PER_SEC, "25.0" },
        { 60 * USEC_PER_SEC, "60.0" },
};

void histogram_add(Histogram *histogram, usec_t usec)
{
        size_t i = 0;

        while (i < METRIC_N_BUCKETS && usec > buckets[i].usec)
                i++;
        histogram->n_in[i]++;
        histogram->sum_usec += usec;
}

static void append(MetricWriter *w, const char *data, size_t size)
{
        if (w->error == 0)
                w->error = buffer_append(&w->text, data, size, METRIC_TEXT_MAX);
}

_printf_(2, 3) static void append_format(MetricWriter *w, const char *format, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list arguments;
        int n;

        va_start(arguments, format);
        n = vasprintf(&text, format, arguments);
        va_end(arguments);
        if (n < 0) {
                text = NULL;
                w->error = -ENOMEM;
        } else
                append(w, text, (size_t) n);
}

void metric_family(MetricWriter *w, const char *name, const char *type, const char *unit, const char *help)
{
        w->family = name;
        append_format(w, "# TYPE %s %s\n", name, type);
        if (unit)
                append_format(w, "# UNIT %s %s\n", name, unit);
        append_format(w, "# HELP %s %s\n", name, help);
}

static void append_escaped(MetricWriter *w, const char *value)
{
        for (const char *p = value; *p; p++) {
                if (*p == '\n')
                        append(w, "\\n", 2);
                else if (*p == '"' || *p == '\\')
                        append_format(w, "\\%c", *p);
                else
                        append(w, p, 1);
        }
}

static void append_label(MetricWriter *w, const char *name, const char *value, bool *is_first)
{
        append_format(w, "%s%s=\"", *is_first ? "{" : ",", name);
        append_escaped(w, value);
        append(w, "\"", 1);
        *is_first = false;
}

/* NAME{LABELS} and a blank. */
static void begin_sample(MetricWriter *w, const char *suffix, const MetricLabel *labels, const char *le)
{
        bool is_first = true;

        append_format(w, "%s%s", w->family, suffix);
        for (; labels && labels->name; labels++)
                if (labels->value)
                        append_label(w, labels->name, labels->value, &is_first);
        if (le)
                append_label(w, "le", le, &is_first);
        append_format(w, is_first ? " " : "} ");
}

static void sample(MetricWriter *w, const char *suffix, const MetricLabel *labels, uint64_t value)
{
        begin_sample(w, suffix, labels, NULL);
        append_format(w, "%" PRIu64 "\n", value);
}

static void sample_usec(MetricWriter *w, const char *suffix, const MetricLabel *labels, usec_t usec)
{
        begin_sample(w, suffix, labels, NULL);
        append_format(w, "%" PRIu64 ".%06" PRIu64 "\n", usec / USEC_PER_SEC, usec % USEC_PER_SEC);
}

void metric_info(MetricWriter *w, const MetricLabel *labels)
{
        sample(w, "_info", labels, 1);
}

void metric_gauge(MetricWriter *w, const MetricLabel *labels, uint64_t value)
{
        sample(w, "", labels, value);
}

void metric_counter(MetricWriter *w, const MetricLabel *labels, uint64_t value)
{
        sample(w, "_total", labels, value);
}

void metric_counter_usec(MetricWriter *w, const MetricLabel *labels, usec_t usec)
{
        sample_usec(w, "_total", labels, usec);
}

void metric_histogram(MetricWriter *w, const MetricLabel *labels, const Histogram *histogram)
{
        uint64_t n = 0;

        for (size_t i = 0; i <= METRIC_N_BUCKETS; i++) {
                n += histogram->n_in[i];
                begin_sample(w, "_bucket", labels, i < METRIC_N_BUCKETS ? buckets[i].text : "+Inf");
                append_format(w, "%" PRIu64 "\n", n);
        }
        sample(w, "_count", labels, n);
        sample_usec(w, "_sum", labels, histogram->sum_usec);
}

void metric_end(MetricWriter *w)
{
        append_format(w, "# EOF\n");
}
