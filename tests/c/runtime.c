/* runtime.c: starting, adopting, stopping, being busy, starting again. Each test in a process of its own. */
#include "support.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

static void
a_start_gives_python_up_at_once (void)
{
  IN_A_CHILD ();
  g_assert_false (raddle_is_held ());
  assert_status (raddle_enter (), RADDLE_STATUS_NOT_STARTED);
  RaddleRuntime *runtime = start_python ();
  g_assert_false (raddle_is_held ());
  g_assert_true (raddle_runtime_is_open (runtime));
  g_assert_cmpuint (raddle_runtime_get_generation (runtime), ==, 1);
  assert_ok (raddle_enter ());
  run ("import sys, threading");
  g_assert_cmpint (evaluate ("threading.current_thread() is threading.main_thread()"), ==, 1);
  g_assert_cmpint (evaluate ("sys.flags.isolated and sys.flags.utf8_mode"), ==, 1);
  char *abi = evaluate_text ("'%d.%d%s' % (*sys.version_info[:2], sys.abiflags)");
  g_assert_cmpstr (raddle_python_abi (), ==, abi);
  g_free (abi);
  assert_ok (raddle_leave ());
  stop_python (runtime);
}

static void
references_do_not_stop_it (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  g_assert_true (raddle_runtime_ref (runtime) == runtime);
  raddle_runtime_unref (runtime);
  RaddleRuntime *another = raddle_runtime_ref (runtime);
  raddle_runtime_unref (runtime);
  assert_ok (raddle_enter ());
  assert_ok (raddle_leave ());
  assert_ok (raddle_runtime_stop (another, -1));
  assert_ok (raddle_runtime_stop (another, -1));
  g_assert_false (raddle_runtime_is_open (another));
  raddle_runtime_unref (another);
}

static void
options_arrive (void)
{
  IN_A_CHILD ();
  const char *argv[] = { "host", "--größe" };
  const char *here = g_get_tmp_dir ();
  RaddleOptions *options = raddle_options_new ();
  assert_ok (raddle_options_set_argv (options, 2, argv));
  assert_ok (raddle_options_add_search_path (options, "/search/one"));
  assert_ok (raddle_options_add_search_path (options, "/search/two"));
  assert_ok (raddle_options_add_plugin_folder (options, here));
  assert_ok (raddle_options_set_program_name (options, "host"));
  assert_ok (raddle_options_set_signal_handlers (options, true));
  assert_ok (raddle_options_set_timing (options, true));
  RaddleRuntime *runtime = NULL;
  assert_ok (raddle_runtime_new (options, &runtime));
  raddle_options_free (options);
  assert_ok (raddle_enter ());
  run ("import signal, sys");
  g_assert_cmpint (evaluate ("sys.argv == ['host', '--größe']"), ==, 1);
  g_assert_cmpint (evaluate ("sys.path[:2] == ['/search/one', '/search/two']"), ==, 1);
  give ("here", PyUnicode_FromString (here));
  g_assert_cmpint (evaluate ("sys.path[-1] == here"), ==, 1);
  g_assert_cmpint (evaluate ("'python' in sys.executable"), ==, 1);
  g_assert_cmpint (evaluate ("signal.getsignal(signal.SIGINT) is signal.default_int_handler"), ==, 1);
  assert_ok (raddle_leave ());
  g_assert_cmpuint (figures ().waits, >, 0);
  g_assert_cmpuint (figures ().wait_ns, >, 0);
  stop_python (runtime);
}

static void
a_bad_place_is_one_line_and_may_be_mended (void)
{
  IN_A_CHILD ();
  RaddleOptions *options = raddle_options_new ();
  RaddleRuntime *runtime = NULL;
  assert_ok (raddle_options_set_home (options, "/nowhere/at/all"));
  assert_status (raddle_runtime_new (options, &runtime), RADDLE_STATUS_START);
  g_assert_null (runtime);
  assert_message_has ("/nowhere/at/all");
  g_assert_null (strchr (raddle_last_error_message (), '\n'));
  assert_ok (raddle_options_set_home (options, NULL));
  assert_ok (raddle_options_set_venv (options, "/nowhere/venv"));
  assert_status (raddle_runtime_new (options, &runtime), RADDLE_STATUS_START);
  assert_message_has ("/nowhere/venv");
  assert_ok (raddle_options_set_venv (options, NULL));
  assert_ok (raddle_runtime_new (options, &runtime));
  raddle_options_free (options);
  stop_python (runtime);
}

