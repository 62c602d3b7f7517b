/* glib_loop.c: raddle_main_loop_run() with real signals and exceptions, and PyGObject's own loop inside.
 *
 * Each test starts a Python with its signal handlers in a child of its own. */
#include "support_glib.h"

#include <raddle/raddle-glib.h>
#include <signal.h>
#include <unistd.h>

static RaddleRuntime *
start_with_signals (void)
{
  RaddleRuntime *runtime = start_with_signal_handlers ();
  in_python ("import signal, sys\n"
             "reports = []\n"
             "sys.unraisablehook = lambda about: reports.append(about.exc_type.__name__)\n");
  return runtime;
}

/* Has another process send a signal, as a terminal does, once a loop has been about to sleep so many times. */
static gpointer
interrupt_sleep (gpointer times)
{
  g_autofree char *command = g_strdup_printf ("sh -c 'kill -INT %d'", getpid ());
  wait_until (has_slept, times);
  g_assert_true (g_spawn_command_line_sync (command, NULL, NULL, NULL, NULL));
  return NULL;
}

/* Runs a loop on @context, sends SIGINT when it is about to sleep for the @times-th time, and
 * expects it to end with @exception. */
static void
expect_interrupted (GMainContext *context,
                    gint          times,
                    const char   *exception)
{
  GMainLoop *loop = g_main_loop_new (context, FALSE);
  gboolean held = raddle_is_held ();
  GThread *thread = g_thread_new ("interrupt", interrupt_sleep, GINT_TO_POINTER (times));
  assert_status (raddle_main_loop_run (loop), RADDLE_STATUS_PYTHON);
  assert_message_has (exception);
  g_assert_cmpint (raddle_is_held (), ==, held);
  if (held)
    {
      g_assert_nonnull (PyErr_Occurred ());
      g_assert_cmpstr (((PyTypeObject *) PyErr_Occurred ())->tp_name, ==, exception);
      PyErr_Clear ();
      assert_ok (raddle_unblock_threads ());
    }
  g_thread_join (thread);
  if (held)
    assert_ok (raddle_block_threads ());
  g_main_loop_unref (loop);
}

static void
ctrl_c_ends_a_loop_that_sleeps (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_with_signals ();
  for (int attached = -1; attached <= RADDLE_HOLD_TURN; attached++)
    for (int held = 0; held <= 1; held++)
      {
        GMainContext *context = noting_context ();
        if (attached >= 0)
          assert_ok (raddle_main_context_attach (context, attached, noting_poll));
        if (held)
          assert_ok (raddle_enter ());
        expect_interrupted (context, 1, "KeyboardInterrupt");
        if (held)
          assert_ok (raddle_leave ());
        g_main_context_unref (context);
      }
  g_assert_cmpint (look ("signal.set_wakeup_fd(-1)"), ==, -1);
  stop_python (runtime);
}

static void
ctrl_c_that_another_thread_takes_ends_the_loop (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_with_signals ();
  GMainContext *context = noting_context ();
  GMainLoop *loop = g_main_loop_new (context, FALSE);
  GThread *thread = g_thread_new ("interrupt", interrupt_sleep, GINT_TO_POINTER (1));
  /* No poll of this thread is interrupted: only the wake-up descriptor can end its sleep. */
  sigset_t interrupts;
  sigemptyset (&interrupts);
  sigaddset (&interrupts, SIGINT);
  g_assert_cmpint (pthread_sigmask (SIG_BLOCK, &interrupts, NULL), ==, 0);
  assert_status (raddle_main_loop_run (loop), RADDLE_STATUS_PYTHON);
  assert_message_has ("KeyboardInterrupt");
  g_thread_join (thread);
  g_main_loop_unref (loop);
  g_main_context_unref (context);
  stop_python (runtime);
}

static gboolean
run_code (gpointer code)
{
  in_python (code);
  return G_SOURCE_REMOVE;
}

#define BLOCK_SIGNAL_HERE                                      \
  "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])\n"
#define ASYNCIO_CODE                                           \
  "import asyncio\n"                                           \
  "async def main():\n"                                        \
  "    loop = asyncio.get_running_loop()\n"                    \
  "    loop.add_signal_handler(signal.SIGUSR1, lambda: None)\n" \
  "    await asyncio.sleep(0)\n"                               \
  "loop = asyncio.new_event_loop()\n"                          \
  "loop.run_until_complete(main())\n"                          \
  "loop.close()\n"

