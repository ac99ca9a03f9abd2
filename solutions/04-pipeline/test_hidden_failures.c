/* test_hidden_failures.c - hidden tests of the group "failures": fork, pipe and
 * dup2 that fail.
 *
 * A sweep makes the n-th call fail, for n = 1, 2, ... until none fails.  Where
 * fork or pipe fail, so do all later calls, and pipeline_run must undo
 * everything; where dup2 fails, only that call does, for a caller may need dup2
 * to undo.
 */
#include "test_hidden.h"

/* ---- sweeps ------------------------------------------------------------------ */

enum { MAX_SWEEP = 100 };

struct sweep {
    enum fault_call call;
    const char *name; /* of that call, for messages */
    int error;        /* with which it fails */
    unsigned n;       /* the n-th call fails */
    int in, out;
    struct puppet *p;
    struct control control;
    struct pipeline pipeline;
    struct caller before;
};

/* The processes, pipes and redirections that calls of libc have created, as the kernel showed
 * them when the call had returned. */
static struct {
    pid_t processes[MAX_FDS];
    size_t nprocesses;
    struct fds pipes;
    struct fds redirections; /* standard input and output */
} created;

static bool is_created(pid_t process)
{
    for (size_t i = 0; i < created.nprocesses; i++)
        if (created.processes[i] == process)
            return true;
    return false;
}

static bool is_pipe(const struct fd_info *fd)
{
    return strncmp(fd->target, "pipe:", 5) == 0;
}

static bool is_created_pipe(const struct fd_info *fd)
{
    for (size_t i = 0; i < created.pipes.n; i++)
        if (strcmp(created.pipes.at[i].target, fd->target) == 0)
            return true;
    return false;
}

static bool is_created_redirection(const struct fd_info *fd)
{
    for (size_t i = 0; i < created.redirections.n; i++)
        if (created.redirections.at[i].fd == fd->fd &&
            strcmp(created.redirections.at[i].target, fd->target) == 0)
            return true;
    return false;
}

/* After dup2(), dup() or pipe(): standard input and output of the process. */
static void note_redirections(struct puppet *p, pid_t process)
{
    struct fds fds = fds_of(process);

    (void)p;
    for (size_t i = 0; i < fds.n && created.redirections.n < MAX_FDS; i++)
        if (fds.at[i].fd <= STDOUT_FILENO && !is_created_redirection(&fds.at[i]))
            created.redirections.at[created.redirections.n++] = fds.at[i];
}

/* After pipe(). */
static void note_pipes(struct puppet *p, pid_t process)
{
    struct fds fds = fds_of(process);

    (void)p;
    for (size_t i = 0; i < fds.n && created.pipes.n < MAX_FDS; i++)
        if (is_pipe(&fds.at[i]) && !is_created_pipe(&fds.at[i]))
            created.pipes.at[created.pipes.n++] = fds.at[i];
}

static void note_process(pid_t process)
{
    if (!is_created(process) && created.nprocesses < MAX_FDS)
        created.processes[created.nprocesses++] = process;
}

/* After fork(), in the caller and in the child. */
static void note_child(struct puppet *p, pid_t process)
{
    if (process == puppet_pid(p))
        return;
    if (process_parent(process) != puppet_pid(p))
        fail_msg("fork() was called in another process than the one that called pipeline_run");
    note_process(process);
}

/* After posix_spawn(), in the caller. */
static void note_children(struct puppet *p, pid_t process)
{
    struct process_info children[MAX_FDS];
    size_t n = process_children(process, children, MAX_FDS);

    (void)p;
    for (size_t i = 0; i < n; i++)
        note_process(children[i].pid);
}

static void check_pipes(struct puppet *p, pid_t process)
{
    struct fds fds = fds_of(process);

    (void)p;
    for (size_t i = 0; i < fds.n && !testkit_under_valgrind(); i++)
        if (is_pipe(&fds.at[i]) && !is_created_pipe(&fds.at[i]))
            fail_msg("there is a pipe that no call of pipe() has created; call the function of "
                     "libc");
}

