/* stackless_api.h: the C API of Stackless Python, on stock CPython. Its names are Stackless's own. The
 * functions of tasklets and of channels have a header each, which this one includes.
 *
 * Needs Python.h and libraddle. What holds for all of it:
 *
 * - Thread: one that holds Python, in the main interpreter: of Python's own, or inside raddle_enter().
 *   Without Python a function fails at once, sets no exception (there is nowhere to set one) and leaves
 *   the reason to raddle_last_error_message().
 * - A thread needs no preparation: its first call makes the calling code its main tasklet, as Stackless
 *   "wraps itself" when it is called from outside.
 * - Failure: -1 or NULL with an exception set; a function that returns nothing leaves none set, as its
 *   caller could not know, but hands it to sys.unraisablehook.
 * - Arguments are lent and may be NULL only where it is said; what is returned is a new reference.
 * - Every switch is a hard one: a tasklet has a C stack of its own, so any C code may call what switches,
 *   at any depth. The forms that end in _nr are there for code that was written with them. They do what
 *   the others do, those that return an int return 0 or -1 and never 1, those that return an object never
 *   return Py_UnwindToken.
 * - What a caller keeps on its C stack is still there after a switch. What belongs to the thread is not:
 *   errno, a lock that only its owner may unlock, a C++ exception in flight. See docs/caveats.md.
 */
#ifndef RADDLE_STACKLESS_API_H
#define RADDLE_STACKLESS_API_H

#include <Python.h>

#include <raddle/raddle-macros.h>
#include <raddle/stackless_channel.h>
#include <raddle/stackless_tasklet.h>

RADDLE_BEGIN_DECLS

/* What Stackless returns for a soft switch. Never returned here, and no object: code may compare with
 * it and do nothing else. */
RADDLE_AVAILABLE_IN_0_1
extern PyObject *const Py_UnwindToken;

/* --- The scheduler --- */

/**
 * PyStackless_Schedule:
 * @retval: (nullable): what to return; %NULL for the current tasklet
 * @remove: not 0 to leave the run queue: the caller is paused then
 *
 * Lets the next tasklet run.
 *
 * Returns: (transfer full): @retval when the caller goes on, or %NULL
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
PyObject *PyStackless_Schedule (PyObject *retval, int remove);
RADDLE_AVAILABLE_IN_0_1
PyObject *PyStackless_Schedule_nr (PyObject *retval, int remove);

/**
 * PyStackless_GetRunCount:
 *
 * Returns: how many tasklets of this thread can run, the current one included, or -1
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyStackless_GetRunCount (void);

/**
 * PyStackless_GetCurrent:
 *
 * Returns: (transfer full): the tasklet that runs, or %NULL
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
PyObject *PyStackless_GetCurrent (void);

/**
 * PyStackless_GetCurrentId:
 *
 * Returns: a number that no other tasklet has which lives now; a thread's own identity for its main
 *   tasklet
 *
 * Thread: any, without Python as well.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
unsigned long PyStackless_GetCurrentId (void);

/* Flags of PyStackless_RunWatchdogEx(), in both of the spellings that Stackless has had. */
#define Py_WATCHDOG_THREADBLOCK    1 /* with nobody to run, wait for other threads */
#define Py_WATCHDOG_SOFT           2 /* do not interrupt: return at the next switch after the limit */
#define Py_WATCHDOG_IGNORE_NESTING 4 /* interrupt at any nesting level */
#define Py_WATCHDOG_TIMEOUT        8 /* the limit is for the whole run, not for each tasklet */
#define PY_WATCHDOG_THREADBLOCK    Py_WATCHDOG_THREADBLOCK
#define PY_WATCHDOG_SOFT           Py_WATCHDOG_SOFT
#define PY_WATCHDOG_IGNORE_NESTING Py_WATCHDOG_IGNORE_NESTING
#define PY_WATCHDOG_TIMEOUT        Py_WATCHDOG_TIMEOUT
#define Py_WATCHDOG_TOTALTIMEOUT   Py_WATCHDOG_TIMEOUT
#define PY_WATCHDOG_TOTALTIMEOUT   Py_WATCHDOG_TIMEOUT

