/* completion.c: queues of completions and operations, with real threads and a real main loop. */
#include "support.h"

#include <poll.h>
#include <pthread.h>
#include <raddle/raddle-glib.h>
#include <string.h>

static gint ran;
static gint freed;

static void
count_run (void *user_data)
{
  g_assert_true (raddle_is_held ());
  g_atomic_int_add (&ran, GPOINTER_TO_INT (user_data));
}

static void
count_freed (void *user_data)
{
  (void) user_data;
  g_atomic_int_inc (&freed);
}

static void
fail_run (void *user_data)
{
  PyErr_SetString (PyExc_ValueError, user_data);
}

static void
interrupt_run (void *user_data)
{
  (void) user_data;
  PyErr_SetNone (PyExc_KeyboardInterrupt);
}

static void
begin (void)
{
  g_atomic_int_set (&ran, 0);
  g_atomic_int_set (&freed, 0);
}

static RaddleCompletions *
new_queue (guint capacity)
{
  RaddleCompletions *queue = NULL;
  assert_ok (raddle_completions_new (capacity, &queue));
  g_assert_nonnull (queue);
  return queue;
}

static gpointer
unref_queue (gpointer queue)
{
  raddle_completions_unref (queue);
  return NULL;
}

static gpointer
close_queue (gpointer queue)
{
  assert_ok (raddle_completions_close (queue));
  return NULL;
}

static gboolean
is_readable (RaddleCompletions *queue)
{
  struct pollfd record = { .fd = raddle_completions_get_fd (queue), .events = POLLIN };
  return poll (&record, 1, 0) == 1;
}

static RaddleCompletionsStats
stats_of (RaddleCompletions *queue)
{
  RaddleCompletionsStats stats;
  assert_ok (raddle_completions_get_stats (queue, &stats));
  return stats;
}

static guint
drain (RaddleCompletions *queue)
{
  guint32 count = 0;
  assert_ok (raddle_completions_drain (queue, 0, -1, &count));
  return count;
}

enum { THREADS = 4, EACH = 5000 };

static void *
post_many (void *queue)
{
  for (int i = 0; i < EACH; i++)
    assert_ok (raddle_completions_post (queue, count_run, GINT_TO_POINTER (1), count_freed));
  return NULL;
}

static void
what_threads_post_is_run_and_freed_once (void)
{
  begin ();
  RaddleCompletions *queue = new_queue (0);
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++)
    g_assert_cmpint (pthread_create (&threads[i], NULL, post_many, queue), ==, 0);
  guint drained = 0;
  while (drained < THREADS * EACH)
    {
      struct pollfd record = { .fd = raddle_completions_get_fd (queue), .events = POLLIN };
      g_assert_cmpint (poll (&record, 1, 20000), ==, 1);
      drained += drain (queue);
    }
  for (int i = 0; i < THREADS; i++)
    pthread_join (threads[i], NULL);
  g_assert_cmpint (ran, ==, THREADS * EACH);
  g_assert_cmpint (freed, ==, THREADS * EACH);
  g_assert_cmpuint (stats_of (queue).ran, ==, THREADS * EACH);
  g_assert_false (raddle_is_held ());
  raddle_completions_unref (queue);
}

static void
a_burst_wakes_once (void)
{
  begin ();
  RaddleCompletions *queue = new_queue (0);
  on_a_thread (post_many, queue);
  g_assert_true (is_readable (queue));
  g_assert_cmpuint (drain (queue), ==, EACH);
  g_assert_false (is_readable (queue));
  g_assert_cmpuint (stats_of (queue).wakeups, ==, 1);
  g_assert_cmpuint (stats_of (queue).largest, ==, EACH);
  raddle_completions_unref (queue);
}

static PyObject *
make_number (void *user_data)
{
  return PyLong_FromVoidPtr (user_data);
}

static PyObject *
make_pair (void *user_data)
{
  return Py_BuildValue ("(Os)", Py_None, user_data);
}