static void observe_processes(struct puppet *p)
{
    created.nprocesses = 0;
    fault_observe(p, FAULT_FORK, note_child);
    fault_observe(p, FAULT_SPAWN, note_children);
}

/* When a process is created, no pipe is there but those of pipe(). */
static void observe_pipes(struct puppet *p)
{
    created.pipes.n = 0;
    note_pipes(p, puppet_pid(p));
    fault_observe(p, FAULT_PIPE, note_pipes);
    fault_observe(p, FAULT_FORK, check_pipes);
    fault_observe(p, FAULT_SPAWN, check_pipes);
}

/* Fails unless each stage that announces itself is a process that fork or
 * posix_spawn created, and there are no more such processes than stages. */
static void assert_stages_created(struct control control, size_t nstages)
{
    struct probe probe;

    while (control_receive(control, &probe))
        if (!is_created(probe.pid))
            fail_msg("stage %zu is a process that no call of fork() or posix_spawn() has created; "
                     "call the function of libc",
                     stage_of(probe));
    if (created.nprocesses > nstages)
        fail_msg("pipeline_run created %zu processes for %zu stages", created.nprocesses, nstages);
}

/* A puppet that blocks two signals and ignores one. */
static struct puppet *puppet_with_signals(int in, int out)
{
    struct puppet *p = puppet_with_files(in, out);
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGHUP);
    IN_PUPPET(signal, SIGUSR2, SIG_IGN);
    IN_PUPPET(sigprocmask, SIG_BLOCK, arena_input("signal set", &set, sizeof set), NULL);
    return p;
}

static struct sweep sweep_start(enum fault_call call, const char *name, int error)
{
    struct sweep sweep = {.call = call, .name = name, .error = error};

    sweep.in = input_file("swept\n");
    sweep.out = output_file();
    sweep.p = puppet_with_signals(sweep.in, sweep.out);
    sweep.control = control_open(sweep.p);
    return sweep;
}

/* Runs the pipeline while calls fail as planned; errno is that of pipeline_run. */
static int sweep_run(struct sweep *sweep, unsigned n,
                     void (*plan)(struct puppet *, enum fault_call, unsigned, int))
{
    sweep->n = n;
    rewind_files(sweep->in, sweep->out);
    fault_clear(sweep->p);
    observe_processes(sweep->p);
    if (sweep->call == FAULT_PIPE)
        observe_pipes(sweep->p);
    plan(sweep->p, sweep->call, n, sweep->error);
    return run_pipeline(sweep->pipeline, IN, OUT);
}

/* Fails unless status[] fits the stages that were started and that ran. */
static void assert_statuses_fit(const struct sweep *sweep)
{
    const struct pipeline *pipeline = &sweep->pipeline;
    size_t never_started = 0;
    size_t forks = fault_count(sweep->p, FAULT_FORK) + fault_count(sweep->p, FAULT_SPAWN);
    struct probe probe;

    for (size_t i = 0; i < pipeline->nstages; i++) {
        int wstatus = pipeline->status[i];

        if (wstatus == -1)
            never_started++;
        else if (is_unwritten(wstatus) || (!WIFEXITED(wstatus) && !WIFSIGNALED(wstatus)))
            fail_msg("status[%zu]: the stage %s", i, stage_status_text(wstatus));
    }
    if (never_started == 0)
        fail_msg("pipeline_run failed, but no status is -1: which stages were never started?");
    if (forks > 1 && never_started == pipeline->nstages)
        fail_msg("every status is -1, although at least one stage was started");
    while (control_receive(sweep->control, &probe)) {
        size_t i = stage_of(probe);

        if (i >= pipeline->nstages || pipeline->status[i] == -1)
            fail_msg("stage %zu ran, but its status is -1", i);
    }
}

/* Fails unless a call that returned -1 with this errno has reported the planned
 * failure and undone everything. */
