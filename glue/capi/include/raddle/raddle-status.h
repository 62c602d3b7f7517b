/* raddle-status.h: what a function answers, and the message behind it. Include <raddle/raddle.h>. */
#ifndef RADDLE_STATUS_H
#define RADDLE_STATUS_H

#include <raddle/raddle-macros.h>

RADDLE_BEGIN_DECLS

/**
 * RaddleStatus:
 * @RADDLE_STATUS_OK: it was done
 * @RADDLE_STATUS_NULL: a pointer that must not be %NULL was
 * @RADDLE_STATUS_INVALID: an argument is out of range or not of its kind
 * @RADDLE_STATUS_NOT_STARTED: there is no runtime yet
 * @RADDLE_STATUS_ALREADY_STARTED: there is a runtime already
 * @RADDLE_STATUS_CLOSED: the runtime is stopping, has stopped, or this
 *   process was forked without os.fork
 * @RADDLE_STATUS_WRONG_THREAD: only another thread may do this
 * @RADDLE_STATUS_WRONG_ORDER: a pair is being closed that is not the innermost
 *   one, or that was never opened
 * @RADDLE_STATUS_BUSY: somebody is still inside; nothing was ended
 * @RADDLE_STATUS_VERSION: the Python in this process is not the one that
 *   raddle was built for
 * @RADDLE_STATUS_START: Python could not start (bad home, no standard library)
 * @RADDLE_STATUS_PYTHON: Python code raised; the exception went to
 *   sys.unraisablehook and its text is in raddle_last_error_message()
 * @RADDLE_STATUS_NO_MEMORY: the machine has no more to give
 * @RADDLE_STATUS_STOPPED: a semaphore, ring or queue was stopped, and there is
 *   nothing left in it
 * @RADDLE_STATUS_TIMED_OUT: the time has passed; of a call that does not wait:
 *   there was nothing, or no room
 *
 * Every function that can fail answers with one of these; the text for a
 * person is in raddle_last_error_message().
 *
 * Since: 0.1
 */
typedef enum {
  RADDLE_STATUS_OK = 0,
  RADDLE_STATUS_NULL = 1,
  RADDLE_STATUS_INVALID = 2,
  RADDLE_STATUS_NOT_STARTED = 3,
  RADDLE_STATUS_ALREADY_STARTED = 4,
  RADDLE_STATUS_CLOSED = 5,
  RADDLE_STATUS_WRONG_THREAD = 6,
  RADDLE_STATUS_WRONG_ORDER = 7,
  RADDLE_STATUS_BUSY = 8,
  RADDLE_STATUS_VERSION = 9,
  RADDLE_STATUS_START = 10,
  RADDLE_STATUS_PYTHON = 11,
  RADDLE_STATUS_NO_MEMORY = 12,
  RADDLE_STATUS_STOPPED = 13,
  RADDLE_STATUS_TIMED_OUT = 14
} RaddleStatus;

/**
 * raddle_status_name:
 * @status: a status
 *
 * Returns: (transfer none): the constant's name, such as
 *   "RADDLE_STATUS_CLOSED"; "RADDLE_STATUS_UNKNOWN" for a number that is none.
 *   Static, never %NULL.
 *
 * Thread: any, before start and after stop too.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
const char   *raddle_status_name         (RaddleStatus status);

/**
 * raddle_last_error_message:
 *
 * What went wrong in the last raddle function that failed on this thread, as
 * one line that says what to do. A function that succeeds leaves it alone.
 *
 * Returns: (transfer none): UTF-8, never %NULL, empty if nothing failed yet;
 *   valid until the next failure on this thread
 *
 * Thread: any, before start and after stop too.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
const char   *raddle_last_error_message  (void);

RADDLE_END_DECLS

#endif /* RADDLE_STATUS_H */
