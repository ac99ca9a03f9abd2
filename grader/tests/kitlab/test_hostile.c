/* test_hostile.c - the kit's own tests of submissions that attack the control page
 * and the socket.  Those named catches_... must fail, with the messages that
 * grader/tests/test_testkit_questions.py expects; all others pass.
 */
#include "hostile.h"
#include "shared/wire.h"
#include "strange.h"
#include "support.h"

/* ---- the control page -------------------------------------------------------------- */

TEST(the_control_page_cannot_be_written, "A rule.")
{
    puppet_start();
    assert_fails(write_control(), EACCES);
}

TEST(catches_a_control_page_that_was_unmapped, "A rule.")
{
    fault_watch(puppet_start(), FAULT_PIPE);
    unmap_control();
}

TEST(catches_a_control_page_that_was_replaced, "A rule.")
{
    struct puppet *p = puppet_start();

    fault_fail(p, FAULT_PIPE, 1, EMFILE);
    assert_int_equal(replace_control(0), 0);
    assert_called(p, FAULT_PIPE);
}

TEST(catches_a_control_page_without_answers, "A rule.")
{
    fault_watch(puppet_start(), FAULT_PIPE);
    replace_control(1);
}

/* ---- the socket -------------------------------------------------------------------- */

TEST(catches_closed_descriptors_of_the_kit, "A rule.")
{
    fault_watch(puppet_start(), FAULT_PIPE);
    close_kit_fds();
}

TEST(catches_a_question_about_no_call, "A rule.")
{
    puppet_start();
    forge_questions(FRAME_ASK, 0, FAULT_CALLS, 1);
}

TEST(catches_a_question_about_a_call_of_a_negative_number, "A rule.")
{
    puppet_start();
    forge_questions(FRAME_ASK, 0, UINT64_MAX, 1);
}

TEST(catches_a_question_about_a_call_of_more_than_32_bits, "A rule.")
{
    puppet_start();
    forge_questions(FRAME_ASK, 0, UINT64_C(1) << 32, 1);
}

TEST(catches_a_callback_that_is_not_there, "A rule.")
{
    puppet_start();
    forge_questions(FRAME_CALLBACK, -1, 0, 1);
}

TEST(catches_a_forged_return, "A rule.")
{
    puppet_start();
    forge_questions(FRAME_RETURNED, 0, 0, 1);
}

TEST(catches_more_questions_than_can_wait, "A rule.")
{
    fault_delay(puppet_start(), FAULT_CLOSE, 1, 999999);
    forge_questions(FRAME_ASK, 0, FAULT_CLOSE, 100000);
}

TEST(questions_of_threads_that_do_not_exist_do_no_harm, "A rule.")
{
    struct puppet *p = puppet_start();

    fault_fail(p, FAULT_CLOSE, 5001, EIO);
    assert_int_equal(forge_questions(FRAME_ASK, 0, FAULT_CLOSE, 5000), 5000);
    assert_int_equal(ask_in_threads(1, 10), 1);
    assert_int_equal(fault_count(p, FAULT_CLOSE), 5010);
}

TEST(catches_questions_without_end, "A rule.")
{
    puppet_start();
    flood_with_questions(0);
}

TEST(catches_questions_without_end_of_children, "A rule.")
{
    struct puppet *p;

    puppets_use_all_cpus();
    p = puppet_start();
    begin(p, flood_with_questions(4));
    WAIT_UNTIL(fault_fired(p)); /* never: nothing is planned */
}

TEST(three_hundred_threads_ask_at_once, "A rule.")
{
    struct puppet *p = puppet_start();

    fault_fail_from(p, FAULT_CLOSE, 1, EIO);
    assert_int_equal(ask_in_threads(300, 20), 6000);
    assert_int_equal(fault_count(p, FAULT_CLOSE), 6000);
}
