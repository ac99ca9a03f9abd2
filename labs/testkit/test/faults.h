/* faults.h - planned faults, for main.c (faults.c).  Tests use fault_fail() and
 * others in testkit.h.
 */
#ifndef FAULTS_H
#define FAULTS_H

/* Prints the planned faults that have not happened. */
void faults_explain(void);

#endif
