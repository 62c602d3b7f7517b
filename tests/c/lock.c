/* lock.c: a native lock and Python, taken by many threads in both orders. */
#include "support.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int total;

enum { THREADS = 4, ROUNDS = 300 };

/* Python first, then the lock: the order that deadlocks with pthread_mutex_lock(). */
static gpointer
python_then_lock (gpointer unused)
{
  (void) unused;
  for (int i = 0; i < ROUNDS; i++)
    {
      g_assert_cmpint (raddle_enter (), ==, RADDLE_STATUS_OK);
      g_assert_cmpint (raddle_lock_mutex (&lock), ==, RADDLE_STATUS_OK);
      g_assert_true (raddle_is_held ());
      total++;
      pthread_mutex_unlock (&lock);
      g_assert_cmpint (raddle_leave (), ==, RADDLE_STATUS_OK);
    }
  return NULL;
}

/* The lock first, then Python. */
static gpointer
lock_then_python (gpointer unused)
{
  (void) unused;
  for (int i = 0; i < ROUNDS; i++)
    {
      g_assert_cmpint (raddle_lock_mutex (&lock), ==, RADDLE_STATUS_OK);
      g_assert_cmpint (raddle_enter (), ==, RADDLE_STATUS_OK);
      total++;
      g_assert_cmpint (raddle_leave (), ==, RADDLE_STATUS_OK);
      pthread_mutex_unlock (&lock);
    }
  return NULL;
}

static void
both_orders_together (void)
{
  GThread *threads[2 * THREADS];

  total = 0;
  for (int i = 0; i < THREADS; i++)
    {
      threads[2 * i] = g_thread_new ("python first", python_then_lock, NULL);
      threads[2 * i + 1] = g_thread_new ("lock first", lock_then_python, NULL);
    }
  for (int i = 0; i < 2 * THREADS; i++)
    g_thread_join (threads[i]);
  g_assert_cmpint (total, ==, 2 * THREADS * ROUNDS);
}

static void
no_mutex_is_a_status (void)
{
  g_assert_cmpint (raddle_lock_mutex (NULL), ==, RADDLE_STATUS_NULL);
}

static void
a_mutex_that_refuses_is_a_status (void)
{
  pthread_mutexattr_t checking;
  pthread_mutex_t mutex;

  pthread_mutexattr_init (&checking);
  pthread_mutexattr_settype (&checking, PTHREAD_MUTEX_ERRORCHECK);
  pthread_mutex_init (&mutex, &checking);
  g_assert_cmpint (raddle_lock_mutex (&mutex), ==, RADDLE_STATUS_OK);
  g_assert_cmpint (raddle_lock_mutex (&mutex), ==, RADDLE_STATUS_INVALID);
  g_assert_cmpint (raddle_enter (), ==, RADDLE_STATUS_OK);
  g_assert_cmpint (raddle_lock_mutex (&mutex), ==, RADDLE_STATUS_INVALID);
  g_assert_true (raddle_is_held ());
  g_assert_cmpint (raddle_leave (), ==, RADDLE_STATUS_OK);
  pthread_mutex_unlock (&mutex);
  pthread_mutex_destroy (&mutex);
  pthread_mutexattr_destroy (&checking);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/lock/both-orders-together-do-not-deadlock", both_orders_together);
  g_test_add_func ("/lock/no-mutex-is-a-status", no_mutex_is_a_status);
  g_test_add_func ("/lock/a-mutex-that-refuses-is-a-status", a_mutex_that_refuses_is_a_status);
  return run_with_python ();
}
