/* test_shared.c - tests of what the test shares with the sandbox (testkit.h): the
 * folder, message queues, and what becomes of objects.  Those named catches_...
 * must fail, and those named breaks_... are grader errors, with the messages that
 * grader/tests/test_testkit_shared.py expects; all others pass.
 */
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

#include "strange.h"
#include "stub.h"
#include "support.h"

/* What a submission does is done through libc here (IN_PUPPET), once a call of
 * the submission has made all that follows its own doing. */
static void run_student_code(void)
{
    assert_int_equal(add(1, 2, 3, 0, 0, 0), 6);
}

static const char *path_of(const char *name)
{
    return arena_string(folder_path(name));
}

static void write_there(const char *name, const char *text)
{
    int fd = IN_PUPPET(open, path_of(name), O_WRONLY | O_CREAT | O_APPEND, 0600);

    assert_int_equal((int)IN_PUPPET(write, fd, arena_string(text), strlen(text)), strlen(text));
    assert_int_equal((int)IN_PUPPET(close, fd), 0);
}

/* ---- the folder: all goes well -------------------------------------------------- */

TEST(a_file_of_the_puppet_is_read, "A rule.")
{
    char *text;
    int fd;

    write_there("log", "one\n");
    fd = folder_open("log", O_RDONLY, S_IFREG);
    text = file_contents(fd);
    assert_string_equal(text, "one\n");
    free(text);
    close(fd);
}

TEST(a_file_that_is_not_there_is_no_failure, "A rule.")
{
    struct stat st;

    run_student_code();
    assert_int_equal(folder_open("log", O_RDONLY, S_IFREG), -1);
    assert_int_equal(errno, ENOENT);
    assert_false(folder_stat("log", &st));
}

TEST(a_file_is_made_with_its_mode_whatever_the_umask, "A rule.")
{
    struct stat st;

    folder_create("file", S_IFREG | 0640);
    folder_create("fifo", S_IFIFO | 0622);
    folder_create("directory", S_IFDIR | 0711);
    assert_true(folder_stat("file", &st));
    assert_int_equal(st.st_mode, S_IFREG | 0640);
    assert_true(folder_stat("fifo", &st));
    assert_int_equal(st.st_mode, S_IFIFO | 0622);
    assert_true(folder_stat("directory", &st));
    assert_int_equal(st.st_mode, S_IFDIR | 0711);
    assert_string_equal(folder_list(), "directory\nfifo\nfile\n");
}

TEST(the_folder_is_empty_in_every_test, "A rule.")
{
    assert_string_equal(folder_list(), "");
    write_there("again", "x");
    assert_string_equal(folder_list(), "again\n");
}

TEST(the_user_of_files_is_the_sandbox, "A rule.")
{
    struct stat made, own;

    folder_create("file", S_IFREG | 0600);
    write_there("own", "x");
    assert_true(folder_stat("file", &made) && folder_stat("own", &own));
    assert_int_equal(made.st_uid, own.st_uid);
}

TEST(a_fifo_is_written_and_read_without_waiting, "A rule.")
{
    char *buf = arena_out("buf", 6);
    char byte;
    int reader, writer, theirs;

    folder_create("fifo", S_IFIFO | 0600);
    assert_int_equal(folder_open("fifo", O_WRONLY, S_IFIFO), -1);
    assert_int_equal(errno, ENXIO);
    reader = folder_open("fifo", O_RDONLY, S_IFIFO);
    assert_int_equal(read(reader, &byte, 1), 0);
    theirs = IN_PUPPET(open, path_of("fifo"), O_RDWR);
    assert_int_equal(read(reader, &byte, 1), -1);
    assert_int_equal(errno, EAGAIN);
    writer = folder_open("fifo", O_WRONLY, S_IFIFO);
    close(reader);
    assert_int_equal(write(writer, "hello", 6), 6);
    assert_int_equal((int)IN_PUPPET(read, theirs, buf, 6), 6);
    assert_string_equal(buf, "hello");
    IN_PUPPET(close, theirs);
    assert_int_equal(write(writer, "hello", 6), -1); /* and no SIGPIPE */
    assert_int_equal(errno, EPIPE);
    close(writer);
}

