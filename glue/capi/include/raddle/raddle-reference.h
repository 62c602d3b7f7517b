/* raddle-reference.h: Python references on threads that do not hold Python. Include <raddle/raddle.h>. */
#ifndef RADDLE_REFERENCE_H
#define RADDLE_REFERENCE_H

#include <raddle/raddle-macros.h>
#include <raddle/raddle-status.h>

RADDLE_BEGIN_DECLS

/**
 * raddle_decref:
 * @object: (nullable) (transfer full): a strong reference
 *
 * Drops one reference, from any thread, holding Python or not. Never waits.
 *
 * Where the object's finalizer runs: here, if this thread holds Python;
 * otherwise on the thread that next enters through raddle, or on Python's main
 * thread between two bytecodes, whichever is first. After the runtime has
 * ended the reference is leaked on purpose and counted
 * (RaddleGateStats.leaked): the object went with its interpreter.
 *
 * A pointer must not be dropped under another runtime than the one it came
 * from, as after a restart.
 *
 * Thread: any, also one whose thread-specific data is being destroyed, before
 * start and after stop too.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
void          raddle_decref        (PyObject *object);

/**
 * RaddleHandle:
 *
 * A Python object that somebody else keeps alive. It owns nothing: copying,
 * moving and forgetting one never touches a reference count, so it may be
 * stored and passed on any thread. To use the object, hold Python and ask
 * raddle_handle_get().
 *
 * Since: 0.1
 */
typedef struct {
  void *raddle_private;
} RaddleHandle;

static inline RaddleHandle
raddle_handle (PyObject *object)
{
  RaddleHandle handle;
  handle.raddle_private = (void *) object;
  return handle;
}

/**
 * raddle_handle_get:
 * @handle: a handle
 *
 * Returns: (transfer none) (nullable): the object if this thread holds Python,
 *   otherwise %NULL, and raddle_last_error_message() says so
 *
 * Thread: one that holds Python.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
PyObject     *raddle_handle_get    (RaddleHandle handle);

RADDLE_END_DECLS

#endif /* RADDLE_REFERENCE_H */
