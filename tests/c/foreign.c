/* foreign.c: thread states that raddle did not make are used and never owned; others find raddle's. */
#include "support.h"

#include <pthread.h>

/* PyGILState_Ensure, PyO3 and pybind11 all ask for the thread's state; inside an entry it is ours. */
static gpointer
ensure_inside_and_after (gpointer data)
{
  (void) data;
  assert_ok (raddle_enter ());
  PyThreadState *ours = PyThreadState_Get ();
  for (int depth = 0; depth < 2; depth++)
    {
      PyGILState_STATE state = PyGILState_Ensure ();
      g_assert_true (PyThreadState_Get () == ours);
      PyGILState_Release (state);
      g_assert_true (PyThreadState_Get () == ours);
    }
  assert_ok (raddle_leave ());

  /* Between entries too: what PyGObject's marshallers attach is the kept state. */
  PyGILState_STATE state = PyGILState_Ensure ();
  g_assert_true (PyThreadState_Get () == ours);
  assert_ok (raddle_enter ());
  g_assert_true (PyThreadState_Get () == ours);
  assert_ok (raddle_leave ());
  g_assert_true (raddle_is_held ());
  PyGILState_Release (state);
  g_assert_false (raddle_is_held ());

  assert_ok (raddle_enter ());
  g_assert_true (PyThreadState_Get () == ours);
  assert_ok (raddle_leave ());
  return NULL;
}

static void
others_find_our_state (void)
{
  ensure_inside_and_after (NULL);
  on_a_thread (ensure_inside_and_after, NULL);
}

static PyThreadState *seen_state;
static gboolean seen_held;

static int
enter_on_a_python_thread (void)
{
  seen_held = raddle_is_held ();
  for (int turn = 0; turn < 3; turn++)
    {
      assert_ok (raddle_enter ());
      seen_state = PyThreadState_Get ();
      g_assert_cmpint (evaluate ("local.x"), ==, 5);
      run ("local.x = 5");
      assert_ok (raddle_unblock_threads ());
      g_assert_false (raddle_is_held ());
      assert_ok (raddle_block_threads ());
      assert_ok (raddle_leave ());
    }
  g_assert_true (raddle_is_held () == seen_held);
  return 1;
}

static gboolean
so_few_are_alive (gpointer data)
{
  return figures ().live_threads == *(guint64 *) data;
}

static void
a_python_thread_s_state_is_used (void)
{
  RaddleGateStats before = figures ();
  assert_ok (raddle_enter ());
  give_address ("enter", (gpointer) enter_on_a_python_thread);
  run ("import ctypes, threading\n"
       "local = threading.local()\n"
       "results = []\n"
       "def main(make):\n"
       "    local.x = 5\n"
       "    results.append(make(ctypes.c_int)(enter)())\n"
       "    results.append(local.x)\n"
       "def start(make):\n"
       "    thread = threading.Thread(target=main, args=(make,))\n"
       "    thread.start()\n"
       "    thread.join()");
  run ("start(ctypes.CFUNCTYPE)"); /* gives Python up around the call */
  g_assert_false (seen_held);
  run ("start(ctypes.PYFUNCTYPE)"); /* does not */
  g_assert_true (seen_held);
  g_assert_cmpint (evaluate ("results == [1, 5, 1, 5]"), ==, 1);
  assert_ok (raddle_leave ());
  /* Python freed these states itself; we neither kept nor cleared one. */
  assert_ok (raddle_enter ());
  assert_ok (raddle_leave ());
  wait_until (so_few_are_alive, &before.live_threads); /* Thread.join comes back a little early. */
  g_assert_cmpuint (figures ().reaped, ==, before.reaped);
}

static gpointer
enter_inside_an_ensure (gpointer data)
{
  (void) data;
  for (int turn = 0; turn < 3; turn++)
    {
      PyGILState_STATE state = PyGILState_Ensure ();
      PyThreadState *theirs = PyThreadState_Get ();
      assert_ok (raddle_enter ());
      g_assert_true (PyThreadState_Get () == theirs);
      assert_ok (raddle_leave ());

      PyThreadState *saved = PyEval_SaveThread ();
      assert_ok (raddle_enter ());
      g_assert_true (PyThreadState_Get () == theirs);
      run ("turns = globals().get('turns', 0) + 1");
      assert_ok (raddle_leave ());
      PyEval_RestoreThread (saved);
      PyGILState_Release (state); /* frees it: to keep it would be a use after free */
    }
  assert_ok (raddle_enter ());
  run ("turns = globals().get('turns', 0) + 1");
  assert_ok (raddle_leave ());
  return NULL;
}

static void
an_ensured_state_is_not_kept (void)
{
  on_a_thread (enter_inside_an_ensure, NULL);
  assert_ok (raddle_enter ());
  g_assert_cmpint (evaluate ("turns"), ==, 4);
  assert_ok (raddle_leave ());
}

