/* fork.c: a child of os.fork goes on with the forking thread's entries; a child of a plain fork is refused. */
#include "support.h"

static gpointer
enter_and_leave (gpointer data)
{
  (void) data;
  in_python ("entered = globals().get('entered', 0) + 1");
  return NULL;
}

/* In the child: what works afterwards. */
static void
go_on_in_the_child (gpointer runtime)
{
  g_assert_true (raddle_is_held ());
  g_assert_cmpint (evaluate ("local.x"), ==, 5);
  assert_ok (raddle_leave ());
  enter_and_leave (NULL);
  on_a_thread (enter_and_leave, NULL);
  assert_ok (raddle_enter ());
  g_assert_cmpint (evaluate ("entered"), ==, 2);
  assert_ok (raddle_leave ());
  g_assert_true (raddle_runtime_is_open (runtime));
  /* The thread that was inside when its process forked is not here to be waited for. */
  assert_ok (raddle_runtime_stop (runtime, 10 * 1000));
  assert_status (raddle_enter (), RADDLE_STATUS_CLOSED);
}

static void
a_child_of_os_fork_goes_on (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  Meeting meeting;
  meeting_init (&meeting, 2);
  g_thread_new ("inside", stay_inside_for_ever, &meeting);
  meet (&meeting);
  assert_ok (raddle_enter ());
  run ("import threading\n"
       "local = threading.local()\n"
       "local.x = 5");
  in_a_fork_of_python_s (go_on_in_the_child, runtime);
  assert_ok (raddle_leave ());
  enter_and_leave (NULL);
  assert_status (raddle_runtime_stop (runtime, 0), RADDLE_STATUS_BUSY);
  assert_ok (raddle_runtime_abandon (runtime));
}

static void
leave_and_enter_again (gpointer data)
{
  assert_ok (raddle_leave ());
  enter_and_leave (data);
}

static gpointer
fork_on_another_thread (gpointer data)
{
  assert_ok (raddle_enter ());
  in_a_fork_of_python_s (leave_and_enter_again, data);
  assert_ok (raddle_leave ());
  return NULL;
}

static void
any_thread_may_fork (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  on_a_thread (fork_on_another_thread, NULL);
  stop_python (runtime);
}

/* In the child the forking thread's state is Python's main one, whoever made it. */
static void
trim_and_stop (gpointer runtime)
{
  assert_ok (raddle_leave ());
  assert_ok (raddle_thread_trim ());
  on_a_thread (enter_and_leave, NULL);
  enter_and_leave (NULL);
  assert_ok (raddle_runtime_stop (runtime, 10 * 1000));
}

static gpointer
fork_and_trim (gpointer runtime)
{
  assert_ok (raddle_enter ());
  in_a_fork_of_python_s (trim_and_stop, runtime);
  assert_ok (raddle_leave ());
  return NULL;
}

static void
a_child_may_trim_and_stop (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  on_a_thread (fork_and_trim, runtime);
  stop_python (runtime);
}

static void
be_refused_as_abandoned (gpointer data)
{
  (void) data;
  PyEval_SaveThread ();
  assert_status (raddle_enter (), RADDLE_STATUS_CLOSED);
  assert_message_has ("abandoned");
}

static gpointer
fork_after_an_abandon (gpointer data)
{
  PyGILState_STATE state = PyGILState_Ensure ();
  in_a_fork_of_python_s (be_refused_as_abandoned, data);
  PyGILState_Release (state);
  return NULL;
}

static void
a_child_of_an_abandoned_runtime_stays_abandoned (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  assert_ok (raddle_runtime_abandon (runtime));
  on_a_thread (fork_after_an_abandon, NULL);
}

static void
be_refused_as_forked (gpointer runtime)
{
  assert_status (raddle_enter (), RADDLE_STATUS_CLOSED);
  assert_message_has ("fork");
  assert_status (raddle_enter_fresh (), RADDLE_STATUS_CLOSED);
  g_assert_false (raddle_is_held ());
  g_assert_false (raddle_runtime_is_open (runtime));
  guint64 leaked = figures ().leaked;
  raddle_decref (Py_None);
  g_assert_cmpuint (figures ().leaked, ==, leaked + 1);
}

static void
a_child_of_a_plain_fork_is_refused (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  enter_and_leave (NULL);
  in_a_fork (be_refused_as_forked, runtime);
  enter_and_leave (NULL);
  stop_python (runtime);
}

/* A thread that forked inside entries, the innermost of which gave Python up if there are three. */
typedef struct {
  RaddleRuntime *runtime;
  int            depth;
} Inside;

/* Python is still current on this thread, but its locks may belong to threads that are not here. */
static void
leave_quietly (gpointer data)
{
  Inside *inside = data;
  g_assert_false (raddle_is_held ());
  assert_status (raddle_enter (), RADDLE_STATUS_CLOSED);
  assert_status (raddle_enter_fresh (), RADDLE_STATUS_CLOSED);
  if (inside->depth == 3)
    assert_status (raddle_block_threads (), RADDLE_STATUS_CLOSED);
  for (int i = 0; i < inside->depth; i++)
    assert_ok (raddle_leave ());
  assert_status (raddle_leave (), RADDLE_STATUS_WRONG_ORDER);
  assert_status (raddle_enter (), RADDLE_STATUS_CLOSED);
  assert_status (raddle_runtime_stop (inside->runtime, 0), RADDLE_STATUS_CLOSED);
}

static void
a_plain_fork_inside_an_entry_is_left_quietly (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  for (int depth = 1; depth <= 3; depth++)
    {
      for (int i = 0; i < depth; i++)
        assert_ok (raddle_enter ());
      if (depth == 3)
        assert_ok (raddle_unblock_threads ());
      Inside inside = { runtime, depth };
      in_a_fork (leave_quietly, &inside);
      if (depth == 3)
        assert_ok (raddle_block_threads ());
      g_assert_true (raddle_is_held ());
      for (int i = 0; i < depth; i++)
        assert_ok (raddle_leave ());
    }
  stop_python (runtime);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/fork/a-child-of-os-fork-goes-on", a_child_of_os_fork_goes_on);
  g_test_add_func ("/fork/any-thread-may-fork", any_thread_may_fork);
  g_test_add_func ("/fork/a-child-may-trim-and-stop", a_child_may_trim_and_stop);
  g_test_add_func ("/fork/a-child-of-an-abandoned-runtime-stays-abandoned",
                   a_child_of_an_abandoned_runtime_stays_abandoned);
  g_test_add_func ("/fork/a-child-of-a-plain-fork-is-refused", a_child_of_a_plain_fork_is_refused);
  g_test_add_func ("/fork/a-plain-fork-inside-an-entry-is-left-quietly",
                   a_plain_fork_inside_an_entry_is_left_quietly);
  return g_test_run ();
}
