/* faults.h - planned faults, for main.c (faults.c); tests plan them with
 * fault_fail() and others in testkit.h.
 */
#ifndef FAULTS_H
#define FAULTS_H

/* Prints which of the faults planned now have not happened. */
void faults_explain(void);

#endif
