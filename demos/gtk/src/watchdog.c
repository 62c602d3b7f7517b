/* watchdog.c: a native thread looks, without Python, who is overdue; only then it enters, and raises
 * desk.Overdue in that thread. A loop in Python code ends by it, at the latest when a call into C
 * comes back. */
#define RADDLE_LOG_DOMAIN "window.watchdog"
#include "python.h"

#include "watchdog.h"

#include <raddle/raddle.h>

#define LOOK_EVERY_US (100 * G_TIME_SPAN_MILLISECOND)

struct _Watchdog {
  GThread *thread;
  GMutex   lock;           /* of what follows; never taken by who waits for Python */
  GCond    changed;
  gboolean ending;
  gint64   patience_us;
  Scan    *scan;
  gulong   main_thread;    /* 0 until the first beat */
  gint64   beat;
};

/* Raises Overdue in a thread that runs Python code, and says where that was (transfer full), or
 * returns NULL: it runs none. Needs Python held. */
static char *
end_visit (gulong thread)
{
  g_autoptr (PyObject) desk = PyImport_ImportModule ("desk");
  g_autoptr (PyObject) where = desk ? PyObject_CallMethod (desk, "where", "k", thread) : NULL;
  g_autoptr (PyObject) overdue = desk ? PyObject_GetAttrString (desk, "Overdue") : NULL;
  char *text = NULL;

  if (where && overdue && PyUnicode_Check (where) &&
      PyThreadState_SetAsyncExc (thread, overdue) == 1)
    text = g_strdup (PyUnicode_AsUTF8 (where));
  PyErr_Clear ();
  return text;
}

/* With the lock held. Those who have been in a plugin for too long. */
static GArray *
find_overdue (Watchdog *self, gint64 now)
{
  GArray *visits = self->scan ? scan_get_visits (self->scan)
                              : g_array_new (FALSE, FALSE, sizeof (ScanVisit));

  for (guint i = visits->len; i-- > 0;)
    if (now - g_array_index (visits, ScanVisit, i).since < self->patience_us)
      g_array_remove_index_fast (visits, i);
  return visits;
}

static gboolean
is_current (Watchdog *self, const ScanVisit *visit)
{
  gboolean current;

  g_mutex_lock (&self->lock);
  current = self->scan && scan_is_current (self->scan, visit);
  g_mutex_unlock (&self->lock);
  return current;
}

static void
end_overdue (Watchdog *self, GArray *visits, gulong stuck_main)
{
  RADDLE_ENTER_SCOPE (scope);

  if (!scope.entered)
    return;
  /* Who has come back by now is left alone; Python is held, so nobody comes back from here on
   * but by the exception. */
  for (guint i = 0; i < visits->len; i++)
    {
      const ScanVisit *visit = &g_array_index (visits, ScanVisit, i);
      g_autofree char *where = is_current (self, visit) ? end_visit (visit->thread) : NULL;

      if (where)
        RADDLE_ERROR ("a worker does not come back from %s: ended", where);
    }
  if (stuck_main)
    {
      g_autofree char *where = end_visit (stuck_main);

      if (where)
        RADDLE_ERROR ("the window's thread does not come back from %s: ended", where);
    }
}

/* With the lock held, which it gives up for a while. */
static void
look (Watchdog *self)
{
  gint64 now = g_get_monotonic_time ();
  g_autoptr (GArray) visits = find_overdue (self, now);
  gulong stuck_main = now - self->beat > self->patience_us ? self->main_thread : 0;

  if (visits->len == 0 && !stuck_main)
    return;
  if (stuck_main)
    self->beat = now;      /* not again before its time */
  g_mutex_unlock (&self->lock);
  end_overdue (self, visits, stuck_main);
  g_mutex_lock (&self->lock);
}

static gpointer
watch (gpointer user_data)
{
  Watchdog *self = user_data;

  g_mutex_lock (&self->lock);
  while (!self->ending)
    {
      g_cond_wait_until (&self->changed, &self->lock, g_get_monotonic_time () + LOOK_EVERY_US);
      if (!self->ending)
        look (self);
    }
  g_mutex_unlock (&self->lock);
  return NULL;
}

Watchdog *
watchdog_new (double patience)
{
  Watchdog *self = g_new0 (Watchdog, 1);

  g_mutex_init (&self->lock);
  g_cond_init (&self->changed);
  self->patience_us = (gint64) (patience * G_USEC_PER_SEC);
  self->thread = g_thread_new ("watchdog", watch, self);
  return self;
}

void
watchdog_free (Watchdog *self)
{
  g_mutex_lock (&self->lock);
  self->ending = TRUE;
  g_cond_signal (&self->changed);
  g_mutex_unlock (&self->lock);
  g_thread_join (self->thread);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->changed);
  g_free (self);
}

void
watchdog_beat (Watchdog *self)
{
  g_mutex_lock (&self->lock);
  self->main_thread = PyThread_get_thread_ident ();
  self->beat = g_get_monotonic_time ();
  g_mutex_unlock (&self->lock);
}

void
watchdog_watch (Watchdog *self, Scan *scan)
{
  g_mutex_lock (&self->lock);
  self->scan = scan;
  g_mutex_unlock (&self->lock);
}

void
watchdog_hurry (Watchdog *self, double patience)
{
  g_mutex_lock (&self->lock);
  self->patience_us = MIN (self->patience_us, (gint64) (patience * G_USEC_PER_SEC));
  g_mutex_unlock (&self->lock);
}
