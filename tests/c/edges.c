/* edges.c: what outlives what it was made for: states, records, exceptions, frames of threads that end midway. */
#include "support.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* A thread that enters, shows its state's address and waits to be told what next. */
typedef struct {
  GThread       *thread;
  PyThreadState *state;
  gint           stage;
  gint           kernel_thread;
} Worker;

enum { BEGUN, KNOWN, TOLD_TO_ENTER, TOLD_TO_END, ENTERS, ENTERED, TOLD_TO_LEAVE };

#define WORKERS 48

static gboolean
is_told (gpointer data)
{
  return g_atomic_int_get (&((Worker *) data)->stage) > KNOWN;
}

static gboolean
is_known (gpointer data)
{
  return g_atomic_int_get (&((Worker *) data)->stage) == KNOWN;
}

static gboolean
is_entered (gpointer data)
{
  return g_atomic_int_get (&((Worker *) data)->stage) >= ENTERED;
}

static gboolean
may_leave (gpointer data)
{
  return g_atomic_int_get (&((Worker *) data)->stage) == TOLD_TO_LEAVE;
}

/* Whether it is in, or waits in the kernel for being let in. */
static gboolean
is_entered_or_asleep (gpointer data)
{
  Worker *worker = data;
  gint stage = g_atomic_int_get (&worker->stage);
  if (stage < ENTERS)
    return FALSE;
  if (stage >= ENTERED)
    return TRUE;
  g_autofree char *file = g_strdup_printf ("/proc/self/task/%d/stat", worker->kernel_thread);
  g_autofree char *line = NULL;
  g_assert_true (g_file_get_contents (file, &line, NULL, NULL));
  return strstr (line, ") S ") != NULL;
}

static gpointer
enter_twice (gpointer data)
{
  Worker *worker = data;
  worker->kernel_thread = gettid ();
  assert_ok (raddle_enter ());
  worker->state = PyThreadState_Get ();
  assert_ok (raddle_leave ());
  g_atomic_int_set (&worker->stage, KNOWN);
  wait_until (is_told, worker);
  if (g_atomic_int_get (&worker->stage) == TOLD_TO_END)
    return NULL;
  g_atomic_int_set (&worker->stage, ENTERS);
  assert_ok (raddle_enter ());
  g_assert_true (PyThreadState_Get () == PyGILState_GetThisThreadState ());
  g_atomic_int_set (&worker->stage, ENTERED);
  wait_until (may_leave, worker);
  assert_ok (raddle_leave ());
  return NULL;
}

static void
start_workers (Worker *workers)
{
  for (int i = 0; i < WORKERS; i++)
    workers[i].thread = g_thread_new ("worker", enter_twice, &workers[i]);
  for (int i = 0; i < WORKERS; i++)
    wait_until (is_known, &workers[i]);
}

static void
end_workers (Worker *workers)
{
  for (int i = 0; i < WORKERS; i++)
    {
      if (g_atomic_int_get (&workers[i].stage) == KNOWN)
        g_atomic_int_set (&workers[i].stage, TOLD_TO_END);
      else
        g_atomic_int_set (&workers[i].stage, TOLD_TO_LEAVE);
      g_thread_join (workers[i].thread);
    }
}

/* The states of an ended Python are freed; the next one makes others at their addresses. */
static void
a_state_of_an_earlier_python_is_not_believed (void)
{
  IN_A_CHILD ();
  Worker before[WORKERS] = { 0 };
  Worker after[WORKERS] = { 0 };
  RaddleRuntime *runtime = start_python ();
  start_workers (before);
  stop_python (runtime);
  runtime = start_python ();
  start_workers (after);
  for (int i = 0; i < WORKERS * WORKERS; i++)
    {
      Worker *old = &before[i / WORKERS];
      Worker *heir = &after[i % WORKERS];
      if (old->state != heir->state)
        continue;
      g_test_message ("%p is used again", (void *) old->state);
      g_atomic_int_set (&heir->stage, TOLD_TO_ENTER);
      wait_until (is_entered, heir);
      g_atomic_int_set (&old->stage, TOLD_TO_ENTER);
      wait_until (is_entered_or_asleep, old);
      g_atomic_int_set (&heir->stage, TOLD_TO_LEAVE);
      wait_until (is_entered, old);
      break;
    }
  end_workers (before);
  end_workers (after);
  stop_python (runtime);
}

