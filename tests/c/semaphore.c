/* semaphore.c: tokens, waits with and without Python, stops, signals, descriptors and forks. */
#include "support.h"

#include <poll.h>
#include <raddle/raddle-glib.h>
#include <signal.h>
#include <unistd.h>

enum { LONG_MS = 20 * 1000, THREADS = 4, ROUNDS = 5000 };

static RaddleSemaphore *
semaphore_with (uint32_t tokens)
{
  RaddleSemaphore *semaphore = NULL;
  assert_ok (raddle_semaphore_new (tokens, &semaphore));
  return semaphore;
}

static gboolean
is_readable (int fd)
{
  struct pollfd record = { fd, POLLIN, 0 };
  return poll (&record, 1, 0) == 1;
}

static void
tokens_are_counted (void)
{
  g_autoptr (RaddleSemaphore) semaphore = semaphore_with (1);
  assert_ok (raddle_semaphore_put (semaphore, 2));
  g_assert_cmpuint (raddle_semaphore_get_value (semaphore), ==, 3);
  assert_ok (raddle_semaphore_try_get (semaphore));
  assert_ok (raddle_semaphore_get (semaphore, -1, RADDLE_WAIT_PLAIN));
  assert_ok (raddle_semaphore_get (semaphore, 0, RADDLE_WAIT_RELEASE_PYTHON));
  assert_status (raddle_semaphore_try_get (semaphore), RADDLE_STATUS_TIMED_OUT);
  assert_message_has ("nothing came");
  assert_ok (raddle_semaphore_put (semaphore, UINT32_MAX));
  assert_status (raddle_semaphore_put (semaphore, 1), RADDLE_STATUS_INVALID);
  g_assert_cmpuint (raddle_semaphore_get_value (semaphore), ==, UINT32_MAX);
}

static void
a_wait_ends_with_its_time_and_not_before (void)
{
  g_autoptr (RaddleSemaphore) semaphore = semaphore_with (0);
  for (int wait = RADDLE_WAIT_PLAIN; wait <= RADDLE_WAIT_RELEASE_PYTHON; wait++)
    {
      gint64 begun = g_get_monotonic_time ();
      assert_status (raddle_semaphore_get (semaphore, 20, (RaddleWait) wait), RADDLE_STATUS_TIMED_OUT);
      g_assert_cmpint (g_get_monotonic_time () - begun, >=, 20 * 1000);
    }
}

static gpointer
wait_for_the_stop (gpointer semaphore)
{
  assert_status (raddle_semaphore_get (semaphore, LONG_MS, RADDLE_WAIT_PLAIN), RADDLE_STATUS_STOPPED);
  raddle_semaphore_unref (semaphore);
  return NULL;
}

static void
a_stop_wakes_every_waiter_and_leaves_what_is_there (void)
{
  g_autoptr (RaddleSemaphore) semaphore = semaphore_with (0);
  GThread *threads[THREADS];
  for (int i = 0; i < THREADS; i++)
    threads[i] = g_thread_new ("waiter", wait_for_the_stop, raddle_semaphore_ref (semaphore));
  assert_ok (raddle_semaphore_stop (semaphore));
  for (int i = 0; i < THREADS; i++)
    g_thread_join (threads[i]);
  g_assert_true (raddle_semaphore_is_stopped (semaphore));
  assert_ok (raddle_semaphore_put (semaphore, 1));
  assert_ok (raddle_semaphore_get (semaphore, -1, RADDLE_WAIT_PLAIN));
  assert_status (raddle_semaphore_try_get (semaphore), RADDLE_STATUS_STOPPED);
  assert_message_has ("stopped");
}

static gpointer
put_many (gpointer semaphore)
{
  for (int i = 0; i < ROUNDS; i++)
    assert_ok (raddle_semaphore_put (semaphore, 1));
  return NULL;
}

static gpointer
get_many (gpointer semaphore)
{
  for (int i = 0; i < ROUNDS; i++)
    assert_ok (raddle_semaphore_get (semaphore, LONG_MS, RADDLE_WAIT_RELEASE_PYTHON));
  return NULL;
}

static void
no_token_is_lost_between_threads (void)
{
  g_autoptr (RaddleSemaphore) semaphore = semaphore_with (0);
  GThread *threads[THREADS];
  for (int i = 0; i < THREADS; i++)
    threads[i] = g_thread_new ("tokens", i % 2 ? put_many : get_many, semaphore);
  for (int i = 0; i < THREADS; i++)
    g_thread_join (threads[i]);
  g_assert_cmpuint (raddle_semaphore_get_value (semaphore), ==, 0);
}