static PyObject *
make_nothing (void *user_data)
{
  PyErr_SetString (PyExc_OSError, user_data);
  return NULL;
}

static void
calls_get_arguments_that_are_made_late (void)
{
  begin ();
  RaddleCompletions *queue = new_queue (0);
  assert_ok (raddle_enter ());
  run ("import sys\n"
       "calls, reports = [], []\n"
       "def call(*arguments): calls.append(arguments)\n"
       "sys.unraisablehook = lambda about: reports.append((about.exc_type.__name__, about.object))\n");
  PyObject *callable = named ("call");
  assert_ok (raddle_leave ());
  assert_ok (raddle_completions_post_call (queue, callable, NULL, NULL, count_freed));
  assert_ok (raddle_completions_post_call (queue, callable, make_number, GINT_TO_POINTER (7), count_freed));
  assert_ok (raddle_completions_post_call (queue, callable, make_pair, (void *) "x", count_freed));
  assert_ok (raddle_completions_post_call (queue, callable, make_nothing, (void *) "no", count_freed));
  assert_ok (raddle_completions_post (queue, fail_run, (void *) "failed", count_freed));
  assert_ok (raddle_completions_post (queue, count_run, GINT_TO_POINTER (1), count_freed));
  g_assert_cmpuint (drain (queue), ==, 6);
  assert_ok (raddle_enter ());
  g_assert_true (evaluate ("calls == [(), (7,), (None, 'x')]"));
  g_assert_true (evaluate ("reports == [('OSError', call), ('ValueError', None)]"));
  run ("sys.unraisablehook = sys.__unraisablehook__");
  assert_ok (raddle_leave ());
  g_assert_cmpint (ran, ==, 1);
  g_assert_cmpint (freed, ==, 6);
  g_assert_cmpuint (stats_of (queue).raised, ==, 2);
  raddle_completions_unref (queue);
}

static void
what_asks_for_an_end_comes_back_from_the_drain (void)
{
  begin ();
  RaddleCompletions *queue = new_queue (0);
  assert_ok (raddle_completions_post (queue, interrupt_run, NULL, count_freed));
  assert_ok (raddle_completions_post (queue, count_run, GINT_TO_POINTER (1), count_freed));
  guint32 count = 17;
  assert_status (raddle_completions_drain (queue, 0, -1, &count), RADDLE_STATUS_PYTHON);
  assert_message_has ("KeyboardInterrupt");
  g_assert_cmpuint (count, ==, 17);
  g_assert_cmpint (ran, ==, 0);
  g_assert_true (is_readable (queue));
  assert_ok (raddle_completions_post (queue, interrupt_run, NULL, count_freed));
  assert_ok (raddle_enter ());
  assert_status (raddle_completions_drain (queue, 0, -1, NULL), RADDLE_STATUS_PYTHON);
  g_assert_true (PyErr_ExceptionMatches (PyExc_KeyboardInterrupt));
  PyErr_Clear ();
  assert_ok (raddle_leave ());
  g_assert_cmpint (ran, ==, 1);
  g_assert_cmpint (freed, ==, 3);
  raddle_completions_unref (queue);
}

static void
a_full_queue_refuses_and_frees (void)
{
  begin ();
  RaddleCompletions *queue = new_queue (1);
  assert_ok (raddle_completions_post (queue, count_run, GINT_TO_POINTER (1), count_freed));
  assert_status (raddle_completions_post_within (queue, 0, count_run, NULL, count_freed), RADDLE_STATUS_TIMED_OUT);
  g_assert_cmpint (freed, ==, 1);
  assert_status (raddle_completions_post_within (queue, 5, count_run, NULL, NULL), RADDLE_STATUS_TIMED_OUT);
  GThread *thread = g_thread_new ("waits", post_many, queue);
  do
    drain (queue);
  while (stats_of (queue).ran <= EACH);
  g_thread_join (thread);
  drain (queue);
  g_assert_cmpint (ran, ==, EACH + 1);
  g_assert_cmpint (freed, ==, EACH + 2);
  raddle_completions_unref (queue);
}

