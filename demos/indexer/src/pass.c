/* pass.c: the indexer's main loop around a scan: it draws, tells complaints, and heeds Ctrl-C. */
#include "python.h"

#include "pass.h"

#include <signal.h>

#include <raddle/raddle-glib.h>

#include "scan.h"

#define DRAW_EVERY_MS 100

typedef struct {
  const PassOptions *options;
  GMainLoop         *loop;
  Scan              *scan;
} Pass;

static gboolean
quit (gpointer user_data)
{
  Pass *self = user_data;

  g_main_loop_quit (self->loop);
  return G_SOURCE_REMOVE;
}

static void
on_complained (GPtrArray *complaints, gpointer user_data)
{
  Pass *self = user_data;

  journal_hand_over (self->options->journal, complaints);
}

static void
on_finished (gpointer user_data)
{
  /* By way of the loop: a quit before the loop runs would be lost. */
  g_idle_add (quit, user_data);
}

static void
tell (Pass *self)
{
  char *line;

  while (!self->options->quiet && (line = journal_tell (self->options->journal)))
    {
      progress_say (self->options->progress, line);
      g_free (line);
    }
}

static gboolean
draw (gpointer user_data)
{
  Pass *self = user_data;
  ScanProgress progress;

  tell (self);
  scan_get_progress (self->scan, &progress);
  progress_draw (self->options->progress, self->options->label, progress.done, progress.found,
                 progress.walking);
  return G_SOURCE_CONTINUE;
}

/* Returns what ended the loop before its time (transfer full), or NULL. */
static char *
run_loop (Pass *self)
{
  /* Inside, because then the KeyboardInterrupt that Ctrl-C raises is handed to us as Python's
   * current exception. The loop itself gives Python up while it runs. */
  RADDLE_ENTER_SCOPE (scope);

  if (!scope.entered)
    return g_strdup (raddle_last_error_message ());
  /* A Ctrl-C that came before the loop, while plugins were loaded, say. */
  if (PyErr_CheckSignals () < 0)
    return python_take_exception (NULL);
  switch (raddle_main_loop_run (self->loop))
    {
    case RADDLE_STATUS_OK:
      return NULL;
    case RADDLE_STATUS_PYTHON:
      return python_take_exception (NULL);
    default:
      return g_strdup (raddle_last_error_message ());
    }
}

static void
wind_down (Pass *self, const char *why)
{
  g_autofree char *line = g_strdup_printf (
    "indexer: interrupted (%s): finishing the files that are begun; Ctrl-C again ends at once", why);

  scan_cancel (self->scan);
  signal (SIGINT, SIG_DFL);
  progress_say (self->options->progress, line);
}

bool
pass_run (const PassOptions *options, PassResult *out, GError **error)
{
  static const ScanFuncs funcs = { .complained = on_complained, .finished = on_finished };
  Pass self = { .options = options };
  const ScanOptions scan = {
    .root = options->root, .workers = options->workers, .plugins = options->plugins,
    .funcs = &funcs, .user_data = &self,
  };
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autofree char *why = NULL;
  gint64 start = g_get_monotonic_time ();
  ScanProgress progress;
  guint timer;

  self.loop = loop;
  self.scan = scan_start (&scan, error);
  if (!self.scan)
    return false;
  timer = g_timeout_add (DRAW_EVERY_MS, draw, &self);
  why = run_loop (&self);
  if (why)
    wind_down (&self, why);
  out->totals = scan_join (self.scan);
  g_source_remove (timer);
  g_idle_remove_by_data (&self);

  scan_get_progress (self.scan, &progress);
  scan_free (self.scan);
  out->seconds = (double) (g_get_monotonic_time () - start) / G_USEC_PER_SEC;
  out->interrupted = why != NULL;
  out->unlisted = progress.unlisted;
  tell (&self);
  progress_clear (options->progress);
  return true;
}

void
pass_result_clear (PassResult *self)
{
  g_clear_pointer (&self->totals, totals_free);
}
