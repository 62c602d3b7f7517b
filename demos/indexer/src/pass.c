/* pass.c: who does what. The walker finds paths and pushes them; a worker of the pool takes one,
 * reads and hashes the file without Python, enters Python for the plugins, and leaves; the main
 * loop draws and tells complaints. Nobody waits for a lock, a queue or the disk inside Python. */
#include "python.h"

#include "pass.h"

#include <signal.h>

#include <raddle/raddle-glib.h>

#include "walk.h"

#define DRAW_EVERY_MS 100

typedef struct {
  const PassOptions *options;
  GMainLoop         *loop;
  GThreadPool       *pool;
  GAsyncQueue       *records;      /* of Totals, one for each worker; lent for one file */
  gint               cancelled;    /* atomic, as are all below */
  gint               walking;
  gint               found;
  gint               done;
  gint               unlisted;
  gint               left;         /* files not done yet, and one more while walking */
} Pass;

static gboolean
quit (gpointer user_data)
{
  Pass *self = user_data;

  g_main_loop_quit (self->loop);
  return G_SOURCE_REMOVE;
}

static void
one_less_left (Pass *self)
{
  /* By way of the loop: a quit before the loop runs would be lost. */
  if (g_atomic_int_dec_and_test (&self->left))
    g_idle_add (quit, self);
}

static void
work_on_file (gpointer data, gpointer user_data)
{
  Pass *self = user_data;
  const PassOptions *options = self->options;
  g_autofree char *path = data;
  g_autoptr (GPtrArray) complaints = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (Content) content = { 0 };
  gint64 start, middle;
  Totals *totals;

  if (g_atomic_int_get (&self->cancelled))
    return;

  totals = g_async_queue_pop (self->records);
  complaints = complaints_new ();
  start = g_get_monotonic_time ();
  if (content_read (path, &content, &error))
    {
      totals_add_file (totals, &content);
      middle = g_get_monotonic_time ();
      if (options->plugins)
        plugins_index (options->plugins, path, &content, totals, complaints);
    }
  else
    {
      g_autofree char *shown = g_filename_display_name (path);

      complaints_add (complaints, NULL, "cannot read %s: %s", shown, error->message);
      totals_add_unreadable (totals);
      middle = g_get_monotonic_time ();
    }
  totals->native_us += middle - start;
  totals->python_us += g_get_monotonic_time () - middle;
  g_async_queue_push (self->records, totals);

  journal_hand_over (options->journal, complaints);
  g_atomic_int_inc (&self->done);
  one_less_left (self);
}

static void
on_found (char *path, gpointer user_data)
{
  Pass *self = user_data;

  g_atomic_int_inc (&self->found);
  g_atomic_int_inc (&self->left);
  g_thread_pool_push (self->pool, path, NULL);
}

static void
on_failed (const char *why, gpointer user_data)
{
  Pass *self = user_data;
  g_autoptr (GPtrArray) complaints = complaints_new ();

  g_atomic_int_inc (&self->unlisted);
  complaints_add (complaints, NULL, "%s", why);
  journal_hand_over (self->options->journal, complaints);
}

static gpointer
walk (gpointer user_data)
{
  static const WalkFuncs funcs = { on_found, on_failed };
  Pass *self = user_data;

  walk_tree (self->options->root, &self->cancelled, &funcs, self);
  g_atomic_int_set (&self->walking, 0);
  one_less_left (self);
  return NULL;
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

  tell (self);
  progress_draw (self->options->progress, self->options->label,
                 (guint) g_atomic_int_get (&self->done),
                 (guint) g_atomic_int_get (&self->found), g_atomic_int_get (&self->walking));
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

  g_atomic_int_set (&self->cancelled, 1);
  signal (SIGINT, SIG_DFL);
  progress_say (self->options->progress, line);
}

bool
pass_run (const PassOptions *options, PassResult *out, GError **error)
{
  Pass self = { .options = options, .walking = 1, .left = 1 };
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GAsyncQueue) records = g_async_queue_new_full ((GDestroyNotify) totals_free);
  g_autofree char *why = NULL;
  gint64 start = g_get_monotonic_time ();
  GThread *walker;
  guint timer;

  /* Exclusive: the threads are made now and are this pass's own. */
  self.pool = g_thread_pool_new_full (work_on_file, &self, g_free, (gint) options->workers, TRUE,
                                      error);
  if (!self.pool)
    return false;
  self.loop = loop;
  self.records = records;
  for (guint i = 0; i < options->workers; i++)
    g_async_queue_push (records, totals_new ());

  timer = g_timeout_add (DRAW_EVERY_MS, draw, &self);
  walker = g_thread_new ("walker", walk, &self);
  why = run_loop (&self);
  if (why)
    wind_down (&self, why);
  g_thread_join (walker);
  /* Drops what no worker has begun (after Ctrl-C only: otherwise nothing is left) and waits. */
  g_thread_pool_free (self.pool, TRUE, TRUE);
  g_source_remove (timer);
  g_idle_remove_by_data (&self);

  out->seconds = (double) (g_get_monotonic_time () - start) / G_USEC_PER_SEC;
  out->interrupted = why != NULL;
  out->unlisted = (guint) self.unlisted;
  out->totals = totals_new ();
  for (guint i = 0; i < options->workers; i++)
    {
      g_autoptr (Totals) totals = g_async_queue_pop (records);

      totals_merge (out->totals, totals);
    }
  tell (&self);
  progress_clear (options->progress);
  return true;
}

void
pass_result_clear (PassResult *self)
{
  g_clear_pointer (&self->totals, totals_free);
}
