/* misuse_completion.h: misuse.c's rows for completions and operations. */
#ifndef RADDLE_TESTS_MISUSE_COMPLETION_H
#define RADDLE_TESTS_MISUSE_COMPLETION_H

#include "support.h"

#include <raddle/raddle-glib.h>

static int completions_freed;

static void
free_completion (void *user_data)
{
  (void) user_data;
  completions_freed++;
}

static void
run_completion (void *user_data)
{
  (void) user_data;
}

static PyObject *
make_completion (void *user_data)
{
  (void) user_data;
  return NULL;
}

static RaddleCompletions *
misused_queue (void)
{
  RaddleCompletions *queue = NULL;
  assert_ok (raddle_completions_new (1, &queue));
  completions_freed = 0;
  return queue;
}

static RaddleStatus
completions_new_null (void)
{
  return raddle_completions_new (0, NULL);
}

static RaddleStatus
completions_of_null (void)
{
  RaddleCompletionsStats stats;
  RaddleCompletions *queue = NULL;
  PyObject *object = NULL;

  completions_freed = 0;
  g_assert_null (raddle_completions_ref (NULL));
  raddle_completions_unref (NULL);
  g_assert_false (raddle_completions_is_closed (NULL));
  g_assert_cmpint (raddle_completions_get_fd (NULL), ==, -1);
  assert_status (raddle_completions_post (NULL, run_completion, NULL, free_completion), RADDLE_STATUS_NULL);
  assert_status (raddle_completions_post_within (NULL, 0, run_completion, NULL, free_completion), RADDLE_STATUS_NULL);
  assert_status (raddle_completions_post_call (NULL, NULL, NULL, NULL, free_completion), RADDLE_STATUS_NULL);
  assert_status (raddle_completions_drain (NULL, 0, -1, NULL), RADDLE_STATUS_NULL);
  assert_status (raddle_completions_get_stats (NULL, &stats), RADDLE_STATUS_NULL);
  assert_status (raddle_completions_get_object (NULL, &object), RADDLE_STATUS_NULL);
  assert_status (raddle_completions_from_object (NULL, &queue), RADDLE_STATUS_NULL);
  assert_status (raddle_completions_attach (NULL, NULL, 0), RADDLE_STATUS_NULL);
  assert_status (raddle_completions_detach (NULL), RADDLE_STATUS_NULL);
  g_assert_cmpint (completions_freed, ==, 3);
  return raddle_completions_close (NULL);
}

static RaddleStatus
completions_with_null (void)
{
  RaddleCompletions *queue = misused_queue ();

  assert_status (raddle_completions_post (queue, NULL, NULL, free_completion), RADDLE_STATUS_NULL);
  assert_status (raddle_completions_post_call (queue, NULL, make_completion, NULL, free_completion), RADDLE_STATUS_NULL);
  assert_status (raddle_completions_get_object (queue, NULL), RADDLE_STATUS_NULL);
  RaddleStatus status = raddle_completions_get_stats (queue, NULL);
  raddle_completions_unref (queue);
  g_assert_cmpint (completions_freed, ==, 2);
  return status;
}

static RaddleStatus
completions_post (void)
{
  RaddleCompletions *queue = misused_queue ();
  RaddleStatus status = raddle_completions_post (queue, run_completion, NULL, free_completion);
  raddle_completions_unref (queue);
  g_assert_cmpint (completions_freed, ==, 1);
  return status;
}

static RaddleStatus
completions_post_too_many (void)
{
  RaddleCompletions *queue = misused_queue ();
  assert_ok (raddle_completions_post (queue, run_completion, NULL, free_completion));
  RaddleStatus status = raddle_completions_post_within (queue, 0, run_completion, NULL, free_completion);
  g_assert_cmpint (completions_freed, ==, 1);
  raddle_completions_unref (queue);
  g_assert_cmpint (completions_freed, ==, 2);
  return status;
}

static RaddleStatus
completions_post_closed (void)
{
  RaddleCompletions *queue = misused_queue ();
  assert_ok (raddle_completions_close (queue));
  RaddleStatus status = raddle_completions_post (queue, run_completion, NULL, free_completion);
  raddle_completions_unref (queue);
  g_assert_cmpint (completions_freed, ==, 1);
  return status;
}

static RaddleStatus
completions_drain (void)
{
  RaddleCompletions *queue = misused_queue ();
  RaddleStatus status = raddle_completions_drain (queue, 0, -1, NULL);
  raddle_completions_unref (queue);
  return status;
}

