/* ring.c: who owns an item and when notify runs, ends that are heard, threads, descriptors and forks. */
#include "support.h"

#include <poll.h>
#include <raddle/raddle-glib.h>

enum { LONG_MS = 20 * 1000, EACH = 20000, PRODUCERS = 3, CONSUMERS = 2 };

static int notified;

static void
notify (void *item)
{
  g_assert_nonnull (item);
  g_atomic_int_inc (&notified);
}

static RaddleRing *
ring_for (uint32_t capacity)
{
  RaddleRing *ring = NULL;
  notified = 0;
  assert_ok (raddle_ring_new (capacity, notify, &ring));
  return ring;
}

static RaddleRingStats
stats_of (RaddleRing *ring)
{
  RaddleRingStats stats;
  assert_ok (raddle_ring_get_stats (ring, &stats));
  return stats;
}

static gboolean
is_readable (int fd)
{
  struct pollfd record = { fd, POLLIN, 0 };
  return poll (&record, 1, 0) == 1;
}

static void
what_went_in_first_comes_out_first (void)
{
  g_autoptr (RaddleRing) ring = ring_for (2);
  int a = 1, b = 2, c = 3;
  void *out = &c;
  assert_ok (raddle_ring_try_push (ring, &a));
  assert_ok (raddle_ring_push (ring, &b, -1, RADDLE_WAIT_PLAIN));
  assert_status (raddle_ring_try_push (ring, &c), RADDLE_STATUS_TIMED_OUT);
  assert_status (raddle_ring_push (ring, &c, 5, RADDLE_WAIT_RELEASE_PYTHON), RADDLE_STATUS_TIMED_OUT);
  assert_ok (raddle_ring_try_pop (ring, &out));
  g_assert_true (out == &a);
  assert_ok (raddle_ring_pop (ring, -1, RADDLE_WAIT_RELEASE_PYTHON, &out));
  g_assert_true (out == &b);
  assert_status (raddle_ring_try_pop (ring, &out), RADDLE_STATUS_TIMED_OUT);
  assert_status (raddle_ring_pop (ring, 5, RADDLE_WAIT_PLAIN, &out), RADDLE_STATUS_TIMED_OUT);
  g_assert_true (out == &b); /* written only on success */
  RaddleRingStats stats = stats_of (ring);
  g_assert_cmpuint (stats.capacity, ==, 2);
  g_assert_cmpuint (stats.max_length, ==, 2);
  g_assert_cmpuint (stats.pushes, ==, 2);
  g_assert_cmpuint (stats.pops, ==, 2);
  g_assert_cmpuint (stats.push_waits, ==, 1);
  g_assert_cmpuint (stats.pop_waits, ==, 1);
}

static void
notify_runs_once_for_what_is_left (void)
{
  RaddleRing *ring = ring_for (4);
  int items[5];
  void *out;
  for (int i = 0; i < 4; i++)
    assert_ok (raddle_ring_try_push (ring, &items[i]));
  assert_status (raddle_ring_try_push (ring, &items[4]), RADDLE_STATUS_TIMED_OUT);
  assert_ok (raddle_ring_try_pop (ring, &out));
  assert_ok (raddle_ring_stop (ring));
  assert_status (raddle_ring_try_push (ring, &items[4]), RADDLE_STATUS_STOPPED);
  g_assert_true (raddle_ring_ref (ring) == ring);
  raddle_ring_unref (ring);
  g_assert_cmpint (notified, ==, 0); /* refused and popped items are the caller's */
  raddle_ring_unref (ring);
  g_assert_cmpint (notified, ==, 3);
}

static void
a_ring_without_notify_forgets_what_is_left (void)
{
  RaddleRing *ring = NULL;
  int item;
  assert_ok (raddle_ring_new (1, NULL, &ring));
  assert_ok (raddle_ring_try_push (ring, &item));
  raddle_ring_unref (ring);
}