static void
a_wake_up_descriptor_that_was_taken_away_is_set_again (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_with_signals ();
  const char *thieves[] = { "signal.set_wakeup_fd(-1)\n", ASYNCIO_CODE };
  for (guint i = 0; i < G_N_ELEMENTS (thieves); i++)
    for (int by_source = 0; by_source <= 1; by_source++)
      {
        GMainContext *context = noting_context ();
        count_sleeps_from (G_MININT);
        GThread *thread = g_thread_new ("interrupt", interrupt_sleep, GINT_TO_POINTER (1));
        GMainLoop *loop = g_main_loop_new (context, FALSE);
        g_autofree char *code = g_strconcat (BLOCK_SIGNAL_HERE, thieves[i], "count_sleeps_from(0)\n", NULL);
        assert_ok (raddle_enter ());
        give_address ("address", (gpointer) count_sleeps_from);
        run ("import ctypes\n"
             "count_sleeps_from = ctypes.CFUNCTYPE(None, ctypes.c_int)(address)\n");
        assert_ok (raddle_leave ());
        /* By a callable, or by code of the host's that enters. */
        if (by_source)
          {
            assert_ok (raddle_enter ());
            give ("code", PyUnicode_FromString (code));
            run ("def steal():\n"
                 "    exec(code, globals())\n");
            assert_ok (raddle_timeout_add (context, 0, 2, named ("steal"), NULL));
            assert_ok (raddle_leave ());
          }
        else
          add_source (context, g_timeout_source_new (2), run_code, code);
        assert_status (raddle_main_loop_run (loop), RADDLE_STATUS_PYTHON);
        assert_message_has ("KeyboardInterrupt");
        g_thread_join (thread);
        in_python ("signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])");
        g_main_loop_unref (loop);
        g_main_context_unref (context);
      }
  stop_python (runtime);
}

static void
a_wake_up_descriptor_of_the_host_s_hears_of_it_and_is_put_back (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_with_signals ();
  GMainContext *context = noting_context ();
  assert_ok (raddle_enter ());
  run ("import os, socket");
  for (int i = 0; i < 2; i++)
    {
      run (i == 0 ? "pair = [end.detach() for end in socket.socketpair()]" : "pair = os.pipe()");
      run ("for end in pair: os.set_blocking(end, False)\n"
           "signal.set_wakeup_fd(pair[1])");
      expect_interrupted (context, i + 1, "KeyboardInterrupt");
      g_assert_cmpint (evaluate ("signal.set_wakeup_fd(-1) == pair[1]"), ==, TRUE);
      g_assert_cmpint (evaluate ("os.read(pair[0], 9) == bytes([signal.SIGINT])"), ==, TRUE);
    }
  assert_ok (raddle_leave ());
  g_main_context_unref (context);
  stop_python (runtime);
}

static void
a_descriptor_that_was_closed_meanwhile_is_not_written_to (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_with_signals ();
  GMainContext *context = noting_context ();
  assert_ok (raddle_enter ());
  run ("import os, socket\n"
       "pair = [end.detach() for end in socket.socketpair()]\n"
       "for end in pair: os.set_blocking(end, False)\n"
       "signal.set_wakeup_fd(pair[1])\n"
       "def close():\n"
       "    global other\n"
       "    for end in pair: os.close(end)\n"
       "    other = os.pipe()\n"
       "    os.dup2(other[1], pair[1])\n");
  assert_ok (raddle_idle_add (context, 0, named ("close"), NULL));
  expect_interrupted (context, 1, "KeyboardInterrupt");
  g_assert_cmpint (evaluate ("signal.set_wakeup_fd(-1)"), ==, -1);
  run ("os.set_blocking(other[0], False)\n"
       "try:\n"
       "    written = os.read(other[0], 9)\n"
       "except BlockingIOError:\n"
       "    written = None\n");
  g_assert_cmpint (evaluate ("written is None"), ==, TRUE);
  assert_ok (raddle_leave ());
  g_main_context_unref (context);
  stop_python (runtime);
}

static gboolean
run_inner_loop (gpointer outer)
{
  expect_interrupted (g_main_loop_get_context (outer), 1, "KeyboardInterrupt");
  g_assert_true (g_main_loop_is_running (outer));
  add_source (g_main_loop_get_context (outer), g_timeout_source_new (1), quit_loop, outer);
  return G_SOURCE_REMOVE;
}

static void
ctrl_c_ends_the_innermost_loop_alone (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_with_signals ();
  GMainContext *context = noting_context ();
  GMainLoop *outer = g_main_loop_new (context, FALSE);
  add_source (context, g_idle_source_new (), run_inner_loop, outer);
  assert_ok (raddle_main_loop_run (outer));
  /* The outer one is as it was: the next signal ends one like it. */
  count_sleeps_from (0);
  expect_interrupted (context, 1, "KeyboardInterrupt");
  g_main_loop_unref (outer);
  g_main_context_unref (context);
  stop_python (runtime);
}

