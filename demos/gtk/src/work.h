/* work.h: one scan, and its results on their way into the list. */
#ifndef WINDOW_WORK_H
#define WINDOW_WORK_H

#include <stdbool.h>
#include <glib.h>

#include "files.h"
#include "scan.h"
#include "watchdog.h"

typedef struct _Work Work;

typedef struct {
  const char *root;          /* these are lent until work_free */
  guint       workers;
  Plugins    *plugins;
  Files      *files;
  Watchdog   *watchdog;
} WorkOptions;

/* All on the main thread. NULL with error set if there are no threads to be had. */
Work         *work_start        (const WorkOptions *options, GError **error);

/* Workers finish the files they have begun; what was done stays in the list. */
void          work_stop         (Work *self);

/* A few times a second: puts what has come into the list. Returns whether the work has ended, by
 * itself or stopped. */
bool          work_show         (Work *self);

/* For who has no loop any more: the same until the work has ended or the time is over. */
bool          work_wait         (Work *self, gint64 within_us);

void          work_get_progress (Work *self, ScanProgress *out);
double        work_get_seconds  (Work *self);
bool          work_was_stopped  (Work *self);

/* Only if it has ended: what was counted, over all files. */
const Totals *work_get_totals   (Work *self);

/* Only if it has ended; otherwise its threads still use it. */
void          work_free         (Work *self);

#endif /* WINDOW_WORK_H */