/**
 * PyStackless_RunWatchdog:
 * @timeout: how many instructions a tasklet may execute without switching; 0 for no limit
 *
 * Pauses the main tasklet, which must be the caller, until no other one can run, or one has reached the
 * limit. An exception that a tasklet lets pass ends the run, and is raised here.
 *
 * Returns: (transfer full): `None`; the tasklet that was interrupted, which is out of the run queue and
 *   should be killed or inserted again; or %NULL: `RuntimeError` in another tasklet than the main one
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
PyObject *PyStackless_RunWatchdog (long timeout);

/**
 * PyStackless_RunWatchdogEx:
 * @timeout: as in PyStackless_RunWatchdog()
 * @flags: of `Py_WATCHDOG_…`
 *
 * As PyStackless_RunWatchdog(), from any tasklet: a run inside a run ends first. With
 * %Py_WATCHDOG_SOFT it always returns `None`.
 *
 * Returns: (transfer full): as there; %NULL with `ValueError` for flags that are not from 0 to 255
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
PyObject *PyStackless_RunWatchdogEx (long timeout, int flags);

/* --- Monitoring --- */

/**
 * PyStackless_SetChannelCallback:
 * @callable: (nullable): is called with the channel, the tasklet, whether it sends and whether it will
 *   wait; %NULL for nobody
 *
 * Returns: 0, or -1: `TypeError`
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyStackless_SetChannelCallback (PyObject *callable);

/**
 * PyStackless_SetScheduleCallback:
 * @callable: (nullable): is called with the tasklet that stops and the one that goes on, before each
 *   switch; `None` for one that begins or has died; %NULL for nobody
 *
 * Returns: 0, or -1: `TypeError`
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyStackless_SetScheduleCallback (PyObject *callable);

/**
 * slp_schedule_hook_func:
 * @from: (nullable): the tasklet that stops; %NULL when one begins
 * @to: (nullable): the one that goes on; %NULL when @from has died
 *
 * Is told of each switch, before it happens, with Python held. It must not switch. A death is two
 * calls: one with no @to, and one with no @from.
 *
 * Returns: 0; anything else says that it failed: an exception that it has set goes to
 *   sys.unraisablehook, and the switch happens all the same
 *
 * Since: 0.1
 */
typedef int (slp_schedule_hook_func) (PyTaskletObject *from, PyTaskletObject *to);

/**
 * PyStackless_SetScheduleFastcallback:
 * @func: (nullable): is told of each switch of any thread; %NULL for nobody
 *
 * Thread: any. Python may be held or not.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
void PyStackless_SetScheduleFastcallback (slp_schedule_hook_func func);

/* --- Calling as the main tasklet --- */

/**
 * PyStackless_Call_Main:
 * @func: what to call
 * @args: (nullable): a tuple; %NULL for no arguments
 * @kwds: (nullable): a dict
 *
 * Calls it with this thread's main tasklet there. Every function here makes sure of that by itself.
 *
 * Returns: (transfer full): what it returns, or %NULL
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
PyObject *PyStackless_Call_Main (PyObject *func, PyObject *args, PyObject *kwds);

/**
 * PyStackless_CallMethod_Main:
 * @o: an object
 * @name: the name of a method of it
 * @format: (nullable): as Py_BuildValue() takes it, followed by what it names; %NULL or "" for no
 *   arguments, and one that makes no tuple is the one argument
 *
 * As PyStackless_Call_Main().
 *
 * Returns: (transfer full): what it returns, or %NULL
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
PyObject *PyStackless_CallMethod_Main (PyObject *o, char *name, char *format, ...);

/**
 * PyStackless_CallCMethod_Main:
 * @meth: a function in C; lives as long as anybody may call it
 * @self: (nullable): its first argument
 * @format: (nullable): as in PyStackless_CallMethod_Main()
 *
 * As PyStackless_Call_Main().
 *
 * Returns: (transfer full): what it returns, or %NULL
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
PyObject *PyStackless_CallCMethod_Main (PyMethodDef *meth, PyObject *self, char *format, ...);

RADDLE_END_DECLS

#endif /* RADDLE_STACKLESS_API_H */