static gboolean
quit_when_handled (gpointer loop)
{
  assert_ok (raddle_enter ());
  gboolean handled = evaluate ("len(handled)") > 0;
  assert_ok (raddle_leave ());
  if (handled)
    g_main_loop_quit (loop);
  return G_SOURCE_CONTINUE;
}

static void
a_handler_that_does_not_raise_lets_the_loop_go_on (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_with_signals ();
  GMainContext *context = noting_context ();
  GMainLoop *loop = g_main_loop_new (context, FALSE);
  in_python ("handled = []\n"
             "signal.signal(signal.SIGINT, lambda *about: handled.append(about))\n");
  GThread *thread = g_thread_new ("interrupt", interrupt_sleep, GINT_TO_POINTER (1));
  add_source (context, g_timeout_source_new (1), quit_when_handled, loop);
  assert_ok (raddle_main_loop_run (loop));
  g_thread_join (thread);

  assert_ok (raddle_enter ());
  run ("def refuse(*about):\n"
       "    raise LookupError('refused')\n"
       "signal.signal(signal.SIGINT, refuse)\n");
  count_sleeps_from (0);
  GMainContext *other = noting_context ();
  expect_interrupted (other, 1, "LookupError");
  g_assert_cmpint (evaluate ("len(reports)"), ==, 0);
  assert_ok (raddle_leave ());
  g_main_context_unref (other);
  g_main_loop_unref (loop);
  g_main_context_unref (context);
  stop_python (runtime);
}

static gboolean
be_interrupted_natively (gpointer data)
{
  (void) data;
  g_assert_cmpint (kill (getpid (), SIGINT), ==, 0);
  return G_SOURCE_REMOVE;
}

static void
a_signal_that_comes_before_the_sleep_is_not_missed (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_with_signals ();
  GMainLoop *loop = g_main_loop_new (NULL, FALSE);
  be_interrupted_natively (NULL);
  assert_status (raddle_main_loop_run (loop), RADDLE_STATUS_PYTHON);
  assert_message_has ("KeyboardInterrupt");
  g_idle_add (be_interrupted_natively, NULL);
  assert_status (raddle_main_loop_run (loop), RADDLE_STATUS_PYTHON);
  assert_message_has ("KeyboardInterrupt");
  g_main_loop_unref (loop);
  stop_python (runtime);
}

static gpointer
end_by_callables (gpointer data)
{
  (void) data;
  GMainContext *context = g_main_context_new ();
  GMainLoop *loop = g_main_loop_new (context, FALSE);
  const char *raisers[] = { "interrupt", "leave" };
  const char *names[] = { "KeyboardInterrupt", "SystemExit: 3" };
  for (guint i = 0; i < 2; i++)
    {
      assert_ok (raddle_enter ());
      run ("import sys\n"
           "def interrupt(): raise KeyboardInterrupt\n"
           "def leave(): sys.exit(3)\n"
           "def fail(): raise ValueError\n");
      /* An exception that asks for no end is reported, and ends its source alone. */
      assert_ok (raddle_idle_add (context, G_PRIORITY_HIGH, named ("fail"), NULL));
      assert_ok (raddle_timeout_add (context, 0, 1, named (raisers[i]), NULL));
      run ("reports.clear()");
      assert_status (raddle_main_loop_run (loop), RADDLE_STATUS_PYTHON);
      assert_message_has (names[i]);
      g_assert_true (PyErr_ExceptionMatches (i ? PyExc_SystemExit : PyExc_KeyboardInterrupt));
      PyErr_Clear ();
      g_assert_cmpint (evaluate ("reports == ['ValueError']"), ==, TRUE);
      assert_ok (raddle_leave ());
    }
  g_main_loop_unref (loop);
  g_main_context_unref (context);
  return NULL;
}

static void
a_callable_that_asks_for_an_end_gets_it_on_any_thread (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_with_signals ();
  end_by_callables (NULL);
  on_a_thread (end_by_callables, NULL);
  stop_python (runtime);
}

static void
mistakes_are_refused (void)
{
  GMainLoop *loop = g_main_loop_new (NULL, FALSE);
  assert_status (raddle_main_loop_run (NULL), RADDLE_STATUS_NULL);
  assert_status (raddle_main_loop_run (loop), RADDLE_STATUS_NOT_STARTED);
  g_assert_false (g_main_loop_is_running (loop));
  g_main_loop_unref (loop);
}

#define GI_CODE                                     \
  "from gi.repository import GLib\n"                \
  "import threading\n"                              \
  "turns = []\n"                                    \
  "def run_inside():\n"                             \
  "    loop = GLib.MainLoop()\n"                    \
  "    def work():\n"                               \
  "        for i in range(100):\n"                  \
  "            GLib.idle_add(turns.append, i)\n"    \
  "        GLib.idle_add(loop.quit)\n"              \
  "    workers = [threading.Thread(target=work) for _ in range(4)]\n" \
  "    for worker in workers: worker.start()\n"     \
  "    loop.run()\n"                                \
  "    for worker in workers: worker.join()\n"      \
  "def sleep_inside():\n"                           \
  "    GLib.MainLoop().run()\n"

