/* raddle-gate.h: entering, leaving and releasing Python. Include <raddle/raddle.h>. */
#ifndef RADDLE_GATE_H
#define RADDLE_GATE_H

#include <stdbool.h>
#include <stdint.h>
#include <raddle/raddle-macros.h>
#include <raddle/raddle-status.h>

RADDLE_BEGIN_DECLS

/**
 * raddle_enter:
 *
 * Enters Python from any thread, waiting for it if another thread runs it.
 * Entries nest; each needs its raddle_leave() on the same thread. A thread's
 * first entry makes its thread state, which is kept until the thread ends, so
 * threading.local values live from one entry to the next.
 *
 * If code between two entries gave Python up by itself (PyGObject does around
 * every call), the inner entry takes it back and its leave gives it up again.
 *
 * On a free-threaded Python an entry attaches the thread and excludes nobody.
 *
 * Returns: %RADDLE_STATUS_OK; %RADDLE_STATUS_CLOSED at once, without waiting,
 *   if a stop has begun and this thread is not inside; or
 *   %RADDLE_STATUS_NOT_STARTED. Nothing is entered unless it is OK.
 *
 * Thread: any, also one whose thread-specific data is being destroyed.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1 RADDLE_MUST_CHECK
RaddleStatus  raddle_enter            (void);

/**
 * raddle_enter_fresh:
 *
 * Like raddle_enter(), in a context of its own (contextvars.Context, empty):
 * what the entry sets in context variables, the decimal context among them,
 * is gone after its raddle_leave().
 *
 * Returns: as raddle_enter(), or %RADDLE_STATUS_NO_MEMORY
 *
 * Thread: any.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1 RADDLE_MUST_CHECK
RaddleStatus  raddle_enter_fresh      (void);

/**
 * raddle_leave:
 *
 * Ends the innermost entry of this thread. A Python exception that is still
 * set when the entry gives Python up goes to sys.unraisablehook.
 *
 * Returns: %RADDLE_STATUS_OK, or %RADDLE_STATUS_WRONG_ORDER if there is no
 *   entry to leave, or something inside it gave Python up and did not take it
 *   back
 *
 * Thread: the one that entered.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_leave            (void);

/**
 * raddle_unblock_threads:
 *
 * Lets other threads run Python: gives it up whatever the depth. Nests; the
 * inner ones of nested calls change nothing. A call on a thread that does not
 * hold Python changes nothing either, and needs its raddle_block_threads() too.
 *
 * Returns: %RADDLE_STATUS_OK or %RADDLE_STATUS_NOT_STARTED
 *
 * Thread: any.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_unblock_threads  (void);

/**
 * raddle_block_threads:
 *
 * Closes the innermost raddle_unblock_threads() of this thread: takes Python
 * back, at the depth at which it was given up.
 *
 * Returns: %RADDLE_STATUS_OK; %RADDLE_STATUS_WRONG_ORDER if nothing was
 *   given up, or an entry made since is still open; or %RADDLE_STATUS_CLOSED
 *   if Python has ended meanwhile by another hand, or this is the child of a
 *   plain fork: then the pair is closed, and Python is not held
 *
 * Thread: the one that gave Python up.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_block_threads    (void);

/* The same two, under the names that PyGTK gave them. <raddle/pygtk_threads.h>
 * has PyGTK's own spellings, whose BLOCK may also open an entry. */
#define RADDLE_UNBLOCK_THREADS raddle_unblock_threads ();
#define RADDLE_BLOCK_THREADS raddle_block_threads ();

/**
 * raddle_is_held:
 *
 * Returns: whether this thread holds Python now, by an entry of raddle's or by
 *   any other means. Never waits. (PyGILState_Check() answers yes everywhere
 *   once a subinterpreter has existed.)
 *
 * Thread: any.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
bool          raddle_is_held          (void);

/**
 * RaddleScope:
 *
 * An entry that ends with the block it is declared in:
 *
 *   RADDLE_ENTER_SCOPE (scope);
 *   if (!scope.entered)
 *     return;
 *
 * Since: 0.1
 */
typedef struct {
  RaddleStatus status;
  bool         entered;
} RaddleScope;

static inline RaddleScope
raddle_scope_enter (void)
{
  RaddleScope scope;
  scope.status = raddle_enter ();
  scope.entered = scope.status == RADDLE_STATUS_OK;
  return scope;
}

static inline void
raddle_scope_leave (RaddleScope *scope)
{
  if (scope->entered)
    (void) raddle_leave ();
  scope->entered = false;
}

#define RADDLE_ENTER_SCOPE(name) \
  __attribute__ ((cleanup (raddle_scope_leave))) RaddleScope name = raddle_scope_enter ()

/**
 * RaddleGateStats:
 * @entries: entries that took Python
 * @nested: entries that found it held
 * @threads: threads that have entered, those that ended included
 * @live_threads: of these, how many are alive
 * @waits: entries whose wait was timed (see raddle_options_set_timing())
 * @wait_ns: what these waited in all, in nanoseconds
 * @reaped: thread states of dead threads that were cleared
 * @decrefs: references dropped by threads that did not hold Python
 * @leaked: references dropped after the end, and so on purpose never released
 *
 * What went through the gate since the runtime started.
 *
 * Since: 0.1
 */
typedef struct {
  uint64_t entries;
  uint64_t nested;
  uint64_t threads;
  uint64_t live_threads;
  uint64_t waits;
  uint64_t wait_ns;
  uint64_t reaped;
  uint64_t decrefs;
  uint64_t leaked;
} RaddleGateStats;

/**
 * raddle_gate_get_stats:
 * @out: (out caller-allocates): where to put the figures; written only on success
 *
 * Returns: %RADDLE_STATUS_OK or %RADDLE_STATUS_NULL
 *
 * Thread: any, before start and after stop too.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_gate_get_stats   (RaddleGateStats *out);

/**
 * raddle_thread_trim:
 *
 * Gives back what this thread keeps for its next entry, as its end would:
 * for a thread that will be idle for long. Its threading.local values go.
 *
 * Returns: %RADDLE_STATUS_OK, also when there is nothing to give back, or
 *   %RADDLE_STATUS_WRONG_ORDER inside an entry
 *
 * Thread: any.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_thread_trim      (void);

/**
 * raddle_thread_end:
 *
 * Ends this thread's tasklets while they can still run: raises TaskletExit in
 * each that has begun, oldest first, up to ten times. A native thread calls it
 * before it ends, if its tasklets may sleep then: a thread that ends does not
 * wait for Python, so what still sleeps is leaked with its stack, counted and
 * named (stackless.leaked_tasklets()).
 *
 * Waits for Python. An exception that is set stays set. The thread may go on
 * afterwards, with tasklets too.
 *
 * Returns: %RADDLE_STATUS_OK, also for a thread that never had a tasklet, before
 *   start and after stop as well; %RADDLE_STATUS_WRONG_ORDER inside a tasklet, in a
 *   scheduler's callback or under stackless.switch_trap(); %RADDLE_STATUS_BUSY
 *   if tasklets outlived that, with a message that names them; or
 *   %RADDLE_STATUS_CLOSED if Python is ending or has ended
 *
 * Thread: the one whose tasklets they are.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_thread_end       (void);

RADDLE_END_DECLS

#endif /* RADDLE_GATE_H */
