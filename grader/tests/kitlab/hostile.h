/* hostile.h - a submission that asks, calls back and traps in every way, honest or
 * not, for the kit's own tests. */
#ifndef HOSTILE_H
#define HOSTILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- callbacks ---- */
long call_six(void *function, long first); /* with first, first + 1, ... */
long call_times(void *function, long n);   /* with 0 to n - 1; the sum of the values */
int call_then_read(void *function, long n, int fd);
long call_with_undefined_registers(void *function, long argument);
long call_in_threads(void *function, int threads, long n);
int call_in_child(void *function);
int call_for_ever(void *function);

/* ---- signals and traps ---- */
enum disposition { BLOCKED, IGNORED, HANDLED };
int sum_despite(int disposition, const char *buf, size_t len); /* of SIGSEGV */
int raise_segv(void);                                          /* handles it, and returns 7 */
int queue_segv(const void *address); /* as if the kernel had raised it there */
int read_by_32_bits(const char *p);

/* ---- observation ---- */
int hide(void);                  /* prctl(PR_SET_DUMPABLE, 0) */
int become(const char *program); /* keeps the socket to the test */
pid_t start_child(const char *program);

/* ---- the control page and the socket ---- */
int write_control(void);
int unmap_control(void);
int replace_control(int armed); /* by a page of its own, then calls pipe() */
int close_kit_fds(void);        /* then calls pipe() */
int forge_questions(int kind, int number, uint64_t word, int times);
int flood_with_questions(int children);
int ask_in_threads(int threads, int n); /* how many calls of close() failed with EIO */

#endif