static void
what_is_out_of_range_is_refused (void)
{
  RaddleRing *ring = NULL;
  assert_status (raddle_ring_new (0, notify, &ring), RADDLE_STATUS_INVALID);
  assert_status (raddle_ring_new (UINT32_MAX, notify, &ring), RADDLE_STATUS_INVALID);
  assert_message_has ("16777216");
  g_assert_null (ring);
}

static void
the_last_producer_to_go_stops_it (void)
{
  g_autoptr (RaddleRing) ring = ring_for (1);
  assert_status (raddle_ring_remove_producer (ring), RADDLE_STATUS_WRONG_ORDER);
  assert_ok (raddle_ring_add_producer (ring));
  assert_ok (raddle_ring_add_producer (ring));
  assert_ok (raddle_ring_remove_producer (ring));
  g_assert_false (raddle_ring_is_stopped (ring));
  assert_ok (raddle_ring_remove_producer (ring));
  g_assert_true (raddle_ring_is_stopped (ring));
}

static gpointer
produce (gpointer data)
{
  RaddleRing *ring = data;
  for (gsize i = 1; i <= EACH; i++)
    assert_ok (raddle_ring_push (ring, GSIZE_TO_POINTER (i), LONG_MS, RADDLE_WAIT_PLAIN));
  assert_ok (raddle_ring_remove_producer (ring));
  return NULL;
}

static gpointer
consume (gpointer data)
{
  RaddleRing *ring = data;
  gsize sum = 0;
  void *item;
  RaddleStatus status;
  while ((status = raddle_ring_pop (ring, LONG_MS, RADDLE_WAIT_PLAIN, &item)) == RADDLE_STATUS_OK)
    sum += GPOINTER_TO_SIZE (item);
  assert_status (status, RADDLE_STATUS_STOPPED);
  return GSIZE_TO_POINTER (sum);
}

static void
every_item_comes_out_once (void)
{
  g_autoptr (RaddleRing) ring = ring_for (16);
  GThread *threads[PRODUCERS + CONSUMERS];
  gsize sum = 0;
  for (int i = 0; i < PRODUCERS; i++)
    assert_ok (raddle_ring_add_producer (ring));
  for (int i = 0; i < PRODUCERS + CONSUMERS; i++)
    threads[i] = g_thread_new ("ring", i < PRODUCERS ? produce : consume, ring);
  for (int i = 0; i < PRODUCERS + CONSUMERS; i++)
    sum += GPOINTER_TO_SIZE (g_thread_join (threads[i]));
  g_assert_cmpuint (sum, ==, (gsize) PRODUCERS * EACH * (EACH + 1) / 2);
  g_assert_cmpuint (stats_of (ring).pops, ==, PRODUCERS * EACH);
}

static gpointer
push_until_stopped (gpointer ring)
{
  static int item;
  assert_status (raddle_ring_push (ring, &item, LONG_MS, RADDLE_WAIT_PLAIN), RADDLE_STATUS_STOPPED);
  return NULL;
}

static gboolean
somebody_waits_for_room (gpointer ring)
{
  return stats_of (ring).push_waits > 0;
}

static void
a_stop_wakes_those_who_push (void)
{
  g_autoptr (RaddleRing) ring = ring_for (1);
  int item;
  void *out = NULL;
  assert_ok (raddle_ring_try_push (ring, &item));
  GThread *thread = g_thread_new ("producer", push_until_stopped, ring);
  wait_until (somebody_waits_for_room, ring);
  assert_ok (raddle_ring_stop (ring));
  g_thread_join (thread);
  assert_ok (raddle_ring_pop (ring, -1, RADDLE_WAIT_PLAIN, &out));
  g_assert_true (out == &item);
  assert_status (raddle_ring_pop (ring, -1, RADDLE_WAIT_PLAIN, &out), RADDLE_STATUS_STOPPED);
}

static gpointer
make_with_python (gpointer ring)
{
  assert_ok (raddle_enter ());
  PyObject *made = PyUnicode_FromString ("made elsewhere");
  assert_ok (raddle_leave ());
  assert_ok (raddle_ring_push (ring, made, LONG_MS, RADDLE_WAIT_PLAIN));
  return NULL;
}

