/* raddle-gtype.h: what GObject has to know of raddle: types, and the domain of errors. Included by raddle-glib.h. */
#ifndef RADDLE_GTYPE_H
#define RADDLE_GTYPE_H

#include <glib-object.h>
#include <raddle/raddle.h>

RADDLE_BEGIN_DECLS

/**
 * RADDLE_DOMAIN:
 *
 * The domain of errors whose codes are those of #RaddleStatus. (%RADDLE_ERROR
 * is a level of raddle-log.h.)
 *
 * Since: 0.1
 */
#define RADDLE_DOMAIN (raddle_error_quark ())

/**
 * raddle_error_quark:
 *
 * Returns: %RADDLE_DOMAIN
 *
 * Thread: any, before start and after stop too.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
GQuark        raddle_error_quark             (void);

/**
 * raddle_set_error: (skip)
 * @error: (out) (optional): return location for an error
 * @status: what a function of raddle answered on this thread just now
 *
 * Turns a status into a #GError, in functions that have one:
 * `return raddle_set_error (error, raddle_idle_add (...));`
 *
 * Returns: whether @status is %RADDLE_STATUS_OK; otherwise @error is set, with
 *   raddle_last_error_message() as its message
 *
 * Thread: that of the function that failed, before start and after stop too.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
gboolean      raddle_set_error               (GError       **error,
                                              RaddleStatus   status);

/**
 * raddle_set_error_from_python: (skip)
 * @error: (out) (optional): return location for an error
 *
 * Turns the Python exception that is set on this thread into a #GError, for a
 * function that GLib or C code calls and that fails as Python does:
 * `return raddle_set_error_from_python (error);`
 *
 * An exception with the attributes domain, code and message (raddle.GError, or
 * PyGObject's GLib.Error) becomes that error, asyncio's CancelledError becomes
 * %G_IO_ERROR_CANCELLED, and any other %RADDLE_STATUS_PYTHON of %RADDLE_DOMAIN
 * with its text. It is set no longer.
 *
 * Returns: whether no exception was set; otherwise @error is. A thread that does
 *   not hold Python is an error, too: %RADDLE_STATUS_WRONG_ORDER
 *
 * Thread: one that holds Python.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
gboolean      raddle_set_error_from_python   (GError       **error);

/**
 * raddle_raise_error: (skip)
 * @error: (transfer none): what a function of GLib's has reported
 *
 * Sets the Python exception that says what @error does, for a function that
 * Python calls and that fails as GLib does. It is PyGObject's GLib.Error if that
 * is in the process, else raddle.GError, with domain, code and message.
 *
 * Returns: %RADDLE_STATUS_OK, %RADDLE_STATUS_NULL, or %RADDLE_STATUS_WRONG_ORDER
 *   on a thread that does not hold Python
 *
 * Thread: one that holds Python.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_raise_error             (const GError  *error);

#define RADDLE_TYPE_RUNTIME (raddle_runtime_get_type ())
#define RADDLE_TYPE_STATUS (raddle_status_get_type ())
#define RADDLE_TYPE_HOLD (raddle_hold_get_type ())

/**
 * raddle_runtime_get_type:
 *
 * the boxed type of a #RaddleRuntime, whose copies are references.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
GType         raddle_runtime_get_type        (void);

/**
 * raddle_status_get_type:
 *
 * the enum type of #RaddleStatus.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
GType         raddle_status_get_type         (void);

/**
 * raddle_hold_get_type:
 *
 * the enum type of #RaddleHold.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
GType         raddle_hold_get_type           (void);

RADDLE_END_DECLS

#endif /* RADDLE_GTYPE_H */