static void assert_undone(const struct sweep *sweep, int error)
{
    if (!fault_fired(sweep->p))
        fail_msg("pipeline_run failed (%s) though no call did", error_name(error));
    if (error != sweep->error)
        fail_msg("%s number %u failed with %s, but errno was %s", sweep->name, sweep->n,
                 error_name(sweep->error), error_name(error));
    assert_caller_unchanged(sweep->p, &sweep->before);
    assert_statuses_fit(sweep);
}

/* ---- fork and pipe ------------------------------------------------------------- */

/* Fails unless a call that returned 0 did what it does without a failure. */
static void assert_complete(const struct sweep *sweep)
{
    if (fault_fired(sweep->p))
        fail_msg("%s number %u and all later ones failed, and pipeline_run returned 0", sweep->name,
                 sweep->n);
    for (size_t i = 0; i < sweep->pipeline.nstages; i++)
        assert_stage_exited(sweep->pipeline, i, 0);
    assert_file_holds(sweep->out, "swept\n");
    assert_caller_unchanged(sweep->p, &sweep->before);
    if (sweep->call != FAULT_PIPE)
        assert_stages_created(sweep->control, sweep->pipeline.nstages);
}

/* Fails unless an unrelated puppet is still alive. */
static void assert_unharmed(struct puppet *bystander)
{
    struct puppet *current = puppet_current();

    if (!has_ended(puppet_pid(bystander))) /* though a signal may be pending */
        begin(bystander, IN_PUPPET(getpgid, 0));
    if (puppet_settle(bystander) == PUPPET_DEAD)
        fail_msg("a process that is not a stage was killed");
    finish(bystander);
    puppet_use(current);
}

/* Makes the n-th call fail for every n; returns how many calls failed. */
static unsigned sweep_failures(enum fault_call call, const char *name, int error)
{
    struct puppet *bystander = puppet_start();
    struct sweep sweep = sweep_start(call, name, error);
    unsigned n;

    sweep.before = caller_of(sweep.p);
    sweep.pipeline = PIPELINE(PROBE("announce", "0", "pass"), PROBE("announce", "1", "pass"),
                              PROBE("announce", "2", "pass"), PROBE("announce", "3", "pass"));
    for (n = 1; n <= MAX_SWEEP; n++) {
        int result = sweep_run(&sweep, n, fault_fail_from);

        if (result == 0)
            break;
        if (result == -1)
            assert_undone(&sweep, errno);
        assert_unharmed(bystander);
    }
    assert_complete(&sweep);
    return n - 1;
}

/* Fails unless a sweep has seen as many calls as four stages need. */
static void assert_seen(unsigned made, unsigned needed, const char *name)
{
    if (made < needed)
        fail_msg("four stages were started, but only %u of at least %u calls of %s() were seen; "
                 "call the function of libc",
                 made, needed, name);
}

TEST(a_failed_fork_leaves_nothing_behind,
     "When any fork fails, pipeline_run returns -1 with its errno, reaps the stages already "
     "started, and restores the caller's descriptors and signals.")
{
    unsigned made = sweep_failures(FAULT_FORK, "fork", EAGAIN) +
                    sweep_failures(FAULT_SPAWN, "posix_spawn", EAGAIN);

    assert_seen(made, 4, "fork");
}

TEST(a_failed_pipe_leaves_nothing_behind,
     "When any pipe fails, pipeline_run returns -1 with its errno, reaps the stages already "
     "started, and restores the caller's descriptors and signals.")
{
    assert_seen(sweep_failures(FAULT_PIPE, "pipe", EMFILE), 3, "pipe");
}

/* ---- dup2 ----------------------------------------------------------------------- */

enum { NDUP = 3 }; /* stages */

/* Fails unless every stage that did not run its program left by _exit(126), and
 * the others have their own descriptors. */