/* A ring of Python references: raddle_decref() may be its notify, and the last reference may go anywhere. */
static void
references_go_through_with_python_held_by_the_other_side (void)
{
  RaddleRing *ring = NULL;
  void *made = NULL;
  assert_ok (raddle_ring_new (2, (void (*) (void *)) raddle_decref, &ring));
  assert_ok (raddle_enter ());
  GThread *thread = g_thread_new ("maker", make_with_python, ring);
  assert_ok (raddle_ring_pop (ring, LONG_MS, RADDLE_WAIT_RELEASE_PYTHON, &made));
  g_assert_true (raddle_is_held ());
  g_assert_cmpstr (PyUnicode_AsUTF8 (made), ==, "made elsewhere");
  assert_ok (raddle_ring_try_push (ring, made));
  assert_ok (raddle_leave ());
  g_thread_join (thread);
  raddle_ring_unref (ring); /* without Python: the next entry drops the reference */
}

static void
its_descriptors_can_be_polled (void)
{
  g_autoptr (RaddleRing) ring = ring_for (1);
  int items = raddle_ring_get_fd (ring), room = raddle_ring_get_room_fd (ring), item;
  void *out;
  g_assert_false (is_readable (items));
  g_assert_true (is_readable (room));
  assert_ok (raddle_ring_try_push (ring, &item));
  assert_status (raddle_ring_try_push (ring, &item), RADDLE_STATUS_TIMED_OUT);
  g_assert_true (is_readable (items));
  g_assert_false (is_readable (room));
  assert_ok (raddle_ring_try_pop (ring, &out));
  assert_status (raddle_ring_try_pop (ring, &out), RADDLE_STATUS_TIMED_OUT);
  g_assert_false (is_readable (items));
  assert_ok (raddle_ring_stop (ring));
  g_assert_true (is_readable (items));
  g_assert_true (is_readable (room));
}

static void
find_it_stopped (gpointer ring)
{
  int item;
  void *out;
  g_assert_true (raddle_ring_is_stopped (ring));
  assert_status (raddle_ring_try_push (ring, &item), RADDLE_STATUS_STOPPED);
  assert_status (raddle_ring_pop (ring, -1, RADDLE_WAIT_PLAIN, &out), RADDLE_STATUS_STOPPED);
  assert_ok (raddle_ring_stop (ring));
  raddle_ring_unref (ring);
  g_assert_cmpint (notified, ==, 0);
}

static void
in_a_forked_child_it_is_stopped_and_notifies_nobody (void)
{
  IN_A_CHILD ();
  RaddleRing *ring = ring_for (2);
  int item;
  assert_ok (raddle_ring_try_push (ring, &item));
  in_a_fork (find_it_stopped, ring);
  g_assert_false (raddle_ring_is_stopped (ring));
  raddle_ring_unref (ring);
  g_assert_cmpint (notified, ==, 1);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/ring/first-in-is-first-out", what_went_in_first_comes_out_first);
  g_test_add_func ("/ring/notify/runs-once-for-what-is-left", notify_runs_once_for_what_is_left);
  g_test_add_func ("/ring/notify/may-be-missing", a_ring_without_notify_forgets_what_is_left);
  g_test_add_func ("/ring/new/refuses-what-is-out-of-range", what_is_out_of_range_is_refused);
  g_test_add_func ("/ring/producers/the-last-to-go-stops-it", the_last_producer_to_go_stops_it);
  g_test_add_func ("/ring/threads/every-item-comes-out-once", every_item_comes_out_once);
  g_test_add_func ("/ring/stop/wakes-those-who-push", a_stop_wakes_those_who_push);
  g_test_add_func ("/ring/python/references-go-through", references_go_through_with_python_held_by_the_other_side);
  g_test_add_func ("/ring/fd/can-be-polled", its_descriptors_can_be_polled);
  g_test_add_func ("/ring/fork/is-stopped-in-the-child", in_a_forked_child_it_is_stopped_and_notifies_nobody);
  return run_with_python ();
}
