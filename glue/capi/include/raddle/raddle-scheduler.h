/* raddle-scheduler.h: a main context that runs tasklets, and what they wait for. raddle-glib.h includes it. */
#ifndef RADDLE_SCHEDULER_H
#define RADDLE_SCHEDULER_H

#include <glib.h>
#include <raddle/raddle.h>

RADDLE_BEGIN_DECLS

/**
 * raddle_scheduler_attach: (skip)
 * @context: (nullable): a main context; %NULL for the default one
 * @budget_us: for how many microseconds tasklets may run in one turn; 0 for the
 *   default, 2000
 * @priority: such as %G_PRIORITY_DEFAULT
 *
 * Has @context run the tasklets of the calling thread, which is the one that
 * iterates @context. While none can run nothing happens: whoever makes one
 * runnable, on whichever thread, wakes @context. One that has used its budget up
 * sits out a turn, in which sources of lower priority are dispatched.
 *
 * An exception that a tasklet does not catch goes to
 * raddle_scheduler_set_error_func(), or else to sys.unraisablehook; but
 * KeyboardInterrupt and SystemExit end the innermost raddle_main_loop_run() of
 * the thread, if there is one. The other tasklets go on.
 *
 * A context that has this thread's tasklets already takes the new budget and
 * priority. It ends by raddle_scheduler_detach(), with the thread, or with
 * Python, and @context is kept alive until then.
 *
 * Returns: %RADDLE_STATUS_OK; %RADDLE_STATUS_WRONG_ORDER if @context runs another
 *   thread's tasklets, or another context or loop runs those of this thread;
 *   %RADDLE_STATUS_PYTHON where there can be no tasklets; a status of
 *   raddle_enter()
 *
 * Thread: the one that iterates @context, holding Python or not; enters Python.
 *   A thread of the host's should stay inside Python's reach: its tasklets end
 *   with it.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus   raddle_scheduler_attach         (GMainContext          *context,
                                                guint                  budget_us,
                                                gint                   priority);

/**
 * raddle_scheduler_detach: (skip)
 * @context: (nullable): a main context; %NULL for the default one
 *
 * Has @context run tasklets no longer. They stay where they are, asleep or in
 * the run queue: attach again, or run them by PyStackless_RunWatchdog().
 *
 * Returns: %RADDLE_STATUS_OK; %RADDLE_STATUS_WRONG_ORDER if it runs none; a status
 *   of raddle_enter()
 *
 * Thread: any, holding Python or not; enters Python.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus   raddle_scheduler_detach         (GMainContext          *context);

/**
 * RaddleSchedulerErrorFunc:
 * @exception: (transfer none): what a tasklet did not catch
 * @user_data: what was given with the function
 *
 * Called on the thread that iterates the context, with Python held.
 *
 * Since: 0.1
 */
typedef void (*RaddleSchedulerErrorFunc) (PyObject *exception,
                                          gpointer  user_data);

