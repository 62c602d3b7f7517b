/* glib_poll.c: the poll function on real main contexts: who holds Python while a loop sleeps and turns.
 *
 * What could hang if it were wrong runs in a child with a deadline. */
#include "support_glib.h"

#include <errno.h>
#include <string.h>
#include <raddle/raddle-glib.h>

#define BUSY_CODE                       \
  "import threading\n"                  \
  "count, stop = 0, False\n"            \
  "def busy():\n"                       \
  "    global count\n"                  \
  "    while not stop:\n"               \
  "        count += 1\n"                \
  "thread = threading.Thread(target=busy)\n" \
  "thread.start()\n"

/* What the chained function of these tests has seen. */
static struct {
  guint calls;
  guint held_and_sleeping;
  guint held_and_looking;
  guint sleeping;
  guint looking_without;
} seen;

static gint
watching_poll (GPollFD *fds,
               guint    count,
               gint     timeout)
{
  gboolean held = raddle_is_held ();
  seen.calls++;
  if (timeout != 0)
    {
      seen.sleeping++;
      seen.held_and_sleeping += held;
    }
  else if (held)
    seen.held_and_looking++;
  else
    seen.looking_without++;
  return g_poll (fds, count, timeout);
}

static gint
interrupted_poll (GPollFD *fds,
                  guint    count,
                  gint     timeout)
{
  (void) fds;
  (void) count;
  (void) timeout;
  errno = EINTR;
  return -1;
}

static gint
other_poll (GPollFD *fds,
            guint    count,
            gint     timeout)
{
  return g_poll (fds, count, timeout);
}

/* A context that polls through watching_poll(). */
static GMainContext *
watched_context (RaddleHold hold)
{
  GMainContext *context = g_main_context_new ();
  memset (&seen, 0, sizeof seen);
  g_main_context_set_poll_func (context, watching_poll);
  assert_ok (raddle_main_context_attach (context, hold, watching_poll));
  return context;
}

/* A thread that needs Python for a while, and then ends the loop. */
static gpointer
run_python_then_quit (gpointer loop)
{
  in_python ("done = sum(range(300000))");
  g_main_loop_quit (loop);
  return NULL;
}

static gboolean
start_that_thread (gpointer loop)
{
  g_thread_unref (g_thread_new ("needs-python", run_python_then_quit, loop));
  return G_SOURCE_REMOVE;
}

static void
a_held_loop_lets_others_run_while_it_sleeps (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  GMainContext *contexts[] = { NULL, g_main_context_new () };
  for (guint i = 0; i < G_N_ELEMENTS (contexts); i++)
    for (RaddleHold hold = RADDLE_HOLD_CALLBACK; hold <= RADDLE_HOLD_TURN; hold++)
      {
        GMainLoop *loop = g_main_loop_new (contexts[i], FALSE);
        assert_ok (raddle_main_context_attach (contexts[i], hold, NULL));
        add_source (contexts[i], g_idle_source_new (), start_that_thread, loop);
        /* A host that forgot to release Python. */
        assert_ok (raddle_enter ());
        assert_ok (raddle_enter ());
        g_main_loop_run (loop);
        g_assert_true (raddle_is_held ());
        g_assert_cmpint (evaluate ("done"), ==, G_GINT64_CONSTANT (44999850000));
        run ("done = 0");
        assert_ok (raddle_leave ());
        assert_ok (raddle_leave ());
        g_assert_false (raddle_is_held ());
        assert_ok (raddle_main_context_detach (contexts[i]));
        g_main_loop_unref (loop);
      }
  g_main_context_unref (contexts[1]);
  stop_python (runtime);
}

static gpointer
quit_three (gpointer data)
{
  GMainLoop **loops = data;
  in_python ("done = sum(range(300000))");
  for (int i = 2; i >= 0; i--)
    g_main_loop_quit (loops[i]);
  return NULL;
}

static guint depth;