static void
a_closed_queue_frees_what_it_has_and_what_comes (void)
{
  begin ();
  RaddleCompletions *queue = new_queue (0);
  g_assert_false (raddle_completions_is_closed (queue));
  for (int i = 0; i < 3; i++)
    assert_ok (raddle_completions_post (queue, count_run, GINT_TO_POINTER (1), count_freed));
  assert_ok (raddle_completions_close (queue));
  g_assert_cmpint (freed, ==, 3);
  assert_status (raddle_completions_post (queue, count_run, NULL, count_freed), RADDLE_STATUS_STOPPED);
  g_assert_cmpint (freed, ==, 4);
  assert_ok (raddle_completions_close (queue));
  g_assert_true (raddle_completions_is_closed (queue));
  g_assert_cmpuint (drain (queue), ==, 0);
  g_assert_cmpuint (stats_of (queue).discarded, ==, 3);
  raddle_completions_unref (queue);
  /* One that nobody closes frees what it has with its last reference, on whichever thread that is. */
  queue = new_queue (0);
  g_assert_true (raddle_completions_ref (queue) == queue);
  assert_ok (raddle_completions_post (queue, count_run, GINT_TO_POINTER (1), count_freed));
  raddle_completions_unref (queue);
  g_assert_cmpint (freed, ==, 4);
  on_a_thread (unref_queue, queue);
  g_assert_cmpint (freed, ==, 5);
  g_assert_cmpint (ran, ==, 0);
}

/* --- a main loop --- */

typedef struct {
  RaddleCompletions *queue;
  GMainLoop *loop;
  GThread *home;
} Host;

static void
quit_run (void *user_data)
{
  Host *host = user_data;
  g_assert_true (g_thread_self () == host->home);
  g_main_loop_quit (host->loop);
}

static gpointer
post_and_quit (gpointer user_data)
{
  Host *host = user_data;
  post_many (host->queue);
  assert_ok (raddle_completions_post (host->queue, quit_run, host, count_freed));
  return NULL;
}

static void
a_main_context_runs_what_is_posted (void)
{
  begin ();
  GMainContext *context = g_main_context_new ();
  Host host = { new_queue (0), g_main_loop_new (context, FALSE), g_thread_self () };
  assert_status (raddle_completions_detach (host.queue), RADDLE_STATUS_WRONG_ORDER);
  assert_ok (raddle_completions_attach (host.queue, context, G_PRIORITY_DEFAULT));
  assert_status (raddle_completions_attach (host.queue, context, G_PRIORITY_DEFAULT), RADDLE_STATUS_WRONG_ORDER);
  GThread *thread = g_thread_new ("posts", post_and_quit, &host);
  g_main_loop_run (host.loop);
  g_thread_join (thread);
  g_assert_cmpint (ran, ==, EACH);
  g_assert_cmpint (freed, ==, EACH + 1);
  /* KeyboardInterrupt ends the run, and the rest is run by the next. */
  assert_ok (raddle_completions_post (host.queue, interrupt_run, NULL, count_freed));
  assert_ok (raddle_completions_post (host.queue, quit_run, &host, count_freed));
  assert_status (raddle_main_loop_run (host.loop), RADDLE_STATUS_PYTHON);
  assert_message_has ("KeyboardInterrupt");
  assert_ok (raddle_main_loop_run (host.loop));
  g_assert_cmpint (freed, ==, EACH + 3);
  /* Taken away it keeps what is posted, and may be given to another. */
  assert_ok (raddle_completions_detach (host.queue));
  assert_ok (raddle_completions_post (host.queue, count_run, GINT_TO_POINTER (1), count_freed));
  g_assert_false (g_main_context_iteration (context, FALSE));
  g_assert_cmpint (ran, ==, EACH);
  assert_ok (raddle_completions_attach (host.queue, context, G_PRIORITY_LOW));
  g_assert_true (g_main_context_iteration (context, FALSE));
  g_assert_cmpint (ran, ==, EACH + 1);
  assert_ok (raddle_completions_close (host.queue));
  g_assert_false (g_main_context_iteration (context, FALSE));
  assert_status (raddle_completions_attach (host.queue, context, G_PRIORITY_LOW), RADDLE_STATUS_STOPPED);
  raddle_completions_unref (host.queue);
  g_main_loop_unref (host.loop);
  g_main_context_unref (context);
}

