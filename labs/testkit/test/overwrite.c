/* overwrite.c - inputs and results in the arena are overwritten when a test must no
 * longer rely on them, nor the submission.
 *
 * Theory of operation.  Student code can write to the whole arena, at any time.
 * So a test keeps names and expectations in its own memory, passes a copy made
 * for one call, and copies a result once, right after the call.  An input is
 * overwritten when its call has returned, one that a script passes by the puppet
 * itself (puppet/requests.c); a result is overwritten before the next call.  A
 * test that reads an input back, passes it again, or reads a result too late fails
 * with the reference too.  A submission that keeps a pointer to its caller's
 * memory, where it must copy, finds other bytes there.
 */
#include "overwrite.h"

#include "arena.h"
#include "puppets.h"

static bool is_call_outstanding(void)
{
    for (size_t i = 0; i < puppets_count(); i++)
        if (puppets_get(i)->busy && puppets_get(i)->pidfd >= 0)
            return true;
    return false;
}

void overwrite_results(void)
{
    if (!is_call_outstanding())
        arena_overwrite_results();
}
