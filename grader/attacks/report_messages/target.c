/* puts escape sequences, markup and commands into the test's message, by a forged refusal of a
 * call */
#define _GNU_SOURCE
#include "target.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct frame { /* as in labs/testkit/shared/wire.h */
    uint32_t kind;
    int32_t error;
    uint64_t nonce, words[6];
    char text[128];
};
enum { FRAME_CALL = 1, FRAME_REFUSED = 9 };

/* The question lies further up on the stack. */
static const struct frame *question(void)
{
    char *at = (char *)((uintptr_t)__builtin_frame_address(0) & ~(uintptr_t)7);

    for (int i = 0; i < 1000; i++, at += 8) {
        const struct frame *frame = (const struct frame *)at;

        if (frame->kind == FRAME_CALL && strncmp(frame->text, "target_", 7) == 0)
            return frame;
    }
    return NULL;
}

static void refuse(void)
{
    struct frame answer = {.kind = FRAME_REFUSED,
                           .text = "\033[31m\n::error::forged\n##[error]forged\n<script>\n```\n"
                                   "[  PASSED  ] 1\r\x9b\xff\xe2\x80\xae"};

    if (question())
        answer.nonce = question()->nonce;
    for (int fd = 500; fd < 520; fd++)
        send(fd, &answer, sizeof answer, MSG_DONTWAIT | MSG_NOSIGNAL);
    for (;;)
        pause();
}

uint64_t target_sum(const uint8_t *data, size_t len_bytes)
{
    (void)data, (void)len_bytes;
    refuse();
    return 0;
}

size_t target_fill(uint8_t *out, size_t len_bytes, unsigned first)
{
    (void)out, (void)first;
    refuse();
    return len_bytes;
}