static gboolean
go_deeper (gpointer data)
{
  GMainLoop **loops = data;
  GMainLoop *loop = loops[depth++];
  if (depth < 3)
    add_source (g_main_loop_get_context (loop), g_idle_source_new (), go_deeper, loops);
  else
    g_thread_unref (g_thread_new ("needs-python", quit_three, loops));
  /* Each level enters, and keeps what it entered while the next loop runs. */
  assert_ok (raddle_enter ());
  g_main_loop_run (loop);
  g_assert_true (raddle_is_held ());
  assert_ok (raddle_leave ());
  return G_SOURCE_REMOVE;
}

static void
three_nested_loops_let_others_run (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  for (RaddleHold hold = RADDLE_HOLD_CALLBACK; hold <= RADDLE_HOLD_TURN; hold++)
    {
      GMainContext *context = watched_context (hold);
      GMainLoop *loops[3];
      for (guint i = 0; i < 3; i++)
        loops[i] = g_main_loop_new (context, FALSE);
      depth = 0;
      go_deeper (loops);
      g_assert_cmpuint (depth, ==, 3);
      g_assert_cmpuint (seen.sleeping, >, 0);
      g_assert_cmpuint (seen.held_and_sleeping, ==, 0);
      g_assert_false (raddle_is_held ());
      for (guint i = 0; i < 3; i++)
        g_main_loop_unref (loops[i]);
      g_main_context_unref (context);
    }
  stop_python (runtime);
}

/* A source that looks who holds Python, turns a few times, and quits. */
typedef struct {
  GMainLoop *loop;
  guint      turns;
  guint      held;
  gint64     work_us;
} Turns;

static gboolean
turn (gpointer data)
{
  Turns *turns = data;
  turns->held += raddle_is_held ();
  gint64 end = g_get_monotonic_time () + turns->work_us;
  while (g_get_monotonic_time () < end)
    ;
  if (--turns->turns > 0)
    return G_SOURCE_CONTINUE;
  g_main_loop_quit (turns->loop);
  return G_SOURCE_REMOVE;
}

static Turns
run_turns (GMainContext *context,
           GSource      *source,
           guint         count,
           gint64        work_us)
{
  Turns turns = { g_main_loop_new (context, FALSE), count, 0, work_us };
  add_source (context, source, turn, &turns);
  assert_ok (raddle_main_loop_run (turns.loop));
  g_main_loop_unref (turns.loop);
  return turns;
}

static void
a_loop_by_callback_runs_without_python (void)
{
  GMainContext *context = watched_context (RADDLE_HOLD_CALLBACK);
  assert_ok (raddle_enter ());
  g_assert_cmpuint (run_turns (context, g_idle_source_new (), 20, 0).held, ==, 0);
  g_assert_true (raddle_is_held ());
  assert_ok (raddle_leave ());
  g_assert_cmpuint (seen.held_and_looking + seen.held_and_sleeping, ==, 0);
  g_main_context_unref (context);
}

static void
a_loop_by_turn_holds_python_from_wake_up_to_poll (void)
{
  GMainContext *context = watched_context (RADDLE_HOLD_TURN);
  g_assert_cmpuint (run_turns (context, g_idle_source_new (), 20, 0).held, ==, 20);
  g_assert_cmpuint (seen.held_and_looking, >, 0);
  g_assert_false (raddle_is_held ());

  /* Each of these sleeps before it turns: it looks first, and gives Python up to sleep. */
  memset (&seen, 0, sizeof seen);
  g_assert_cmpuint (run_turns (context, g_timeout_source_new (2), 20, 0).held, ==, 20);
  g_assert_cmpuint (seen.sleeping, >=, 19);
  g_assert_cmpuint (seen.held_and_sleeping, ==, 0);
  g_assert_cmpuint (seen.held_and_looking, >=, 19);
  g_main_context_unref (context);
}

