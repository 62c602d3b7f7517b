/* host.h: the Python of this process, and what the window offers to it. */
#ifndef WINDOW_HOST_H
#define WINDOW_HOST_H

#include "python.h"

#include <stdbool.h>
#include <raddle/raddle.h>

#include "loom.h"
#include "notes.h"

/* Starts Python: logging and what nobody catches go to notes, tasklets throw shuttles on loom; both
 * must live until Python has ended. Returns false with error set, and nothing started, if that
 * cannot be. The main thread. */
bool  host_start   (const char *plugin_folder, Notes *notes, Loom *loom, RaddleRuntime **out,
                    GError **error);

/* The folder of the standard library (transfer full), or NULL with error set. Enters Python. */
char *host_stdlib  (GError **error);

/* Ends Python. If somebody stays inside past the deadline, tells who, on stderr, leaves Python as it
 * is and returns false: what was given to host_start is still used then. Drops the reference. */
bool  host_stop    (RaddleRuntime *runtime, int64_t within_ms);

#endif /* WINDOW_HOST_H */
