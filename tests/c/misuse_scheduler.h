/* misuse_scheduler.h: the rows of misuse.c that call raddle-scheduler.h. */
#ifndef RADDLE_TESTS_MISUSE_SCHEDULER_H
#define RADDLE_TESTS_MISUSE_SCHEDULER_H

#include <raddle/raddle-glib.h>

static RaddleStatus
scheduler_attach_and_detach (void)
{
  GMainContext *context = g_main_context_new ();
  RaddleStatus status = raddle_scheduler_attach (context, 0, G_PRIORITY_DEFAULT);
  if (status == RADDLE_STATUS_OK)
    assert_ok (raddle_scheduler_detach (context));
  g_main_context_unref (context);
  return status;
}

static RaddleStatus
scheduler_detach_nothing (void)
{
  return raddle_scheduler_detach (NULL);
}

static void
note_the_end (gpointer place)
{
  *(int *) place += 1;
}

static RaddleStatus
scheduler_error_func_of_nothing (void)
{
  int ends = 0;
  RaddleStatus status = raddle_scheduler_set_error_func (NULL, NULL, &ends, note_the_end);
  g_assert_cmpint (ends, ==, 1);
  return status;
}

static RaddleStatus
sleep_not_at_all (void)
{
  return raddle_sleep (0);
}

static RaddleStatus
wait_for_a_file (void)
{
  GIOCondition ready = 0;
  int fd = open ("/dev/null", O_RDONLY);
  RaddleStatus status = raddle_wait_fd (fd, G_IO_IN, -1, &ready);
  g_assert_true ((status == RADDLE_STATUS_OK) == (ready == G_IO_IN));
  close (fd);
  return status;
}

static RaddleStatus
replies_of_null (void)
{
  int ends = 0;
  g_assert_null (raddle_reply_ref (NULL));
  raddle_reply_unref (NULL);
  g_assert_cmpint (raddle_reply_give (NULL, &ends, note_the_end), ==, RADDLE_STATUS_NULL);
  g_assert_cmpint (ends, ==, 1);
  g_assert_cmpint (raddle_reply_wait (NULL, -1, NULL), ==, RADDLE_STATUS_NULL);
  return raddle_reply_new (NULL);
}

static RaddleStatus
reply_that_nobody_takes (void)
{
  g_autoptr (RaddleReply) reply = NULL;
  int ends = 0;
  assert_ok (raddle_reply_new (&reply));
  RaddleStatus status = raddle_reply_give (reply, &ends, note_the_end);
  raddle_reply_unref (g_steal_pointer (&reply));
  g_assert_cmpint (ends, ==, 1);
  return status;
}

static RaddleStatus
reply_that_nobody_gives (void)
{
  g_autoptr (RaddleReply) reply = NULL;
  gpointer data = &reply;
  assert_ok (raddle_reply_new (&reply));
  RaddleStatus status = raddle_reply_wait (reply, 0, &data);
  g_assert_true (data == &reply);
  return status;
}

#define SCHEDULER_ROWS \
  { ROW (scheduler_attach_and_detach),     { UNSTARTED, OK, OK, OK, CLOSED, CLOSED, CLOSED } }, \
  { ROW (scheduler_detach_nothing),        { UNSTARTED, ORDER, ORDER, ORDER, CLOSED, CLOSED, CLOSED } }, \
  { ROW (scheduler_error_func_of_nothing), ALWAYS (ORDER) }, \
  { ROW (sleep_not_at_all),                { UNSTARTED, ORDER, OK, ORDER, CLOSED, CLOSED, CLOSED } }, \
  { ROW (wait_for_a_file),                 { UNSTARTED, ORDER, OK, ORDER, CLOSED, CLOSED, CLOSED } }, \
  { ROW (replies_of_null),                 ALWAYS (NUL) }, \
  { ROW (reply_that_nobody_takes),         { UNSTARTED, OK, OK, OK, CLOSED, CLOSED, CLOSED } }, \
  { ROW (reply_that_nobody_gives),         { UNSTARTED, ORDER, RADDLE_STATUS_TIMED_OUT, ORDER, CLOSED, CLOSED, CLOSED } },

#endif /* RADDLE_TESTS_MISUSE_SCHEDULER_H */
