/* glib_signal.c: what it costs to get from a signal or an idle source into a Python function, beside
 * PyGObject, on the loop's thread and on others, and beside a Python thread that computes. */
#include "bench.h"

#include <raddle/raddle-glib.h>

#define SOURCES 10

typedef GObject Thing;
typedef GObjectClass ThingClass;
GType thing_get_type (void);
G_DEFINE_TYPE (Thing, thing, G_TYPE_OBJECT)

static guint plain;

static void
thing_class_init (ThingClass *class)
{
  plain = g_signal_new ("plain", G_TYPE_FROM_CLASS (class), G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
}

static void
thing_init (Thing *thing)
{
  (void) thing;
}

static Thing *with_ours, *with_gi, *with_c, *with_nothing;
static PyObject *function, *tick;
static bool have_gi;

static void
run (const char *code)
{
  bench_check (raddle_enter ());
  if (PyRun_SimpleString (code) != 0)
    exit (1);
  raddle_leave ();
}

static PyObject *
named (const char *name)
{
  return PyDict_GetItemString (PyModule_GetDict (PyImport_AddModule ("__main__")), name);
}

static void
call_python (Thing *thing, gpointer data)
{
  (void) data;
  PyObject *result = PyObject_CallOneArg (function, Py_None);
  if (result == NULL)
    exit (1);
  Py_DECREF (result);
  (void) thing;
}

static void
call_nothing (Thing *thing, gpointer data)
{
  (void) thing;
  (void) data;
}

static double
emissions (Thing *thing, int count)
{
  double begun = bench_now ();
  for (int i = 0; i < count; i++)
    g_signal_emit (thing, plain, 0);
  return (bench_now () - begun) / count;
}

static double
held (Thing *thing, int count)
{
  bench_check (raddle_enter ());
  double spent = emissions (thing, count);
  raddle_leave ();
  return spent;
}

static double local_ours (int count) { return held (with_ours, count); }
static double local_gi (int count) { return held (with_gi, count); }
static double local_c (int count) { return held (with_c, count); }
static double released_ours (int count) { return emissions (with_ours, count); }
static double released_gi (int count) { return emissions (with_gi, count); }
static double released_c (int count) { return emissions (with_nothing, count); }

/* --- a foreign thread, which lives as long as the bench --- */

/* Each contestant has a thread of its own: PyGObject finds a kept state of raddle's where there is one. */
typedef struct {
  GMutex mutex;
  GCond changed;
  GThread *thread;
  Thing *thing;
  int count; /* 0: nothing to do; -1: end */
  double spent;
} Foreign;

static Foreign foreign[3];

static gpointer
foreign_thread (gpointer data)
{
  Foreign *self = data;
  g_mutex_lock (&self->mutex);
  for (;;)
    {
      while (self->count == 0)
        g_cond_wait (&self->changed, &self->mutex);
      if (self->count < 0)
        break;
      self->spent = emissions (self->thing, self->count);
      self->count = 0;
      g_cond_broadcast (&self->changed);
    }
  g_mutex_unlock (&self->mutex);
  return NULL;
}

static double
foreign_run (Foreign *self, Thing *thing, int count)
{
  g_mutex_lock (&self->mutex);
  if (self->thread == NULL)
    self->thread = g_thread_new ("foreign", foreign_thread, self);
  self->thing = thing;
  self->count = count;
  g_cond_broadcast (&self->changed);
  while (self->count > 0)
    g_cond_wait (&self->changed, &self->mutex);
  double spent = self->spent;
  g_mutex_unlock (&self->mutex);
  return spent;
}

static void
foreign_end (Foreign *self)
{
  if (self->thread == NULL)
    return;
  g_mutex_lock (&self->mutex);
  self->count = -1;
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->mutex);
  g_thread_join (self->thread);
}

static double foreign_ours (int count) { return foreign_run (&foreign[0], with_ours, count); }
static double foreign_gi (int count) { return foreign_run (&foreign[1], with_gi, count); }
static double foreign_c (int count) { return foreign_run (&foreign[2], with_nothing, count); }

/* --- idle sources --- */

static GMainLoop *turn_loop, *callback_loop;

static gboolean
count_down (gpointer left)
{
  if (--*(int *) left > 0)
    return G_SOURCE_CONTINUE;
  g_main_loop_quit (callback_loop);
  return G_SOURCE_CONTINUE;
}

