/* raddle-gio.h: Python as the work of a GTask, in a thread or as a coroutine, and tasklets that wait for one.
 * Needs GIO, which libraddle does not: all of it is inline. */
#ifndef RADDLE_GIO_H
#define RADDLE_GIO_H

#include <gio/gio.h>
#include <raddle/raddle-glib.h>

RADDLE_BEGIN_DECLS

/* What a task carries while it runs. */
typedef struct {
  PyObject *callable; /* owned */
  GType     type;
} RaddleTaskWork;

static inline void
raddle_task_work_free (gpointer work)
{
  raddle_decref (((RaddleTaskWork *) work)->callable);
  g_free (work);
}

static inline void
raddle_task_work_run (GTask        *task,
                      gpointer      source_object,
                      gpointer      task_data,
                      GCancellable *cancellable)
{
  RaddleTaskWork *work = (RaddleTaskWork *) task_data;
  GValue argument = G_VALUE_INIT, value = G_VALUE_INIT;
  GError *error = NULL;

  (void) source_object;
  g_value_init (&argument, G_TYPE_CANCELLABLE);
  g_value_set_object (&argument, cancellable);
  if (raddle_call_with_values (work->callable, work->type, 1, &argument, &value, &error))
    {
      g_task_return_value (task, &value);
      g_value_unset (&value);
    }
  else
    g_task_return_error (task, error);
  g_value_unset (&argument);
}

/**
 * raddle_task_run_in_thread:
 * @task: a task; its task data becomes raddle's
 * @callable: (transfer none): a Python callable, called with the task's
 *   GCancellable, or None: raddle.is_cancelled() tells whether to go on
 * @type: the type of the result, as for raddle_call()
 *
 * g_task_run_in_thread() with a Python callable. The result is there for
 * g_task_propagate_value(), what it raises as an error for it. The caller
 * holds Python, for the reference to @callable.
 *
 * Returns: %RADDLE_STATUS_OK; %RADDLE_STATUS_NULL; %RADDLE_STATUS_WRONG_ORDER if
 *   Python is not held; then the task was not started
 *
 * Thread: one that holds Python. @callable runs on one of GIO's.
 *
 * Since: 0.1
 */
static inline RaddleStatus
raddle_task_run_in_thread (GTask    *task,
                           PyObject *callable,
                           GType     type)
{
  GValue value = G_VALUE_INIT;
  RaddleTaskWork *work;
  RaddleStatus status;

  if (task == NULL)
    return RADDLE_STATUS_NULL;
  /* A value of this type takes a reference, where Python is held. */
  g_value_init (&value, RADDLE_TYPE_OBJECT);
  status = raddle_value_from_python (&value, callable);
  if (status != RADDLE_STATUS_OK)
    return status;
  work = g_new (RaddleTaskWork, 1);
  work->callable = (PyObject *) g_value_dup_boxed (&value);
  work->type = type;
  g_value_unset (&value);
  g_task_set_task_data (task, work, raddle_task_work_free);
  g_task_run_in_thread (task, raddle_task_work_run);
  return RADDLE_STATUS_OK;
}

/**
 * raddle_reply_ready: (skip)
 * @source_object: (nullable): what the operation is of
 * @result: the operation's result
 * @reply: a #RaddleReply, of which the operation has a reference
 *
 * A GAsyncReadyCallback that gives a reply, for a tasklet that waits for an
 * operation. The reference is dropped, so pass one of its own:
 *
 *     g_file_load_contents_async (file, NULL, raddle_reply_ready, raddle_reply_ref (reply));
 *     status = raddle_reply_wait (reply, -1, (gpointer *) &result);
 *     g_file_load_contents_finish (file, result, &contents, &length, NULL, &error);
 *
 * Thread: any, with the operation's main context.
 *
 * Since: 0.1
 */
static inline void
raddle_reply_ready (GObject      *source_object,
                    GAsyncResult *result,
                    gpointer      reply)
{
  (void) source_object;
  /* A gate that is closed leaves nobody to wait; the result is freed. */
  (void) raddle_reply_give ((RaddleReply *) reply, g_object_ref (result), g_object_unref);
  raddle_reply_unref ((RaddleReply *) reply);
}

/* What a task carries whose work is a coroutine: how far it has come, by bits. */
typedef struct {
  GTask *task;
  guint  state; /* 1: accepted; 2: notified; 4: returned */
} RaddleTaskRun;

static inline void
raddle_task_run_done (const GValue *value,
                      const GError *error,
                      gpointer      data)
{
  RaddleTaskRun *run = (RaddleTaskRun *) data;
  GValue copy = G_VALUE_INIT;

  g_atomic_int_or (&run->state, 4);
  if (error != NULL)
    {
      g_task_return_error (run->task, g_error_copy (error));
      return;
    }
  g_value_init (&copy, G_VALUE_TYPE (value));
  g_value_copy (value, &copy);
  g_task_return_value (run->task, &copy);
  g_value_unset (&copy);
}

static inline void
raddle_task_run_clear (gpointer data)
{
  g_object_unref (((RaddleTaskRun *) data)->task);
}

/* Of the two that set a bit of the first two, the second one: a task that nobody returned is returned. */
static inline void
raddle_task_run_step (RaddleTaskRun *run,
                      guint          bit)
{
  guint before = (guint) g_atomic_int_or (&run->state, bit);
  if ((before & 4) == 0 && (before & (bit ^ 3)) != 0)
    g_task_return_new_error (run->task, RADDLE_DOMAIN, RADDLE_STATUS_STOPPED,
                             "the event loop was closed before it ran the coroutine");
  g_atomic_rc_box_release_full (run, raddle_task_run_clear);
}

static inline void
raddle_task_run_notify (gpointer data)
{
  raddle_task_run_step ((RaddleTaskRun *) data, 2);
}

/**
 * raddle_task_run_in_loop:
 * @task: a task
 * @callable: (transfer none): a Python callable without arguments; what it
 *   returns is awaited if it is awaitable
 * @type: the type of the result, as for raddle_call()
 *
 * Runs @callable on the asyncio event loop of the task's context, as
 * raddle_asyncio_run() does. The task's GCancellable cancels the coroutine.
 *
 * Returns: as raddle_asyncio_run(), and %RADDLE_STATUS_NULL; if that is not OK,
 *   the task was not started and is not returned
 *
 * Thread: any, holding Python or not; enters Python.
 *
 * Since: 0.1
 */
static inline RaddleStatus
raddle_task_run_in_loop (GTask    *task,
                         PyObject *callable,
                         GType     type)
{
  RaddleTaskRun *run;
  RaddleStatus status;

  if (task == NULL)
    return RADDLE_STATUS_NULL;
  run = g_atomic_rc_box_new0 (RaddleTaskRun);
  run->task = (GTask *) g_object_ref (task);
  g_atomic_rc_box_acquire (run); /* One for the notify, one for what comes after it. */
  status = raddle_asyncio_run (g_task_get_context (task), callable, g_task_get_cancellable (task), type,
                               raddle_task_run_done, run, raddle_task_run_notify);
  if (status != RADDLE_STATUS_OK)
    {
      g_atomic_rc_box_release_full (run, raddle_task_run_clear);
      return status;
    }
  raddle_task_run_step (run, 1);
  return RADDLE_STATUS_OK;
}

RADDLE_END_DECLS

#endif /* RADDLE_GIO_H */
