/* work.c: workers push rows into a ring and never wait for the window, nor the window for them. The
 * ring is stopped when the scan is finished: so its end comes behind the last row. */
#define RADDLE_LOG_DOMAIN "window.work"
#include "python.h"

#include "work.h"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>
#include <raddle/raddle-glib.h>

#include "panes.h"

#define WAITING 4096
#define WORKER_NICE 5
#define AT_ONCE 128              /* rows: the list sorts and draws them, and a frame has 16 ms */

struct _Work {
  WorkOptions options;
  Scan       *scan;
  RaddleRing *rows;        /* of FileRow */
  GPtrArray  *batch;       /* rows for the list */
  gint64      started;
  gint64      ended;       /* 0 while it goes on */
  bool        stopped;
  Totals     *totals;      /* once it has ended */
  gint        threads;     /* atomic: workers that have a name */
};

/* What the log says of this thread; and the window's thread goes first where there are not enough
 * processors for all. */
static void
name_thread (Work *self)
{
  static __thread bool named;
  char name[16];

  if (named)
    return;
  g_snprintf (name, sizeof name, "worker %d", g_atomic_int_add (&self->threads, 1) + 1);
  pthread_setname_np (pthread_self (), name);
  (void) setpriority (PRIO_PROCESS, (id_t) gettid (), WORKER_NICE);
  named = true;
}

static const char *
relative (Work *self, const char *path)
{
  gsize length = strlen (self->options.root);

  if (!g_str_has_prefix (path, self->options.root))
    return path;
  path += length;
  return path + (*path == G_DIR_SEPARATOR);
}

static void
on_indexed (const char *path, const Totals *of_file, gpointer user_data)
{
  Work *self = user_data;
  const char *name = relative (self, path);
  FileRow *row = file_row_new (name, of_file);

  name_thread (self);
  RADDLE_INFO ("%s: %" G_GUINT64_FORMAT " lines, %.1f ms without Python, %.1f ms in plugins", name,
               of_file->lines, (double) of_file->native_us / 1000, (double) of_file->python_us / 1000);
  if (raddle_ring_push (self->rows, row, -1, RADDLE_WAIT_PLAIN) != RADDLE_STATUS_OK)
    g_object_unref (row);
}

static void
on_complained (GPtrArray *complaints, gpointer user_data)
{
  (void) user_data;
  complaints_log (complaints);
}

static void
on_finished (gpointer user_data)
{
  Work *self = user_data;

  (void) raddle_ring_stop (self->rows);
}

Work *
work_start (const WorkOptions *options, GError **error)
{
  static const ScanFuncs funcs = { on_indexed, on_complained, on_finished };
  Work *self = g_new0 (Work, 1);
  const ScanOptions scan = {
    .root = options->root, .workers = options->workers, .plugins = options->plugins,
    .funcs = &funcs, .user_data = self,
  };

  self->options = *options;
  self->batch = g_ptr_array_new_with_free_func (g_object_unref);
  self->started = g_get_monotonic_time ();
  if (raddle_ring_new (WAITING, g_object_unref, &self->rows) != RADDLE_STATUS_OK)
    g_error ("no ring for results: %s", raddle_last_error_message ());
  self->scan = scan_start (&scan, error);
  if (!self->scan)
    {
      raddle_ring_unref (self->rows);
      g_ptr_array_unref (self->batch);
      g_free (self);
      return NULL;
    }
  watchdog_watch (options->watchdog, self->scan);
  return self;
}

void
work_stop (Work *self)
{
  if (self->ended)
    return;
  self->stopped = true;
  scan_cancel (self->scan);
}

static void
list_batch (Work *self)
{
  if (self->batch->len == 0)
    return;
  files_add (self->options.files, self->batch);
  g_ptr_array_set_size (self->batch, 0);
}

static void
end (Work *self)
{
  ScanProgress progress;

  list_batch (self);
  watchdog_watch (self->options.watchdog, NULL);
  self->totals = scan_join (self->scan);
  self->ended = g_get_monotonic_time ();
  scan_get_progress (self->scan, &progress);
  self->stopped = self->stopped && progress.done < progress.found;
  RADDLE_INFO ("%s: %u of %u files in %.2f s", self->stopped ? "stopped" : "done", progress.done,
               progress.found, work_get_seconds (self));
}

/* Puts an answer of the ring's into the batch; returns whether the ring is empty for good. */
static bool
take (Work *self, RaddleStatus status, gpointer row)
{
  if (status == RADDLE_STATUS_OK)
    g_ptr_array_add (self->batch, row);
  return status == RADDLE_STATUS_STOPPED;
}

bool
work_show (Work *self)
{
  gpointer row = NULL;

  if (self->ended)
    return true;
  for (guint i = 0; i < AT_ONCE; i++)
    {
      RaddleStatus status = raddle_ring_try_pop (self->rows, &row);

      if (take (self, status, row))
        end (self);
      if (status != RADDLE_STATUS_OK)
        break;
    }
  list_batch (self);
  return self->ended != 0;
}

bool
work_wait (Work *self, gint64 within_us)
{
  gint64 deadline = g_get_monotonic_time () + within_us;
  gpointer row = NULL;

  while (!self->ended)
    {
      gint64 left = deadline - g_get_monotonic_time ();
      RaddleStatus status;

      if (left <= 0)
        return false;
      status = raddle_ring_pop (self->rows, left / 1000 + 1, RADDLE_WAIT_PLAIN, &row);
      if (take (self, status, row))
        end (self);
    }
  return true;
}

void
work_get_progress (Work *self, ScanProgress *out)
{
  scan_get_progress (self->scan, out);
}

double
work_get_seconds (Work *self)
{
  gint64 until = self->ended ? self->ended : g_get_monotonic_time ();

  return (double) (until - self->started) / G_USEC_PER_SEC;
}

bool
work_was_stopped (Work *self)
{
  return self->stopped;
}

const Totals *
work_get_totals (Work *self)
{
  return self->totals;
}

void
work_free (Work *self)
{
  scan_free (self->scan);
  totals_free (self->totals);
  raddle_ring_unref (self->rows);
  g_ptr_array_unref (self->batch);
  g_free (self);
}
