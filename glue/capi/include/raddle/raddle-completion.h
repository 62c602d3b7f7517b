/* raddle-completion.h: native threads post, Python runs it in batches on one loop. Include <raddle/raddle.h>. */
#ifndef RADDLE_COMPLETION_H
#define RADDLE_COMPLETION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <raddle/raddle-macros.h>
#include <raddle/raddle-status.h>

RADDLE_BEGIN_DECLS

/**
 * RaddleCompletions:
 *
 * A queue of what native threads have posted. Whoever owns it runs that, oldest
 * first, with Python held: an asyncio loop (in Python, `Completions.attach`), a
 * GMainContext (raddle_completions_attach()), or whoever calls
 * raddle_completions_drain(). Posting never waits for Python, and wakes the
 * owner once for each burst.
 *
 * Nothing orders what is posted against loop.call_soon_threadsafe().
 *
 * Reference counted; every function is safe from every thread unless it says
 * otherwise. What is left when the last reference goes is dropped, on that
 * thread: each notify runs once. The end of Python closes all queues. In the
 * child of a fork a queue is open and empty and has no owner: what was in it is
 * its parent's to run and to notify.
 *
 * Since: 0.1
 */
RADDLE_DECLARE_SHARED (RaddleCompletions, raddle_completions)

/**
 * RaddleOperation:
 *
 * Something that native code does and Python awaits. Reference counted; when
 * the last reference is dropped before anybody has finished it, the future
 * raises raddle.Stopped.
 *
 * Since: 0.1
 */
RADDLE_DECLARE_SHARED (RaddleOperation, raddle_operation)

/**
 * RaddleCompletionFunc:
 * @user_data: what was given with it
 *
 * What is posted. Runs once, with Python held; an exception that it leaves set
 * is reported and is nobody else's.
 *
 * Since: 0.1
 */
typedef void (*RaddleCompletionFunc) (void *user_data);

/**
 * RaddleMakeFunc:
 * @user_data: what was given with it
 *
 * Makes an object, with Python held, on the thread that runs the queue.
 *
 * Returns: (transfer full) (nullable): a new reference, or %NULL with an
 *   exception set
 *
 * Since: 0.1
 */
typedef PyObject *(*RaddleMakeFunc) (void *user_data);

/**
 * raddle_completions_new:
 * @capacity: how many it holds at most; 0 for any number
 * @out: (out) (transfer full): where to put the queue; written only on success
 *
 * Returns: %RADDLE_STATUS_OK; %RADDLE_STATUS_NULL; %RADDLE_STATUS_NO_MEMORY if
 *   the process may open no more descriptors
 *
 * Thread: any, before start and after stop too. One that is made while Python
 *   ends is born closed.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_completions_new          (uint32_t               capacity,
                                               RaddleCompletions    **out);

/**
 * raddle_completions_post:
 * @self: (transfer none): a queue
 * @func: called once, with Python held
 * @user_data: (nullable): for @func
 * @notify: (nullable): called once with @user_data: when @func has returned, or
 *   when it is certain that it will not be called, before this function returns
 *   if that is not OK
 *
 * Posts @func. Waits only if the queue has a capacity and is full: then for a
 * place, with Python given up if this thread holds it; on Python's main thread
 * signal handlers run meanwhile.
 *
 * Returns: %RADDLE_STATUS_OK; %RADDLE_STATUS_NULL; %RADDLE_STATUS_STOPPED if the
 *   queue is closed; %RADDLE_STATUS_WRONG_ORDER if it is full and this thread is
 *   running what is in it, and so would wait for itself; %RADDLE_STATUS_PYTHON if
 *   a signal handler raised during the wait
 *
 * Thread: any, holding Python or not, before start and after stop too. @notify
 *   runs on the thread that runs or drops what was posted, held or not.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_completions_post         (RaddleCompletions     *self,
                                               RaddleCompletionFunc   func,
                                               void                  *user_data,
                                               void                 (*notify) (void *user_data));

/**
 * raddle_completions_post_within:
 * @self: (transfer none): a queue
 * @timeout_ms: how long to wait for a place; 0 not to wait, negative for ever
 * @func: called once, with Python held
 * @user_data: (nullable): for @func
 * @notify: (nullable): as in raddle_completions_post(). Without one a caller
 *   that was refused has its data still, to post it again.
 *
 * raddle_completions_post() with a limit.
 *
 * Returns: as that, and %RADDLE_STATUS_TIMED_OUT if the queue stayed full
 *
 * Thread: any, holding Python or not, before start and after stop too.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_completions_post_within  (RaddleCompletions     *self,
                                               int64_t                timeout_ms,
                                               RaddleCompletionFunc   func,
                                               void                  *user_data,
                                               void                 (*notify) (void *user_data));

/**
 * raddle_completions_post_call:
 * @self: (transfer none): a queue
 * @callable: (transfer none): a Python callable, which the caller keeps alive
 *   until @notify is called: so posting touches no reference count
 * @make: (nullable): makes the arguments, when @callable is called: a tuple, or
 *   anything else as the one argument; %NULL for none
 * @user_data: (nullable): for @make
 * @notify: (nullable): as in raddle_completions_post()
 *
 * Posts a call of @callable. Waits as raddle_completions_post() does.
 *
 * Returns: as raddle_completions_post()
 *
 * Thread: any, holding Python or not.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_completions_post_call    (RaddleCompletions     *self,
                                               PyObject              *callable,
                                               RaddleMakeFunc         make,
                                               void                  *user_data,
                                               void                 (*notify) (void *user_data));

/**
 * raddle_completions_drain:
 * @self: (transfer none): a queue
 * @max_count: how many to run at most; 0 for all
 * @max_ms: about how long to run; negative for as long as it takes
 * @out_count: (out) (optional): how many were run; written only on success
 *
 * Runs what was posted: enters Python once for all of it. An exception goes to
 * sys.unraisablehook, and the others still run; KeyboardInterrupt and SystemExit
 * end the drain, and the rest stays. Inside of what is being run it goes on
 * with what comes next.
 *
 * Returns: %RADDLE_STATUS_OK, also if the queue is closed; %RADDLE_STATUS_NULL;
 *   %RADDLE_STATUS_WRONG_THREAD if another thread is draining it;
 *   %RADDLE_STATUS_PYTHON for a KeyboardInterrupt or SystemExit, which is
 *   Python's current exception again if this thread held Python before;
 *   %RADDLE_STATUS_NOT_STARTED or %RADDLE_STATUS_CLOSED
 *
 * Thread: any, one at a time.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_completions_drain        (RaddleCompletions     *self,
                                               uint32_t               max_count,
                                               int64_t                max_ms,
                                               uint32_t              *out_count);

/**
 * raddle_completions_close:
 * @self: (transfer none): a queue
 *
 * Refuses from now on, and drops what was not run: each notify is called before
 * this returns, but for what another thread is about to look at, which that
 * thread drops. Who waits for a place is woken; operations that are not finished
 * fail. Closing again does nothing.
 *
 * Returns: %RADDLE_STATUS_OK or %RADDLE_STATUS_NULL
 *
 * Thread: any, also inside of what is being run.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_completions_close        (RaddleCompletions     *self);

/** raddle_completions_is_closed: whether it was closed; %FALSE for %NULL. Thread: any. Since: 0.1 */
RADDLE_AVAILABLE_IN_0_1
bool          raddle_completions_is_closed    (RaddleCompletions     *self);

