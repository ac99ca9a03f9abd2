/* prints escape sequences, markup, formulas and commands */
#define _GNU_SOURCE
#include "target.h"

#include <stdio.h>
#include <unistd.h>

__attribute__((constructor)) static void print(void)
{
    static const char text[] = "\033[2J\033]0;title\007<script>alert(1)</script>\n"
                               "=HYPERLINK(\"http://example.org\")\n"
                               "::error::graded 100\n::set-output name=score::100\n"
                               "\0\xff\xfe\xc3\x28 ]]> ``` \xe2\x80\xae evil\n";

    (void)!write(1, text, sizeof text - 1);
}

uint64_t target_sum(const uint8_t *data, size_t len_bytes)
{
    (void)data, (void)len_bytes;
    return 12345;
}

size_t target_fill(uint8_t *out, size_t len_bytes, unsigned first)
{
    (void)out, (void)len_bytes, (void)first;
    return 12345;
}
