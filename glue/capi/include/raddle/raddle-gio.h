/* raddle-gio.h: Python as the work of a GTask, and tasklets that wait for one. Needs GIO, which libraddle does not: all of it is inline. */
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
  GValue value = G_VALUE_INIT;
  GError *error = NULL;

  (void) source_object;
  (void) cancellable;
  if (!raddle_call (work->callable, work->type, &value, &error))
    {
      g_task_return_error (task, error);
      return;
    }
  g_task_return_value (task, &value);
  g_value_unset (&value);
}

/**
 * raddle_task_run_in_thread:
 * @task: a task; its task data becomes raddle's
 * @callable: (transfer none): a Python callable, called without arguments
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

RADDLE_END_DECLS

#endif /* RADDLE_GIO_H */
