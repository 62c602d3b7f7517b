/* raddle-lock.h: waiting for a native lock while holding Python. Include <raddle/raddle.h>. */
#ifndef RADDLE_LOCK_H
#define RADDLE_LOCK_H

#include <pthread.h>
#include <raddle/raddle-gate.h>

RADDLE_BEGIN_DECLS

/**
 * raddle_lock_mutex:
 * @mutex: a mutex of the host's
 *
 * pthread_mutex_lock() that gives Python up while it waits, if this thread
 * holds it, and takes it back with @mutex in hand. If every thread that may
 * hold Python locks @mutex this way, nobody waits for it while holding Python,
 * and so the two locks cannot deadlock. On a free-threaded Python, where
 * entering excludes nobody, it is what protects data that threads share.
 * Unlock with pthread_mutex_unlock().
 *
 * Returns: %RADDLE_STATUS_OK; %RADDLE_STATUS_NULL; %RADDLE_STATUS_INVALID if
 *   pthread refuses (a mutex that checks for errors and is this thread's
 *   already); %RADDLE_STATUS_CLOSED if Python ended meanwhile. @mutex is
 *   locked only if it is OK.
 *
 * Thread: any, holding Python or not, before start and after stop too.
 *
 * Since: 0.1
 */
static inline RaddleStatus
raddle_lock_mutex (pthread_mutex_t *mutex)
{
  RaddleStatus status = RADDLE_STATUS_OK;
  int failed;

  if (!mutex)
    return RADDLE_STATUS_NULL;
  if (pthread_mutex_trylock (mutex) == 0)
    return RADDLE_STATUS_OK;
  if (!raddle_is_held ())
    return pthread_mutex_lock (mutex) == 0 ? RADDLE_STATUS_OK : RADDLE_STATUS_INVALID;
  status = raddle_unblock_threads ();
  if (status != RADDLE_STATUS_OK)
    return status;
  failed = pthread_mutex_lock (mutex);
  status = raddle_block_threads ();
  if (failed)
    return status == RADDLE_STATUS_OK ? RADDLE_STATUS_INVALID : status;
  if (status != RADDLE_STATUS_OK)
    (void) pthread_mutex_unlock (mutex);
  return status;
}

RADDLE_END_DECLS

#endif /* RADDLE_LOCK_H */
