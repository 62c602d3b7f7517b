/* thread_exit.c: what the gate does when a thread ends: nobody waits, nothing is lost, nothing is freed twice. */
#include "support.h"

#include <pthread.h>

/* Enters twice, waits until all have met, and ends. */
static gpointer
enter_and_end (gpointer data)
{
  assert_ok (raddle_enter ());
  run ("import threading\n"
       "class Kept:\n"
       "    def __del__(self):\n"
       "        finalized.append(threading.get_ident())\n"
       "local.kept = Kept()");
  assert_ok (raddle_leave ());
  if (data)
    meet (data);
  return NULL;
}

static RaddleRuntime *
start_with_names (void)
{
  RaddleRuntime *runtime = start_python ();
  assert_ok (raddle_enter ());
  run ("import threading\n"
       "local = threading.local()\n"
       "finalized = []");
  assert_ok (raddle_leave ());
  return runtime;
}

static guint64
number_finalized (void)
{
  assert_ok (raddle_enter ());
  guint64 number = (guint64) evaluate ("len(finalized)");
  assert_ok (raddle_leave ());
  return number;
}

static void
a_joiner_may_hold_python (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_with_names ();
  Meeting meeting;
  meeting_init (&meeting, 2);
  GThread *thread = g_thread_new ("dying", enter_and_end, &meeting);
  assert_ok (raddle_enter ());
  /* It has entered before we did, or waits for us; let it do so. */
  assert_ok (raddle_unblock_threads ());
  meet (&meeting);
  assert_ok (raddle_block_threads ());
  g_thread_join (thread); /* Python is held; a thread that waited for it would never end. */
  assert_ok (raddle_leave ());
  g_assert_cmpuint (number_finalized (), ==, 1);
  g_assert_cmpuint (figures ().reaped, ==, 1);
  stop_python (runtime);
}

static gboolean
all_others_are_there (gpointer data)
{
  Meeting *meeting = data;
  g_mutex_lock (&meeting->mutex);
  gboolean there = meeting->awaited == 1;
  g_mutex_unlock (&meeting->mutex);
  return there;
}

/* Makes @number threads that have entered and are dead, with Python held at their end. */
static void
make_orphans (guint number)
{
  GThread **threads = g_new0 (GThread *, number);
  Meeting meeting;
  meeting_init (&meeting, number + 1);
  for (guint i = 0; i < number; i++)
    threads[i] = g_thread_new ("orphan", enter_and_end, &meeting);
  /* All have left Python when they wait at the meeting; we take it before they go on. */
  assert_ok (raddle_unblock_threads ());
  wait_until (all_others_are_there, &meeting);
  assert_ok (raddle_block_threads ());
  meet (&meeting);
  for (guint i = 0; i < number; i++)
    g_thread_join (threads[i]);
  g_free (threads);
}

/* On a thread that is not Python's main one, so that no pending call reaps in between. */
static gpointer
look_at_forty_orphans (gpointer data)
{
  (void) data;
  guint64 reaped = figures ().reaped;
  assert_ok (raddle_enter ());
  make_orphans (40);
  run ("import faulthandler, sys, tempfile, traceback\n"
       "with tempfile.TemporaryFile() as file:\n"
       "    faulthandler.dump_traceback(file, all_threads=True)\n"
       "    file.seek(0)\n"
       "    text = file.read().decode()\n"
       "frames = sys._current_frames()");
  g_assert_cmpint (evaluate ("text.count('hread 0x') >= 40"), ==, 1);
  g_assert_cmpuint (figures ().reaped, ==, reaped);
  assert_ok (raddle_leave ());
  g_assert_cmpuint (number_finalized (), ==, 40);
  g_assert_cmpuint (figures ().reaped, ==, reaped + 40);
  return NULL;
}

static void
faulthandler_sees_the_dead (void)
{
  IN_A_CHILD ();
#ifdef Py_GIL_DISABLED
  g_test_skip ("on a free-threaded Python a dying thread clears its own state");
#else
  RaddleRuntime *runtime = start_with_names ();
  on_a_thread (look_at_forty_orphans, NULL);
  stop_python (runtime);
#endif
}

/* Reaping must leave the reaper's own PyGILState alone. */
static gpointer
reap_and_ensure (gpointer data)
{
  (void) data;
  assert_ok (raddle_enter ());
  make_orphans (3);
  assert_ok (raddle_leave ());
  assert_ok (raddle_enter ());
  PyThreadState *mine = PyThreadState_Get ();
  g_assert_true (PyGILState_GetThisThreadState () == mine);
  PyGILState_STATE state = PyGILState_Ensure ();
  g_assert_true (PyThreadState_Get () == mine);
  run ("reaper = threading.get_ident()");
  PyGILState_Release (state);
  assert_ok (raddle_leave ());
  state = PyGILState_Ensure ();
  g_assert_true (PyThreadState_Get () == mine);
  run ("reaper = threading.get_ident()");
  PyGILState_Release (state);
  return NULL;
}

static void
the_reaper_keeps_its_gilstate (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_with_names ();
  on_a_thread (reap_and_ensure, NULL);
  reap_and_ensure (NULL);
  g_assert_cmpuint (number_finalized (), ==, 6);
  stop_python (runtime);
}

