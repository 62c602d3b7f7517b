/* raddle-worker.h: Python callables as the work of native threads. Included by raddle-glib.h; raddle-gio.h has GTask. */
#ifndef RADDLE_WORKER_H
#define RADDLE_WORKER_H

#include <glib-object.h>
#include <raddle/raddle.h>

RADDLE_BEGIN_DECLS

/**
 * raddle_call: (skip)
 * @callable: (transfer none): a Python callable, called without arguments
 * @type: the type of the result; %G_TYPE_INVALID for the one that fits what
 *   was returned (gboolean, gint or gint64, gdouble, gchararray, an object's
 *   own, else %RADDLE_TYPE_OBJECT)
 * @value: (out caller-allocates) (optional): the result; %G_VALUE_INIT before
 * @error: return location for an error
 *
 * Calls @callable on this thread.
 *
 * An exception with the attributes domain, code and message (raddle.GError, or
 * PyGObject's GLib.Error) becomes that error, asyncio's CancelledError becomes
 * G_IO_ERROR_CANCELLED, and any other %RADDLE_STATUS_PYTHON of %RADDLE_DOMAIN
 * with its type and text.
 *
 * Returns: whether @value was set; otherwise @error is
 *
 * Thread: any, holding Python or not; enters Python.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
gboolean      raddle_call                    (PyObject      *callable,
                                              GType          type,
                                              GValue        *value,
                                              GError       **error);

/**
 * raddle_call_with_values: (skip)
 * @callable: (transfer none): a Python callable
 * @type: the type of the result, as for raddle_call()
 * @n_arguments: how many arguments there are
 * @arguments: (nullable) (array length=n_arguments): what @callable is called
 *   with, initialised
 * @value: (out caller-allocates) (optional): the result; %G_VALUE_INIT before
 * @error: return location for an error
 *
 * raddle_call() with arguments.
 *
 * Returns: whether @value was set; otherwise @error is
 *
 * Thread: any, holding Python or not; enters Python.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
gboolean      raddle_call_with_values        (PyObject      *callable,
                                              GType          type,
                                              guint          n_arguments,
                                              const GValue  *arguments,
                                              GValue        *value,
                                              GError       **error);

/**
 * RaddleDoneFunc:
 * @value: (nullable): the result
 * @error: (nullable): what went wrong; exactly one of the two is %NULL
 * @user_data: as it was pushed
 *
 * Called on the thread that did the work, where raddle does not hold Python
 * then; by raddle_asyncio_run() on the thread that runs the loop, with Python
 * held.
 *
 * Since: 0.1
 */
typedef void (*RaddleDoneFunc) (const GValue *value,
                                const GError *error,
                                gpointer      user_data);

/**
 * raddle_thread_pool_new: (skip)
 * @max_threads: as for g_thread_pool_new()
 * @exclusive: as for g_thread_pool_new()
 * @error: return location for an error
 *
 * A pool whose threads call Python, for raddle_thread_pool_push() alone. Free it
 * with g_thread_pool_free(), before the runtime is stopped and without Python
 * held if it is to wait; work that is thrown away is notified of.
 *
 * Returns: (transfer full) (nullable): the pool, or %NULL with @error set
 *
 * Thread: any, before start and after stop too.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
GThreadPool  *raddle_thread_pool_new         (gint           max_threads,
                                              gboolean       exclusive,
                                              GError       **error);

/**
 * raddle_thread_pool_push: (skip)
 * @pool: a pool of raddle_thread_pool_new()
 * @callable: (transfer none): a Python callable, called without arguments
 * @type: the type of the result, as for raddle_call()
 * @done: (nullable): called with the result or the error
 * @user_data: (nullable): passed to @done
 * @notify: (nullable): called once with @user_data, after @done; on every path
 *
 * Calls @callable on a thread of @pool.
 *
 * Returns: %RADDLE_STATUS_OK; %RADDLE_STATUS_NULL, %RADDLE_STATUS_INVALID if
 *   @callable is not callable, or a status of raddle_enter()
 *
 * Thread: any, holding Python or not; enters Python.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_thread_pool_push        (GThreadPool   *pool,
                                              PyObject      *callable,
                                              GType          type,
                                              RaddleDoneFunc done,
                                              gpointer       user_data,
                                              GDestroyNotify notify);

RADDLE_END_DECLS

#endif /* RADDLE_WORKER_H */