/* What a host's main thread looks like that gave Python up and is entered from a callback. */
static void
the_main_thread_s_own_state_is_used (void)
{
  assert_ok (raddle_enter ());
  run ("import threading");
  g_assert_cmpint (evaluate ("threading.current_thread() is threading.main_thread()"), ==, 1);
  g_assert_true (PyThreadState_Get () == PyGILState_GetThisThreadState ());
  assert_ok (raddle_leave ());
}

#if PY_VERSION_HEX >= 0x030c0000
static void
enter_from_a_subinterpreter (gboolean nested)
{
  PyInterpreterState *main_interpreter = NULL;
  PyThreadState *outer = NULL;
  PyGILState_STATE gilstate = PyGILState_UNLOCKED;
  if (nested)
    {
      assert_ok (raddle_enter ());
      outer = PyThreadState_Get ();
    }
  else
    {
      gilstate = PyGILState_Ensure ();
      outer = PyThreadState_Get ();
    }
  main_interpreter = PyThreadState_GetInterpreter (outer);
  PyThreadState *sub = Py_NewInterpreter ();
  g_assert_nonnull (sub);
  g_assert_true (PyThreadState_Get () == sub);

  assert_ok (raddle_enter ());
  g_assert_true (PyInterpreterState_Get () == main_interpreter);
  run ("from_sub = globals().get('from_sub', 0) + 1");
  assert_ok (raddle_enter ());
  assert_ok (raddle_leave ());
  assert_ok (raddle_leave ());
  g_assert_true (PyThreadState_Get () == sub);
  g_assert_cmpint (PyRun_SimpleString ("assert 'from_sub' not in globals()"), ==, 0);

  assert_ok (raddle_unblock_threads ());
  assert_ok (raddle_block_threads ());
  g_assert_true (PyThreadState_Get () == sub);

  Py_EndInterpreter (sub);
  PyThreadState_Swap (outer);
  if (nested)
    assert_ok (raddle_leave ());
  else
    PyGILState_Release (gilstate);
  g_assert_false (raddle_is_held ());
}

static void
an_entry_from_a_subinterpreter_runs_in_the_main_one (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  enter_from_a_subinterpreter (TRUE);
  enter_from_a_subinterpreter (FALSE);
  assert_ok (raddle_enter ());
  g_assert_cmpint (evaluate ("from_sub"), >=, 1);
  assert_ok (raddle_leave ());
  stop_python (runtime);
}
#else
/* On 3.11 a thread cannot tell whose the current state is, if it is none that the thread knows: code of
 * a subinterpreter must put the main one's state back before it calls the host (docs/reference/gate.md). */
static void
enter_from_a_subinterpreter (gboolean nested)
{
  if (nested)
    assert_ok (raddle_enter ());
  PyGILState_STATE gilstate = PyGILState_Ensure ();
  PyThreadState *outer = PyThreadState_Get ();
  PyThreadState *sub = Py_NewInterpreter ();
  g_assert_nonnull (sub);
  PyThreadState_Swap (outer);
  assert_ok (raddle_enter ());
  g_assert_true (PyThreadState_Get () == outer);
  run ("from_sub = globals().get('from_sub', 0) + 1");
  assert_ok (raddle_leave ());
  PyThreadState_Swap (sub);
  Py_EndInterpreter (sub);
  PyThreadState_Swap (outer);
  PyGILState_Release (gilstate);
  if (nested)
    assert_ok (raddle_leave ());
}

static void
an_entry_from_a_subinterpreter_runs_in_the_main_one (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  enter_from_a_subinterpreter (TRUE);
  enter_from_a_subinterpreter (FALSE);
  assert_ok (raddle_enter ());
  g_assert_cmpint (evaluate ("from_sub"), ==, 2);
  assert_ok (raddle_leave ());
  stop_python (runtime);
}
#endif

/* PyGILState_Check answers yes everywhere once a subinterpreter has existed; we do not. */
static gpointer
is_not_held_here (gpointer data)
{
  (void) data;
  g_assert_false (raddle_is_held ());
  assert_ok (raddle_enter ());
  g_assert_true (raddle_is_held ());
  assert_ok (raddle_leave ());
  g_assert_false (raddle_is_held ());
  return NULL;
}

static void
held_is_right_after_a_subinterpreter (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  enter_from_a_subinterpreter (FALSE);
  is_not_held_here (NULL);
  on_a_thread (is_not_held_here, NULL);
  stop_python (runtime);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/foreign/others-find-our-state", others_find_our_state);
  g_test_add_func ("/foreign/the-main-thread-s-own-state-is-used", the_main_thread_s_own_state_is_used);
  g_test_add_func ("/foreign/a-python-thread-s-state-is-used", a_python_thread_s_state_is_used);
  g_test_add_func ("/foreign/an-ensured-state-is-not-kept", an_ensured_state_is_not_kept);
  g_test_add_func ("/foreign/subinterpreter/an-entry-runs-in-the-main-one",
                   an_entry_from_a_subinterpreter_runs_in_the_main_one);
  g_test_add_func ("/foreign/subinterpreter/held-is-right-afterwards",
                   held_is_right_after_a_subinterpreter);
  return run_with_python ();
}
