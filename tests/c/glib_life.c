/* glib_life.c: main loops that outlive Python: before it starts, while it stops, after it, and the next one.
 *
 * Each test starts and stops Python itself, in a child of its own. */
#include "support_glib.h"

#include <raddle/raddle-glib.h>

/* A new context whose sleeps are counted, attached. */
static GMainContext *
attached_context (void)
{
  GMainContext *context = noting_context ();
  assert_ok (raddle_main_context_attach (context, RADDLE_HOLD_CALLBACK, noting_poll));
  return context;
}

/* A source whose callable counts. Returns its id. */
static guint
add_counting (GMainContext *context)
{
  guint id = 0;
  assert_ok (raddle_enter ());
  run ("calls = 0\n"
       "def count():\n"
       "    global calls\n"
       "    calls += 1\n");
  assert_ok (raddle_idle_add (context, 0, named ("count"), &id));
  assert_ok (raddle_leave ());
  return id;
}

static gboolean
count_natively (gpointer count)
{
  ++*(guint *) count;
  return G_SOURCE_REMOVE;
}

static void
turn_natively (GMainContext *context)
{
  guint count = 0;
  add_source (context, g_idle_source_new (), count_natively, &count);
  iterate (context);
  g_assert_cmpuint (count, ==, 1);
}

static void
before_start_there_is_nothing_to_attach_to (void)
{
  IN_A_CHILD ();
  guint id = 7;
  PyObject *any = (PyObject *) &id;
  assert_status (raddle_main_context_attach (NULL, RADDLE_HOLD_CALLBACK, NULL),
                 RADDLE_STATUS_NOT_STARTED);
  assert_status (raddle_main_context_detach (NULL), RADDLE_STATUS_WRONG_ORDER);
  assert_status (raddle_idle_add (NULL, 0, any, &id), RADDLE_STATUS_NOT_STARTED);
  assert_status (raddle_main_context_invoke (NULL, 0, any), RADDLE_STATUS_NOT_STARTED);
  raddle_destroy_notify (NULL);
  g_assert_cmpuint (id, ==, 7);
  turn_natively (NULL);
}

static void
after_stop_an_attached_context_is_a_plain_one (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  GMainContext *context = attached_context ();
  guint id = add_counting (context);
  stop_python (runtime);

  guint64 leaked = figures ().leaked;
  turn_natively (context);
  /* The source went without a call; its callable had gone with Python, and is counted. */
  g_assert_null (g_main_context_find_source_by_id (context, id));
  g_assert_cmpuint (figures ().leaked, ==, leaked + 1);
  PyObject *any = (PyObject *) &id;
  assert_status (raddle_idle_add (context, 0, any, NULL), RADDLE_STATUS_CLOSED);
  assert_status (raddle_main_context_attach (context, RADDLE_HOLD_TURN, NULL), RADDLE_STATUS_CLOSED);
  GMainLoop *loop = g_main_loop_new (context, FALSE);
  assert_status (raddle_main_loop_run (loop), RADDLE_STATUS_CLOSED);
  g_main_loop_unref (loop);
  assert_ok (raddle_main_context_detach (context));
  g_assert_true (g_main_context_get_poll_func (context) == noting_poll);
  turn_natively (context);
  g_main_context_unref (context);
}

static void
the_next_python_finds_the_context_attached_and_calls_nothing_of_the_last (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  GMainContext *context = attached_context ();
  guint old = add_counting (context);
  stop_python (runtime);
  runtime = start_python ();
  guint new = add_counting (context);
  turn_natively (context);
  g_assert_null (g_main_context_find_source_by_id (context, old));
  g_assert_null (g_main_context_find_source_by_id (context, new));
  g_assert_cmpint (look ("calls"), ==, 1);
  stop_python (runtime);
  g_main_context_unref (context);
}

/* A thread that runs a loop, inside an entry or outside of any. */
typedef struct {
  GMainLoop *loop;
  gboolean   inside;
} Sleeper;

static gpointer
sleep_in_poll (gpointer data)
{
  Sleeper *sleeper = data;
  if (sleeper->inside)
    assert_ok (raddle_enter ());
  g_main_loop_run (sleeper->loop);
  if (sleeper->inside)
    {
      g_assert_true (raddle_is_held ());
      assert_ok (raddle_leave ());
    }
  return NULL;
}

static void
a_stop_waits_for_a_thread_that_sleeps_in_poll_inside_an_entry (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  GMainContext *context = attached_context ();
  Sleeper sleeper = { g_main_loop_new (context, FALSE), TRUE };
  GThread *thread = g_thread_new ("sleeper", sleep_in_poll, &sleeper);
  wait_until (has_slept, GINT_TO_POINTER (1));
  assert_status (raddle_runtime_stop (runtime, 50), RADDLE_STATUS_BUSY);
  assert_message_has ("sleeper");
  g_main_loop_quit (sleeper.loop);
  assert_ok (raddle_runtime_stop (runtime, 20 * 1000));
  g_thread_join (thread);
  raddle_runtime_unref (runtime);
  g_main_loop_unref (sleeper.loop);
  g_main_context_unref (context);
}

