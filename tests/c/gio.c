/* gio.c: GTasks whose work is Python, in a thread or as a coroutine, and their GCancellables. */
#include "support.h"

#include <raddle/raddle-gio.h>

#define DEFINITIONS CALL_CODE           \
  "import asyncio, raddle, threading\n" \
  "async def wait():\n"                 \
  "    calls.append(asyncio.current_task())\n" \
  "    await asyncio.Event().wait()\n"  \
  "async def answer():\n"               \
  "    await asyncio.sleep(0.001)\n"    \
  "    return 'done'\n"                 \
  "async def fail():\n"                 \
  "    await asyncio.sleep(0)\n"        \
  "    raise ValueError('from a coroutine')\n"

/* What a task came to; it is run to its end by the loop. */
typedef struct {
  GMainLoop *loop;
  GTask     *task;
  GValue     value;
  GError    *error;
} Run;

static void
on_task (GObject      *source G_GNUC_UNUSED,
         GAsyncResult *result,
         gpointer      data)
{
  Run *self = data;
  g_assert_true (result == G_ASYNC_RESULT (self->task));
  g_task_propagate_value (self->task, &self->value, &self->error);
  g_main_loop_quit (self->loop);
}

static void
run_new (Run          *self,
         GCancellable *cancellable)
{
  memset (self, 0, sizeof *self);
  self->loop = g_main_loop_new (NULL, FALSE);
  self->task = g_task_new (NULL, cancellable, on_task, self);
}

static void
run_clear (Run *self)
{
  g_main_loop_unref (self->loop);
  g_object_unref (self->task);
  if (G_IS_VALUE (&self->value))
    g_value_unset (&self->value);
  g_clear_error (&self->error);
}

typedef RaddleStatus (*Start) (GTask *task, PyObject *callable, GType type);

/* Starts what an expression makes, which nobody else holds. */
static void
start (Run        *self,
       Start       by,
       const char *expression)
{
  assert_ok (raddle_enter ());
  g_autofree char *code = g_strdup_printf ("work = %s", expression);
  run (code);
  assert_ok (by (self->task, named ("work"), G_TYPE_STRING));
  run ("del work");
  assert_ok (raddle_leave ());
}

static void
wait_for (const char *expression)
{
  gint64 end = g_get_monotonic_time () + 20 * G_USEC_PER_SEC;
  while (!look (expression))
    {
      g_assert_cmpint (g_get_monotonic_time (), <, end);
      if (!g_main_context_iteration (NULL, FALSE))
        g_thread_yield ();
    }
}

static gpointer
cancel (gpointer cancellable)
{
  g_assert_false (raddle_is_held ());
  g_cancellable_cancel (cancellable);
  return NULL;
}

/* --- in a thread --- */

static void
a_task_runs_a_callable_and_propagates_what_came_of_it (void)
{
  Run self;
  begin_notes ();
  run_new (&self, NULL);
  start (&self, raddle_task_run_in_thread, "Call('done')");
  assert_status (raddle_task_run_in_thread (self.task, Py_None, G_TYPE_STRING), RADDLE_STATUS_WRONG_ORDER);
  assert_status (raddle_task_run_in_thread (NULL, Py_None, G_TYPE_STRING), RADDLE_STATUS_NULL);
  g_main_loop_run (self.loop);
  g_assert_no_error (self.error);
  g_assert_cmpstr (g_value_get_string (&self.value), ==, "done");
  g_assert_cmpint (look ("calls == [(None,)] and threads[0] != threading.get_ident()"), ==, TRUE);
  run_clear (&self);
  wait_for ("len(ends) == 1");

  run_new (&self, NULL);
  start (&self, raddle_task_run_in_thread, "Call(ValueError)");
  g_main_loop_run (self.loop);
  g_assert_error (self.error, RADDLE_DOMAIN, RADDLE_STATUS_PYTHON);
  run_clear (&self);
  wait_for ("len(ends) == 2");
}

