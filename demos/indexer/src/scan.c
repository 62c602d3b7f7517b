/* scan.c: who does what. The walker finds paths and pushes them; a worker of the pool takes one,
 * reads and hashes the file without Python, enters Python for the plugins, and leaves. Nobody waits
 * for a lock, a queue or the disk inside Python. */
#include "python.h"

#include "scan.h"

#include <raddle/raddle.h>

#include "journal.h"
#include "walk.h"

/* What a worker needs beside its thread; lent for one file. */
typedef struct {
  Totals *totals;
  gulong  thread;      /* atomic, as is the next one */
  gint64  since;       /* when it entered the plugins; 0 while it is not in them */
} Worker;

struct _Scan {
  ScanOptions  options;
  Worker      *list;         /* options.workers of them */
  GAsyncQueue *idle;         /* of Worker */
  GThreadPool *pool;
  GThread     *walker;
  gint         cancelled;    /* atomic, as are all below */
  gint         walking;
  gint         found;
  gint         done;
  gint         unlisted;
  gint         left;         /* files not done yet, and one more while walking */
};

static void
one_less_left (Scan *self)
{
  if (g_atomic_int_dec_and_test (&self->left))
    self->options.funcs->finished (self->options.user_data);
}

static void
complain (Scan *self, GPtrArray *complaints)
{
  if (complaints->len > 0)
    self->options.funcs->complained (complaints, self->options.user_data);
}

/* The worker is in the plugins from one call of this to the next. */
static void
mark (Worker *worker, bool inside)
{
  gint64 since = inside ? g_get_monotonic_time () : 0;

  if (inside)
    __atomic_store_n (&worker->thread, PyThread_get_thread_ident (), __ATOMIC_RELAXED);
  /* Release: whoever sees this time sees the thread too. */
  __atomic_store_n (&worker->since, since, __ATOMIC_RELEASE);
}

static void
index_file (Scan *self, Worker *worker, const char *path, Totals *totals, GPtrArray *complaints)
{
  g_autoptr (GError) error = NULL;
  g_auto (Content) content = { 0 };
  gint64 start = g_get_monotonic_time ();
  gint64 middle;

  if (content_read (path, &content, &error))
    {
      totals_add_file (totals, &content);
      middle = g_get_monotonic_time ();
      if (self->options.plugins)
        {
          mark (worker, true);
          plugins_index (self->options.plugins, path, &content, totals, complaints);
          mark (worker, false);
        }
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
}

static void
work_on_file (gpointer data, gpointer user_data)
{
  Scan *self = user_data;
  g_autofree char *path = data;

  if (!g_atomic_int_get (&self->cancelled))
    {
      g_autoptr (GPtrArray) complaints = complaints_new ();
      Worker *worker = g_async_queue_pop (self->idle);

      if (self->options.funcs->indexed)
        {
          g_autoptr (Totals) of_file = totals_new ();

          index_file (self, worker, path, of_file, complaints);
          self->options.funcs->indexed (path, of_file, self->options.user_data);
          totals_merge (worker->totals, of_file);
        }
      else
        {
          index_file (self, worker, path, worker->totals, complaints);
        }
      g_async_queue_push (self->idle, worker);
      complain (self, complaints);
      g_atomic_int_inc (&self->done);
    }
  one_less_left (self);
}

static void
on_found (char *path, gpointer user_data)
{
  Scan *self = user_data;

  g_atomic_int_inc (&self->found);
  g_atomic_int_inc (&self->left);
  g_thread_pool_push (self->pool, path, NULL);
}

static void
on_failed (const char *why, gpointer user_data)
{
  Scan *self = user_data;
  g_autoptr (GPtrArray) complaints = complaints_new ();

  g_atomic_int_inc (&self->unlisted);
  complaints_add (complaints, NULL, "%s", why);
  complain (self, complaints);
}

static gpointer
walk (gpointer user_data)
{
  static const WalkFuncs funcs = { on_found, on_failed };
  Scan *self = user_data;

  walk_tree (self->options.root, &self->cancelled, &funcs, self);
  g_atomic_int_set (&self->walking, 0);
  one_less_left (self);
  return NULL;
}

Scan *
scan_start (const ScanOptions *options, GError **error)
{
  Scan *self = g_new0 (Scan, 1);

  self->options = *options;
  self->walking = self->left = 1;
  self->idle = g_async_queue_new ();
  self->list = g_new0 (Worker, options->workers);
  for (guint i = 0; i < options->workers; i++)
    {
      self->list[i] = (Worker) { .totals = totals_new () };
      g_async_queue_push (self->idle, &self->list[i]);
    }
  /* Exclusive: the threads are made now and are this scan's own. */
  self->pool = g_thread_pool_new_full (work_on_file, self, g_free, (gint) options->workers, TRUE,
                                       error);
  if (!self->pool)
    {
      scan_free (self);
      return NULL;
    }
  self->walker = g_thread_new ("walker", walk, self);
  return self;
}

void
scan_cancel (Scan *self)
{
  g_atomic_int_set (&self->cancelled, 1);
}

void
scan_get_progress (Scan *self, ScanProgress *out)
{
  *out = (ScanProgress) {
    .done = (guint) g_atomic_int_get (&self->done),
    .found = (guint) g_atomic_int_get (&self->found),
    .unlisted = (guint) g_atomic_int_get (&self->unlisted),
    .walking = g_atomic_int_get (&self->walking),
  };
}

Totals *
scan_join (Scan *self)
{
  Totals *sum = totals_new ();

  g_thread_join (g_steal_pointer (&self->walker));
  /* Drops what no worker has begun (after a cancel only: otherwise nothing is left) and waits. */
  g_thread_pool_free (g_steal_pointer (&self->pool), TRUE, TRUE);
  for (guint i = 0; i < self->options.workers; i++)
    totals_merge (sum, self->list[i].totals);
  return sum;
}

void
scan_free (Scan *self)
{
  for (guint i = 0; i < self->options.workers; i++)
    totals_free (self->list[i].totals);
  g_free (self->list);
  g_async_queue_unref (self->idle);
  g_free (self);
}

GArray *
scan_get_visits (Scan *self)
{
  GArray *visits = g_array_new (FALSE, FALSE, sizeof (ScanVisit));

  for (guint i = 0; i < self->options.workers; i++)
    {
      /* Acquire: pairs with the release in mark(). */
      ScanVisit visit = { .worker = i,
                          .since = __atomic_load_n (&self->list[i].since, __ATOMIC_ACQUIRE) };

      visit.thread = __atomic_load_n (&self->list[i].thread, __ATOMIC_RELAXED);
      if (visit.since)
        g_array_append_val (visits, visit);
    }
  return visits;
}

bool
scan_is_current (Scan *self, const ScanVisit *visit)
{
  return __atomic_load_n (&self->list[visit->worker].since, __ATOMIC_ACQUIRE) == visit->since;
}
