/* overwrite.c - the mode --overwrite-arena, by which `labkit verify` proves that
 * no test relies on what student code can write.
 *
 * Theory of operation.  Student code can write to the whole arena, at any time.
 * So a test keeps names and expectations in its own memory, passes a copy made
 * for one call, and copies a result once, right after the call.  In this mode an
 * input is overwritten when its call has returned, and a result before the next
 * call.  A test that reads an input back, passes it again, or reads a result too
 * late then fails with the reference too.
 */
#include "overwrite.h"

#include "arena.h"
#include "puppets.h"
#include "session.h"

/* A script that is recorded but has not begun needs its inputs, too. */
static bool is_call_outstanding(void)
{
    if (session.scripts_pending > 0)
        return true;
    for (size_t i = 0; i < puppets_count(); i++)
        if (puppets_get(i)->busy && puppets_get(i)->pidfd >= 0)
            return true;
    return false;
}

void overwrite_results(void)
{
    if (session.overwrite_arena && !is_call_outstanding())
        arena_overwrite_results();
}

void overwrite_inputs(void)
{
    if (session.overwrite_arena && !is_call_outstanding())
        arena_overwrite_inputs();
}