static void
its_descriptor_is_readable_while_there_are_tokens (void)
{
  g_autoptr (RaddleSemaphore) semaphore = semaphore_with (1);
  int fd = raddle_semaphore_get_fd (semaphore);
  g_assert_true (is_readable (fd));
  assert_ok (raddle_semaphore_try_get (semaphore));
  assert_status (raddle_semaphore_try_get (semaphore), RADDLE_STATUS_TIMED_OUT);
  g_assert_false (is_readable (fd));
  assert_ok (raddle_semaphore_put (semaphore, 1));
  g_assert_true (is_readable (fd));
}

typedef struct {
  RaddleSemaphore *asked;
  RaddleSemaphore *answered;
} Pair;

static gpointer
answer_with_python (gpointer data)
{
  Pair *pair = data;
  assert_ok (raddle_semaphore_get (pair->asked, LONG_MS, RADDLE_WAIT_PLAIN));
  assert_ok (raddle_enter ());
  run ("answered = 42");
  assert_ok (raddle_leave ());
  assert_ok (raddle_semaphore_put (pair->answered, 1));
  return NULL;
}

/* With Python held, by an entry and at depth two: the other thread needs it to answer. */
static void
a_wait_gives_python_up_at_any_depth (void)
{
  Pair pair = { semaphore_with (0), semaphore_with (0) };
  GThread *thread = g_thread_new ("answerer", answer_with_python, &pair);
  assert_ok (raddle_enter ());
  assert_ok (raddle_enter ());
  assert_ok (raddle_semaphore_put (pair.asked, 1));
  assert_ok (raddle_semaphore_get (pair.answered, LONG_MS, RADDLE_WAIT_RELEASE_PYTHON));
  g_assert_true (raddle_is_held ());
  g_assert_cmpint (evaluate ("answered"), ==, 42);
  assert_ok (raddle_leave ());
  assert_ok (raddle_leave ());
  g_thread_join (thread);
  raddle_semaphore_unref (pair.asked);
  raddle_semaphore_unref (pair.answered);
}

static void
an_exception_that_was_set_before_the_wait_is_set_after_it (void)
{
  g_autoptr (RaddleSemaphore) semaphore = semaphore_with (0);
  assert_ok (raddle_enter ());
  PyErr_SetString (PyExc_KeyError, "before");
  assert_status (raddle_semaphore_get (semaphore, 1, RADDLE_WAIT_RELEASE_PYTHON), RADDLE_STATUS_TIMED_OUT);
  g_assert_true (PyErr_ExceptionMatches (PyExc_KeyError));
  PyErr_Clear ();
  assert_ok (raddle_leave ());
}

static gint64 interrupted_at;

static gpointer
interrupt_the_process (gpointer unused)
{
  (void) unused;
  g_usleep (100 * 1000); /* Not a condition of the test: by then the wait is under way, as a rule. */
  interrupted_at = g_get_monotonic_time ();
  kill (getpid (), SIGINT);
  return NULL;
}

/* Says how long after the signal the wait ended, in microseconds. */
static gint64
wait_until_interrupted (RaddleWait wait)
{
  g_autoptr (RaddleSemaphore) semaphore = semaphore_with (0);
  gint64 took = 0;
  assert_ok (raddle_enter ());
  GThread *thread = g_thread_new ("sender", interrupt_the_process, NULL);
  if (wait == RADDLE_WAIT_RELEASE_PYTHON)
    {
      assert_status (raddle_semaphore_get (semaphore, LONG_MS, wait), RADDLE_STATUS_PYTHON);
      took = g_get_monotonic_time () - interrupted_at;
      assert_message_has ("KeyboardInterrupt");
    }
  else
    {
      assert_status (raddle_semaphore_get (semaphore, 300, wait), RADDLE_STATUS_TIMED_OUT);
      g_thread_join (g_steal_pointer (&thread));
      g_assert_cmpint (PyErr_CheckSignals (), ==, -1);
    }
  g_assert_true (raddle_is_held ());
  g_assert_true (PyErr_ExceptionMatches (PyExc_KeyboardInterrupt));
  PyErr_Clear ();
  assert_ok (raddle_leave ());
  if (thread)
    g_thread_join (thread);
  assert_ok (raddle_semaphore_put (semaphore, 1));
  assert_ok (raddle_semaphore_try_get (semaphore));
  return took;
}

