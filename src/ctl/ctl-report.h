/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What came of a job, for people. */

#include "ctl.h"

#include "client/client.h"

/* Prints the reply to a job: tests with their verdicts, or the text, then time, memory and the job's id.
 * What the guest wrote is made safe for terminals. */
void ctl_report_job(const Ctl *ctl, const ClientReply *reply);