static void
a_context_that_goes_gives_its_queue_back (void)
{
  GMainContext *context = g_main_context_new ();
  RaddleCompletions *queue = new_queue (0);
  assert_ok (raddle_completions_attach (queue, context, G_PRIORITY_DEFAULT));
  g_main_context_unref (context);
  assert_status (raddle_completions_detach (queue), RADDLE_STATUS_WRONG_ORDER);
  assert_ok (raddle_completions_attach (queue, NULL, G_PRIORITY_DEFAULT));
  assert_ok (raddle_completions_detach (queue));
  raddle_completions_unref (queue);
}

/* --- operations --- */

static void
new_loop (RaddleCompletions *queue)
{
  PyObject *object = NULL;
  assert_ok (raddle_completions_get_object (queue, &object));
  give ("queue", object);
  run ("import asyncio, raddle\n"
       "loop = asyncio.new_event_loop()\n"
       "queue.attach(loop)\n"
       "def outcome(future):\n"
       "    async def main():\n"
       "        return await asyncio.wait_for(future, 20)\n"
       "    try: return loop.run_until_complete(main())\n"
       "    except BaseException as error: return f'{type(error).__name__}: {error}'\n");
}

static RaddleOperation *
operation (RaddleCompletions *queue)
{
  RaddleOperation *operation = NULL;
  PyObject *future = NULL;
  assert_ok (raddle_operation_new (queue, count_run, GINT_TO_POINTER (1), count_freed, &operation, &future));
  give ("future", future);
  return operation;
}

#define FINISHER(name, call)                          \
  static gpointer name (gpointer data)                \
  {                                                   \
    RaddleOperation *operation = data;                \
    g_assert_false (raddle_is_held ());               \
    assert_ok (call);                                 \
    assert_status (raddle_operation_finish_none (operation), RADDLE_STATUS_WRONG_ORDER); \
    raddle_operation_unref (operation);               \
    return NULL;                                      \
  }
FINISHER (finish_none, raddle_operation_finish_none (operation))
FINISHER (finish_bool, raddle_operation_finish_bool (operation, true))
FINISHER (finish_int64, raddle_operation_finish_int64 (operation, G_MININT64))
FINISHER (finish_double, raddle_operation_finish_double (operation, 0.5))
FINISHER (finish_utf8, raddle_operation_finish_utf8 (operation, "\xc3\xa9"))
FINISHER (finish_bytes, raddle_operation_finish_bytes (operation, "a\0b", 3))
FINISHER (finish_made, raddle_operation_finish (operation, make_pair, (void *) "x", count_freed))
FINISHER (finish_raising, raddle_operation_finish (operation, make_nothing, (void *) "no", count_freed))
FINISHER (fail, raddle_operation_fail (operation, RADDLE_STATUS_BUSY, "too much"))
FINISHER (fail_made, raddle_operation_fail_with (operation, make_nothing, (void *) "made", count_freed))
FINISHER (fail_wrongly, raddle_operation_fail_with (operation, make_number, NULL, count_freed))

static gpointer
drop (gpointer data)
{
  raddle_operation_unref (data);
  return NULL;
}