TEST(a_puppet_has_no_descriptor_of_the_folder, "A rule.")
{
    char *target = arena_out("target", 200);
    char path[64];

    folder_create("file", S_IFREG | 0600);
    for (int fd = 0; fd < 600; fd++) {
        long n;

        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        n = IN_PUPPET(readlink, arena_string(path), target, 199);
        assert_false(n > 0 && memmem(target, n, "/testkit-", 9) != NULL);
    }
}

TEST(a_puppet_has_default_signals, "A rule.")
{
    struct sigaction *action = arena_alloc("action", sizeof *action);
    sigset_t *blocked = arena_alloc("set", sizeof *blocked);

    IN_PUPPET(sigaction, SIGPIPE, NULL, action);
    assert_ptr_equal(action->sa_handler, SIG_DFL);
    IN_PUPPET(sigprocmask, SIG_BLOCK, NULL, blocked);
    for (int signal = 1; signal < 32; signal++)
        assert_int_equal(sigismember(blocked, signal), 0);
}

/* ---- the folder: a hostile submission -------------------------------------------- */

static void put_in_place_of_a_fifo(mode_t mode)
{
    folder_create("fifo", S_IFIFO | 0600);
    run_student_code();
    IN_PUPPET(unlink, path_of("fifo"));
    IN_PUPPET(mknod, path_of("fifo"), mode, 0);
}

TEST(catches_a_regular_file_in_place_of_a_fifo, "A rule.")
{
    put_in_place_of_a_fifo(S_IFREG | 0600);
    folder_open("fifo", O_WRONLY, S_IFIFO);
}

TEST(catches_a_socket_in_place_of_a_fifo, "A rule.")
{
    put_in_place_of_a_fifo(S_IFSOCK | 0600);
    folder_open("fifo", O_WRONLY, S_IFIFO);
}

TEST(catches_a_symbolic_link_in_place_of_a_fifo, "A rule.")
{
    put_in_place_of_a_fifo(S_IFIFO | 0600);
    IN_PUPPET(rename, path_of("fifo"), path_of("other"));
    IN_PUPPET(symlink, arena_string("other"), path_of("fifo"));
    folder_open("fifo", O_RDONLY, S_IFIFO);
}

TEST(catches_a_link_to_a_file_of_the_system, "A rule.")
{
    run_student_code();
    IN_PUPPET(symlink, arena_string("/etc/passwd"), path_of("log"));
    folder_open("log", O_RDONLY, S_IFREG);
}

TEST(catches_a_fifo_in_place_of_a_log, "A rule.")
{
    put_in_place_of_a_fifo(S_IFIFO | 0600);
    folder_open("fifo", O_RDONLY, S_IFREG);
}

TEST(catches_a_directory_in_place_of_a_log, "A rule.")
{
    run_student_code();
    IN_PUPPET(mkdir, path_of("log"), 0700);
    folder_open("log", O_RDONLY, S_IFREG);
}

TEST(catches_a_file_with_a_lease, "A rule.")
{
    int fd;

    run_student_code();
    write_there("log", "x");
    fd = IN_PUPPET(open, path_of("log"), O_RDONLY);
    IN_PUPPET(signal, SIGIO, SIG_IGN);
    assert_int_equal((int)IN_PUPPET(fcntl, fd, F_SETLEASE, F_WRLCK), 0);
    folder_open("log", O_RDONLY, S_IFREG);
}

TEST(catches_a_huge_file, "A rule.")
{
    int fd;

    run_student_code();
    write_there("log", "x");
    for (size_t size = 1 << 20; size < (size_t)1 << 40; size *= 2)
        IN_PUPPET(truncate, path_of("log"), size);
    fd = folder_open("log", O_RDONLY, S_IFREG);
    free(file_contents(fd));
}

TEST(catches_a_file_without_permissions, "A rule.")
{
    run_student_code();
    write_there("log", "x");
    IN_PUPPET(chmod, path_of("log"), 0);
    folder_open("log", O_RDONLY, S_IFREG);
}

TEST(catches_a_folder_without_permissions, "A rule.")
{
    run_student_code();
    write_there("log", "x");
    IN_PUPPET(chmod, path_of(""), 0);
    folder_open("log", O_RDONLY, S_IFREG);
}