static void
latency_is_the_switch_interval (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  assert_ok (raddle_runtime_set_latency (runtime, 500));
  assert_ok (raddle_enter ());
  run ("import sys");
  g_assert_cmpint (evaluate ("round(sys.getswitchinterval() * 1_000_000)"), ==, 500);
  assert_ok (raddle_leave ());
  assert_ok (raddle_runtime_set_latency (runtime, 1000 * 1000));
  assert_status (raddle_runtime_set_latency (runtime, 1000 * 1000 + 1), RADDLE_STATUS_INVALID);
  stop_python (runtime);
}

/* Threads that enter, meet, and stay until they are let go. */
typedef struct {
  Meeting inside;
  Meeting let_go;
} Stay;

static gpointer
stay_inside (gpointer data)
{
  Stay *stay = data;
  assert_ok (raddle_enter ());
  assert_ok (raddle_unblock_threads ());
  meet (&stay->inside);
  meet (&stay->let_go);
  assert_ok (raddle_block_threads ());
  run ("stayed = True"); /* Python is still there: the stop waits. */
  assert_ok (raddle_enter ());
  assert_ok (raddle_leave ());
  assert_ok (raddle_leave ());
  assert_status (raddle_enter (), RADDLE_STATUS_CLOSED);
  return NULL;
}

static GThread *
somebody_inside (Stay *stay)
{
  meeting_init (&stay->inside, 2);
  meeting_init (&stay->let_go, 2);
  GThread *thread = g_thread_new ("the-stayer", stay_inside, stay);
  meet (&stay->inside);
  return thread;
}

static void
a_stop_says_who_is_inside_and_ends_nothing (void)
{
  IN_A_CHILD ();
  Stay stay;
  RaddleRuntime *runtime = start_python ();
  GThread *thread = somebody_inside (&stay);
  for (int attempt = 0; attempt < 2; attempt++)
    {
      assert_status (raddle_runtime_stop (runtime, 20), RADDLE_STATUS_BUSY);
      assert_message_has ("the-stayer");
      g_assert_false (raddle_runtime_is_open (runtime));
      gint64 before = g_get_monotonic_time ();
      assert_status (raddle_enter (), RADDLE_STATUS_CLOSED);
      g_assert_cmpint (g_get_monotonic_time () - before, <, G_TIME_SPAN_SECOND);
    }
  meet (&stay.let_go);
  g_thread_join (thread);
  stop_python (runtime);
}

static void
a_stop_waits_for_those_inside (void)
{
  IN_A_CHILD ();
  Stay stay;
  RaddleRuntime *runtime = start_python ();
  GThread *thread = somebody_inside (&stay);
  assert_status (raddle_runtime_stop (runtime, 0), RADDLE_STATUS_BUSY);
  meet (&stay.let_go);
  assert_ok (raddle_runtime_stop (runtime, -1));
  g_thread_join (thread);
  raddle_runtime_unref (runtime);
}

static void
a_stop_waits_for_python_threads (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  assert_ok (raddle_enter ());
  run ("import threading\n"
       "done = threading.Event()\n"
       "threading.Thread(target=done.wait, name='a-plugin-s-thread').start()\n"
       "threading.Thread(target=threading.Event().wait, name='a-daemon', daemon=True).start()");
  PyObject *set = PyObject_GetAttrString (named ("done"), "set");
  assert_ok (raddle_leave ());
  assert_status (raddle_runtime_stop (runtime, 50), RADDLE_STATUS_BUSY);
  assert_message_has ("a-plugin-s-thread");
  g_assert_null (strstr (raddle_last_error_message (), "a-daemon"));
  /* The gate is closed; what is inside Python goes on. */
  PyGILState_STATE state = PyGILState_Ensure ();
  Py_XDECREF (PyObject_CallNoArgs (set));
  Py_DECREF (set);
  PyGILState_Release (state);
  stop_python (runtime);
}

