/* scan.h: a tree indexed by native threads: one walks, a pool reads and calls plugins. */
#ifndef INDEXER_SCAN_H
#define INDEXER_SCAN_H

#include <stdbool.h>
#include <glib.h>

#include "plugins.h"
#include "totals.h"

typedef struct _Scan Scan;

/* What a scan tells while it works. Each is called on a thread of its own, without Python. */
typedef struct {
  /* NULL, or a file is done: what was counted in it alone. */
  void (*indexed)    (const char *path, const Totals *of_file, gpointer user_data);
  /* Something went wrong: complaints are to be emptied, or they are lost. */
  void (*complained) (GPtrArray *complaints, gpointer user_data);
  /* Nothing is left: everything is done, or was given up after scan_cancel. Once, and last; not
   * called if scan_join drops something. */
  void (*finished)   (gpointer user_data);
} ScanFuncs;

typedef struct {
  const char      *root;       /* these are lent until scan_free */
  guint            workers;
  Plugins         *plugins;    /* NULL for the native part alone */
  const ScanFuncs *funcs;
  gpointer         user_data;
} ScanOptions;

typedef struct {
  guint found;        /* files so far */
  guint done;
  guint unlisted;     /* folders that could not be listed */
  bool  walking;      /* whether more may be found */
} ScanProgress;

/* Starts the threads. Returns NULL with error set if no worker could be made. */
Scan   *scan_start        (const ScanOptions *options, GError **error);

/* Any thread: workers finish the files they have begun, and take no others. */
void    scan_cancel       (Scan *self);

/* Any thread, at any time. */
void    scan_get_progress (Scan *self, ScanProgress *out);

/* Waits for the threads and drops what none of them has begun. Returns what was done, also if it is
 * not all (transfer full). Once; not inside Python. */
Totals *scan_join         (Scan *self);

/* After scan_join. */
void    scan_free         (Scan *self);

/* A worker that is in plugins: the thread by the name that Python has for it, and since when. */
typedef struct {
  guint  worker;
  gulong thread;
  gint64 since;       /* monotonic time in microseconds; never the same twice for a worker */
} ScanVisit;

/* Any thread: the workers that are in plugins now (ScanVisit). */
GArray *scan_get_visits   (Scan *self);

/* Whether a worker is still where it was. */
bool    scan_is_current   (Scan *self, const ScanVisit *visit);

#endif /* INDEXER_SCAN_H */