static gpointer
trim_between_two_pythons (gpointer data)
{
  Worker *worker = data;
  assert_ok (raddle_enter ());
  assert_ok (raddle_leave ());
  g_atomic_int_set (&worker->stage, KNOWN);
  wait_until (is_told, worker);
  assert_ok (raddle_thread_trim ());
  g_atomic_int_set (&worker->stage, ENTERED);
  wait_until (may_leave, worker);
  assert_ok (raddle_enter ());
  g_assert_true (PyThreadState_Get () == PyGILState_GetThisThreadState ());
  assert_ok (raddle_leave ());
  return NULL;
}

static void
a_trim_after_the_end_leaves_nothing_behind (void)
{
  IN_A_CHILD ();
  Worker worker = { 0 };
  RaddleRuntime *runtime = start_python ();
  worker.thread = g_thread_new ("worker", trim_between_two_pythons, &worker);
  wait_until (is_known, &worker);
  stop_python (runtime);
  g_atomic_int_set (&worker.stage, TOLD_TO_ENTER);
  wait_until (is_entered, &worker);
  runtime = start_python ();
  g_atomic_int_set (&worker.stage, TOLD_TO_LEAVE);
  g_thread_join (worker.thread);
  stop_python (runtime);
}

#if PY_VERSION_HEX >= 0x030c0000
/* The object is the main interpreter's, and so is its finalizer. */
static void
a_drop_in_a_subinterpreter_waits_for_the_main_one (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  assert_ok (raddle_enter ());
  run ("dropped = []\n"
       "class Value:\n"
       "    def __del__(self):\n"
       "        dropped.append(1)");
  PyThreadState *outer = PyThreadState_Get ();
  PyThreadState *sub = NULL;
  PyObject *value = PyObject_CallNoArgs (named ("Value"));
  PyInterpreterConfig config = { .check_multi_interp_extensions = 1, .allow_threads = 1,
                                 .gil = PyInterpreterConfig_OWN_GIL };
  g_assert_false (PyStatus_Exception (Py_NewInterpreterFromConfig (&sub, &config)));
  guint64 decrefs = figures ().decrefs;
  raddle_decref (value);
  g_assert_true (PyThreadState_Get () == sub);
  Py_EndInterpreter (sub);
  PyThreadState_Swap (outer);
  assert_ok (raddle_leave ());
  assert_ok (raddle_enter ());
  g_assert_cmpint (evaluate ("len(dropped)"), ==, 1);
  g_assert_cmpuint (figures ().decrefs, ==, decrefs + 1);
  assert_ok (raddle_leave ());
  stop_python (runtime);
}
#endif

static gpointer
enter_and_check (gpointer data)
{
  assert_ok (raddle_enter ());
  g_assert_true (PyThreadState_Get () == PyGILState_GetThisThreadState ());
  g_assert_cmpint (evaluate ("1 + 1"), ==, 2);
  assert_ok (raddle_leave ());
  g_assert_false (raddle_is_held ());
  return data;
}

/* Code between two layers may have an exception in flight when it gives Python up and calls us. */
static void
enter_with_an_exception_around (void)
{
  PyErr_SetString (PyExc_KeyError, "of the code around");
  PyThreadState *saved = PyEval_SaveThread ();
  assert_ok (raddle_enter ());
  g_assert_null (PyErr_Occurred ());
  g_assert_cmpint (evaluate ("1 + 1"), ==, 2);
  assert_ok (raddle_leave ());
  assert_ok (raddle_enter_fresh ());
  g_assert_cmpint (evaluate ("1 + 1"), ==, 2);
  assert_ok (raddle_leave ());
  PyEval_RestoreThread (saved);
  g_assert_nonnull (PyErr_Occurred ());
  g_assert_true (PyErr_ExceptionMatches (PyExc_KeyError));
  PyErr_Clear ();
}

static gpointer
enter_with_an_exception_of_others_around (gpointer data)
{
  if (data)
    {
      /* So that this thread has a state of ours, which the Ensure then finds. */
      assert_ok (raddle_enter ());
      assert_ok (raddle_leave ());
    }
  PyGILState_STATE state = PyGILState_Ensure ();
  enter_with_an_exception_around ();
  PyGILState_Release (state);
  return NULL;
}

static void
an_exception_of_the_code_around_survives (void)
{
  on_a_thread (enter_with_an_exception_of_others_around, NULL);
  on_a_thread (enter_with_an_exception_of_others_around, GINT_TO_POINTER (TRUE));
  assert_ok (raddle_enter ());
  enter_with_an_exception_around ();
  assert_ok (raddle_leave ());
}