static void
a_turn_that_held_python_for_long_gives_it_up_although_more_is_ready (void)
{
  GMainContext *context = watched_context (RADDLE_HOLD_TURN);
  g_assert_cmpuint (run_turns (context, g_idle_source_new (), 10, 6000).held, ==, 10);
  g_assert_cmpuint (seen.looking_without, >=, 9);
  g_main_context_unref (context);
}

static void
a_loop_by_turn_is_a_plain_one_where_nobody_holds_python (void)
{
  GMainContext *context = watched_context (RADDLE_HOLD_TURN);
  Turns turns = { g_main_loop_new (context, FALSE), 20, 0, 0 };
  add_source (context, g_idle_source_new (), turn, &turns);
  g_main_loop_run (turns.loop);
  g_assert_cmpuint (turns.held, ==, 0);
  g_assert_cmpuint (seen.held_and_looking, ==, 0);
  g_main_loop_unref (turns.loop);
  g_main_context_unref (context);
}

static gboolean
enter_and_count (gpointer data)
{
  Turns *turns = data;
  in_python ("turned += 1");
  return turn (turns);
}

static void
a_busy_python_thread_and_the_loop_both_get_on (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  for (RaddleHold hold = RADDLE_HOLD_CALLBACK; hold <= RADDLE_HOLD_TURN; hold++)
    {
      GMainContext *context = watched_context (hold);
      Turns turns = { g_main_loop_new (context, FALSE), 20, 0, 0 };
      assert_ok (raddle_enter ());
      run (BUSY_CODE);
      run ("turned, before = 0, count");
      add_source (context, g_timeout_source_new (1), enter_and_count, &turns);
      g_main_loop_run (turns.loop);
      g_assert_cmpint (evaluate ("turned"), ==, 20);
      g_assert_cmpint (evaluate ("count - before"), >, 1000);
      run ("stop = True\n"
           "thread.join()\n");
      assert_ok (raddle_leave ());
      g_main_loop_unref (turns.loop);
      g_main_context_unref (context);
    }
  stop_python (runtime);
}

static void
one_iteration_gives_python_up_too (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  GMainContext *context = watched_context (RADDLE_HOLD_CALLBACK);
  GMainLoop *loop = g_main_loop_new (context, TRUE);
  assert_ok (raddle_enter ());
  start_that_thread (loop);
  while (g_main_loop_is_running (loop))
    g_main_context_iteration (context, TRUE);
  g_assert_cmpuint (seen.held_and_sleeping, ==, 0);
  g_assert_false (g_main_context_iteration (context, FALSE));
  assert_ok (raddle_leave ());
  g_main_loop_unref (loop);
  g_main_context_unref (context);
  stop_python (runtime);
}

/* How many threads have turned while they held Python. None quits before all have. */
static gint turning;

static gboolean
turn_until_all_do (gpointer data)
{
  Turns *turns = data;
  g_assert_true (raddle_is_held ());
  if (turns->held++ == 0)
    g_atomic_int_inc (&turning);
  if (turns->held >= turns->turns && g_atomic_int_get (&turning) == 4)
    g_main_loop_quit (turns->loop);
  return G_SOURCE_CONTINUE;
}

/* A thread with a context of its own, its thread-default one. */
static gpointer
run_own_loop (gpointer data)
{
  Meeting *meeting = data;
  GMainContext *context = g_main_context_new ();
  g_main_context_push_thread_default (context);
  assert_ok (raddle_main_context_attach (g_main_context_get_thread_default (),
                                         RADDLE_HOLD_CALLBACK, NULL));
  Turns turns = { g_main_loop_new (context, FALSE), 50, 0, 0 };
  add_source (context, g_timeout_source_new (1), turn_until_all_do, &turns);
  meet (meeting);
  assert_ok (raddle_enter ());
  g_main_loop_run (turns.loop);
  assert_ok (raddle_leave ());
  g_assert_cmpuint (turns.held, >=, 50);
  g_main_loop_unref (turns.loop);
  assert_ok (raddle_main_context_detach (context));
  g_main_context_pop_thread_default (context);
  g_main_context_unref (context);
  return NULL;
}

