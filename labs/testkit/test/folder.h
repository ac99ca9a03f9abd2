/* folder.h - what the test shares with the sandbox, for main.c (folder.c). */
#ifndef FOLDER_H
#define FOLDER_H

/* At the end of a test: closes the folder and the message queues. */
void folder_close(void);

#endif
