/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* MESSAGE_ID of the journal records an operator may act on: the one list of the suite.
 * catalog/pipeline.catalog explains each (a lint test compares the two). */

/* Router */
#define MSG_ROUTER_JOB_ENDED          "5b1f0c3e7a9d4f0e8a6b1d2c3e4f5a01"
#define MSG_ROUTER_JOB_RETRIED        "5b1f0c3e7a9d4f0e8a6b1d2c3e4f5a02"
#define MSG_ROUTER_WORKER_ONLINE      "5b1f0c3e7a9d4f0e8a6b1d2c3e4f5a03"
#define MSG_ROUTER_WORKER_LOST        "5b1f0c3e7a9d4f0e8a6b1d2c3e4f5a04"
#define MSG_ROUTER_WORKER_REFUSED     "5b1f0c3e7a9d4f0e8a6b1d2c3e4f5a05"
#define MSG_ROUTER_WORKER_LEFT        "5b1f0c3e7a9d4f0e8a6b1d2c3e4f5a06"
#define MSG_ROUTER_DEPLOYED           "5b1f0c3e7a9d4f0e8a6b1d2c3e4f5a07"
#define MSG_ROUTER_NOT_ALLOWED        "5b1f0c3e7a9d4f0e8a6b1d2c3e4f5a08"
#define MSG_ROUTER_PEER_MALFORMED     "5b1f0c3e7a9d4f0e8a6b1d2c3e4f5a09"
#define MSG_ROUTER_FILE_BAD           "5b1f0c3e7a9d4f0e8a6b1d2c3e4f5a0a"
#define MSG_ROUTER_FILE_OLD_KEYS      "5b1f0c3e7a9d4f0e8a6b1d2c3e4f5a0b"
#define MSG_ROUTER_KEY_BAD            "5b1f0c3e7a9d4f0e8a6b1d2c3e4f5a0d"
#define MSG_ROUTER_CONNECTION_REFUSED "5b1f0c3e7a9d4f0e8a6b1d2c3e4f5a0e"
#define MSG_ROUTER_PEER_LIMITED       "5b1f0c3e7a9d4f0e8a6b1d2c3e4f5a0f"
#define MSG_ROUTER_JOB_GIVEN          "5b1f0c3e7a9d4f0e8a6b1d2c3e4f5a10"

/* Worker */
#define MSG_WORKER_JOB_STARTED    "5b1f0c3e7a9d4f0e8a6b1d2c3e4f5a21"
#define MSG_WORKER_JOB_ENDED      "5b1f0c3e7a9d4f0e8a6b1d2c3e4f5a22"
#define MSG_WORKER_INSTALLED      "5b1f0c3e7a9d4f0e8a6b1d2c3e4f5a23"
#define MSG_WORKER_INSTALL_FAILED "5b1f0c3e7a9d4f0e8a6b1d2c3e4f5a24"
#define MSG_WORKER_ROUTER_LOST    "5b1f0c3e7a9d4f0e8a6b1d2c3e4f5a25"
#define MSG_WORKER_REFUSED        "5b1f0c3e7a9d4f0e8a6b1d2c3e4f5a26"
#define MSG_WORKER_CANARY_FAILED  "5b1f0c3e7a9d4f0e8a6b1d2c3e4f5a2c"
#define MSG_WORKER_CANARY_WELL    "5b1f0c3e7a9d4f0e8a6b1d2c3e4f5a2d"

/* Sandbox */
#define MSG_SANDBOX_STARTED         "5b1f0c3e7a9d4f0e8a6b1d2c3e4f5a41"
#define MSG_SANDBOX_ENDED           "5b1f0c3e7a9d4f0e8a6b1d2c3e4f5a42"
#define MSG_SANDBOX_NO_LIMITS       "5b1f0c3e7a9d4f0e8a6b1d2c3e4f5a43"
#define MSG_SANDBOX_IMAGE_REFUSED   "5b1f0c3e7a9d4f0e8a6b1d2c3e4f5a44"
#define MSG_SANDBOX_MANAGER_LOST    "5b1f0c3e7a9d4f0e8a6b1d2c3e4f5a45"
#define MSG_SANDBOX_IMAGE_COLLECTED "5b1f0c3e7a9d4f0e8a6b1d2c3e4f5a4c"

/* Builds */
#define MSG_BUILD_STARTED "5b1f0c3e7a9d4f0e8a6b1d2c3e4f5a61"
#define MSG_BUILD_ENDED   "5b1f0c3e7a9d4f0e8a6b1d2c3e4f5a62"
#define MSG_BUILT         "5b1f0c3e7a9d4f0e8a6b1d2c3e4f5a63"