static void
remove_all (GMainContext *context, GSource **sources)
{
  (void) context;
  for (int i = 0; i < SOURCES; i++)
    {
      g_source_destroy (sources[i]);
      g_source_unref (sources[i]);
    }
}

static double
idle_ours (int count)
{
  GMainContext *context = g_main_loop_get_context (turn_loop);
  GSource *sources[SOURCES];
  char code[64];

  snprintf (code, sizeof code, "left, quit = %d, quit_ours", count);
  run (code);
  for (int i = 0; i < SOURCES; i++)
    {
      guint id = 0;
      bench_check (raddle_idle_add (context, G_PRIORITY_DEFAULT_IDLE, tick, &id));
      sources[i] = g_source_ref (g_main_context_find_source_by_id (context, id));
    }
  double begun = bench_now ();
  bench_check (raddle_main_loop_run (turn_loop));
  double spent = (bench_now () - begun) / count;
  remove_all (context, sources);
  return spent;
}

static double
idle_gi (int count)
{
  char code[200];

  snprintf (code, sizeof code,
            "left, quit = %d, gi_loop.quit\n"
            "sources = [GLib.idle_add(tick) for _ in range(%d)]\n", count, SOURCES);
  run (code);
  double begun = bench_now ();
  run ("gi_loop.run()");
  double spent = (bench_now () - begun) / count;
  run ("for source in sources: GLib.source_remove(source)");
  return spent;
}

static double
idle_floor (int count)
{
  GMainContext *context = g_main_loop_get_context (callback_loop);
  GSource *sources[SOURCES];
  int left = count;

  for (int i = 0; i < SOURCES; i++)
    {
      sources[i] = g_idle_source_new ();
      g_source_set_callback (sources[i], count_down, &left, NULL);
      g_source_attach (sources[i], context);
    }
  double begun = bench_now ();
  g_main_loop_run (callback_loop);
  double spent = (bench_now () - begun) / count;
  remove_all (context, sources);
  return spent;
}

/* --- beside a thread that computes: each callback works 200 microseconds and emits --- */

static int busy_left;
static Thing *busy_thing;
static GMainLoop *busy_loop;

static gboolean
work (gpointer data)
{
  (void) data;
  double end = bench_now () + 200 * 1000;
  while (bench_now () < end)
    ;
  g_signal_emit (busy_thing, plain, 0);
  if (--busy_left > 0)
    return G_SOURCE_CONTINUE;
  g_main_loop_quit (busy_loop);
  return G_SOURCE_CONTINUE;
}

static double
busy (GMainLoop *loop, Thing *thing, int count, bool by_raddle)
{
  GMainContext *context = g_main_loop_get_context (loop);
  GSource *sources[SOURCES];

  busy_left = count;
  busy_thing = thing;
  busy_loop = loop;
  for (int i = 0; i < SOURCES; i++)
    {
      sources[i] = g_idle_source_new ();
      g_source_set_callback (sources[i], work, NULL, NULL);
      g_source_attach (sources[i], context);
    }
  double begun = bench_now ();
  if (by_raddle)
    bench_check (raddle_main_loop_run (loop));
  else
    g_main_loop_run (loop);
  double spent = (bench_now () - begun) / count;
  remove_all (context, sources);
  return spent;
}

static double busy_turn (int count) { return busy (turn_loop, with_ours, count, true); }
static double busy_callback (int count) { return busy (callback_loop, with_ours, count, true); }
static double busy_gi (int count) { return busy (callback_loop, with_gi, count, false); }
static double busy_floor (int count) { return busy (callback_loop, with_nothing, count, false); }

/* raddle's loop is ended by a function that Python calls, as PyGObject's is. */
static PyObject *
quit_ours (PyObject *self, PyObject *unused)
{
  (void) self;
  (void) unused;
  g_main_loop_quit (turn_loop);
  Py_RETURN_NONE;
}

static PyMethodDef quit_method = { "quit_ours", quit_ours, METH_NOARGS, NULL };

static Thing *
new_thing (GCallback handler)
{
  Thing *thing = g_object_new (thing_get_type (), NULL);
  if (handler != NULL)
    g_signal_connect (thing, "plain", handler, NULL);
  return thing;
}

static GMainLoop *
new_loop (RaddleHold hold)
{
  GMainContext *context = g_main_context_new ();
  GMainLoop *loop = g_main_loop_new (context, FALSE);
  bench_check (raddle_main_context_attach (context, hold, NULL));
  g_main_context_unref (context);
  return loop;
}

