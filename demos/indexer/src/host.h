/* host.h: the Python of this process: started, asked about itself, stopped. */
#ifndef INDEXER_HOST_H
#define INDEXER_HOST_H

#include <stdbool.h>
#include <glib.h>
#include <raddle/raddle.h>

/* What Python says of itself (all transfer full). */
typedef struct {
  char *version;       /* "3.11.2" */
  char *executable;    /* a python3 of the same kind, for scripts beside the host */
  char *stdlib;        /* folder of the standard library */
} HostFacts;

/* Starts Python with the plugin folder at the end of sys.path and Ctrl-C as KeyboardInterrupt, and
 * puts the default main context under raddle. Returns false with error set, and nothing started,
 * if that cannot be. The main thread. */
bool host_start       (const char *plugin_folder, RaddleRuntime **out, GError **error);

/* Enters Python. After Ctrl-C the error is G_IO_ERROR_CANCELLED. */
bool host_ask         (HostFacts *out, GError **error);

/* The work is done: from here on Ctrl-C ends the process at once, and one that Python has not yet
 * heard of is forgotten, or it would strike in Python's end. Enters Python, on the main thread. */
void host_forget_interrupts (void);

/* Ends Python. If a plugin's thread stays inside, tells who it is, on stderr, and leaves Python as
 * it is; then it returns false. Drops the reference. */
bool host_stop        (RaddleRuntime *runtime);

void host_facts_clear (HostFacts *self);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (HostFacts, host_facts_clear)

#endif /* INDEXER_HOST_H */
