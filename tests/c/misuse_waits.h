/* misuse_waits.h: the rows of misuse.c for semaphores and rings, which work in every situation. */
#ifndef RADDLE_TESTS_MISUSE_WAITS_H
#define RADDLE_TESTS_MISUSE_WAITS_H

#include "support.h"

static RaddleStatus
semaphore_new_null (void)
{
  return raddle_semaphore_new (1, NULL);
}

static RaddleStatus
semaphore_of_null (void)
{
  g_assert_null (raddle_semaphore_ref (NULL));
  raddle_semaphore_unref (NULL);
  g_assert_false (raddle_semaphore_is_stopped (NULL));
  g_assert_cmpuint (raddle_semaphore_get_value (NULL), ==, 0);
  g_assert_cmpint (raddle_semaphore_get_fd (NULL), ==, -1);
  assert_status (raddle_semaphore_put (NULL, 1), RADDLE_STATUS_NULL);
  assert_status (raddle_semaphore_stop (NULL), RADDLE_STATUS_NULL);
  assert_status (raddle_semaphore_try_get (NULL), RADDLE_STATUS_NULL);
  return raddle_semaphore_get (NULL, -1, RADDLE_WAIT_RELEASE_PYTHON);
}

/* What a semaphore with no token answers to a wait of this kind; stopped if asked for. */
static RaddleStatus
semaphore_waits (RaddleWait wait, bool stopped)
{
  RaddleSemaphore *semaphore = NULL;
  assert_ok (raddle_semaphore_new (1, &semaphore));
  assert_ok (raddle_semaphore_get (semaphore, 1000, RADDLE_WAIT_RELEASE_PYTHON));
  if (stopped)
    assert_ok (raddle_semaphore_stop (semaphore));
  RaddleStatus status = raddle_semaphore_get (semaphore, stopped ? -1 : 1, wait);
  raddle_semaphore_unref (semaphore);
  return status;
}

static RaddleStatus
semaphore_plainly (void)
{
  return semaphore_waits (RADDLE_WAIT_PLAIN, false);
}

static RaddleStatus
semaphore_releasing (void)
{
  return semaphore_waits (RADDLE_WAIT_RELEASE_PYTHON, false);
}

static RaddleStatus
semaphore_no_wait (void)
{
  return semaphore_waits ((RaddleWait) 17, false);
}

static RaddleStatus
semaphore_stopped (void)
{
  assert_status (semaphore_waits (RADDLE_WAIT_PLAIN, true), RADDLE_STATUS_STOPPED);
  return semaphore_waits (RADDLE_WAIT_RELEASE_PYTHON, true);
}

static RaddleStatus
ring_new_null (void)
{
  return raddle_ring_new (1, NULL, NULL);
}

static RaddleStatus
ring_new_empty (void)
{
  RaddleRing *ring = NULL;
  RaddleStatus status = raddle_ring_new (0, NULL, &ring);
  g_assert_null (ring);
  return status;
}

static RaddleStatus
ring_of_null (void)
{
  RaddleRingStats stats;
  void *item = &stats;
  g_assert_null (raddle_ring_ref (NULL));
  raddle_ring_unref (NULL);
  g_assert_false (raddle_ring_is_stopped (NULL));
  g_assert_cmpint (raddle_ring_get_fd (NULL), ==, -1);
  g_assert_cmpint (raddle_ring_get_room_fd (NULL), ==, -1);
  assert_status (raddle_ring_stop (NULL), RADDLE_STATUS_NULL);
  assert_status (raddle_ring_add_producer (NULL), RADDLE_STATUS_NULL);
  assert_status (raddle_ring_remove_producer (NULL), RADDLE_STATUS_NULL);
  assert_status (raddle_ring_get_stats (NULL, &stats), RADDLE_STATUS_NULL);
  assert_status (raddle_ring_try_push (NULL, item), RADDLE_STATUS_NULL);
  assert_status (raddle_ring_try_pop (NULL, &item), RADDLE_STATUS_NULL);
  assert_status (raddle_ring_push (NULL, item, -1, RADDLE_WAIT_PLAIN), RADDLE_STATUS_NULL);
  return raddle_ring_pop (NULL, -1, RADDLE_WAIT_PLAIN, &item);
}

/* The answer of one call to a ring with an item in it and room for no more. */
static RaddleStatus
ring_call (RaddleStatus (*call) (RaddleRing *ring, void *item))
{
  RaddleRing *ring = NULL;
  int item;
  assert_ok (raddle_ring_new (1, NULL, &ring));
  assert_ok (raddle_ring_push (ring, &item, 1000, RADDLE_WAIT_RELEASE_PYTHON));
  RaddleStatus status = call (ring, &item);
  raddle_ring_unref (ring);
  return status;
}