static void
threads_run_held_loops_of_their_own_side_by_side (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  Meeting meeting;
  meeting_init (&meeting, 4);
  GThread *threads[4];
  for (guint i = 0; i < 4; i++)
    threads[i] = g_thread_new ("own-loop", run_own_loop, &meeting);
  for (guint i = 0; i < 4; i++)
    g_thread_join (threads[i]);
  stop_python (runtime);
}

static gpointer
attach_and_detach (gpointer loop)
{
  GMainContext *context = g_main_loop_get_context (loop);
  for (guint i = 0; i < 3000; i++)
    {
      assert_ok (raddle_main_context_attach (context, i % 2, NULL));
      if (i % 3 == 0)
        assert_ok (raddle_main_context_detach (context));
    }
  assert_ok (raddle_main_context_attach (context, RADDLE_HOLD_CALLBACK, NULL));
  in_python ("done = 1");
  g_main_loop_quit (loop);
  return NULL;
}

static void
a_held_loop_goes_on_while_its_poll_function_is_changed (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  GMainContext *context = g_main_context_new ();
  GMainLoop *loop = g_main_loop_new (context, FALSE);
  Turns turns = { loop, G_MAXUINT, 0, 0 };
  add_source (context, g_timeout_source_new (1), turn, &turns);
  assert_ok (raddle_enter ());
  run ("done = 0");
  GThread *thread = g_thread_new ("changes", attach_and_detach, loop);
  g_main_loop_run (loop);
  g_assert_true (raddle_is_held ());
  g_assert_cmpint (evaluate ("done"), ==, 1);
  assert_ok (raddle_leave ());
  g_thread_join (thread);
  g_main_loop_unref (loop);
  g_main_context_unref (context);
  stop_python (runtime);
}

static void
the_interruption_of_a_poll_outlives_taking_python_back (void)
{
  GMainContext *context = g_main_context_new ();
  g_main_context_set_poll_func (context, interrupted_poll);
  assert_ok (raddle_main_context_attach (context, RADDLE_HOLD_CALLBACK, interrupted_poll));
  GPollFunc ours = g_main_context_get_poll_func (context);
  for (int held = 0; held <= 1; held++)
    {
      if (held)
        assert_ok (raddle_enter ());
      errno = 0;
      g_assert_cmpint (ours (NULL, 0, 1), ==, -1);
      g_assert_cmpint (errno, ==, EINTR);
      if (held)
        assert_ok (raddle_leave ());
    }
  g_main_context_unref (context);
}

static void
somebody_else_s_poll_function_is_refused_unless_it_is_named (void)
{
  GMainContext *context = g_main_context_new ();
  g_main_context_set_poll_func (context, watching_poll);
  assert_status (raddle_main_context_attach (context, RADDLE_HOLD_CALLBACK, NULL),
                 RADDLE_STATUS_WRONG_ORDER);
  assert_message_has ("somebody else's");
  assert_status (raddle_main_context_attach (context, RADDLE_HOLD_CALLBACK, other_poll),
                 RADDLE_STATUS_WRONG_ORDER);
  g_assert_true (g_main_context_get_poll_func (context) == watching_poll);
  assert_status (raddle_main_context_detach (context), RADDLE_STATUS_WRONG_ORDER);

  assert_ok (raddle_main_context_attach (context, RADDLE_HOLD_CALLBACK, watching_poll));
  GPollFunc by_callback = g_main_context_get_poll_func (context);
  g_assert_true (by_callback != watching_poll);
  /* Again, in the other way: what is chained stays, named or not; another is refused. */
  assert_ok (raddle_main_context_attach (context, RADDLE_HOLD_TURN, NULL));
  g_assert_true (g_main_context_get_poll_func (context) != by_callback);
  assert_ok (raddle_main_context_attach (context, RADDLE_HOLD_CALLBACK, watching_poll));
  g_assert_true (g_main_context_get_poll_func (context) == by_callback);
  assert_status (raddle_main_context_attach (context, RADDLE_HOLD_TURN, other_poll),
                 RADDLE_STATUS_WRONG_ORDER);
  memset (&seen, 0, sizeof seen);
  g_main_context_iteration (context, FALSE);
  g_assert_cmpuint (seen.calls, ==, 1);

  assert_ok (raddle_main_context_detach (context));
  g_assert_true (g_main_context_get_poll_func (context) == watching_poll);
  g_main_context_unref (context);
}