static void
an_abandoned_python_stays_as_it_is (void)
{
  IN_A_CHILD ();
  Stay stay;
  RaddleRuntime *runtime = start_python ();
  somebody_inside (&stay);
  assert_status (raddle_runtime_stop (runtime, 0), RADDLE_STATUS_BUSY);
  assert_ok (raddle_runtime_abandon (runtime));
  assert_status (raddle_enter (), RADDLE_STATUS_CLOSED);
  RaddleRuntime *next = NULL;
  assert_status (raddle_runtime_new (NULL, &next), RADDLE_STATUS_BUSY);
  g_assert_null (next);
  g_assert_true (Py_IsInitialized ());
  raddle_runtime_unref (runtime);
}

typedef struct {
  Meeting ready;
  Meeting again;
  guint   entries[2];
} Generations;

static gpointer
enter_in_both_generations (gpointer data)
{
  Generations *generations = data;
  assert_ok (raddle_enter ());
  run ("first = True");
  assert_ok (raddle_leave ());
  meet (&generations->ready);
  meet (&generations->again);
  assert_ok (raddle_enter ());
  g_assert_cmpint (evaluate ("'first' in globals()"), ==, 0);
  PyGILState_STATE state = PyGILState_Ensure ();
  run ("second = True");
  PyGILState_Release (state);
  assert_ok (raddle_leave ());
  return NULL;
}

static void
a_restart_is_a_new_generation (void)
{
  IN_A_CHILD ();
  Generations generations;
  meeting_init (&generations.ready, 2);
  meeting_init (&generations.again, 2);
  RaddleRuntime *runtime = start_python ();
  GThread *thread = g_thread_new ("survivor", enter_in_both_generations, &generations);
  meet (&generations.ready);
  assert_ok (raddle_runtime_stop (runtime, -1));
  g_assert_false (Py_IsInitialized ());
  RaddleRuntime *second = start_python ();
  g_assert_cmpuint (raddle_runtime_get_generation (second), ==, 2);
  g_assert_false (raddle_runtime_is_open (runtime));
  g_assert_true (raddle_runtime_is_open (second));
  assert_status (raddle_runtime_set_latency (runtime, 5000), RADDLE_STATUS_CLOSED);
  meet (&generations.again);
  g_thread_join (thread);
  assert_ok (raddle_runtime_stop (runtime, -1)); /* Has stopped already; the other one runs on. */
  g_assert_true (raddle_runtime_is_open (second));
  raddle_runtime_unref (runtime);
  stop_python (second);
}

static gint64 entered;

static gpointer
enter_until_closed (gpointer data)
{
  GRand *random = g_rand_new_with_seed (GPOINTER_TO_UINT (data));
  for (;;)
    {
      RaddleStatus status = raddle_enter ();
      if (status == RADDLE_STATUS_CLOSED)
        break;
      assert_ok (status);
      if (g_rand_int_range (random, 0, 4) == 0)
        run ("entered = globals().get('entered', 0) + 1");
      if (g_rand_int_range (random, 0, 4) == 0)
        {
          assert_ok (raddle_unblock_threads ());
          g_usleep ((gulong) g_rand_int_range (random, 0, 300));
          assert_ok (raddle_block_threads ());
        }
      assert_ok (raddle_leave ());
      __atomic_fetch_add (&entered, 1, __ATOMIC_RELAXED);
    }
  g_rand_free (random);
  return NULL;
}

static gboolean
enough_have_entered (gpointer data)
{
  return __atomic_load_n (&entered, __ATOMIC_RELAXED) >= *(gint64 *) data;
}