static void
ctrl_c_ends_a_wait_that_releases_python (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_with_signal_handlers ();
  gint64 took = 0;
  /* A machine with a load on it may be late once. */
  for (int i = 0; i < 5 && (i == 0 || took >= 100 * 1000); i++)
    took = wait_until_interrupted (RADDLE_WAIT_RELEASE_PYTHON);
  g_assert_cmpint (took, <, 100 * 1000);
  stop_python (runtime);
}

static void
ctrl_c_waits_until_a_plain_wait_is_over (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_with_signal_handlers ();
  wait_until_interrupted (RADDLE_WAIT_PLAIN);
  stop_python (runtime);
}

static void
it_works_before_the_start_and_after_the_stop (void)
{
  IN_A_CHILD ();
  g_autoptr (RaddleSemaphore) semaphore = semaphore_with (1);
  assert_ok (raddle_semaphore_get (semaphore, -1, RADDLE_WAIT_RELEASE_PYTHON));
  RaddleRuntime *runtime = start_python ();
  stop_python (runtime);
  assert_status (raddle_semaphore_get (semaphore, 1, RADDLE_WAIT_RELEASE_PYTHON), RADDLE_STATUS_TIMED_OUT);
  g_assert_false (raddle_semaphore_is_stopped (semaphore));
  assert_ok (raddle_semaphore_put (semaphore, 1));
  assert_ok (raddle_semaphore_get (semaphore, -1, RADDLE_WAIT_PLAIN));
}

static gpointer
put_one (gpointer semaphore)
{
  assert_ok (raddle_semaphore_put (semaphore, 1));
  return NULL;
}

/* The descriptor that the semaphore had before the fork. */
static int former_fd;

static void
use_its_own (gpointer semaphore)
{
  /* Reading its parent's descriptor would take the parent's wake-up away. */
  assert_ok (raddle_semaphore_try_get (semaphore));
  assert_status (raddle_semaphore_try_get (semaphore), RADDLE_STATUS_TIMED_OUT);
  g_assert_cmpint (raddle_semaphore_get_fd (semaphore), ==, former_fd);
  g_assert_false (is_readable (former_fd));
  GThread *thread = g_thread_new ("putter", put_one, semaphore);
  assert_ok (raddle_semaphore_get (semaphore, LONG_MS, RADDLE_WAIT_PLAIN));
  g_thread_join (thread);
}

static void
a_forked_child_has_one_of_its_own (void)
{
  IN_A_CHILD ();
  g_autoptr (RaddleSemaphore) semaphore = semaphore_with (1);
  int fd = raddle_semaphore_get_fd (semaphore);
  former_fd = fd;
  in_a_fork (use_its_own, semaphore);
  g_assert_cmpuint (raddle_semaphore_get_value (semaphore), ==, 1);
  g_assert_true (is_readable (fd));
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/semaphore/tokens-are-counted", tokens_are_counted);
  g_test_add_func ("/semaphore/get/ends-with-its-time-and-not-before", a_wait_ends_with_its_time_and_not_before);
  g_test_add_func ("/semaphore/stop/wakes-every-waiter", a_stop_wakes_every_waiter_and_leaves_what_is_there);
  g_test_add_func ("/semaphore/threads/lose-no-token", no_token_is_lost_between_threads);
  g_test_add_func ("/semaphore/fd/is-readable-while-there-are-tokens", its_descriptor_is_readable_while_there_are_tokens);
  g_test_add_func ("/semaphore/python/is-given-up-at-any-depth", a_wait_gives_python_up_at_any_depth);
  g_test_add_func ("/semaphore/python/keeps-what-was-set", an_exception_that_was_set_before_the_wait_is_set_after_it);
  g_test_add_func ("/semaphore/ctrl-c/ends-a-wait-that-releases-python", ctrl_c_ends_a_wait_that_releases_python);
  g_test_add_func ("/semaphore/ctrl-c/waits-for-a-plain-wait", ctrl_c_waits_until_a_plain_wait_is_over);
  g_test_add_func ("/semaphore/without-python/works", it_works_before_the_start_and_after_the_stop);
  g_test_add_func ("/semaphore/fork/has-one-of-its-own", a_forked_child_has_one_of_its_own);
  return run_with_python ();
}
