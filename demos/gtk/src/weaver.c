/* weaver.c: a native thread with a main context, for tasklets: they wait for Python there as long as
 * they have to, and the window's thread never does. */
#define RADDLE_LOG_DOMAIN "window.weaver"
#include "python.h"

#include "weaver.h"

#include <raddle/raddle-glib.h>

struct _Weaver {
  GMainContext *context;
  GMainLoop    *loop;
  GThread      *thread;
  GMutex        lock;
  GCond         changed;
  gboolean      ended;
};

/* Calls a function of weaver.py that has no argument; what it raises is told as any other. */
static void
call (const char *function)
{
  RADDLE_ENTER_SCOPE (scope);
  g_autoptr (PyObject) module = NULL;
  g_autoptr (PyObject) result = NULL;

  if (!scope.entered)
    return;
  module = PyImport_ImportModule ("weaver");
  result = module ? PyObject_CallMethod (module, function, NULL) : NULL;
  if (!result)
    PyErr_WriteUnraisable (module);
}

static gpointer
weave (gpointer user_data)
{
  Weaver *self = user_data;

  g_main_context_push_thread_default (self->context);
  (void) raddle_main_context_attach (self->context, RADDLE_HOLD_CALLBACK, NULL);
  /* From here on the loop runs this thread's tasklets, and sleeps while all of them do. */
  if (raddle_scheduler_attach (self->context, 0, G_PRIORITY_DEFAULT) == RADDLE_STATUS_OK)
    call ("begin");
  else
    RADDLE_ERROR ("nothing is woven: %s", raddle_last_error_message ());
  g_main_loop_run (self->loop);
  call ("end");
  (void) raddle_scheduler_detach (self->context);
  g_main_context_pop_thread_default (self->context);

  g_mutex_lock (&self->lock);
  self->ended = TRUE;
  g_cond_signal (&self->changed);
  g_mutex_unlock (&self->lock);
  return NULL;
}

Weaver *
weaver_new (void)
{
  Weaver *self = g_new0 (Weaver, 1);

  self->context = g_main_context_new ();
  self->loop = g_main_loop_new (self->context, FALSE);
  g_mutex_init (&self->lock);
  g_cond_init (&self->changed);
  self->thread = g_thread_new ("weaver", weave, self);
  return self;
}

static gboolean
quit (gpointer user_data)
{
  g_main_loop_quit (user_data);
  return G_SOURCE_REMOVE;
}

bool
weaver_end (Weaver *self, gint64 within_us)
{
  gint64 deadline = g_get_monotonic_time () + within_us;
  gboolean ended;

  /* By way of the loop: a quit before it runs would be lost. */
  g_main_context_invoke (self->context, quit, self->loop);
  g_mutex_lock (&self->lock);
  while (!self->ended && g_cond_wait_until (&self->changed, &self->lock, deadline))
    continue;
  ended = self->ended;
  g_mutex_unlock (&self->lock);
  if (!ended)
    return false;

  g_thread_join (self->thread);
  g_main_loop_unref (self->loop);
  g_main_context_unref (self->context);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->changed);
  g_free (self);
  return true;
}