static void
pygobject_s_own_loop_runs_inside_an_entry (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_with_signals ();
  if (have_gi ())
    for (RaddleHold hold = RADDLE_HOLD_CALLBACK; hold <= RADDLE_HOLD_TURN; hold++)
      {
        assert_ok (raddle_main_context_attach (NULL, hold, NULL));
        assert_ok (raddle_enter ());
        run (GI_CODE "run_inside()\n");
        g_assert_true (raddle_is_held ());
        /* What is left of the four workers' calls. */
        assert_ok (raddle_unblock_threads ());
        iterate (NULL);
        assert_ok (raddle_block_threads ());
        g_assert_cmpint (evaluate ("sorted(turns) == sorted(list(range(100)) * 4)"), ==, TRUE);
        /* And inside a loop of the host's, from a source. */
        run ("turns.clear()");
        GMainLoop *loop = g_main_loop_new (NULL, FALSE);
        assert_ok (raddle_idle_add (NULL, 0, named ("run_inside"), NULL));
        add_source (NULL, g_idle_source_new (), quit_loop, loop);
        assert_ok (raddle_main_loop_run (loop));
        g_main_loop_unref (loop);
        g_assert_cmpint (evaluate ("len(turns)"), >=, 100);
        assert_ok (raddle_leave ());
        iterate (NULL);
        assert_ok (raddle_main_context_detach (NULL));
      }
  stop_python (runtime);
}

static void
ctrl_c_ends_pygobject_s_loop_inside_a_loop_of_the_host_s (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_with_signals ();
  if (have_gi ())
    for (int round = 0; round < 2; round++)
      {
        g_main_context_set_poll_func (NULL, noting_poll);
        count_sleeps_from (0);
        assert_ok (raddle_main_context_attach (NULL, RADDLE_HOLD_CALLBACK, noting_poll));
        assert_ok (raddle_enter ());
        run (GI_CODE);
        assert_ok (raddle_idle_add (NULL, 0, named ("sleep_inside"), NULL));
        assert_ok (raddle_leave ());
        expect_interrupted (NULL, 1, "KeyboardInterrupt");
        count_sleeps_from (0);
        /* And once more, in a loop in which PyGObject's has come and gone. */
        expect_interrupted (NULL, 1, "KeyboardInterrupt");
        assert_ok (raddle_main_context_detach (NULL));
      }
  stop_python (runtime);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/glib/loop/mistakes-are-refused", mistakes_are_refused);
  g_test_add_func ("/glib/loop/ctrl-c-ends-a-loop-that-sleeps", ctrl_c_ends_a_loop_that_sleeps);
  g_test_add_func ("/glib/loop/ctrl-c-that-another-thread-takes-ends-the-loop",
                   ctrl_c_that_another_thread_takes_ends_the_loop);
  g_test_add_func ("/glib/loop/a-wake-up-descriptor-that-was-taken-away-is-set-again",
                   a_wake_up_descriptor_that_was_taken_away_is_set_again);
  g_test_add_func ("/glib/loop/a-wake-up-descriptor-of-the-host-s-hears-of-it-and-is-put-back",
                   a_wake_up_descriptor_of_the_host_s_hears_of_it_and_is_put_back);
  g_test_add_func ("/glib/loop/a-descriptor-that-was-closed-meanwhile-is-not-written-to",
                   a_descriptor_that_was_closed_meanwhile_is_not_written_to);
  g_test_add_func ("/glib/loop/ctrl-c-ends-the-innermost-loop-alone",
                   ctrl_c_ends_the_innermost_loop_alone);
  g_test_add_func ("/glib/loop/a-handler-that-does-not-raise-lets-the-loop-go-on",
                   a_handler_that_does_not_raise_lets_the_loop_go_on);
  g_test_add_func ("/glib/loop/a-signal-that-comes-before-the-sleep-is-not-missed",
                   a_signal_that_comes_before_the_sleep_is_not_missed);
  g_test_add_func ("/glib/loop/a-callable-that-asks-for-an-end-gets-it-on-any-thread",
                   a_callable_that_asks_for_an_end_gets_it_on_any_thread);
  g_test_add_func ("/glib/loop/pygobject-s-own-loop-runs-inside-an-entry",
                   pygobject_s_own_loop_runs_inside_an_entry);
  g_test_add_func ("/glib/loop/ctrl-c-ends-pygobject-s-loop-inside-the-host-s",
                   ctrl_c_ends_pygobject_s_loop_inside_a_loop_of_the_host_s);
  return g_test_run ();
}
