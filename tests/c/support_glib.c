/* support_glib.c: what the C tests of main loops share (see support_glib.h). */
#include "support_glib.h"

static gint sleeps;

void
add_source (GMainContext *context,
            GSource      *source,
            GSourceFunc   func,
            gpointer      data)
{
  g_source_set_callback (source, func, data, NULL);
  g_source_attach (source, context);
  g_source_unref (source);
}

gboolean
quit_loop (gpointer loop)
{
  g_main_loop_quit (loop);
  return G_SOURCE_REMOVE;
}

void
iterate (GMainContext *context)
{
  while (g_main_context_iteration (context, FALSE))
    ;
}

gint
noting_poll (GPollFD *fds,
             guint    count,
             gint     timeout)
{
  if (timeout != 0)
    g_atomic_int_inc (&sleeps);
  return g_poll (fds, count, timeout);
}

void
count_sleeps_from (gint number)
{
  g_atomic_int_set (&sleeps, number);
}

gboolean
has_slept (gpointer times)
{
  return g_atomic_int_get (&sleeps) >= GPOINTER_TO_INT (times);
}

GMainContext *
noting_context (void)
{
  GMainContext *context = g_main_context_new ();
  g_main_context_set_poll_func (context, noting_poll);
  count_sleeps_from (0);
  return context;
}