static void
a_worker_in_python_sees_its_cancellable (void)
{
  Run self;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  begin_notes ();
  in_python ("def watch(cancellable):\n"
             "    calls.append(raddle.is_cancelled(cancellable))\n"
             "    while not raddle.is_cancelled(cancellable): threading.Event().wait(0.001)\n"
             "    return 'stopped'\n");
  run_new (&self, cancellable);
  g_task_set_check_cancellable (self.task, FALSE); /* What the worker says counts. */
  start (&self, raddle_task_run_in_thread, "watch");
  wait_for ("calls == [False]");
  g_thread_join (g_thread_new ("canceller", cancel, cancellable));
  g_main_loop_run (self.loop);
  g_assert_no_error (self.error);
  g_assert_cmpstr (g_value_get_string (&self.value), ==, "stopped");
  run_clear (&self);

  /* Cancelled before the start; and an error of asyncio's is one of GIO's. */
  run_new (&self, cancellable);
  start (&self, raddle_task_run_in_thread, "Call(asyncio.CancelledError)");
  g_main_loop_run (self.loop);
  g_assert_error (self.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  run_clear (&self);
  wait_for ("len(ends) == 1"); /* On GIO's thread: not in the middle of the next test. */
}

/* --- in the loop --- */

static void
a_task_runs_a_coroutine_and_propagates_what_came_of_it (void)
{
  Run self;
  begin_notes ();
  run_new (&self, NULL);
  start (&self, raddle_task_run_in_loop, "answer");
  g_main_loop_run (self.loop);
  g_assert_no_error (self.error);
  g_assert_cmpstr (g_value_get_string (&self.value), ==, "done");
  run_clear (&self);

  run_new (&self, NULL);
  start (&self, raddle_task_run_in_loop, "fail");
  g_main_loop_run (self.loop);
  g_assert_error (self.error, RADDLE_DOMAIN, RADDLE_STATUS_PYTHON);
  support_assert_has (G_STRFUNC, __LINE__, self.error->message, "ValueError: from a coroutine");
  run_clear (&self);

  /* What is awaited need not be a coroutine, nor anything be awaited; the callable is dropped. */
  run_new (&self, NULL);
  start (&self, raddle_task_run_in_loop, "Call('plain')");
  g_main_loop_run (self.loop);
  g_assert_cmpstr (g_value_get_string (&self.value), ==, "plain");
  g_assert_cmpint (look ("calls == [()]"), ==, TRUE);
  run_clear (&self);
  wait_for ("len(ends) == 1");

  /* A result that does not fit is an error. */
  run_new (&self, NULL);
  start (&self, raddle_task_run_in_loop, "Call(7)");
  g_main_loop_run (self.loop);
  support_assert_has (G_STRFUNC, __LINE__, self.error->message, "TypeError");
  run_clear (&self);
}

static void
who_cancels_on_any_thread_cancels_the_coroutine_and_never_waits_for_python (void)
{
  Run self;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  begin_notes ();
  run_new (&self, cancellable);
  start (&self, raddle_task_run_in_loop, "wait");
  wait_for ("len(calls) == 1");
  assert_ok (raddle_enter ());
  /* Python stays held here: the other thread has to do without. */
  g_thread_join (g_thread_new ("canceller", cancel, cancellable));
  g_assert_cmpint (evaluate ("calls[0].done()"), ==, FALSE);
  assert_ok (raddle_leave ());
  g_main_loop_run (self.loop);
  g_assert_error (self.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpint (look ("calls[0].cancelled()"), ==, TRUE);
  run_clear (&self);
}

static void
a_coroutine_that_was_cancelled_before_never_begins (void)
{
  Run self;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  begin_notes ();
  g_cancellable_cancel (cancellable);
  run_new (&self, cancellable);
  start (&self, raddle_task_run_in_loop, "wait");
  g_main_loop_run (self.loop);
  g_assert_error (self.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpint (look ("len(calls)"), ==, 0);
  run_clear (&self);
}

static void
what_has_ended_is_not_cancelled_any_more (void)
{
  Run self;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  begin_notes ();
  run_new (&self, cancellable);
  g_task_set_check_cancellable (self.task, FALSE);
  start (&self, raddle_task_run_in_loop, "answer");
  g_main_loop_run (self.loop);
  g_assert_false (g_cancellable_is_cancelled (cancellable));
  g_cancellable_cancel (cancellable);
  g_assert_no_error (self.error);
  g_assert_cmpstr (g_value_get_string (&self.value), ==, "done");
  run_clear (&self);
  /* Nothing of the tie is left on the cancellable. */
  g_assert_finalize_object (g_steal_pointer (&cancellable));
}

static void
a_coroutine_that_is_cancelled_in_python_cancels_the_cancellable (void)
{
  Run self;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  begin_notes ();
  run_new (&self, cancellable);
  start (&self, raddle_task_run_in_loop, "wait");
  wait_for ("len(calls) == 1 and calls[0].cancel()");
  g_main_loop_run (self.loop);
  g_assert_error (self.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_true (g_cancellable_is_cancelled (cancellable));
  run_clear (&self);
}

static void
count (gpointer place)
{
  g_atomic_int_inc ((gint *) place);
}

static void
never (const GValue *value G_GNUC_UNUSED,
       const GError *error G_GNUC_UNUSED,
       gpointer      data G_GNUC_UNUSED)
{
  g_assert_not_reached ();
}

static void
a_loop_that_is_closed_before_returns_the_task (void)
{
  Run self;
  GMainContext *context = g_main_context_new ();
  gint notified = 0;
  PyObject *event_loop = NULL;
  begin_notes ();
  g_main_context_push_thread_default (context);
  run_new (&self, NULL);
  g_main_loop_unref (self.loop);
  self.loop = g_main_loop_new (context, FALSE);
  start (&self, raddle_task_run_in_loop, "wait");
  assert_ok (raddle_asyncio_get_loop (context, &event_loop));
  assert_ok (raddle_enter ());
  assert_ok (raddle_asyncio_run (context, (PyObject *) &PyLong_Type, NULL, G_TYPE_INVALID, never, &notified, count));
  give ("other", event_loop);
  run ("other.close()\nimport gc\ndel other\ngc.collect()");
  assert_ok (raddle_leave ());
  g_main_loop_run (self.loop);
  g_assert_error (self.error, RADDLE_DOMAIN, RADDLE_STATUS_STOPPED);
  g_assert_cmpint (notified, ==, 1);
  run_clear (&self);
  g_main_context_pop_thread_default (context);
  g_main_context_unref (context);
}

static void
mistakes_are_refused_and_notified_of (void)
{
  Run self;
  gint notified = 0;
  GObject *object = g_object_new (G_TYPE_OBJECT, NULL);
  begin_notes ();
  assert_status (raddle_asyncio_run (NULL, NULL, NULL, G_TYPE_INVALID, never, &notified, count), RADDLE_STATUS_NULL);
  assert_status (raddle_asyncio_run (NULL, Py_None, NULL, G_TYPE_INVALID, never, &notified, count), RADDLE_STATUS_INVALID);
  assert_status (raddle_asyncio_run (NULL, (PyObject *) &PyLong_Type, object, G_TYPE_INVALID, never, &notified, count),
                 RADDLE_STATUS_INVALID);
  assert_message_has ("no GCancellable");
  g_assert_cmpint (notified, ==, 3);
  assert_status (raddle_task_run_in_loop (NULL, Py_None, G_TYPE_STRING), RADDLE_STATUS_NULL);
  run_new (&self, NULL);
  assert_status (raddle_task_run_in_loop (self.task, Py_None, G_TYPE_STRING), RADDLE_STATUS_INVALID);
  g_task_return_new_error (self.task, G_IO_ERROR, G_IO_ERROR_FAILED, "not started, so it is still ours to return");
  g_main_loop_run (self.loop);
  run_clear (&self);
  g_object_unref (object);
}

/* --- operations: a GCancellable behind a RaddleOperation needs nothing but GIO's own functions --- */

static gint cancelled_handlers;

static void
note_cancelled (GCancellable *cancellable G_GNUC_UNUSED,
                gpointer      data G_GNUC_UNUSED)
{
  g_atomic_int_inc (&cancelled_handlers);
}

static void
a_future_of_a_native_operation_cancels_its_cancellable (void)
{
  RaddleCompletions *completions = NULL;
  RaddleOperation *operation = NULL;
  PyObject *future = NULL, *event_loop = NULL;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  begin_notes ();
  cancelled_handlers = 0;
  g_cancellable_connect (cancellable, G_CALLBACK (note_cancelled), NULL, NULL);
  assert_ok (raddle_completions_new (0, &completions));
  assert_ok (raddle_asyncio_get_loop (NULL, &event_loop));
  assert_ok (raddle_enter ());
  give ("event_loop", event_loop);
  PyObject *inside = PyObject_CallMethod (named ("event_loop"), "inside", NULL);
  Py_XDECREF (PyObject_CallMethod (inside, "__enter__", NULL));
  assert_ok (raddle_operation_new (completions, (void (*) (void *)) g_cancellable_cancel, g_object_ref (cancellable),
                                   g_object_unref, &operation, &future));
  Py_XDECREF (PyObject_CallMethod (inside, "__exit__", "OOO", Py_None, Py_None, Py_None));
  Py_XDECREF (inside);
  give ("future", future);
  run ("future.cancel()");
  assert_ok (raddle_leave ());
  wait_for ("future.cancelled()");
  while (!raddle_operation_is_cancelled (operation))
    g_main_context_iteration (NULL, TRUE);
  g_assert_true (g_cancellable_is_cancelled (cancellable));
  g_assert_cmpint (cancelled_handlers, ==, 1);
  raddle_operation_unref (operation);
  raddle_completions_unref (completions);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/gio/thread/a-task-propagates-what-came-of-it", a_task_runs_a_callable_and_propagates_what_came_of_it);
  g_test_add_func ("/gio/thread/a-worker-sees-its-cancellable", a_worker_in_python_sees_its_cancellable);
  g_test_add_func ("/gio/loop/a-task-propagates-what-came-of-it", a_task_runs_a_coroutine_and_propagates_what_came_of_it);
  g_test_add_func ("/gio/loop/who-cancels-never-waits-for-python",
                   who_cancels_on_any_thread_cancels_the_coroutine_and_never_waits_for_python);
  g_test_add_func ("/gio/loop/cancelled-before-it-never-begins", a_coroutine_that_was_cancelled_before_never_begins);
  g_test_add_func ("/gio/loop/what-has-ended-is-not-cancelled", what_has_ended_is_not_cancelled_any_more);
  g_test_add_func ("/gio/loop/cancelled-in-python-cancels-the-cancellable",
                   a_coroutine_that_is_cancelled_in_python_cancels_the_cancellable);
  g_test_add_func ("/gio/loop/closed-before-it-returns-the-task", a_loop_that_is_closed_before_returns_the_task);
  g_test_add_func ("/gio/mistakes-are-refused-and-notified-of", mistakes_are_refused_and_notified_of);
  g_test_add_func ("/gio/operation/a-future-cancels-its-cancellable", a_future_of_a_native_operation_cancels_its_cancellable);
  return run_with_definitions (DEFINITIONS);
}