static void
a_stop_meets_eight_threads_that_enter (void)
{
  enum { THREADS = 8, ROUNDS = 5 };
  IN_A_CHILD ();
  guint seed = g_test_rand_int ();
  g_test_message ("seed %u", seed);
  for (guint round = 0; round < ROUNDS; round++)
    {
      GThread *threads[THREADS];
      RaddleRuntime *runtime = start_python ();
      gint64 goal = __atomic_load_n (&entered, __ATOMIC_RELAXED) + g_test_rand_int_range (1, 400);
      for (guint i = 0; i < THREADS; i++)
        threads[i] = g_thread_new ("storm", enter_until_closed,
                                   GUINT_TO_POINTER (seed + round * THREADS + i));
      wait_until (enough_have_entered, &goal);
      stop_python (runtime);
      for (guint i = 0; i < THREADS; i++)
        g_thread_join (threads[i]);
    }
}

static gpointer
enter_and_report (gpointer data)
{
  (void) data;
  RaddleStatus status = raddle_enter ();
  if (status == RADDLE_STATUS_OK)
    assert_ok (raddle_leave ());
  return GINT_TO_POINTER (status);
}

static void
an_adopted_python_is_the_host_s (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = NULL, *again = NULL, *unset = NULL;
  assert_status (raddle_runtime_adopt (&runtime), RADDLE_STATUS_NOT_STARTED);
  Py_InitializeEx (0);
  assert_status (raddle_runtime_new (NULL, &unset), RADDLE_STATUS_ALREADY_STARTED);
  assert_ok (raddle_runtime_adopt (&runtime));
  assert_ok (raddle_runtime_adopt (&again));
  g_assert_cmpuint (raddle_runtime_get_generation (runtime), ==, raddle_runtime_get_generation (again));
  raddle_runtime_unref (again);
  g_assert_null (unset);
  g_assert_true (raddle_is_held ());
  assert_ok (raddle_enter ());
  run ("import sys");
  assert_ok (raddle_leave ());
  g_assert_true (raddle_is_held ());
  g_assert_cmpint (GPOINTER_TO_INT (on_a_thread (enter_and_report, NULL)), ==, RADDLE_STATUS_OK);
  g_assert_cmpint (Py_FinalizeEx (), ==, 0);
  assert_status (raddle_enter (), RADDLE_STATUS_CLOSED);
  g_assert_cmpint (GPOINTER_TO_INT (on_a_thread (enter_and_report, NULL)), ==, RADDLE_STATUS_CLOSED);
  g_assert_false (raddle_runtime_is_open (runtime));
  assert_ok (raddle_runtime_stop (runtime, 0));
  raddle_runtime_unref (runtime);
}

static void
an_adopted_python_may_be_left (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = NULL;
  Py_InitializeEx (0);
  assert_ok (raddle_runtime_adopt (&runtime));
  assert_ok (raddle_runtime_stop (runtime, 1000));
  assert_status (raddle_enter (), RADDLE_STATUS_CLOSED);
  g_assert_true (Py_IsInitialized ());
  g_assert_cmpint (PyRun_SimpleString ("import threading"), ==, 0);
  raddle_runtime_unref (runtime);
  assert_ok (raddle_runtime_adopt (&runtime));
  g_assert_cmpuint (raddle_runtime_get_generation (runtime), ==, 2);
  assert_ok (raddle_enter ());
  assert_ok (raddle_leave ());
  g_assert_cmpint (Py_FinalizeEx (), ==, 0);
  raddle_runtime_unref (runtime);
}

/* Exported for import; no header declares it, since raddle.h includes no Python.h. */
extern PyObject *PyInit__raddle (void);

static void
a_host_may_offer_the_module_itself (void)
{
  IN_A_CHILD ();
  PyImport_AppendInittab ("_raddle", PyInit__raddle);
  Py_InitializeEx (0);
  g_assert_cmpint (GPOINTER_TO_INT (on_a_thread (enter_and_report, NULL)), ==, RADDLE_STATUS_NOT_STARTED);
  /* The import adopts, and what the library carries goes first. */
  g_assert_cmpint (PyRun_SimpleString ("import _raddle, raddle\n"
                                       "assert raddle.__spec__.origin.startswith('<libraddle>')"), ==, 0);
  g_assert_cmpint (GPOINTER_TO_INT (on_a_thread (enter_and_report, NULL)), ==, RADDLE_STATUS_OK);
  g_assert_cmpint (Py_FinalizeEx (), ==, 0);
}