static void
an_operation_is_finished_once_from_any_thread (void)
{
  static const struct {
    GThreadFunc finish;
    const char *expected;
  } cases[] = {
    { finish_none, "outcome(future) is None" },
    { finish_bool, "outcome(future) is True" },
    { finish_int64, "outcome(future) == -2**63" },
    { finish_double, "outcome(future) == 0.5" },
    { finish_utf8, "outcome(future) == '\\xe9'" },
    { finish_bytes, "outcome(future) == b'a\\0b'" },
    { finish_made, "outcome(future) == (None, 'x')" },
    { finish_raising, "outcome(future) == 'OSError: no'" },
    { fail, "outcome(future) == 'RuntimeError: too much' and future.exception().status == 8" },
    { fail_made, "outcome(future) == 'OSError: made'" },
    { fail_wrongly, "outcome(future).startswith('TypeError: ')" },
    { drop, "outcome(future).startswith('Stopped: the operation ended without')" },
  };
  RaddleCompletions *queue = new_queue (0);
  assert_ok (raddle_enter ());
  new_loop (queue);
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      begin ();
      RaddleOperation *it = operation (queue);
      GThread *thread = g_thread_new ("finishes", cases[i].finish, it);
      if (!evaluate (cases[i].expected))
        g_error ("%s: %s", cases[i].expected, evaluate_text ("repr(outcome(future))"));
      assert_ok (raddle_unblock_threads ());
      g_thread_join (thread);
      assert_ok (raddle_block_threads ());
      run ("loop.run_until_complete(asyncio.sleep(0))");
      g_assert_cmpint (ran, ==, 0);
      g_assert_cmpint (freed, >=, 1);
    }
  run ("queue.close(); loop.close()");
  assert_ok (raddle_leave ());
  raddle_completions_unref (queue);
}

static void
cancelling_the_future_calls_cancel_once (void)
{
  begin ();
  RaddleCompletions *queue = new_queue (0);
  assert_ok (raddle_enter ());
  new_loop (queue);
  RaddleOperation *it = operation (queue);
  g_assert_false (raddle_operation_is_cancelled (it));
  g_assert_true (raddle_operation_ref (it) == it);
  run ("future.cancel(); future.cancel()\n"
       "loop.run_until_complete(asyncio.sleep(0))\n");
  g_assert_true (raddle_operation_is_cancelled (it));
  g_assert_cmpint (ran, ==, 1);
  g_assert_cmpint (freed, ==, 1);
  /* Finishing what was cancelled is normal. */
  assert_ok (raddle_operation_finish (it, make_pair, NULL, count_freed));
  g_assert_cmpint (freed, ==, 2);
  raddle_operation_unref (it);
  raddle_operation_unref (it);
  /* Finished before it was cancelled: there is nothing to cancel any more. */
  it = operation (queue);
  assert_ok (raddle_operation_finish_int64 (it, 1));
  run ("future.cancel()\n"
       "loop.run_until_complete(asyncio.sleep(0))\n");
  g_assert_cmpint (ran, ==, 1);
  g_assert_cmpint (freed, ==, 3);
  raddle_operation_unref (it);
  run ("queue.close(); loop.close()");
  assert_ok (raddle_leave ());
  raddle_completions_unref (queue);
}

static void
closing_the_queue_fails_what_is_not_finished (void)
{
  begin ();
  RaddleCompletions *queue = new_queue (0);
  assert_ok (raddle_enter ());
  new_loop (queue);
  RaddleOperation *open = operation (queue);
  run ("first = future");
  RaddleOperation *posted = operation (queue);
  assert_ok (raddle_operation_finish (posted, make_pair, NULL, count_freed));
  raddle_operation_unref (posted);
  /* By a thread without Python: the loop tells those who wait. */
  on_a_thread (close_queue, queue);
  g_assert_true (evaluate ("outcome(first).startswith('Stopped: the queue of completions was closed')"));
  g_assert_true (evaluate ("outcome(future).startswith('Stopped: the queue of completions was closed')"));
  assert_status (raddle_operation_finish_none (open), RADDLE_STATUS_STOPPED);
  raddle_operation_unref (open);
  RaddleOperation *unset = NULL;
  PyObject *future = NULL;
  assert_status (raddle_operation_new (queue, NULL, NULL, count_freed, &unset, &future), RADDLE_STATUS_STOPPED);
  g_assert_true (unset == NULL && future == NULL);
  run ("loop.run_until_complete(asyncio.sleep(0)); loop.close()");
  g_assert_cmpint (ran, ==, 0);
  g_assert_cmpint (freed, ==, 4);
  assert_ok (raddle_leave ());
  raddle_completions_unref (queue);
}