TEST(a_folder_that_was_removed_is_empty, "A rule.")
{
    struct stat st;

    run_student_code();
    assert_int_equal((int)IN_PUPPET(rmdir, path_of("")), 0);
    IN_PUPPET(symlink, arena_string("/etc"), path_of(""));
    assert_int_equal(folder_open("passwd", O_RDONLY, S_IFREG), -1);
    assert_int_equal(errno, ENOENT);
    assert_false(folder_stat("passwd", &st));
    assert_string_equal(folder_list(), "");
    IN_PUPPET(unlink, path_of(""));
}

TEST(names_are_shown_with_escapes, "A rule.")
{
    run_student_code();
    write_there("two\nlines\033[2J", "x");
    assert_string_equal(folder_list(), "two\\nlines\\x1b[2J\n");
}

TEST(catches_a_folder_that_cannot_be_made, "A rule.")
{
    uint64_t directory = IN_PUPPET(getenv, arena_string("TMPDIR")); /* of the puppet */

    run_student_code();
    assert_int_equal((int)IN_PUPPET(chmod, directory, 0), 0);
    folder_create("file", S_IFREG | 0600);
}

/* ---- message queues ------------------------------------------------------------------ */

static const struct mq_attr ATTR = {.mq_maxmsg = 3, .mq_msgsize = 100};

TEST(a_queue_of_the_test_is_the_puppets, "A rule.")
{
    const char *name = object_name("queue");
    char *buf = arena_out("buf", 100);
    struct mq_attr attr;
    unsigned priority;
    char text[100];
    int theirs;
    mqd_t queue = queue_open(name, O_RDWR | O_CREAT | O_EXCL, &ATTR);

    assert_int_equal(mq_getattr(queue, &attr), 0);
    assert_int_equal(attr.mq_maxmsg, 3);
    assert_int_equal(attr.mq_msgsize, 100);
    assert_int_equal(mq_receive(queue, text, sizeof text, &priority), -1);
    assert_int_equal(errno, EAGAIN);
    theirs = IN_PUPPET(mq_open, arena_string(name), O_RDWR);
    assert_int_equal((int)IN_PUPPET(mq_send, theirs, arena_string("hello"), 6, 7), 0);
    assert_int_equal(mq_receive(queue, text, sizeof text, &priority), 6);
    assert_string_equal(text, "hello");
    assert_int_equal(priority, 7);
    assert_int_equal(mq_send(queue, "world", 6, 1), 0);
    assert_int_equal((int)IN_PUPPET(mq_receive, theirs, buf, 100, NULL), 6);
    assert_string_equal(buf, "world");
    assert_int_equal((int)IN_PUPPET(mq_unlink, arena_string(name)), 0);
    assert_nothing_left();
}

TEST(a_queue_that_exists_or_not_is_no_failure, "A rule.")
{
    const char *name = object_name("queue");

    run_student_code();
    assert_int_equal(queue_open(name, O_RDWR, NULL), -1);
    assert_int_equal(errno, ENOENT);
    assert_true(queue_open(name, O_RDWR | O_CREAT, NULL) >= 0);
    assert_int_equal(queue_open(name, O_RDWR | O_CREAT | O_EXCL, NULL), -1);
    assert_int_equal(errno, EEXIST);
}

TEST(catches_a_queue_that_is_left_behind, "A rule.")
{
    queue_open(object_name("left"), O_RDWR | O_CREAT, NULL);
    assert_nothing_left();
}

static void take_all_queues(void)
{
    for (int i = 0; i < 1000; i++)
        if ((int)IN_PUPPET(mq_open, arena_string(object_name("many")), O_RDWR | O_CREAT, 0600,
                           NULL) < 0)
            return;
    fail();
}

TEST(catches_a_submission_that_used_up_all_queues, "A rule.")
{
    run_student_code();
    take_all_queues();
    queue_open(object_name("queue"), O_RDWR | O_CREAT, NULL);
}

TEST(breaks_without_queues_before_student_code_ran, "A rule.")
{
    take_all_queues();
    queue_open(object_name("queue"), O_RDWR | O_CREAT, NULL);
}

/* ---- objects of an earlier test ------------------------------------------------------- */

