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