static RaddleStatus
completions_attach_and_detach (void)
{
  RaddleCompletions *queue = misused_queue ();
  RaddleStatus status = raddle_completions_attach (queue, NULL, G_PRIORITY_DEFAULT);
  if (status == RADDLE_STATUS_OK)
    assert_ok (raddle_completions_detach (queue));
  raddle_completions_unref (queue);
  return status;
}

static RaddleStatus
completions_detach (void)
{
  RaddleCompletions *queue = misused_queue ();
  RaddleStatus status = raddle_completions_detach (queue);
  raddle_completions_unref (queue);
  return status;
}

static RaddleStatus
completions_get_object (void)
{
  PyObject *object = NULL;
  RaddleCompletions *queue = misused_queue ();
  RaddleStatus status = raddle_completions_get_object (queue, &object);
  if (status == RADDLE_STATUS_OK)
    raddle_decref (object);
  raddle_completions_unref (queue);
  return status;
}

/* There is no loop in any situation. */
static RaddleStatus
operation_without_a_loop (void)
{
  RaddleOperation *operation = NULL;
  PyObject *future = NULL;
  RaddleCompletions *queue = misused_queue ();
  RaddleStatus status
    = raddle_operation_new (queue, run_completion, NULL, free_completion, &operation, &future);
  g_assert_true (operation == NULL && future == NULL);
  g_assert_cmpint (completions_freed, ==, 1);
  assert_status (raddle_operation_new (queue, NULL, NULL, NULL, NULL, &future), RADDLE_STATUS_NULL);
  assert_status (raddle_operation_new (queue, NULL, NULL, NULL, &operation, NULL), RADDLE_STATUS_NULL);
  raddle_completions_unref (queue);
  return status;
}

static RaddleStatus
operation_of_null (void)
{
  completions_freed = 0;
  g_assert_null (raddle_operation_ref (NULL));
  raddle_operation_unref (NULL);
  g_assert_false (raddle_operation_is_cancelled (NULL));
  assert_status (raddle_operation_new (NULL, NULL, NULL, free_completion, NULL, NULL), RADDLE_STATUS_NULL);
  assert_status (raddle_operation_finish (NULL, make_completion, NULL, free_completion), RADDLE_STATUS_NULL);
  assert_status (raddle_operation_fail_with (NULL, NULL, NULL, free_completion), RADDLE_STATUS_NULL);
  assert_status (raddle_operation_finish_bool (NULL, true), RADDLE_STATUS_NULL);
  assert_status (raddle_operation_finish_int64 (NULL, 1), RADDLE_STATUS_NULL);
  assert_status (raddle_operation_finish_double (NULL, 1), RADDLE_STATUS_NULL);
  assert_status (raddle_operation_finish_utf8 (NULL, NULL), RADDLE_STATUS_NULL);
  assert_status (raddle_operation_finish_bytes (NULL, NULL, 1), RADDLE_STATUS_NULL);
  assert_status (raddle_operation_fail (NULL, RADDLE_STATUS_OK, NULL), RADDLE_STATUS_NULL);
  g_assert_cmpint (completions_freed, ==, 3);
  return raddle_operation_finish_none (NULL);
}

#define STOPPED RADDLE_STATUS_STOPPED
#define LATE RADDLE_STATUS_TIMED_OUT
#define COMPLETION_ROWS \
  { ROW (completions_new_null),          ALWAYS (NUL) }, \
  { ROW (completions_of_null),           ALWAYS (NUL) }, \
  { ROW (completions_with_null),         ALWAYS (NUL) }, \
  { ROW (completions_post),              ALWAYS (OK) }, \
  { ROW (completions_post_too_many),     ALWAYS (LATE) }, \
  { ROW (completions_post_closed),       ALWAYS (STOPPED) }, \
  { ROW (completions_drain),             { UNSTARTED, OK, OK, OK, CLOSED, CLOSED, CLOSED } }, \
  { ROW (completions_attach_and_detach), { UNSTARTED, OK, OK, OK, CLOSED, CLOSED, CLOSED } }, \
  { ROW (completions_detach),            ALWAYS (ORDER) }, \
  { ROW (completions_get_object),        { ORDER, ORDER, OK, ORDER, ORDER, ORDER, ORDER } }, \
  { ROW (operation_without_a_loop),      ALWAYS (ORDER) }, \
  { ROW (operation_of_null),             ALWAYS (NUL) },

#endif /* RADDLE_TESTS_MISUSE_COMPLETION_H */