/**
 * raddle_completions_get_fd:
 * @self: (transfer none): a queue
 *
 * Returns: a descriptor that is readable while there is something to drain: to
 *   be polled, and not read. It lives as long as the queue. -1 for %NULL.
 *
 * Thread: any.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int           raddle_completions_get_fd       (RaddleCompletions     *self);

/**
 * RaddleCompletionsStats:
 * @ran: what was run
 * @raised: what raised, of that
 * @discarded: what was dropped because the queue was closed
 * @refused: what was not taken: the queue was full or closed
 * @wakeups: how often posting woke the owner: once for each burst
 * @drains: how often the owner ran what there was
 * @largest: the most that was run in one go
 * @waits: how often posting waited for a place
 *
 * What went through a queue since it was made, in this process. What is being
 * run is counted when the batch ends.
 *
 * Since: 0.1
 */
typedef struct {
  uint64_t ran;
  uint64_t raised;
  uint64_t discarded;
  uint64_t refused;
  uint64_t wakeups;
  uint64_t drains;
  uint64_t largest;
  uint64_t waits;
} RaddleCompletionsStats;

/** raddle_completions_get_stats: writes the figures to @out; %RADDLE_STATUS_OK or _NULL. Thread: any. Since: 0.1 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_completions_get_stats    (RaddleCompletions      *self,
                                               RaddleCompletionsStats *out);

/**
 * raddle_completions_get_object:
 * @self: (transfer none): a queue
 * @out_object: (out) (transfer full): a raddle.Completions of the same queue
 *
 * What Python code needs to attach the queue to its loop.
 *
 * Returns: %RADDLE_STATUS_OK; %RADDLE_STATUS_NULL; %RADDLE_STATUS_WRONG_ORDER if
 *   this thread does not hold Python; %RADDLE_STATUS_PYTHON
 *
 * Thread: one that holds Python.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_completions_get_object   (RaddleCompletions     *self,
                                               PyObject             **out_object);

/**
 * raddle_completions_from_object:
 * @object: (transfer none): a raddle.Completions
 * @out: (out) (transfer full): its queue
 *
 * Returns: %RADDLE_STATUS_OK; %RADDLE_STATUS_NULL; %RADDLE_STATUS_INVALID if it
 *   is another kind of object; a status of raddle_enter()
 *
 * Thread: any; enters Python.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_completions_from_object  (PyObject              *object,
                                               RaddleCompletions    **out);

/**
 * raddle_operation_new:
 * @completions: (transfer none): the queue through which it is finished
 * @cancel: (nullable): called once, on the loop's thread with Python held and
 *   under no lock, if the future is cancelled before the operation is finished
 * @user_data: (nullable): for @cancel
 * @notify: (nullable): called once with @user_data when @cancel has returned, or
 *   when it is certain that it will not be called; before this function returns
 *   if that is not OK
 * @out: (out) (transfer full): the operation; written only on success
 * @out_future: (out) (transfer full): an asyncio.Future, for Python to await;
 *   written only on success
 *
 * Starts an operation: on the loop that @completions is attached to, or else on
 * the one that runs on this thread.
 *
 * Returns: %RADDLE_STATUS_OK; %RADDLE_STATUS_NULL; %RADDLE_STATUS_WRONG_ORDER if
 *   this thread does not hold Python, or there is no loop;
 *   %RADDLE_STATUS_STOPPED if the queue is closed; %RADDLE_STATUS_PYTHON if the
 *   loop raised
 *
 * Thread: the loop's, holding Python.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_operation_new            (RaddleCompletions     *completions,
                                               RaddleCompletionFunc   cancel,
                                               void                  *user_data,
                                               void                 (*notify) (void *user_data),
                                               RaddleOperation      **out,
                                               PyObject             **out_future);

/**
 * raddle_operation_finish:
 * @self: (transfer none): an operation
 * @make: makes the result; %NULL with an exception set fails the operation
 * @user_data: (nullable): for @make
 * @notify: (nullable): called once with @user_data: when @make has returned, or
 *   when it is certain that it will not be called
 *
 * Says that the operation has come to its end. Never waits, also if the queue
 * is full. If the future was cancelled, or is done otherwise, that is normal:
 * nothing happens, and it is OK.
 *
 * Returns: %RADDLE_STATUS_OK; %RADDLE_STATUS_NULL; %RADDLE_STATUS_WRONG_ORDER if
 *   it was finished or has failed already; %RADDLE_STATUS_STOPPED if the queue is
 *   closed, and so the future has failed
 *
 * Thread: any, holding Python or not.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_operation_finish         (RaddleOperation       *self,
                                               RaddleMakeFunc         make,
                                               void                  *user_data,
                                               void                 (*notify) (void *user_data));

/** raddle_operation_finish_none: raddle_operation_finish() with None. Since: 0.1 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_operation_finish_none    (RaddleOperation       *self);

/** raddle_operation_finish_bool: raddle_operation_finish() with a bool. Since: 0.1 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_operation_finish_bool    (RaddleOperation       *self,
                                               bool                   value);

/** raddle_operation_finish_int64: raddle_operation_finish() with an int. Since: 0.1 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_operation_finish_int64   (RaddleOperation       *self,
                                               int64_t                value);

/** raddle_operation_finish_double: raddle_operation_finish() with a float. Since: 0.1 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_operation_finish_double  (RaddleOperation       *self,
                                               double                 value);

/**
 * raddle_operation_finish_utf8:
 * @self: (transfer none): an operation
 * @text: UTF-8, which is copied
 *
 * raddle_operation_finish() with a str.
 *
 * Returns: as that, and %RADDLE_STATUS_INVALID if @text is not UTF-8: the
 *   operation is not finished then
 *
 * Thread: any.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_operation_finish_utf8    (RaddleOperation       *self,
                                               const char            *text);

/** raddle_operation_finish_bytes: raddle_operation_finish() with bytes, which are copied; @bytes may be %NULL if @length is 0. Since: 0.1 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_operation_finish_bytes   (RaddleOperation       *self,
                                               const void            *bytes,
                                               size_t                 length);

/**
 * raddle_operation_fail:
 * @self: (transfer none): an operation
 * @status: why, other than %RADDLE_STATUS_OK
 * @message: UTF-8, which is copied
 *
 * Says that the operation has failed: the future raises raddle.Stopped for
 * %RADDLE_STATUS_STOPPED, ValueError for _INVALID and _NULL, else RuntimeError,
 * with @message, and @status as its attribute `status`.
 *
 * Returns: as raddle_operation_finish(), and %RADDLE_STATUS_INVALID for another
 *   @status or a @message that is not UTF-8: it has not failed then
 *
 * Thread: any.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_operation_fail           (RaddleOperation       *self,
                                               RaddleStatus           status,
                                               const char            *message);

/** raddle_operation_fail_with: raddle_operation_fail() with the exception that @make makes, or leaves set. Since: 0.1 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_operation_fail_with      (RaddleOperation       *self,
                                               RaddleMakeFunc         make,
                                               void                  *user_data,
                                               void                 (*notify) (void *user_data));

/** raddle_operation_is_cancelled: whether the future was cancelled; %FALSE for %NULL. Thread: any. Since: 0.1 */
RADDLE_AVAILABLE_IN_0_1
bool          raddle_operation_is_cancelled   (RaddleOperation       *self);

RADDLE_END_DECLS

#endif /* RADDLE_COMPLETION_H */
