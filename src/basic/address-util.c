/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* IPv4 by the networks that are set apart; IPv6 by the one that was given out, but for what translates. */

#include "address-util.h"

#include <arpa/inet.h>
#include <netinet/in.h>

typedef struct Network {
        uint32_t address;
        unsigned size; /* bits */
} Network;

#define FOUR(a, b, c, d) ((uint32_t) (a) << 24 | (uint32_t) (b) << 16 | (uint32_t) (c) << 8 | (uint32_t) (d))

static bool network_has(const Network *network, uint32_t address)
{
        return (network->address ^ address) >> (32 - network->size) == 0;
}

static const struct in6_addr *six_of(const struct sockaddr *address)
{
        return address->sa_family == AF_INET6 ? &((const struct sockaddr_in6 *) address)->sin6_addr : NULL;
}

static bool get_four(const struct sockaddr *address, uint32_t *ret)
{
        const struct in6_addr *six = six_of(address);

        if (address->sa_family == AF_INET)
                *ret = ntohl(((const struct sockaddr_in *) address)->sin_addr.s_addr);
        else if (six && IN6_IS_ADDR_V4MAPPED(six))
                *ret = ntohl(six->s6_addr32[3]);
        else
                return false;
        return true;
}

bool address_is_this_machine(const struct sockaddr *address)
{
        const struct in6_addr *six = six_of(address);
        uint32_t four;

        if (get_four(address, &four))
                return four >> 24 == 127 || four >> 24 == 0;
        return six && (IN6_IS_ADDR_LOOPBACK(six) || IN6_IS_ADDR_UNSPECIFIED(six));
}

bool address_is_link_local(const struct sockaddr *address)
{
        const struct in6_addr *six = six_of(address);
        uint32_t four;

        if (get_four(address, &four))
                return four >> 16 == FOUR(0, 0, 169, 254);
        /* fd00:ec2::/32 has what 169.254.169.254 has. */
        return six && (IN6_IS_ADDR_LINKLOCAL(six) || ntohl(six->s6_addr32[0]) == 0xfd000ec2);
}

static bool four_is_public(uint32_t four)
{
        static const Network others[] = {
                { FOUR(0, 0, 0, 0), 8 },
                { FOUR(10, 0, 0, 0), 8 },
                { FOUR(100, 64, 0, 0), 10 },
                { FOUR(127, 0, 0, 0), 8 },
                { FOUR(169, 254, 0, 0), 16 },
                { FOUR(172, 16, 0, 0), 12 },
                { FOUR(192, 0, 0, 0), 24 },
                { FOUR(192, 88, 99, 0), 24 },
                { FOUR(192, 168, 0, 0), 16 },
                { FOUR(198, 18, 0, 0), 15 },
                { FOUR(224, 0, 0, 0), 3 },
                { FOUR(168, 63, 129, 16), 32 }, /* where one cloud answers its machines */
        };

        for (size_t i = 0; i < ARRAY_SIZE(others); i++)
                if (network_has(&others[i], four))
                        return false;
        return true;
}

static bool six_is_public(const struct in6_addr *six)
{
        static const Network others[] = {
                { 0x20010000, 23 }, /* protocols; Teredo among them */
                { 0x20020000, 16 }, /* 6to4: leads to an IPv4 address */
        };
        uint32_t head = ntohl(six->s6_addr32[0]);

        for (size_t i = 0; i < ARRAY_SIZE(others); i++)
                if (network_has(&others[i], head))
                        return false;
        return head >> 29 == 1; /* 2000::/3 */
}

bool address_is_public(const struct sockaddr *address)
{
        const struct in6_addr *six = six_of(address);
        uint32_t four;

        return get_four(address, &four) ? four_is_public(four) : six && six_is_public(six);
}

/* As 16 bytes; IPv4 mapped. */
static bool get_bytes(const struct sockaddr *address, struct in6_addr *ret)
{
        uint32_t four;

        *ret = (struct in6_addr){ .s6_addr = { [10] = 0xff, [11] = 0xff } };
        if (get_four(address, &four))
                ret->s6_addr32[3] = htonl(four);
        else if (six_of(address))
                *ret = *six_of(address);
        else
                return false;
        return true;
}

/* A mask of no bits is that of a way to everywhere. */
static void get_mask(const struct sockaddr *mask, struct in6_addr *ret)
{
        static const struct in6_addr all = { .s6_addr32 = { ~0U, ~0U, ~0U, ~0U } };
        const struct in6_addr *six = mask ? six_of(mask) : NULL;

        *ret = all;
        if (mask && mask->sa_family == AF_INET)
                ret->s6_addr32[3] = ((const struct sockaddr_in *) mask)->sin_addr.s_addr ?: ~0U;
        else if (six && !IN6_IS_ADDR_UNSPECIFIED(six))
                *ret = *six;
}

bool address_is_near(const struct sockaddr *address, const struct sockaddr *other,
                     const struct sockaddr *mask)
{
        struct in6_addr a, b, bits;

        if (!get_bytes(address, &a) || !get_bytes(other, &b))
                return false;
        get_mask(mask, &bits);
        for (size_t i = 0; i < 4; i++)
                if (((a.s6_addr32[i] ^ b.s6_addr32[i]) & bits.s6_addr32[i]) != 0)
                        return false;
        return true;
}