/* The Ensure's state goes with its Release, whatever was opened on it. */
static gpointer
release_too_early (gpointer data)
{
  for (int turn = 0; turn < 3; turn++)
    {
      PyGILState_STATE state = PyGILState_Ensure ();
      if (data)
        PyEval_SaveThread ();
      assert_ok (raddle_enter ());
      PyGILState_Release (state);
      assert_status (raddle_leave (), RADDLE_STATUS_WRONG_ORDER);
      assert_message_has ("deleted");
      assert_status (raddle_leave (), RADDLE_STATUS_WRONG_ORDER);
      assert_message_has ("no entry");
      assert_ok (raddle_thread_trim ());
    }
  return enter_and_check (NULL);
}

/* One that belongs to no Ensure deletes the state that we keep. */
static gpointer
release_too_often (gpointer data)
{
  assert_ok (raddle_enter ());
  PyGILState_Release (PyGILState_UNLOCKED);
  assert_status (raddle_leave (), RADDLE_STATUS_WRONG_ORDER);
  assert_message_has ("deleted");
  return enter_and_check (data);
}

static void
a_deleted_state_is_believed_no_more (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  on_a_thread (release_too_early, NULL);
  on_a_thread (release_too_early, GINT_TO_POINTER (TRUE));
  on_a_thread (release_too_often, NULL);
  stop_python (runtime);
}

/* Opens and closes so many frames that their memory moves, and leaves nothing of the old content. */
static int
move_the_frames (void)
{
  void *blocks[512];
  for (int i = 0; i < 40; i++)
    {
      assert_ok (raddle_unblock_threads ());
      assert_ok (raddle_enter ());
    }
  for (int i = 0; i < 40; i++)
    {
      assert_ok (raddle_leave ());
      assert_ok (raddle_block_threads ());
    }
  for (size_t i = 0; i < G_N_ELEMENTS (blocks); i++)
    {
      blocks[i] = malloc (64 + 16 * i);
      memset (blocks[i], 0xff, 64 + 16 * i);
    }
  for (size_t i = 0; i < G_N_ELEMENTS (blocks); i++)
    free (blocks[i]);
  return 0;
}

static gpointer
finalize_in_a_leave (gpointer data)
{
  (void) data;
  assert_ok (raddle_enter ());
  give_address ("move", (gpointer) move_the_frames);
  run ("import contextvars, ctypes\n"
       "class Busy:\n"
       "    def __del__(self):\n"
       "        busy.append(ctypes.CFUNCTYPE(ctypes.c_int)(move)())\n"
       "busy = []\n"
       "variable = contextvars.ContextVar('variable')");
  assert_ok (raddle_unblock_threads ());
  assert_ok (raddle_unblock_threads ());
  assert_ok (raddle_enter_fresh ());
  run ("variable.set(Busy())");
  assert_ok (raddle_leave ());
  g_assert_false (raddle_is_held ());
  assert_ok (raddle_block_threads ());
  assert_ok (raddle_block_threads ());
  g_assert_cmpint (evaluate ("len(busy)"), ==, 1);
  assert_ok (raddle_leave ());
  g_assert_false (raddle_is_held ());
  return NULL;
}

static void
a_context_s_finalizers_may_enter (void)
{
  on_a_thread (finalize_in_a_leave, NULL);
}

/* After the gate has forgotten the thread: what PyGObject does in a GPrivate's notify, and C below it. */
static void
enter_behind_others_at_the_end (gpointer data)
{
  (void) data;
  for (int turn = 0; turn < 3; turn++)
    {
      PyGILState_STATE state = PyGILState_Ensure ();
      assert_ok (raddle_unblock_threads ());
      assert_ok (raddle_enter ());
      assert_ok (raddle_leave ());
      assert_ok (raddle_block_threads ());
      PyThreadState *saved = PyEval_SaveThread ();
      assert_ok (raddle_enter ());
      assert_ok (raddle_unblock_threads ());
      assert_ok (raddle_block_threads ());
      assert_ok (raddle_leave ());
      PyEval_RestoreThread (saved);
      PyGILState_Release (state);
    }
}

static GPrivate at_the_end = G_PRIVATE_INIT (enter_behind_others_at_the_end);

static gpointer
enter_and_end (gpointer data)
{
  g_private_set (&at_the_end, &at_the_end);
  assert_ok (raddle_enter ());
  assert_ok (raddle_leave ());
  return data;
}