static void
detaching_leaves_alone_what_others_put_in_place_since (void)
{
  GMainContext *context = g_main_context_new ();
  GPollFunc before = g_main_context_get_poll_func (context);
  assert_ok (raddle_main_context_attach (context, RADDLE_HOLD_CALLBACK, g_poll));
  g_assert_true (g_main_context_get_poll_func (context) != before);
  g_main_context_set_poll_func (context, other_poll);
  assert_status (raddle_main_context_detach (context), RADDLE_STATUS_WRONG_ORDER);
  g_assert_true (g_main_context_get_poll_func (context) == other_poll);
  g_main_context_set_poll_func (context, NULL);
  assert_ok (raddle_main_context_attach (context, RADDLE_HOLD_TURN, NULL));
  assert_ok (raddle_main_context_detach (context));
  g_assert_true (g_main_context_get_poll_func (context) == before);
  g_main_context_unref (context);
}

static void
a_hold_that_is_none_is_refused (void)
{
  assert_status (raddle_main_context_attach (NULL, (RaddleHold) 2, NULL), RADDLE_STATUS_INVALID);
  assert_status (raddle_main_context_detach (NULL), RADDLE_STATUS_WRONG_ORDER);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/glib/poll/a-held-loop-lets-others-run-while-it-sleeps",
                   a_held_loop_lets_others_run_while_it_sleeps);
  g_test_add_func ("/glib/poll/three-nested-loops-let-others-run", three_nested_loops_let_others_run);
  g_test_add_func ("/glib/poll/a-loop-by-callback-runs-without-python",
                   a_loop_by_callback_runs_without_python);
  g_test_add_func ("/glib/poll/a-loop-by-turn-holds-python-from-wake-up-to-poll",
                   a_loop_by_turn_holds_python_from_wake_up_to_poll);
  g_test_add_func ("/glib/poll/a-turn-that-held-python-for-long-gives-it-up",
                   a_turn_that_held_python_for_long_gives_it_up_although_more_is_ready);
  g_test_add_func ("/glib/poll/a-loop-by-turn-is-a-plain-one-where-nobody-holds-python",
                   a_loop_by_turn_is_a_plain_one_where_nobody_holds_python);
  g_test_add_func ("/glib/poll/a-busy-python-thread-and-the-loop-both-get-on",
                   a_busy_python_thread_and_the_loop_both_get_on);
  g_test_add_func ("/glib/poll/one-iteration-gives-python-up-too", one_iteration_gives_python_up_too);
  g_test_add_func ("/glib/poll/threads-run-held-loops-of-their-own-side-by-side",
                   threads_run_held_loops_of_their_own_side_by_side);
  g_test_add_func ("/glib/poll/a-held-loop-goes-on-while-its-poll-function-is-changed",
                   a_held_loop_goes_on_while_its_poll_function_is_changed);
  g_test_add_func ("/glib/poll/the-interruption-of-a-poll-outlives-taking-python-back",
                   the_interruption_of_a_poll_outlives_taking_python_back);
  g_test_add_func ("/glib/attach/somebody-else-s-poll-function-is-refused-unless-named",
                   somebody_else_s_poll_function_is_refused_unless_it_is_named);
  g_test_add_func ("/glib/attach/detaching-leaves-alone-what-others-put-in-place-since",
                   detaching_leaves_alone_what_others_put_in_place_since);
  g_test_add_func ("/glib/attach/a-hold-that-is-none-is-refused", a_hold_that_is_none_is_refused);
  return run_with_python ();
}
