/* raddle-semaphore.h: counting, waiting, stopping. Include <raddle/raddle.h>. */
#ifndef RADDLE_SEMAPHORE_H
#define RADDLE_SEMAPHORE_H

#include <stdbool.h>
#include <stdint.h>
#include <raddle/raddle-macros.h>
#include <raddle/raddle-status.h>

RADDLE_BEGIN_DECLS

/**
 * RaddleWait:
 * @RADDLE_WAIT_PLAIN: a wait that is nobody's business but the caller's: for
 *   threads that do not hold Python. One that does goes on holding it
 * @RADDLE_WAIT_RELEASE_PYTHON: gives Python up while it waits, if this thread
 *   holds it, and takes it back. On Python's main thread its signal handlers
 *   run meanwhile; one that raises (Ctrl-C) ends the wait with
 *   %RADDLE_STATUS_PYTHON, and the exception is left set on this thread, which
 *   holds Python as before
 *
 * Whose business a wait is. A thread that does not hold Python waits the same
 * with both.
 *
 * Since: 0.1
 */
typedef enum {
  RADDLE_WAIT_PLAIN = 0,
  RADDLE_WAIT_RELEASE_PYTHON = 1
} RaddleWait;

/**
 * RaddleSemaphore:
 *
 * A counting semaphore that can be stopped, and whose descriptor can be polled.
 * It needs no Python: it works before the start and after the stop. Reference
 * counted.
 *
 * The child of a fork has a semaphore of its own, with as many tokens as there
 * were.
 *
 * Since: 0.1
 */
RADDLE_DECLARE_SHARED (RaddleSemaphore, raddle_semaphore)

/**
 * raddle_semaphore_new:
 * @tokens: how many may be taken at the start
 * @out: (out) (transfer full): where to put it; written only on success
 *
 * Returns: %RADDLE_STATUS_OK; %RADDLE_STATUS_NULL; %RADDLE_STATUS_NO_MEMORY if
 *   the process may open no more descriptors: later calls never fail for that
 *
 * Thread: any.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1 RADDLE_MUST_CHECK
RaddleStatus   raddle_semaphore_new         (uint32_t          tokens,
                                             RaddleSemaphore **out);

/**
 * raddle_semaphore_put:
 * @self: a semaphore
 * @tokens: how many to add
 *
 * Adds tokens and wakes who waits for them. Never waits. Makes a system call
 * only if somebody waits or polls. What is put after a stop may be taken.
 *
 * Returns: %RADDLE_STATUS_OK; %RADDLE_STATUS_NULL; %RADDLE_STATUS_INVALID if
 *   there would be more than 4294967295: none is added then
 *
 * Thread: any.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus   raddle_semaphore_put         (RaddleSemaphore *self,
                                             uint32_t         tokens);

/**
 * raddle_semaphore_try_get:
 * @self: a semaphore
 *
 * Takes a token if one is there. Never waits.
 *
 * Returns: %RADDLE_STATUS_OK; %RADDLE_STATUS_TIMED_OUT if there is none;
 *   %RADDLE_STATUS_STOPPED if there will be none; %RADDLE_STATUS_NULL
 *
 * Thread: any.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus   raddle_semaphore_try_get     (RaddleSemaphore *self);

/**
 * raddle_semaphore_get:
 * @self: a semaphore
 * @timeout_ms: how long to wait, or -1 for as long as it takes
 * @wait: whose business that is
 *
 * Takes a token, waiting for it.
 *
 * Returns: %RADDLE_STATUS_OK; %RADDLE_STATUS_TIMED_OUT; %RADDLE_STATUS_STOPPED
 *   if none is left and there will be none; %RADDLE_STATUS_PYTHON if a signal
 *   handler raised (see #RaddleWait); %RADDLE_STATUS_CLOSED if Python has ended
 *   while this thread had given it up, and is not held any more;
 *   %RADDLE_STATUS_NULL; %RADDLE_STATUS_INVALID for a @wait that is none. A
 *   token is taken only if it is OK.
 *
 * Thread: any, holding Python or not.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1 RADDLE_MUST_CHECK
RaddleStatus   raddle_semaphore_get         (RaddleSemaphore *self,
                                             int64_t          timeout_ms,
                                             RaddleWait       wait);

/**
 * raddle_semaphore_stop:
 * @self: a semaphore
 *
 * Wakes everybody who waits, for good: they take what is left, and then are
 * told %RADDLE_STATUS_STOPPED, as everybody who comes later is. Never waits.
 *
 * Returns: %RADDLE_STATUS_OK or %RADDLE_STATUS_NULL
 *
 * Thread: any.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus   raddle_semaphore_stop        (RaddleSemaphore *self);

/** raddle_semaphore_is_stopped: @self: (nullable): a semaphore. Returns: whether it was stopped. Thread: any. Since: 0.1 */
RADDLE_AVAILABLE_IN_0_1
bool           raddle_semaphore_is_stopped  (RaddleSemaphore *self);

/** raddle_semaphore_get_value: @self: (nullable): a semaphore. Returns: how many tokens are there; out of date at once. Thread: any. Since: 0.1 */
RADDLE_AVAILABLE_IN_0_1
uint32_t       raddle_semaphore_get_value   (RaddleSemaphore *self);

/**
 * raddle_semaphore_get_fd:
 * @self: (nullable): a semaphore
 *
 * Returns: (transfer none): a descriptor to be polled, not read: readable while
 *   there may be a token, or none any more. Whoever polls it calls
 *   raddle_semaphore_try_get(), which makes it unreadable when it finds
 *   nothing. -1 for %NULL. From the first call on, puts make it readable.
 *
 * Thread: any.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int            raddle_semaphore_get_fd      (RaddleSemaphore *self);

RADDLE_END_DECLS

#endif /* RADDLE_SEMAPHORE_H */
