/* raddle-stopper.h: stopping things, by name, before Python ends. Include <raddle/raddle.h>. */
#ifndef RADDLE_STOPPER_H
#define RADDLE_STOPPER_H

#include <stdbool.h>
#include <stdint.h>
#include <raddle/raddle-macros.h>
#include <raddle/raddle-status.h>

RADDLE_BEGIN_DECLS

/**
 * RaddleStage:
 * @RADDLE_STAGE_REFUSE: first, before Python's own threads are waited for:
 *   refuse new work, wake who waits
 * @RADDLE_STAGE_POOLS: then native threads, and pools of them
 * @RADDLE_STAGE_COMPLETIONS: then what others wait for: fail what nobody will
 *   finish any more
 * @RADDLE_STAGE_LOG: the log, after everything that may still write to it
 *
 * When a stopper runs. Within a stage the newest runs first, raddle's own last.
 *
 * Since: 0.1
 */
typedef enum {
  RADDLE_STAGE_REFUSE,
  RADDLE_STAGE_POOLS,
  RADDLE_STAGE_COMPLETIONS,
  RADDLE_STAGE_LOG
} RaddleStage;

/**
 * RaddleStopFunc:
 * @user_data: what raddle_stopper_new() was given
 *
 * Stops something. Runs once, on a thread of its own that does not hold
 * Python; it may raddle_enter().
 *
 * Returns: %RADDLE_STATUS_OK, or why it failed: that is reported to
 *   sys.unraisablehook with the stopper's name and the thread's last message
 *
 * Since: 0.1
 */
typedef RaddleStatus (*RaddleStopFunc) (void *user_data);

/**
 * RaddleStopper:
 *
 * A registered stopper. Reference counted; dropping the last reference leaves
 * it registered: raddle_stopper_remove() takes it back.
 *
 * Since: 0.1
 */
RADDLE_DECLARE_SHARED (RaddleStopper, raddle_stopper)

/**
 * raddle_stopper_new:
 * @name: what it is called in reports; not empty
 * @stage: when it runs
 * @timeout_ms: how long it may take, from 1
 * @func: stops something
 * @user_data: for @func
 * @notify: (nullable): called once with @user_data: when @func has returned, or
 *   when it is certain that it will not be called
 * @out: (out) (optional) (transfer full): where to put the stopper; %NULL to
 *   leave it registered for good; written only on success
 *
 * Has @func called once before Python ends, whoever ends it: raddle_runtime_stop(),
 * Py_FinalizeEx() by the host, or a `python3` that comes to its end. The gate is
 * still open then. A @func that takes longer is named on stderr and left behind,
 * and the others run. If it is inside Python, the end of Python waits for it as
 * for anybody inside.
 *
 * Stoppers belong to the runtime that is there now: the next one begins with
 * none, and so does the child of a fork, where @notify is not called either,
 * since the threads that are to be stopped are not there.
 *
 * Returns: %RADDLE_STATUS_OK; %RADDLE_STATUS_NULL; %RADDLE_STATUS_INVALID for an
 *   empty name, one that is not UTF-8, an unknown stage or no time;
 *   %RADDLE_STATUS_NOT_STARTED before the start; %RADDLE_STATUS_CLOSED if the
 *   stage has begun or Python has ended. If it is not OK, @notify was called.
 *
 * Thread: any, holding Python or not. @notify runs on the stopper's thread, or on
 *   the one that removes it, abandons the runtime or finds the next one started.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus   raddle_stopper_new                  (const char      *name,
                                                    RaddleStage      stage,
                                                    int64_t          timeout_ms,
                                                    RaddleStopFunc   func,
                                                    void            *user_data,
                                                    void           (*notify) (void *user_data),
                                                    RaddleStopper  **out);

/**
 * raddle_stopper_remove:
 * @self: (nullable) (transfer none): a stopper
 *
 * Takes it back, and calls its notify before it returns. Never waits: a stopper
 * that runs goes on.
 *
 * Returns: whether it was still there; not if it runs, has run or was removed
 *
 * Thread: any.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
bool           raddle_stopper_remove               (RaddleStopper *self);

RADDLE_END_DECLS

#endif /* RADDLE_STOPPER_H */