static gpointer
stop_elsewhere (gpointer runtime)
{
  assert_status (raddle_runtime_stop (runtime, 0), RADDLE_STATUS_WRONG_THREAD);
  assert_message_has ("thread");
  assert_ok (raddle_enter ());
  assert_ok (raddle_leave ());
  return NULL;
}

static void
a_refused_stop_leaves_the_gate_open (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  on_a_thread (stop_elsewhere, runtime);
  assert_ok (raddle_enter ());
  assert_status (raddle_runtime_stop (runtime, 0), RADDLE_STATUS_WRONG_ORDER);
  assert_ok (raddle_unblock_threads ());
  assert_status (raddle_runtime_stop (runtime, 0), RADDLE_STATUS_WRONG_ORDER);
  assert_ok (raddle_block_threads ());
  assert_ok (raddle_leave ());
  g_assert_true (raddle_runtime_is_open (runtime));
  stop_python (runtime);
}

/* Exit handlers and finalizers run inside the stop, hold Python, and may nest. */
static int
enter_while_finalizing (void)
{
  assert_ok (raddle_enter ());
  assert_ok (raddle_leave ());
  return 7;
}

static void
exit_handlers_may_nest (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  assert_ok (raddle_enter ());
  give_address ("enter", (gpointer) enter_while_finalizing);
  run ("import atexit, ctypes, os\n"
       "enter = ctypes.PYFUNCTYPE(ctypes.c_int)(enter)\n"
       "class AtTheEnd:\n"
       "    def __del__(self, enter=enter):\n"
       "        assert enter() == 7\n"
       "kept = AtTheEnd()\n"
       "atexit.register(lambda: enter() == 7 or os._exit(3))");
  assert_ok (raddle_leave ());
  stop_python (runtime);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/runtime/start/gives-python-up-at-once", a_start_gives_python_up_at_once);
  g_test_add_func ("/runtime/start/takes-the-options", options_arrive);
  g_test_add_func ("/runtime/start/a-bad-place-is-one-line", a_bad_place_is_one_line_and_may_be_mended);
  g_test_add_func ("/runtime/start/again-is-a-new-generation", a_restart_is_a_new_generation);
  g_test_add_func ("/runtime/latency/is-the-switch-interval", latency_is_the_switch_interval);
  g_test_add_func ("/runtime/references-do-not-stop-it", references_do_not_stop_it);
  g_test_add_func ("/runtime/adopt/is-the-host-s-python", an_adopted_python_is_the_host_s);
  g_test_add_func ("/runtime/adopt/may-be-left-and-adopted-again", an_adopted_python_may_be_left);
  g_test_add_func ("/runtime/adopt/by-importing-the-module", a_host_may_offer_the_module_itself);
  g_test_add_func ("/runtime/stop/says-who-is-inside", a_stop_says_who_is_inside_and_ends_nothing);
  g_test_add_func ("/runtime/stop/waits-for-those-inside", a_stop_waits_for_those_inside);
  g_test_add_func ("/runtime/stop/waits-for-python-threads", a_stop_waits_for_python_threads);
  g_test_add_func ("/runtime/stop/refused-leaves-the-gate-open", a_refused_stop_leaves_the_gate_open);
  g_test_add_func ("/runtime/stop/lets-exit-handlers-nest", exit_handlers_may_nest);
  g_test_add_func ("/runtime/stop/meets-eight-threads-that-enter", a_stop_meets_eight_threads_that_enter);
  g_test_add_func ("/runtime/abandon/leaves-python-as-it-is", an_abandoned_python_stays_as_it_is);
  return g_test_run ();
}