static RaddleStatus
call_with_nulls (RaddleRing *ring, void *item)
{
  (void) item;
  assert_status (raddle_ring_try_push (ring, NULL), RADDLE_STATUS_NULL);
  assert_status (raddle_ring_push (ring, NULL, -1, RADDLE_WAIT_PLAIN), RADDLE_STATUS_NULL);
  assert_status (raddle_ring_try_pop (ring, NULL), RADDLE_STATUS_NULL);
  assert_status (raddle_ring_pop (ring, -1, RADDLE_WAIT_PLAIN, NULL), RADDLE_STATUS_NULL);
  return raddle_ring_get_stats (ring, NULL);
}

static RaddleStatus
call_full (RaddleRing *ring, void *item)
{
  assert_status (raddle_ring_try_push (ring, item), RADDLE_STATUS_TIMED_OUT);
  assert_status (raddle_ring_push (ring, item, 1, RADDLE_WAIT_PLAIN), RADDLE_STATUS_TIMED_OUT);
  return raddle_ring_push (ring, item, 1, RADDLE_WAIT_RELEASE_PYTHON);
}

static RaddleStatus
call_with_no_wait (RaddleRing *ring, void *item)
{
  assert_status (raddle_ring_push (ring, item, 1, (RaddleWait) 17), RADDLE_STATUS_INVALID);
  return raddle_ring_pop (ring, 1, (RaddleWait) 17, &item);
}

static RaddleStatus
call_stopped (RaddleRing *ring, void *item)
{
  assert_ok (raddle_ring_stop (ring));
  assert_ok (raddle_ring_stop (ring));
  assert_status (raddle_ring_push (ring, item, -1, RADDLE_WAIT_RELEASE_PYTHON), RADDLE_STATUS_STOPPED);
  assert_ok (raddle_ring_pop (ring, -1, RADDLE_WAIT_RELEASE_PYTHON, &item));
  return raddle_ring_pop (ring, -1, RADDLE_WAIT_RELEASE_PYTHON, &item);
}

static RaddleStatus
call_without_producer (RaddleRing *ring, void *item)
{
  (void) item;
  return raddle_ring_remove_producer (ring);
}

static RaddleStatus
ring_with_nulls (void)
{
  return ring_call (call_with_nulls);
}

static RaddleStatus
ring_full (void)
{
  return ring_call (call_full);
}

static RaddleStatus
ring_no_wait (void)
{
  return ring_call (call_with_no_wait);
}

static RaddleStatus
ring_stopped (void)
{
  return ring_call (call_stopped);
}

static RaddleStatus
ring_without_producer (void)
{
  return ring_call (call_without_producer);
}

#define WAIT_ROWS \
  { ROW (semaphore_new_null),        ALWAYS (RADDLE_STATUS_NULL) }, \
  { ROW (semaphore_of_null),         ALWAYS (RADDLE_STATUS_NULL) }, \
  { ROW (semaphore_plainly),         ALWAYS (RADDLE_STATUS_TIMED_OUT) }, \
  { ROW (semaphore_releasing),       ALWAYS (RADDLE_STATUS_TIMED_OUT) }, \
  { ROW (semaphore_no_wait),         ALWAYS (RADDLE_STATUS_INVALID) }, \
  { ROW (semaphore_stopped),         ALWAYS (RADDLE_STATUS_STOPPED) }, \
  { ROW (ring_new_null),             ALWAYS (RADDLE_STATUS_NULL) }, \
  { ROW (ring_new_empty),            ALWAYS (RADDLE_STATUS_INVALID) }, \
  { ROW (ring_of_null),              ALWAYS (RADDLE_STATUS_NULL) }, \
  { ROW (ring_with_nulls),           ALWAYS (RADDLE_STATUS_NULL) }, \
  { ROW (ring_full),                 ALWAYS (RADDLE_STATUS_TIMED_OUT) }, \
  { ROW (ring_no_wait),              ALWAYS (RADDLE_STATUS_INVALID) }, \
  { ROW (ring_stopped),              ALWAYS (RADDLE_STATUS_STOPPED) }, \
  { ROW (ring_without_producer),     ALWAYS (RADDLE_STATUS_WRONG_ORDER) }

#endif /* RADDLE_TESTS_MISUSE_WAITS_H */