static gboolean
so_few_are_alive (gpointer data)
{
  return figures ().live_threads == *(guint64 *) data;
}

static void
an_ended_thread_is_on_no_list (void)
{
  guint64 alive = figures ().live_threads;
  for (int i = 0; i < 4; i++)
    on_a_thread (enter_and_end, NULL);
  wait_until (so_few_are_alive, &alive);
}

/* Ends in the middle of Python code, whose frames lie on a stack that goes with the thread. */
static int
end_this_thread (void)
{
  pthread_exit (NULL);
}

static gpointer
end_inside_python (gpointer data)
{
  meet (data);
  assert_ok (raddle_enter ());
  run ("def deeper(depth):\n"
       "    return deeper(depth - 1) if depth else sorted([1], key=lambda _: ctypes.CFUNCTYPE(ctypes.c_int)(end)())\n"
       "deeper(10)");
  return NULL;
}

static gpointer
look_at_the_dead (gpointer data)
{
  GThread *threads[8];
  Meeting meeting;
  (void) data;
  assert_ok (raddle_enter ());
  give_address ("end", (gpointer) end_this_thread);
  run ("import ctypes, faulthandler, gc, sys, tempfile, traceback");
  assert_ok (raddle_unblock_threads ());
  meeting_init (&meeting, G_N_ELEMENTS (threads) + 1);
  for (size_t i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("ending", end_inside_python, &meeting);
  meet (&meeting);
  assert_ok (raddle_block_threads ());
  run ("def look():\n"
       "    for frame in sys._current_frames().values():\n"
       "        traceback.format_stack(frame)\n"
       "    gc.collect()\n"
       "    with tempfile.TemporaryFile() as file:\n"
       "        faulthandler.dump_traceback(file, all_threads=True)\n"
       "look()");
  for (size_t i = 0; i < G_N_ELEMENTS (threads); i++)
    {
      assert_ok (raddle_unblock_threads ());
      g_thread_join (threads[i]);
      assert_ok (raddle_block_threads ());
      run ("look()");
    }
  assert_ok (raddle_leave ());
  return NULL;
}

static void
a_thread_may_end_in_the_middle_of_python_code (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  on_a_thread (look_at_the_dead, NULL);
  stop_python (runtime);
}

static gboolean
is_closed (gpointer data)
{
  return !raddle_runtime_is_open (data);
}

static gpointer
abandon_when_closed (gpointer data)
{
  wait_until (is_closed, data);
  assert_ok (raddle_runtime_abandon (data));
  return NULL;
}

static void
an_abandon_ends_a_stop_that_waits (void)
{
  IN_A_CHILD ();
  Meeting meeting;
  RaddleRuntime *runtime = start_python ();
  meeting_init (&meeting, 2);
  g_thread_new ("inside", stay_inside_for_ever, &meeting);
  meet (&meeting);
  GThread *thread = g_thread_new ("abandons", abandon_when_closed, runtime);
  assert_status (raddle_runtime_stop (runtime, -1), RADDLE_STATUS_CLOSED);
  g_thread_join (thread);
  assert_status (raddle_runtime_stop (runtime, -1), RADDLE_STATUS_CLOSED);
  raddle_runtime_unref (runtime);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/edges/restart/an-old-state-s-address-is-not-believed",
                   a_state_of_an_earlier_python_is_not_believed);
  g_test_add_func ("/edges/restart/a-trim-after-the-end-leaves-nothing-behind",
                   a_trim_after_the_end_leaves_nothing_behind);
#if PY_VERSION_HEX >= 0x030c0000
  g_test_add_func ("/edges/subinterpreter/a-drop-waits-for-the-main-one",
                   a_drop_in_a_subinterpreter_waits_for_the_main_one);
#endif
  g_test_add_func ("/edges/exception/of-the-code-around-survives", an_exception_of_the_code_around_survives);
  g_test_add_func ("/edges/state/a-deleted-one-is-believed-no-more", a_deleted_state_is_believed_no_more);
  g_test_add_func ("/edges/fresh/a-context-s-finalizers-may-enter", a_context_s_finalizers_may_enter);
  g_test_add_func ("/edges/thread/an-ended-one-is-on-no-list", an_ended_thread_is_on_no_list);
  g_test_add_func ("/edges/thread/may-end-in-the-middle-of-python-code",
                   a_thread_may_end_in_the_middle_of_python_code);
  g_test_add_func ("/edges/abandon/ends-a-stop-that-waits", an_abandon_ends_a_stop_that_waits);
  return run_with_python ();
}