/**
 * raddle_scheduler_set_error_func: (skip)
 * @context: (nullable): a main context; %NULL for the default one
 * @func: (nullable): called with each exception that a tasklet does not catch,
 *   but for KeyboardInterrupt and SystemExit; %NULL for sys.unraisablehook
 * @user_data: for @func
 * @notify: (nullable): called once with @user_data: when @func is replaced, when
 *   @context is detached, or at once if it runs no tasklets
 *
 * Returns: %RADDLE_STATUS_OK, or %RADDLE_STATUS_WRONG_ORDER if @context runs no
 *   tasklets
 *
 * Thread: any. @notify may be called on any.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus   raddle_scheduler_set_error_func (GMainContext            *context,
                                                RaddleSchedulerErrorFunc func,
                                                gpointer                 user_data,
                                                GDestroyNotify           notify);

/**
 * raddle_sleep: (skip)
 * @microseconds: for how long; negative: until somebody ends it
 *
 * Suspends the tasklet that calls; the others, and what else the main context
 * does, go on. 0 lets the others have their turn. A main tasklet sleeps too, but
 * the loop that it runs stands still meanwhile.
 *
 * Returns: %RADDLE_STATUS_OK; %RADDLE_STATUS_PYTHON with an exception set, if one
 *   was raised in the tasklet meanwhile or it must not wait: return at once;
 *   %RADDLE_STATUS_WRONG_ORDER without Python; a status of raddle_enter()
 *
 * Thread: one that holds Python.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus   raddle_sleep                    (gint64                 microseconds);

/**
 * raddle_wait_fd: (skip)
 * @fd: a file descriptor
 * @events: what to wait for; %G_IO_ERR and %G_IO_HUP are always told
 * @timeout_ms: for how many milliseconds; negative: for ever
 * @out_ready: (out) (optional): what it is ready for; written only on success
 *
 * Suspends the tasklet that calls until @fd is ready, as raddle_sleep() does.
 * @fd must stay open meanwhile.
 *
 * Returns: %RADDLE_STATUS_OK; %RADDLE_STATUS_TIMED_OUT; as raddle_sleep()
 *
 * Thread: one that holds Python.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus   raddle_wait_fd                  (int                    fd,
                                                GIOCondition           events,
                                                gint64                 timeout_ms,
                                                GIOCondition          *out_ready);

/**
 * RaddleReply:
 *
 * Something that is given once, by whichever thread, and that a tasklet waits
 * for. raddle-gio.h has raddle_reply_ready(), a GAsyncReadyCallback that gives
 * one. Reference counted.
 *
 * Since: 0.1
 */
RADDLE_DECLARE_SHARED (RaddleReply, raddle_reply)

/**
 * raddle_reply_new: (skip)
 * @out: (out) (transfer full): where to put it; written only on success
 *
 * Returns: %RADDLE_STATUS_OK or %RADDLE_STATUS_NULL
 *
 * Thread: any, before start and after stop too.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1 RADDLE_MUST_CHECK
RaddleStatus   raddle_reply_new                (RaddleReply          **out);

/**
 * raddle_reply_give: (skip)
 * @reply: a reply
 * @data: (nullable): what raddle_reply_wait() gives
 * @notify: (nullable): how to free @data: called exactly once, unless a wait
 *   takes it, which then owns @data
 *
 * Gives @reply: the tasklet that waits, or will wait, goes on when its thread
 * comes to it. Never switches. If something was given before and not taken yet,
 * that stays, and @data is freed.
 *
 * Returns: %RADDLE_STATUS_OK; %RADDLE_STATUS_NULL; a status of raddle_enter(), and
 *   then @data was freed
 *
 * Thread: any, holding Python or not; enters Python.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus   raddle_reply_give               (RaddleReply           *reply,
                                                gpointer               data,
                                                GDestroyNotify         notify);

/**
 * raddle_reply_wait: (skip)
 * @reply: a reply, of which the caller keeps a reference
 * @timeout_ms: for how many milliseconds; negative: for ever
 * @out_data: (out) (optional) (transfer full): what was given; written only on
 *   success. If it is %NULL the data is freed
 *
 * Suspends the tasklet that calls until @reply is given, and takes that. Another
 * may be given then.
 *
 * Returns: %RADDLE_STATUS_OK; %RADDLE_STATUS_NULL; %RADDLE_STATUS_TIMED_OUT;
 *   %RADDLE_STATUS_PYTHON with an exception set, if one was raised in the tasklet,
 *   another tasklet waits for @reply, or this one must not wait;
 *   %RADDLE_STATUS_WRONG_ORDER without Python; a status of raddle_enter()
 *
 * Thread: one that holds Python.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus   raddle_reply_wait               (RaddleReply           *reply,
                                                gint64                 timeout_ms,
                                                gpointer              *out_data);

RADDLE_END_DECLS

#endif /* RADDLE_SCHEDULER_H */
