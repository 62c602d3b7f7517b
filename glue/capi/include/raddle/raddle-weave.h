/* raddle-weave.h: functions that run when a thread ends. Include <raddle/raddle.h>. */
#ifndef RADDLE_WEAVE_H
#define RADDLE_WEAVE_H

#include <raddle/raddle-macros.h>
#include <raddle/raddle-status.h>

RADDLE_BEGIN_DECLS

/**
 * raddle_at_thread_exit:
 * @func: (scope notified) (closure user_data): what to call
 * @user_data: (nullable): what to call it with
 *
 * Calls @func once when this thread ends, after Python is done with the thread
 * and in the order of registration, together with the destructors of
 * <raddle/ft_weave.h>. It must not call into Python. On the main thread it
 * never runs, unless the main thread ends by pthread_exit().
 *
 * Returns: %RADDLE_STATUS_OK, %RADDLE_STATUS_NULL or %RADDLE_STATUS_NO_MEMORY
 *
 * Thread: any, before start and after stop too.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_at_thread_exit  (void (*func) (void *user_data),
                                      void *user_data);

RADDLE_END_DECLS

#endif /* RADDLE_WEAVE_H */
