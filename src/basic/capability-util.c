/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel's own calls, so that static programs need no library for it. */

#include "capability-util.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define N_CAPABILITIES 64U /* as many as the sets have bits; kernels know fewer */

/* The sets are told in words of 32 bits. */
typedef struct __user_cap_data_struct CapabilityWords[_LINUX_CAPABILITY_U32S_3];

int capability_bound(uint64_t kept)
{
        for (unsigned long i = 0; i < N_CAPABILITIES; i++)
                if (!(kept & CAPABILITY(i)) && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0 && errno != EINVAL)
                        return -errno;
        return 0;
}

int capability_keep(uint64_t kept)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        CapabilityWords words = {};

        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                words[i].effective = words[i].permitted = (uint32_t) (kept >> (32 * i));
        return syscall(SYS_capset, &header, words) < 0 ? -errno : 0;
}

int capability_hand_on(uint64_t rights)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        CapabilityWords words = {};

        if (syscall(SYS_capget, &header, words) < 0)
                return -errno;
        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                words[i].inheritable |= (uint32_t) (rights >> (32 * i));
        if (syscall(SYS_capset, &header, words) < 0)
                return -errno;
        for (unsigned long i = 0; i < N_CAPABILITIES; i++)
                if ((rights & CAPABILITY(i)) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0)
                        return -errno;
        return 0;
}