static void assert_dup_failure_contained(const struct sweep *sweep, int standard_output)
{
    pid_t pids[NDUP] = {0};
    size_t nran = collect_pids(sweep->control, pids, NDUP);
    pid_t failed_in = fault_process(sweep->p);
    char *text = file_contents(sweep->out);

    assert_caller_unchanged(sweep->p, &sweep->before);
    if (failed_in != 0 && failed_in != puppet_pid(sweep->p) && created.nprocesses > 0 &&
        !is_created(failed_in))
        fail_msg("%s number %u was called in a process that no call of fork() has created",
                 sweep->name, sweep->n);
    if (created.nprocesses > NDUP)
        fail_msg("pipeline_run created %zu processes for %d stages", created.nprocesses, NDUP);
    if (fault_repeated(sweep->p))
        failed_in = 0;
    if (failed_in == puppet_pid(sweep->p))
        fail_msg("%s number %u failed in the caller, and pipeline_run returned 0", sweep->name,
                 sweep->n);
    for (size_t i = 0; i < NDUP; i++)
        if (pids[i] != 0 && pids[i] == failed_in)
            fail_msg("%s number %u failed, and the stage ran its program nevertheless", sweep->name,
                     sweep->n);
    if (strchr(text, '!') != NULL || file_size(standard_output) > 1)
        fail_msg("%s number %u failed, and a child wrote what was in the caller's stdio buffer",
                 sweep->name, sweep->n);
    for (size_t i = 0; i < NDUP; i++)
        if (nran == NDUP)
            assert_stage_exited(sweep->pipeline, i, 0);
        else if (pids[i] == 0)
            assert_stage_exited(sweep->pipeline, i, 126);
    if (nran == NDUP && strcmp(text, "swept\n") != 0)
        fail_msg("%s number %u failed, and the stages ran their programs nevertheless", sweep->name,
                 sweep->n);
    free(text);
}

/* Makes the n-th dup or dup2 fail, for every n: the stage in which it fails may
 * not run its program. */
static void sweep_dup(enum fault_call call, const char *name, int error)
{
    struct sweep sweep = sweep_start(call, name, error);
    int standard_output = file_new("elsewhere too", "", 0);

    puppet_give_fd(sweep.p, file_new("elsewhere", "", 0), STDIN_FILENO); /* not for stages */
    puppet_give_fd(sweep.p, standard_output, STDOUT_FILENO);
    IN_PUPPET(putchar, '!'); /* stays in the caller's stdio buffer */

    sweep.before = caller_of(sweep.p);
    sweep.pipeline = PIPELINE(PROBE("announce", "0", "pass"), PROBE("announce", "1", "pass"),
                              PROBE("announce", "2", "pass"));
    for (unsigned n = 1; n <= MAX_SWEEP; n++) {
        int result = sweep_run(&sweep, n, fault_fail);

        if (result == -1) { /* it failed in the parent */
            assert_undone(&sweep, errno);
            continue;
        }
        assert_succeeds(result);
        assert_dup_failure_contained(&sweep, standard_output);
        if (!fault_fired(sweep.p))
            break;
    }
    IN_PUPPET(fflush, NULL);
    assert_file_holds(standard_output, "!");
}

/* Before exec(), in a stage: standard input and output are those that a call of libc
 * gave to it or to the caller. */
static void check_redirections(struct puppet *p, pid_t process)
{
    struct fds fds = fds_of(process);

    (void)p;
    for (size_t i = 0; i < fds.n; i++)
        if (fds.at[i].fd <= STDOUT_FILENO && !is_created_redirection(&fds.at[i]))
            fail_msg("descriptor %d of a stage was set by no call of dup2(); call the function "
                     "of libc",
                     fds.at[i].fd);
}

static void assert_redirections_seen(void)
{
    static const enum fault_call calls[] = {FAULT_DUP2, FAULT_DUP, FAULT_FCNTL, FAULT_PIPE};
    struct puppet *p = puppet_with_files(input_file(""), output_file());

    created.redirections.n = 0;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        fault_observe(p, calls[i], note_redirections);
    fault_observe(p, FAULT_EXEC, check_redirections);
    fault_watch(p, FAULT_SPAWN); /* which redirects out of sight */
    assert_pipeline_succeeds(PIPELINE(PROBE("pass"), PROBE("pass"), PROBE("pass")), IN, OUT);
    assert_called(p, FAULT_EXEC, FAULT_SPAWN);
}

