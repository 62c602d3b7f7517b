/* glib.c: what a callback on a main loop costs that runs Python, by turn and by callback, alone and beside
 * a Python thread that computes; what a source with a callable costs; what an attached poll costs. */
#include "bench.h"

#include <raddle/raddle-glib.h>

#define SOURCES 10

static struct {
  GMainLoop *loop;
  int left;
  long work_ns;
  void (*enter) (void);
} turn;

static PyObject *function;

static void
call (void)
{
  PyObject *result = PyObject_CallNoArgs (function);
  if (result == NULL)
    {
      PyErr_Print ();
      exit (1);
    }
  Py_DECREF (result);
}

static void
enter_raddle (void)
{
  bench_check (raddle_enter ());
  call ();
  raddle_leave ();
}

static void
enter_gilstate (void)
{
  PyGILState_STATE token = PyGILState_Ensure ();
  call ();
  PyGILState_Release (token);
}

static void
enter_nothing (void)
{
}

static gboolean
work (gpointer data)
{
  (void) data;
  double end = bench_now () + (double) turn.work_ns;
  while (turn.work_ns > 0 && bench_now () < end)
    ;
  turn.enter ();
  if (--turn.left > 0)
    return G_SOURCE_CONTINUE;
  g_main_loop_quit (turn.loop);
  return G_SOURCE_CONTINUE;
}

/* A loop with SOURCES idle sources, not attached. */
static GMainLoop *
new_loop (void)
{
  GMainContext *context = g_main_context_new ();
  GMainLoop *loop = g_main_loop_new (context, FALSE);
  for (int i = 0; i < SOURCES; i++)
    {
      GSource *source = g_idle_source_new ();
      g_source_set_callback (source, work, NULL, NULL);
      g_source_attach (source, context);
      g_source_unref (source);
    }
  g_main_context_unref (context);
  return loop;
}

static double
timed (GMainLoop *loop, int count, void (*enter) (void), bool by_raddle)
{
  turn.loop = loop;
  turn.left = count;
  turn.enter = enter;
  double begun = bench_now ();
  if (by_raddle)
    bench_check (raddle_main_loop_run (loop));
  else
    g_main_loop_run (loop);
  return (bench_now () - begun) / count;
}

static GMainLoop *by_turn, *by_callback, *plain;

static double
turn_ours (int count)
{
  return timed (by_turn, count, enter_raddle, true);
}

static double
callback_ours (int count)
{
  return timed (by_callback, count, enter_raddle, true);
}

static double
turn_peer (int count)
{
  /* Python is given up around the run: this thread does not hold it. */
  return timed (plain, count, enter_gilstate, false);
}

static double
turn_floor (int count)
{
  return timed (plain, count, enter_nothing, false);
}

/* --- a poll --- */

static double
iterations (GMainContext *context, int count)
{
  double begun = bench_now ();
  for (int i = 0; i < count; i++)
    g_main_context_iteration (context, FALSE);
  return (bench_now () - begun) / count;
}

static GMainContext *attached, *unattached;

static double
poll_ours (int count)
{
  return iterations (attached, count);
}

static double
poll_held (int count)
{
  bench_check (raddle_enter ());
  double spent = iterations (attached, count);
  raddle_leave ();
  return spent;
}

static double
poll_floor (int count)
{
  return iterations (unattached, count);
}

static void
run (const char *code)
{
  bench_check (raddle_enter ());
  if (PyRun_SimpleString (code) != 0)
    exit (1);
  raddle_leave ();
}

int
main (int argc, char **argv)
{
  RaddleRuntime *runtime = NULL;
  bench_check (raddle_runtime_new (NULL, &runtime));
  run ("import threading\n"
       "def function(): pass\n"
       "def compute():\n"
       "    while not stop: pass\n");
  bench_check (raddle_enter ());
  function = PyObject_GetAttrString (PyImport_AddModule ("__main__"), "function");
  raddle_leave ();
  by_turn = new_loop ();
  by_callback = new_loop ();
  plain = new_loop ();
  attached = g_main_context_new ();
  unattached = g_main_context_new ();
  bench_check (raddle_main_context_attach (g_main_loop_get_context (by_turn), RADDLE_HOLD_TURN, NULL));
  bench_check (raddle_main_context_attach (g_main_loop_get_context (by_callback),
                                           RADDLE_HOLD_CALLBACK, NULL));
  bench_check (raddle_main_context_attach (attached, RADDLE_HOLD_CALLBACK, NULL));

  const char *peer = "released round the loop, PyGILState_Ensure per callback";
  if (bench_wanted (argc, argv, "glib.turn"))
    bench_measure ("glib.turn", 1000, turn_ours, peer, turn_peer, 1000, "no Python in it", turn_floor);
  if (bench_wanted (argc, argv, "glib.callback"))
    bench_measure ("glib.callback", 1000, callback_ours, peer, turn_peer, 1000, "no Python in it",
                   turn_floor);
  if (bench_wanted (argc, argv, "glib.poll"))
    bench_measure ("glib.poll", 1000, poll_ours, NULL, NULL, 0, "not attached", poll_floor);
  if (bench_wanted (argc, argv, "glib.poll_held"))
    bench_measure ("glib.poll_held", 1000, poll_held, NULL, NULL, 0, "not attached", poll_floor);
  if (bench_wanted (argc, argv, "glib.turn_beside_python"))
    {
      /* Each callback has 200 microseconds of native work, as a frame of a user interface may. */
      turn.work_ns = 200 * 1000;
      run ("stop = False\n"
           "thread = threading.Thread(target=compute)\n"
           "thread.start()\n");
      bench_measure ("glib.turn_beside_python", 2 * SOURCES, turn_ours, peer, turn_peer, 2,
                     "no Python in it", turn_floor);
      run ("stop = True\n"
           "thread.join()\n");
    }
  bench_check (raddle_enter ());
  Py_DECREF (function);
  raddle_leave ();
  bench_check (raddle_runtime_stop (runtime, 10 * 1000));
  raddle_runtime_unref (runtime);
  return 0;
}