static void
a_host_may_have_the_dying_thread_clear (void)
{
  IN_A_CHILD ();
  RaddleOptions *options = raddle_options_new ();
  RaddleRuntime *runtime = NULL;
  assert_ok (raddle_options_set_reap_on_exit (options, true));
  assert_ok (raddle_runtime_new (options, &runtime));
  raddle_options_free (options);
  assert_ok (raddle_enter ());
  run ("import threading\n"
       "local = threading.local()\n"
       "finalized = []");
  assert_ok (raddle_leave ());
  g_thread_join (g_thread_new ("dying", enter_and_end, NULL));
  g_assert_cmpuint (figures ().reaped, ==, 1); /* Before anybody entered. */
  assert_ok (raddle_enter ());
  g_assert_cmpint (evaluate ("finalized != [threading.get_ident()] and len(finalized)"), ==, 1);
  assert_ok (raddle_leave ());
  stop_python (runtime);
}

static gpointer
exit_inside (gpointer data)
{
  assert_ok (raddle_enter ());
  if (GPOINTER_TO_INT (data) == 1)
    assert_ok (raddle_enter ());
  if (GPOINTER_TO_INT (data) == 2)
    assert_ok (raddle_unblock_threads ());
  pthread_exit (NULL);
}

static void
an_exit_inside_an_entry_leaves_it (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_with_names ();
  for (int how = 0; how < 3; how++)
    {
      pthread_t thread;
      g_assert_cmpint (pthread_create (&thread, NULL, exit_inside, GINT_TO_POINTER (how)), ==, 0);
      g_assert_cmpint (pthread_join (thread, NULL), ==, 0);
      assert_ok (raddle_enter ());
      g_assert_cmpint (evaluate ("1 + 1"), ==, 2);
      assert_ok (raddle_leave ());
    }
  stop_python (runtime);
}

/* A GPrivate's notify runs after Rust's and C++'s thread-locals, and may still want Python. */
static gint notified;

static void
enter_at_the_very_end (gpointer data)
{
  assert_ok (raddle_enter ());
  g_assert_true (raddle_is_held ());
  run ("late.append(threading.get_ident())");
  assert_ok (raddle_enter ());
  assert_ok (raddle_leave ());
  assert_ok (raddle_leave ());
  g_assert_false (raddle_is_held ());
  assert_status (raddle_leave (), RADDLE_STATUS_WRONG_ORDER);
  assert_message_has ("no entry to leave");
  raddle_decref (data);
  g_atomic_int_inc (&notified);
}

static GPrivate at_the_very_end = G_PRIVATE_INIT (enter_at_the_very_end);

static gpointer
leave_an_object_in_a_private (gpointer data)
{
  if (data)
    {
      assert_ok (raddle_enter ());
      run ("entered_before = True");
      assert_ok (raddle_leave ());
    }
  PyGILState_STATE state = PyGILState_Ensure ();
  PyObject *object = PyObject_CallNoArgs (named ("Kept"));
  PyGILState_Release (state);
  g_assert_nonnull (object);
  g_private_set (&at_the_very_end, object);
  return NULL;
}

static void
a_private_s_notify_may_enter (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_with_names ();
  assert_ok (raddle_enter ());
  run ("late = []\n"
       "class Kept:\n"
       "    def __del__(self):\n"
       "        finalized.append(threading.get_ident())");
  assert_ok (raddle_leave ());
  on_a_thread (leave_an_object_in_a_private, GINT_TO_POINTER (TRUE));
  on_a_thread (leave_an_object_in_a_private, NULL);
  g_assert_cmpint (g_atomic_int_get (&notified), ==, 2);
  assert_ok (raddle_enter ());
  g_assert_cmpint (evaluate ("len(late)"), ==, 2);
  g_assert_cmpint (evaluate ("len(finalized)"), ==, 2);
  assert_ok (raddle_leave ());
  g_assert_cmpuint (figures ().live_threads, ==, 1);
  stop_python (runtime);
}

static void
end_while_another_holds (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_with_names ();
  for (int round = 0; round < 50; round++)
    {
      assert_ok (raddle_enter ());
      make_orphans (4);
      assert_ok (raddle_leave ());
    }
  g_assert_cmpuint (number_finalized (), ==, 200);
  RaddleGateStats stats = figures ();
  g_assert_cmpuint (stats.reaped, ==, 200);
  g_assert_cmpuint (stats.live_threads, ==, 1);
  stop_python (runtime);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/thread-exit/a-joiner-may-hold-python", a_joiner_may_hold_python);
  g_test_add_func ("/thread-exit/orphans/are-shown-by-faulthandler", faulthandler_sees_the_dead);
  g_test_add_func ("/thread-exit/orphans/leave-the-reaper-its-gilstate", the_reaper_keeps_its_gilstate);
  g_test_add_func ("/thread-exit/orphans/are-all-finalized-once", end_while_another_holds);
  g_test_add_func ("/thread-exit/a-host-may-have-the-dying-thread-clear",
                   a_host_may_have_the_dying_thread_clear);
  g_test_add_func ("/thread-exit/inside-an-entry-leaves-it", an_exit_inside_an_entry_leaves_it);
  g_test_add_func ("/thread-exit/a-private-s-notify-may-enter", a_private_s_notify_may_enter);
  return run_with_python ();
}
