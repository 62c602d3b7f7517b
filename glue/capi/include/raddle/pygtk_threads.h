/* pygtk_threads.h: PyGTK's BLOCK and UNBLOCK, for code that was written with them. */
#ifndef RADDLE_PYGTK_THREADS_H
#define RADDLE_PYGTK_THREADS_H

#include <raddle/raddle.h>

RADDLE_BEGIN_DECLS

/* PyGTK kept one count per thread of how often Python was taken or given up, and
 * the pair works in both orders:
 *
 *   in a callback, which may be called with or without Python held:
 *     PyGTK_BLOCK_THREADS; ...run Python...; PyGTK_UNBLOCK_THREADS;
 *
 *   round a call that blocks, made by code that holds Python:
 *     PyGTK_UNBLOCK_THREADS; g_main_loop_run (loop); PyGTK_BLOCK_THREADS;
 *
 * and in any nesting of the two. What is not as it was in PyGTK:
 *
 * - PyGTK's count began at "held" on every thread, so a thread of the host's
 *   that had never seen Python was taken to hold it. That is why PyGTK needed
 *   the GDK lock round each callback. Here a thread begins with what is true of
 *   it: not held, unless Python made the thread or runs on it. There is no lock
 *   to take.
 * - UNBLOCK gives Python up at any depth. In PyGTK one inside two BLOCKs did not.
 * - BLOCK looks whether Python is really held, since PyGObject and ctypes give
 *   it up by themselves around the calls they make.
 * - BLOCK may be refused, before Python is started and once a stop has begun.
 *   Then it returns at once, Python must not be touched, and the UNBLOCK that
 *   belongs to it does nothing. A macro cannot tell: where callbacks may come
 *   that late, call raddle_pygtk_block() and look.
 *
 * They mix with raddle_enter() and raddle_leave() as long as each pair is closed
 * by its own kind, innermost first.
 */

/**
 * raddle_pygtk_block:
 *
 * Takes back what the innermost raddle_pygtk_unblock() or
 * raddle_unblock_threads() of this thread gave up. Where there is nothing to
 * take back, enters Python as raddle_enter() does.
 *
 * Needs its raddle_pygtk_unblock() whatever it returns.
 *
 * Returns: as raddle_enter()
 *
 * Thread: any.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_pygtk_block    (void);

/**
 * raddle_pygtk_unblock:
 *
 * Leaves what the innermost raddle_pygtk_block() of this thread entered. Where
 * that is not what is open, gives Python up as raddle_unblock_threads() does,
 * and needs its raddle_pygtk_block().
 *
 * Returns: %RADDLE_STATUS_OK or %RADDLE_STATUS_NOT_STARTED
 *
 * Thread: any.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_pygtk_unblock  (void);

/* PyGTK's spellings. They are blocks, as they were there: with or without a
 * semicolon behind them. */
#define PyGTK_BLOCK_THREADS { (void) raddle_pygtk_block (); }
#define PyGTK_UNBLOCK_THREADS { (void) raddle_pygtk_unblock (); }

/* pygobject.h has these two as well, where they have done nothing since
 * PyGObject gave the count up: include it first. */
#undef pyg_block_threads
#undef pyg_unblock_threads
#define pyg_block_threads() do { (void) raddle_pygtk_block (); } while (0)
#define pyg_unblock_threads() do { (void) raddle_pygtk_unblock (); } while (0)

RADDLE_END_DECLS

#endif /* RADDLE_PYGTK_THREADS_H */
