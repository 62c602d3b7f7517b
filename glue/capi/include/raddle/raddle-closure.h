/* raddle-closure.h: Python callables as closures and signal handlers, and values for Python. Included by raddle-glib.h. */
#ifndef RADDLE_CLOSURE_H
#define RADDLE_CLOSURE_H

#include <glib-object.h>
#include <raddle/raddle.h>

RADDLE_BEGIN_DECLS

/**
 * RADDLE_TYPE_OBJECT:
 *
 * The boxed type of a Python object in a #GValue, for signals and properties
 * that carry any. Copying such a value enters Python, and copies %NULL once the
 * gate is closed; freeing one never waits.
 *
 * Since: 0.1
 */
#define RADDLE_TYPE_OBJECT (raddle_object_get_type ())

/**
 * raddle_object_get_type:
 *
 * Returns: %RADDLE_TYPE_OBJECT
 *
 * Thread: any, before start and after stop too.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
GType         raddle_object_get_type         (void);

/**
 * raddle_closure_new: (skip)
 * @callable: (transfer none): a Python callable
 *
 * A closure that calls @callable with the values it is invoked with, on
 * whichever thread that is. What @callable returns becomes the result. What it
 * raises, or a result that does not fit, goes to sys.unraisablehook with the
 * signal's name, and the result keeps its default; but KeyboardInterrupt and
 * SystemExit end the innermost raddle_main_loop_run() of the thread, if there
 * is one. Once a stop has begun @callable is not called.
 *
 * The closure may be invoked, invalidated and dropped on any thread, at the
 * same time. Who is inside @callable when the closure is invalidated finishes;
 * the last one out drops it. Invalidating and dropping never wait for Python,
 * and leak the reference on purpose after a stop.
 *
 * Returns: (nullable): the closure, with a floating reference; %NULL with
 *   raddle_last_error_message() set: @callable is %NULL or not callable, or
 *   what raddle_enter() says
 *
 * Thread: any, holding Python or not; enters Python.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
GClosure     *raddle_closure_new             (PyObject      *callable);

/**
 * raddle_signal_connect: (skip)
 * @instance: a GObject
 * @detailed_signal: such as "clicked" or "notify::label"
 * @callable: (transfer none): a Python callable
 * @flags: %G_CONNECT_DEFAULT or %G_CONNECT_AFTER
 *
 * Calls @callable with the instance and the signal's arguments whenever the
 * signal is emitted, as the closure of raddle_closure_new() does. The handler
 * goes with the instance, or with g_signal_handler_disconnect(), on any thread.
 *
 * Returns: the handler's id; 0 with raddle_last_error_message() set: a %NULL,
 *   an instance that is no GObject, a signal that it does not have, flags that
 *   make no sense here, or as raddle_closure_new()
 *
 * Thread: any, holding Python or not; enters Python.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
gulong        raddle_signal_connect          (gpointer       instance,
                                              const gchar   *detailed_signal,
                                              PyObject      *callable,
                                              GConnectFlags  flags);

/**
 * raddle_signal_wrap: (skip)
 * @handler: a handler in C, with the arguments of its signal and then @data
 * @data: (nullable): passed to @handler last
 * @notify: (nullable): called once with @data when the closure is no more, on
 *   whichever thread drops it, held or not
 *
 * A closure for g_signal_connect_closure() that enters Python, calls @handler
 * and leaves: for handlers that touch Python objects without entering. Once
 * the gate is closed @handler is not called, and what the signal returns keeps
 * its default.
 *
 * Returns: (nullable): the closure, with a floating reference; %NULL if @handler is,
 *   after @notify was called
 *
 * Thread: any, before start and after stop too. Never enters by itself.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
GClosure     *raddle_signal_wrap             (GCallback      handler,
                                              gpointer       data,
                                              GDestroyNotify notify);

/**
 * raddle_value_to_python: (skip)
 * @value: an initialised value
 * @out: (out) (transfer full): what Python gets for it
 *
 * What a handler in Python would get. docs/reference/closure.md has the table
 * of types. With PyGObject in the process objects, boxed records, variants and
 * enums come as its wrappers, otherwise as raddle's.
 *
 * Returns: %RADDLE_STATUS_OK; %RADDLE_STATUS_PYTHON with the exception set;
 *   %RADDLE_STATUS_NULL; %RADDLE_STATUS_INVALID for a value without a type;
 *   %RADDLE_STATUS_WRONG_ORDER if this thread does not hold Python
 *
 * Thread: one that holds Python.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_value_to_python         (const GValue  *value,
                                              PyObject     **out);

/**
 * raddle_value_from_python: (skip)
 * @value: an initialised value, which keeps its type
 * @object: (transfer none): what a handler in Python would return
 *
 * Puts @object into @value. A wrong type is a TypeError, a number out of range
 * an OverflowError, text or a name that cannot be a ValueError; @value keeps
 * its content then.
 *
 * Returns: as raddle_value_to_python()
 *
 * Thread: one that holds Python.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_value_from_python       (GValue        *value,
                                              PyObject      *object);

RADDLE_END_DECLS

#endif /* RADDLE_CLOSURE_H */
