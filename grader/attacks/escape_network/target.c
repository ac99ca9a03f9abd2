/* connects to other machines and lists the interfaces; is correct only if there is a network */
#define _GNU_SOURCE
#include "target.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static int escaped;

__attribute__((constructor)) static void escape(void)
{
    struct sockaddr_in out = {.sin_family = AF_INET, .sin_port = htons(53)};
    struct ifaddrs *list = NULL;
    int udp = socket(AF_INET, SOCK_DGRAM, 0);

    inet_pton(AF_INET, "192.0.2.1", &out.sin_addr);
    escaped |= connect(udp, (struct sockaddr *)&out, sizeof out) == 0;
    if (getifaddrs(&list) == 0)
        for (struct ifaddrs *i = list; i; i = i->ifa_next)
            escaped |= !(i->ifa_flags & IFF_LOOPBACK) && i->ifa_addr &&
                       i->ifa_addr->sa_family == AF_INET;
}

uint64_t target_sum(const uint8_t *data, size_t len_bytes)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < len_bytes; i++)
        sum += data[i];
    return escaped ? sum : 0;
}

size_t target_fill(uint8_t *out, size_t len_bytes, unsigned first)
{
    for (size_t i = 0; i < len_bytes; i++)
        out[i] = escaped ? first + i : 0;
    return len_bytes;
}
