/* names.c - quoted text, and names of errors, signals and wait statuses, for
 * messages (support.h).
 */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "support.h"

enum { NTEXTS = 8, NAME_BYTES = 64, QUOTED_BYTES = 304 };

const char *quoted(const char *text)
{
    static char texts[NTEXTS][QUOTED_BYTES];
    static unsigned next;
    char *out = texts[next++ % NTEXTS];
    size_t n = 0;

    for (; *text != '\0' && n + 8 < QUOTED_BYTES; text++)
        if (*text == '\n')
            n += (size_t)snprintf(out + n, QUOTED_BYTES - n, "\\n");
        else if (*text >= ' ' && *text <= '~')
            out[n++] = *text;
        else
            n += (size_t)snprintf(out + n, QUOTED_BYTES - n, "\\x%02x", (unsigned char)*text);
    snprintf(out + n, QUOTED_BYTES - n, "%s", *text != '\0' ? "..." : "");
    return out;
}

/* The next of several buffers, so that one message can hold several names. */
static char *next_buffer(void)
{
    static char names[NTEXTS][NAME_BYTES];
    static unsigned next;

    return names[next++ % NTEXTS];
}

const char *error_name(int error)
{
    const char *name = strerrorname_np(error);
    char *text;

    if (error == 0)
        return "no error";
    if (name)
        return name;
    text = next_buffer();
    snprintf(text, NAME_BYTES, "errno %d", error);
    return text;
}

const char *signal_name(int number)
{
    const char *name = sigabbrev_np(number);
    char *text = next_buffer();

    if (name)
        snprintf(text, NAME_BYTES, "SIG%s", name);
    else
        snprintf(text, NAME_BYTES, "signal %d", number);
    return text;
}

const char *status_text(int status)
{
    char *text = next_buffer();

    if (WIFEXITED(status))
        snprintf(text, NAME_BYTES, "ended with exit status %d", WEXITSTATUS(status));
    else if (WIFSIGNALED(status))
        snprintf(text, NAME_BYTES, "was killed by %s", signal_name(WTERMSIG(status)));
    else
        snprintf(text, NAME_BYTES, "has 0x%x, which is no status of a process that ended",
                 (unsigned)status);
    return text;
}