TEST(a_failed_dup2_prevents_exec,
     "A stage whose dup2 fails ends with _exit(126) and does not run its program.")
{
    sweep_dup(FAULT_DUP2, "dup2", EBUSY);
    sweep_dup(FAULT_DUP, "dup", EMFILE);
    assert_redirections_seen();
}

/* ---- stages that do not end by themselves ---------------------------------------- */

/* Fails unless every stage that was started, and every one that ran, was killed
 * by SIGKILL. */
static void assert_killed(const char *name, struct pipeline pipeline, size_t nstarted,
                          const pid_t pids[])
{
    size_t killed = 0;

    for (size_t i = 0; i < pipeline.nstages; i++)
        if (pipeline.status[i] != -1) {
            assert_stage_killed(pipeline, i, SIGKILL);
            killed++;
        }
    if (killed < nstarted)
        fail_msg("%s failed after %zu %s started; statuses that are not -1: %zu", name, nstarted,
                 nstarted == 1 ? "stage was" : "stages were", killed);
    for (size_t i = 0; i < pipeline.nstages; i++)
        if (pids[i] != 0 && pipeline.status[i] == -1)
            fail_msg("stage %zu ran, but its status is -1", i);
}

/* Fails unless the processes that fork has created are there, while the call that
 * will fail is held. */
static void assert_stages_live(struct puppet *p, const char *name, size_t nstarted)
{
    size_t nlive = 0;

    WAIT_UNTIL(created.nprocesses >= nstarted);
    for (size_t i = 0; i < created.nprocesses; i++)
        nlive += !has_ended(created.processes[i]) &&
                 process_parent(created.processes[i]) == puppet_pid(p);
    if (nlive < nstarted)
        fail_msg("when %s failed, fork() had created %zu processes, and %zu of them were left",
                 name, nstarted, nlive);
}

static bool is_over(struct puppet *p)
{
    enum puppet_state state = puppet_settle(p);

    return state == PUPPET_RETURNED || state == PUPPET_DEAD;
}

/* Makes the n-th call fail while the stages started before wait at a gate that
 * stays closed; returns whether the n-th call was made. */
static bool fail_among_waiting_stages(enum fault_call call, const char *name, int error, unsigned n)
{
    int in = input_file("");
    int out = output_file();
    struct puppet *p = puppet_with_files(in, out);
    struct control control = control_open(p);
    pid_t pids[3] = {0};
    struct pipeline pipeline =
        PIPELINE(PROBE("announce", "0", "gate", "2"), PROBE("announce", "1", "gate", "2"),
                 PROBE("announce", "2", "gate", "2"));

    observe_processes(p);
    fault_hold_before(p, call, n);
    fault_fail_from(p, call, n, error);
    begin(p, run_pipeline(pipeline, IN, OUT));
    WAIT_UNTIL(fault_fired(p) || makes_no_progress(p, control, pids, 3) || is_over(p));
    if (!fault_fired(p)) {
        fault_clear(p);
        control_open_gates(control);
        finish(p);
        return false;
    }
    assert_stages_live(p, name, fault_count(p, FAULT_FORK) - (call == FAULT_FORK));
    fault_release(p);
    if (finish_pipeline(p, pipeline) == -1) { /* other tests check errno, and calls that return 0 */
        assert_no_children(p);
        collect_pids(control, pids, 3);
        assert_killed(name, pipeline, fault_count(p, FAULT_FORK) - (call == FAULT_FORK), pids);
    }
    puppet_end(p);
    return true;
}

TEST(started_stages_are_killed_after_a_failure,
     "After a failed fork or pipe, stages already started are killed with SIGKILL, which they "
     "cannot ignore, before they are waited for.")
{
    unsigned n = 1;

    while (n <= 20 && fail_among_waiting_stages(FAULT_FORK, "fork", EAGAIN, n))
        n++;
    n = 1;
    while (n <= 20 && fail_among_waiting_stages(FAULT_PIPE, "pipe", EMFILE, n))
        n++;
}