static void
a_stop_does_not_wait_for_a_thread_that_sleeps_in_poll_outside (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  GMainContext *context = attached_context ();
  Sleeper sleeper = { g_main_loop_new (context, FALSE), FALSE };
  GThread *thread = g_thread_new ("sleeper", sleep_in_poll, &sleeper);
  wait_until (has_slept, GINT_TO_POINTER (1));
  stop_python (runtime);
  g_main_loop_quit (sleeper.loop);
  g_thread_join (thread);
  g_main_loop_unref (sleeper.loop);
  g_main_context_unref (context);
}

typedef struct {
  RaddleRuntime *runtime;
  GMainLoop     *loop;
} Host;

static gboolean
stop_python_then_quit (gpointer data)
{
  Host *host = data;
  stop_python (host->runtime);
  g_main_loop_quit (host->loop);
  return G_SOURCE_REMOVE;
}

static void
a_host_may_stop_python_from_inside_its_loop (void)
{
  IN_A_CHILD ();
  for (int round = 0; round < 3; round++)
    {
      GMainContext *context = g_main_context_new ();
      Host host = { start_python (), g_main_loop_new (context, FALSE) };
      assert_ok (raddle_main_context_attach (context, RADDLE_HOLD_CALLBACK, NULL));
      add_counting (context);
      add_source (context, g_timeout_source_new (2), stop_python_then_quit, &host);
      assert_ok (raddle_main_loop_run (host.loop));
      g_main_loop_unref (host.loop);
      g_main_context_unref (context);
    }
}

static gboolean
try_to_stop (gpointer data)
{
  Host *host = data;
  assert_status (raddle_runtime_stop (host->runtime, 0), RADDLE_STATUS_WRONG_ORDER);
  g_main_loop_quit (host->loop);
  return G_SOURCE_REMOVE;
}

static void
a_loop_by_turn_is_inside_and_cannot_stop_python (void)
{
  IN_A_CHILD ();
  GMainContext *context = g_main_context_new ();
  Host host = { start_python (), g_main_loop_new (context, FALSE) };
  assert_ok (raddle_main_context_attach (context, RADDLE_HOLD_TURN, NULL));
  add_source (context, g_idle_source_new (), try_to_stop, &host);
  assert_ok (raddle_main_loop_run (host.loop));
  stop_python (host.runtime);
  g_main_loop_unref (host.loop);
  g_main_context_unref (context);
}

static GPrivate kept = G_PRIVATE_INIT (raddle_destroy_notify);

static gpointer
keep_until_after_the_stop (gpointer data)
{
  Meeting *meetings = data;
  assert_ok (raddle_enter ());
  run ("thing = object()");
  g_private_set (&kept, Py_NewRef (named ("thing")));
  assert_ok (raddle_leave ());
  meet (&meetings[0]);
  meet (&meetings[1]);
  return NULL;
}

static void
an_object_in_a_private_of_a_thread_that_outlives_python_is_leaked_and_counted (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  Meeting meetings[2];
  meeting_init (&meetings[0], 2);
  meeting_init (&meetings[1], 2);
  GThread *thread = g_thread_new ("outlives", keep_until_after_the_stop, meetings);
  meet (&meetings[0]);
  stop_python (runtime);
  guint64 leaked = figures ().leaked;
  meet (&meetings[1]);
  g_thread_join (thread);
  g_assert_cmpuint (figures ().leaked, ==, leaked + 1);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/glib/life/before-start-there-is-nothing-to-attach-to",
                   before_start_there_is_nothing_to_attach_to);
  g_test_add_func ("/glib/life/after-stop-an-attached-context-is-a-plain-one",
                   after_stop_an_attached_context_is_a_plain_one);
  g_test_add_func ("/glib/life/the-next-python-finds-the-context-attached",
                   the_next_python_finds_the_context_attached_and_calls_nothing_of_the_last);
  g_test_add_func ("/glib/life/a-stop-waits-for-a-thread-that-sleeps-inside-an-entry",
                   a_stop_waits_for_a_thread_that_sleeps_in_poll_inside_an_entry);
  g_test_add_func ("/glib/life/a-stop-does-not-wait-for-a-thread-that-sleeps-outside",
                   a_stop_does_not_wait_for_a_thread_that_sleeps_in_poll_outside);
  g_test_add_func ("/glib/life/a-host-may-stop-python-from-inside-its-loop",
                   a_host_may_stop_python_from_inside_its_loop);
  g_test_add_func ("/glib/life/a-loop-by-turn-is-inside-and-cannot-stop-python",
                   a_loop_by_turn_is_inside_and_cannot_stop_python);
  g_test_add_func ("/glib/life/an-object-of-a-thread-that-outlives-python-is-leaked",
                   an_object_in_a_private_of_a_thread_that_outlives_python_is_leaked_and_counted);
  return g_test_run ();
}
