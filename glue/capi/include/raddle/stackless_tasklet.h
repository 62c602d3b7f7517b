/* stackless_tasklet.h: Stackless Python's tasklets in C. What holds for all of it stands in stackless_api.h. */
#ifndef RADDLE_STACKLESS_TASKLET_H
#define RADDLE_STACKLESS_TASKLET_H

#include <Python.h>

#include <raddle/raddle-macros.h>

RADDLE_BEGIN_DECLS

/**
 * PyTaskletObject:
 *
 * A tasklet: may be cast to and from `PyObject *`, and has no fields that C may look at.
 *
 * A type of your own derives from it by PyType_FromSpecWithBases() with a basicsize of 0; what it adds
 * goes into its dict, or from Python 3.12 on behind it (a negative basicsize).
 *
 * Since: 0.1
 */
typedef struct _tasklet PyTaskletObject;

/* The type of tasklets. %NULL before Python has loaded raddle, and once its exit handlers have run;
 * another one after Python was restarted. */
RADDLE_AVAILABLE_IN_0_1
extern PyTypeObject *PyTasklet_TypePtr;

#define PyTasklet_Type (*PyTasklet_TypePtr)
#define PyTasklet_Check(op) PyObject_TypeCheck ((PyObject *) (op), PyTasklet_TypePtr)
#define PyTasklet_CheckExact(op) (Py_TYPE ((PyObject *) (op)) == PyTasklet_TypePtr)

