/* watchdog.h: ends plugins that do not come back, in the workers and in the window's own thread. */
#ifndef WINDOW_WATCHDOG_H
#define WINDOW_WATCHDOG_H

#include <glib.h>

#include "scan.h"

typedef struct _Watchdog Watchdog;

/* Starts its thread. Needs Python, until watchdog_free. patience in seconds. */
Watchdog *watchdog_new     (double patience);

/* Ends the thread, and may wait for Python while another thread lets go of it. */
void      watchdog_free    (Watchdog *self);

/* The window's thread is alive: from its loop. The first call says which thread that is. */
void      watchdog_beat    (Watchdog *self);

/* The scan whose workers are watched from now on, or NULL. */
void      watchdog_watch   (Watchdog *self, Scan *scan);

/* From now on with less patience: the window is about to close. */
void      watchdog_hurry   (Watchdog *self, double patience);

#endif /* WINDOW_WATCHDOG_H */