static void make_one_of_each(void)
{
    IN_PUPPET(shm_open, arena_string("/memory"), O_RDWR | O_CREAT, 0600);
    IN_PUPPET(mkdir, arena_string("/dev/shm/directory"), 0700);
    IN_PUPPET(mkdir, arena_string("/dev/shm/directory/in it"), 0);
    IN_PUPPET(sem_open, arena_string("/semaphore"), O_RDWR | O_CREAT, 0600, 1);
    IN_PUPPET(mq_open, arena_string("/queue"), O_RDWR | O_CREAT, 0600, NULL);
    IN_PUPPET(shmget, IPC_PRIVATE, 4096, IPC_CREAT | 0600);
    IN_PUPPET(semget, IPC_PRIVATE, 1, IPC_CREAT | 0600);
    IN_PUPPET(msgget, IPC_PRIVATE, IPC_CREAT | 0600);
}

TEST(catches_objects_of_every_kind, "A rule.")
{
    run_student_code();
    make_one_of_each();
    print_error("%s", leftovers());
    fail();
}

TEST(nothing_is_left_of_the_test_before, "A rule.")
{
    assert_string_equal(leftovers(), "");
}

TEST(catches_more_objects_than_can_be_listed, "A rule.")
{
    char name[201];

    run_student_code();
    for (int i = 0; i < 200; i++) {
        int fd;

        snprintf(name, sizeof name, "/%0199d", i);
        fd = IN_PUPPET(shm_open, arena_string(name), O_RDWR | O_CREAT, 0600);
        assert_int_equal((int)IN_PUPPET(close, fd), 0);
    }
    leftovers();
}

/* Where /dev/shm is the sandbox's own. */
TEST(catches_objects_that_cannot_be_listed, "A rule.")
{
    run_student_code();
    IN_PUPPET(chmod, arena_string("/dev/shm"), 0333);
    assert_nothing_left();
}

TEST(the_mode_of_shared_memory_is_the_kernels, "A rule.")
{
    const char *name = object_name("memory");
    int key = 0x11000000 + getpid();
    int id = IN_PUPPET(shmget, key, 4096, IPC_CREAT | 0640);

    IN_PUPPET(shm_open, arena_string(name), O_RDWR | O_CREAT, 0604);
    assert_int_equal(shm_mode(name), 0604);
    assert_int_equal(shm_mode("/no such name"), -1);
    assert_int_equal(sysv_shm_mode(key), 0640);
    assert_int_equal((int)IN_PUPPET(shmctl, id, IPC_RMID, NULL), 0);
    assert_int_equal(sysv_shm_mode(key), -1);
}

/* ---- programs ------------------------------------------------------------------------- */

TEST(breaks_where_a_command_fails_before_student_code_ran, "A rule.")
{
    free(run_shell("exit 3", ""));
}

TEST(catches_a_command_that_fails_after_student_code_ran, "A rule.")
{
    run_student_code();
    free(run_shell("exit 3", ""));
}

TEST(catches_a_command_that_fails_after_a_program_of_the_student, "A rule.")
{
    struct outcome outcome = RUN_PROGRAM(program_path("beacon"));

    outcome_close(&outcome);
    free(run_shell("exit 3", ""));
}

TEST(breaks_where_a_command_fails_after_a_given_program, "A rule.")
{
    const char *const argv[] = {program_path("beacon"), NULL};
    struct outcome outcome = run_given_program(argv);

    outcome_close(&outcome);
    free(run_shell("exit 3", ""));
}

/* ---- for the tests of interrupted runs --------------------------------------------------- */

TEST(interrupted, "A rule.")
{
    write_there("log", "x");
    IN_PUPPET(mkdir, path_of("directory"), 0700);
    write_there("directory/file", "x");
    IN_PUPPET(chmod, path_of("directory"), 0);
    printf("%s\n", folder_path(""));
    fflush(stdout);
    sleep_until_signal();
}

TEST(catches_a_submission_that_kills_the_fork_server, "A rule.")
{
    write_there("log", "x");
    printf("%s\n", folder_path(""));
    fflush(stdout);
    run_student_code();
    kill((pid_t)IN_PUPPET(getppid), SIGKILL);
    folder_create("file", S_IFREG | 0600);
}