static void
set_up (void)
{
  with_ours = new_thing (NULL);
  with_gi = new_thing (NULL);
  with_c = new_thing (G_CALLBACK (call_python));
  with_nothing = new_thing (G_CALLBACK (call_nothing));
  turn_loop = new_loop (RADDLE_HOLD_TURN);
  callback_loop = new_loop (RADDLE_HOLD_CALLBACK);
  run ("import threading\n"
       "try:\n"
       "    from gi.repository import GLib\n"
       "    gi_loop = GLib.MainLoop()\n"
       "except ImportError:\n"
       "    GLib = None\n"
       "import raddle\n"
       "def function(thing): pass\n"
       "def tick():\n"
       "    global left\n"
       "    left -= 1\n"
       "    if left <= 0: quit()\n"
       "    return True\n"
       "def compute():\n"
       "    while not stop: pass\n");
  bench_check (raddle_enter ());
  function = named ("function");
  tick = named ("tick");
  have_gi = named ("GLib") != Py_None;
  PyObject *quit = PyCFunction_New (&quit_method, NULL);
  PyDict_SetItemString (PyModule_GetDict (PyImport_AddModule ("__main__")), "quit_ours", quit);
  Py_DECREF (quit);
  if (raddle_signal_connect (with_ours, "plain", function, 0) == 0)
    exit (1);
  /* Both have a face in Python that somebody keeps, as objects have that Python code knows. */
  char code[200];
  snprintf (code, sizeof code,
            "with_ours = raddle.wrap_object(%zu)\n"
            "with_gi = raddle.wrap_object(%zu)\n"
            "with_gi.connect('plain', function)\n", (size_t) with_ours, (size_t) with_gi);
  if (PyRun_SimpleString (code) != 0)
    exit (1);
  raddle_leave ();
}

int
main (int argc, char **argv)
{
  RaddleRuntime *runtime = NULL;
  bench_check (raddle_runtime_new (NULL, &runtime));
  set_up ();
  const char *peer = have_gi ? "PyGObject's connect" : NULL;
  if (bench_wanted (argc, argv, "glib.signal_local"))
    bench_measure ("glib.signal_local", 1000, local_ours, peer, have_gi ? local_gi : NULL, 1000,
                   "a C handler that calls the function", local_c);
  if (bench_wanted (argc, argv, "glib.signal_released"))
    bench_measure ("glib.signal_released", 1000, released_ours, peer, have_gi ? released_gi : NULL, 100,
                   "a C handler, no Python", released_c);
  if (bench_wanted (argc, argv, "glib.signal_foreign"))
    {
      bench_measure ("glib.signal_foreign", 1000, foreign_ours, peer, have_gi ? foreign_gi : NULL, 100,
                     "a C handler, no Python", foreign_c);
      for (int i = 0; i < 3; i++)
        foreign_end (&foreign[i]);
    }
  if (bench_wanted (argc, argv, "glib.idle"))
    bench_measure ("glib.idle", 1000, idle_ours, have_gi ? "PyGObject's idle_add and MainLoop" : NULL,
                   have_gi ? idle_gi : NULL, 1000, "a C source, no Python", idle_floor);
  bool by_turn = bench_wanted (argc, argv, "glib.busy_thread");
  bool by_callback = bench_wanted (argc, argv, "glib.busy_thread_callback");
  if (by_turn || by_callback)
    {
      run ("stop = False\n"
           "thread = threading.Thread(target=compute)\n"
           "thread.start()\n");
      if (by_turn)
        bench_measure ("glib.busy_thread", 2 * SOURCES, busy_turn, peer, have_gi ? busy_gi : NULL, 2,
                       "200 us of work, no Python", busy_floor);
      if (by_callback)
        bench_measure ("glib.busy_thread_callback", 2, busy_callback, peer, have_gi ? busy_gi : NULL, 2,
                       "200 us of work, no Python", busy_floor);
      run ("stop = True\n"
           "thread.join()\n");
    }
  run ("with_ours = with_gi = None");
  g_object_unref (with_ours);
  g_object_unref (with_gi);
  g_object_unref (with_c);
  g_object_unref (with_nothing);
  bench_check (raddle_runtime_stop (runtime, 10 * 1000));
  raddle_runtime_unref (runtime);
  return 0;
}
