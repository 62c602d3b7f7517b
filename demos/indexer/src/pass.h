/* pass.h: one pass over a tree: a scan, and a main loop that shows it. */
#ifndef INDEXER_PASS_H
#define INDEXER_PASS_H

#include <stdbool.h>
#include <glib.h>

#include "journal.h"
#include "plugins.h"
#include "progress.h"
#include "totals.h"

typedef struct {
  const char *root;
  guint       workers;
  Plugins    *plugins;      /* NULL for the native part alone */
  Journal    *journal;
  bool        quiet;        /* whether complaints are left in the journal, untold */
  Progress   *progress;
  const char *label;        /* for the progress */
} PassOptions;

typedef struct {
  Totals *totals;           /* what was done, also if it is not all */
  guint   unlisted;         /* folders that could not be listed */
  double  seconds;
  bool    interrupted;      /* Ctrl-C, or a signal handler of a plugin's that raised */
} PassResult;

/* Runs the default main context until the tree is done or Ctrl-C ends it. After Ctrl-C the workers
 * finish the files they have begun, and SIGINT has its default action: a second one kills.
 * The main thread, not inside Python. Returns false with error set if no worker could be made. */
bool pass_run          (const PassOptions *options, PassResult *out, GError **error);
void pass_result_clear (PassResult *self);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (PassResult, pass_result_clear)

#endif /* INDEXER_PASS_H */