static void
a_queue_goes_to_python_and_comes_back (void)
{
  RaddleCompletions *queue = new_queue (3), *same = NULL;
  PyObject *object = NULL;
  assert_status (raddle_completions_get_object (queue, &object), RADDLE_STATUS_WRONG_ORDER);
  assert_ok (raddle_enter ());
  assert_ok (raddle_completions_get_object (queue, &object));
  assert_ok (raddle_completions_from_object (object, &same));
  assert_ok (raddle_completions_close (same));
  g_assert_true (raddle_completions_is_closed (queue));
  Py_DECREF (object);
  raddle_completions_unref (same);
  assert_status (raddle_completions_from_object (Py_None, &same), RADDLE_STATUS_INVALID);
  assert_ok (raddle_leave ());
  raddle_completions_unref (queue);
}

static void
the_end_of_python_frees_what_is_left (void)
{
  IN_A_CHILD ();
  begin ();
  RaddleRuntime *runtime = start_python ();
  RaddleCompletions *queue = new_queue (0);
  assert_ok (raddle_enter ());
  new_loop (queue);
  RaddleOperation *it = operation (queue);
  assert_ok (raddle_leave ());
  assert_ok (raddle_completions_post (queue, count_run, GINT_TO_POINTER (1), count_freed));
  stop_python (runtime);
  g_assert_true (raddle_completions_is_closed (queue));
  g_assert_cmpint (ran, ==, 0);
  g_assert_cmpint (freed, >=, 1);
  assert_status (raddle_operation_finish_none (it), RADDLE_STATUS_STOPPED);
  raddle_operation_unref (it);
  raddle_completions_unref (queue);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/completion/what-threads-post-is-run-and-freed-once", what_threads_post_is_run_and_freed_once);
  g_test_add_func ("/completion/a-burst-wakes-once", a_burst_wakes_once);
  g_test_add_func ("/completion/calls-get-arguments-that-are-made-late", calls_get_arguments_that_are_made_late);
  g_test_add_func ("/completion/what-asks-for-an-end-comes-back-from-the-drain",
                   what_asks_for_an_end_comes_back_from_the_drain);
  g_test_add_func ("/completion/a-full-queue-refuses-and-frees", a_full_queue_refuses_and_frees);
  g_test_add_func ("/completion/a-closed-queue-frees-what-it-has-and-what-comes",
                   a_closed_queue_frees_what_it_has_and_what_comes);
  g_test_add_func ("/completion/a-main-context-runs-what-is-posted", a_main_context_runs_what_is_posted);
  g_test_add_func ("/completion/a-context-that-goes-gives-its-queue-back", a_context_that_goes_gives_its_queue_back);
  g_test_add_func ("/completion/an-operation-is-finished-once-from-any-thread",
                   an_operation_is_finished_once_from_any_thread);
  g_test_add_func ("/completion/cancelling-the-future-calls-cancel-once", cancelling_the_future_calls_cancel_once);
  g_test_add_func ("/completion/closing-the-queue-fails-what-is-not-finished",
                   closing_the_queue_fails_what_is_not_finished);
  g_test_add_func ("/completion/a-queue-goes-to-python-and-comes-back", a_queue_goes_to_python_and_comes_back);
  g_test_add_func ("/completion/the-end-of-python-frees-what-is-left", the_end_of_python_frees_what_is_left);
  return run_with_python ();
}