/**
 * PyTasklet_New:
 * @type: (nullable): derived from PyTasklet_Type, or %NULL for that
 * @func: (nullable): what it will call, or %NULL for a tasklet that is bound later
 *
 * Returns: (transfer full): a tasklet that belongs to this thread, or %NULL. `TypeError` for another
 *   type or what cannot be called.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
PyTaskletObject *PyTasklet_New (PyTypeObject *type, PyObject *func);

/**
 * PyTasklet_Setup:
 * @task: a tasklet that is bound and does not run
 * @args: (nullable): a tuple; %NULL for no arguments
 * @kwds: (nullable): a dict, or %NULL
 *
 * Gives it its arguments and puts it at the end of the run queue.
 *
 * Returns: 0, or -1: `RuntimeError` if it is not bound, or alive
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyTasklet_Setup (PyTaskletObject *task, PyObject *args, PyObject *kwds);

/**
 * PyTasklet_BindEx:
 * @task: a tasklet that has not begun, or is dead
 * @func: (nullable): what it will call; %NULL or `None` to keep it, or with no @args and @kwargs
 *   to unbind it
 * @args: (nullable): a tuple; with %NULL and `None` it waits for PyTasklet_Setup()
 * @kwargs: (nullable): a dict
 *
 * Binds it without putting it into the run queue. It inherits the context variables that are there now.
 *
 * Returns: 0, or -1: `TypeError`; `RuntimeError` if it runs, is in a queue or has begun
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyTasklet_BindEx (PyTaskletObject *task, PyObject *func, PyObject *args, PyObject *kwargs);

/**
 * PyTasklet_BindThread:
 * @task: a tasklet that has not begun, or is dead, and is not in the run queue
 * @thread_id: a thread's identity as `threading.get_ident()` gives it; -1 for this one
 *
 * Moves it to another thread.
 *
 * Returns: 0, or -1: `RuntimeError` for a tasklet that has begun, `ValueError` for a thread that is not
 *   there
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyTasklet_BindThread (PyTaskletObject *task, unsigned long thread_id);

/**
 * PyTasklet_Run:
 * @task: a tasklet
 *
 * Runs it at once; the caller goes on when its turn comes. One of another thread only becomes the next
 * to run there.
 *
 * Returns: 0, or -1: `RuntimeError` if it waits at a channel or is dead; what was raised in the caller
 *   meanwhile
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyTasklet_Run (PyTaskletObject *task);
RADDLE_AVAILABLE_IN_0_1
int PyTasklet_Run_nr (PyTaskletObject *task);

/**
 * PyTasklet_Switch:
 * @task: a tasklet of this thread
 *
 * As PyTasklet_Run(), and the caller leaves the run queue: it is paused until somebody inserts or runs
 * it.
 *
 * Returns: 0, or -1
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyTasklet_Switch (PyTaskletObject *task);
RADDLE_AVAILABLE_IN_0_1
int PyTasklet_Switch_nr (PyTaskletObject *task);

/**
 * PyTasklet_Remove:
 * @task: a tasklet
 *
 * Takes it out of the run queue: it is paused. Dropping one that has begun ends it by `TaskletExit`.
 *
 * Returns: 0, or -1: `RuntimeError` if it waits at a channel, or is the current one
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyTasklet_Remove (PyTaskletObject *task);

/**
 * PyTasklet_Insert:
 * @task: a tasklet
 *
 * Puts it at the end of its thread's run queue, if it is not in it.
 *
 * Returns: 0, or -1: `RuntimeError` if it waits at a channel or is dead
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyTasklet_Insert (PyTaskletObject *task);

/**
 * PyTasklet_Become:
 *
 * Made a tasklet of the caller's frame, in Stackless before 2.5. A frame cannot be moved to another C
 * stack. Use PyTasklet_New() with a function.
 *
 * Returns: %NULL: `DeprecationWarning`, then `RuntimeError`
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
PyObject *PyTasklet_Become (PyTaskletObject *self, PyObject *retval);

/**
 * PyTasklet_Capture:
 *
 * As PyTasklet_Become().
 *
 * Returns: %NULL: `DeprecationWarning`, then `RuntimeError`
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
PyObject *PyTasklet_Capture (PyTaskletObject *self, PyObject *retval);

/**
 * PyTasklet_RaiseException:
 * @self: a tasklet
 * @klass: an exception's class
 * @args: (nullable): a tuple of its arguments, or one argument; %NULL for none
 *
 * Runs the tasklet at once, with `klass(*args)` raised in it. On the current one it is simply raised.
 *
 * Returns: 0, or -1: `RuntimeError` if it is dead; what was raised in the caller meanwhile
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyTasklet_RaiseException (PyTaskletObject *self, PyObject *klass, PyObject *args);

/**
 * PyTasklet_Throw:
 * @self: a tasklet
 * @pending: 0 to run it at once, 1 to put it into the run queue
 * @exc: an exception, or its class
 * @val: (nullable): what `raise` takes for the second part
 * @tb: (nullable): a traceback
 *
 * Raises an exception in it.
 *
 * Returns: 0, or -1
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyTasklet_Throw (PyTaskletObject *self, int pending, PyObject *exc, PyObject *val, PyObject *tb);

/**
 * PyTasklet_Kill:
 * @self: a tasklet
 *
 * Raises `TaskletExit` in it, at once. One that lets it pass ends without a sound. Killing a dead one is
 * fine.
 *
 * Returns: 0, or -1
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyTasklet_Kill (PyTaskletObject *self);

/**
 * PyTasklet_KillEx:
 * @self: a tasklet
 * @pending: 0 to run it at once, 1 to put it into the run queue
 *
 * Returns: 0, or -1
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyTasklet_KillEx (PyTaskletObject *self, int pending);

/**
 * PyTasklet_GetAtomic:
 * @task: a tasklet
 *
 * Returns: 1 if no watchdog may interrupt it, 0 if one may, -1
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyTasklet_GetAtomic (PyTaskletObject *task);

/**
 * PyTasklet_SetAtomic:
 * @task: a tasklet
 * @flag: not 0 to keep watchdogs from interrupting it. Other threads run all the same.
 *
 * Returns: what it was before, or -1
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyTasklet_SetAtomic (PyTaskletObject *task, int flag);

/**
 * PyTasklet_GetIgnoreNesting:
 * @task: a tasklet
 *
 * Returns: 1 if a watchdog may interrupt it at any nesting level, 0 if only at level 0, -1
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyTasklet_GetIgnoreNesting (PyTaskletObject *task);

/**
 * PyTasklet_SetIgnoreNesting:
 * @task: a tasklet
 * @flag: not 0 to let watchdogs interrupt it inside calls from C as well
 *
 * Returns: what it was before, or -1
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyTasklet_SetIgnoreNesting (PyTaskletObject *task, int flag);

/**
 * PyTasklet_GetPendingIrq:
 * @task: a tasklet
 *
 * Returns: 1 if a watchdog will interrupt it as soon as it may, 0 if not, -1
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyTasklet_GetPendingIrq (PyTaskletObject *task);

/**
 * PyTasklet_GetBlockTrap:
 * @task: a tasklet
 *
 * Returns: 1 if waiting at a channel is an error in it, 0 if not, -1
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyTasklet_GetBlockTrap (PyTaskletObject *task);

/**
 * PyTasklet_SetBlockTrap:
 * @task: a tasklet
 * @value: not 0 to make waiting at a channel an error in it
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
void PyTasklet_SetBlockTrap (PyTaskletObject *task, int value);

/**
 * PyTasklet_GetFrame:
 * @task: a tasklet
 *
 * Returns: (transfer full) (nullable): the frame that it executes; %NULL, with no exception, if it has
 *   none
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
PyObject *PyTasklet_GetFrame (PyTaskletObject *task);

/**
 * PyTasklet_IsMain:
 * @task: a tasklet
 *
 * Returns: 1 if it is its thread's main tasklet, 0 if not, -1
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyTasklet_IsMain (PyTaskletObject *task);

/**
 * PyTasklet_IsCurrent:
 * @task: a tasklet
 *
 * Returns: 1 if it is its thread's current tasklet, 0 if not, -1
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyTasklet_IsCurrent (PyTaskletObject *task);

/**
 * PyTasklet_GetRecursionDepth:
 * @task: a tasklet
 *
 * Returns: how many calls of Python deep it is, or -1
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyTasklet_GetRecursionDepth (PyTaskletObject *task);

/**
 * PyTasklet_GetNestingLevel:
 * @task: a tasklet
 *
 * Returns: how many calls from C into Python it is inside of, besides the one that began it, or -1
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyTasklet_GetNestingLevel (PyTaskletObject *task);

/**
 * PyTasklet_Alive:
 * @task: a tasklet
 *
 * Returns: 1 if it can run, or is waiting or paused; 0 if it is dead or was not set up; -1
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyTasklet_Alive (PyTaskletObject *task);

/**
 * PyTasklet_Paused:
 * @task: a tasklet
 *
 * Returns: 1 if it is alive and in no queue, 0 if not, -1
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyTasklet_Paused (PyTaskletObject *task);

/**
 * PyTasklet_Scheduled:
 * @task: a tasklet
 *
 * Returns: 1 if it is in the run queue or waits at a channel, 0 if not, -1
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyTasklet_Scheduled (PyTaskletObject *task);

/**
 * PyTasklet_Restorable:
 * @task: a tasklet
 *
 * Returns: 1 if it could go on after it was pickled: it has not begun, or is dead; 0 if not; -1
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyTasklet_Restorable (PyTaskletObject *task);

RADDLE_END_DECLS

#endif /* RADDLE_STACKLESS_TASKLET_H */
