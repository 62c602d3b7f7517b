/* raddle-glib.h: Python on a GLib main loop. Needs GLib; raddle.h does not include it. */
#ifndef RADDLE_GLIB_H
#define RADDLE_GLIB_H

#include <glib-object.h>
#include <raddle/raddle.h>
#include <raddle/raddle-closure.h>
#include <raddle/raddle-gtype.h>
#include <raddle/raddle-scheduler.h>
#include <raddle/raddle-worker.h>

RADDLE_BEGIN_DECLS

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RaddleRuntime, raddle_runtime_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RaddleOptions, raddle_options_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RaddleRing, raddle_ring_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RaddleSemaphore, raddle_semaphore_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RaddleCompletions, raddle_completions_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RaddleOperation, raddle_operation_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RaddleReply, raddle_reply_unref)

/**
 * RaddleHold:
 * @RADDLE_HOLD_CALLBACK: each callback enters Python and leaves it
 * @RADDLE_HOLD_TURN: a loop that is run with Python held, by
 *   raddle_main_loop_run() or inside an entry, holds it from wake-up to poll,
 *   and gives it up only when poll would block or it has held it for 5 ms
 *
 * Where a main loop holds Python. The second is the faster one when Python is
 * contended, and deadlocks a host whose callbacks wait for a thread that needs
 * Python: so it is the host's choice.
 *
 * Since: 0.1
 */
typedef enum {
  RADDLE_HOLD_CALLBACK = 0,
  RADDLE_HOLD_TURN = 1
} RaddleHold;

/**
 * raddle_main_context_attach:
 * @context: (nullable): a main context; %NULL for the default one
 * @hold: where the loop holds Python
 * @chain: (nullable) (scope forever): the poll function to call, if @context
 *   has one that is neither g_poll() nor raddle's
 *
 * Puts raddle's poll function on @context. In both modes it gives Python up
 * around poll(2) if the thread holds it, at whatever depth: nested loops and
 * code that forgot to release never keep Python from others. Attaching again
 * changes the mode, and keeps what is chained.
 *
 * It stays for as long as the context does: after a stop it only polls, and the
 * next start finds it. Nothing is kept about @context, which may be freed
 * attached.
 *
 * Returns: %RADDLE_STATUS_OK; %RADDLE_STATUS_NOT_STARTED or
 *   %RADDLE_STATUS_CLOSED if no runtime is open; %RADDLE_STATUS_INVALID for a
 *   @hold that is none; %RADDLE_STATUS_WRONG_ORDER if another poll function is
 *   in place and @chain is not it, or @chain is not in place;
 *   %RADDLE_STATUS_NO_MEMORY for an eighth different @chain in this process
 *
 * Thread: any, also while another one iterates @context.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_main_context_attach     (GMainContext  *context,
                                              RaddleHold     hold,
                                              GPollFunc      chain);

/**
 * raddle_main_context_detach:
 * @context: (nullable): a main context; %NULL for the default one
 *
 * Puts the former poll function back, if raddle's is still in place.
 *
 * Returns: %RADDLE_STATUS_OK, or %RADDLE_STATUS_WRONG_ORDER if raddle's poll
 *   function is not in place: never attached, or replaced by somebody since
 *
 * Thread: any, before start and after stop too.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_main_context_detach     (GMainContext  *context);

/**
 * raddle_destroy_notify:
 * @object: (nullable) (transfer full): a PyObject
 *
 * raddle_decref() with the type of a #GDestroyNotify, for
 * g_object_set_data_full(), g_private and the like. Never waits.
 *
 * Thread: any, also while GPrivate values are destroyed, before start and
 * after stop too.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
void          raddle_destroy_notify          (gpointer       object);

/**
 * raddle_idle_add: (skip)
 * @context: (nullable): a main context; %NULL for the default one
 * @priority: such as %G_PRIORITY_DEFAULT_IDLE
 * @callable: (transfer none): a Python callable, called without arguments
 * @out_id: (out) (optional): the source's id in @context
 *
 * Calls @callable when @context is idle, until it returns something false.
 * An exception goes to sys.unraisablehook, with @callable as what it is about,
 * and removes the source; but KeyboardInterrupt and SystemExit end the
 * innermost raddle_main_loop_run() of the thread, if there is one. After a stop
 * has begun @callable is not called, and the source is removed.
 *
 * Returns: %RADDLE_STATUS_OK, %RADDLE_STATUS_NULL, %RADDLE_STATUS_INVALID if
 *   @callable is not callable, or a status of raddle_enter()
 *
 * Thread: any, holding Python or not; enters Python. @callable runs on
 * @context's owner, and is dropped, once, wherever the source dies.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_idle_add                (GMainContext  *context,
                                              gint           priority,
                                              PyObject      *callable,
                                              guint         *out_id);

/**
 * raddle_timeout_add: (skip)
 *
 * like raddle_idle_add(), every @interval_ms milliseconds.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_timeout_add             (GMainContext  *context,
                                              gint           priority,
                                              guint          interval_ms,
                                              PyObject      *callable,
                                              guint         *out_id);

/**
 * raddle_fd_add: (skip)
 *
 * like raddle_idle_add(), when @fd is ready for @condition; @callable is
 * called with (fd, condition).
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_fd_add                  (GMainContext  *context,
                                              gint           priority,
                                              gint           fd,
                                              GIOCondition   condition,
                                              PyObject      *callable,
                                              guint         *out_id);

/**
 * raddle_main_context_invoke: (skip)
 * @context: (nullable): a main context; %NULL for the default one
 * @priority: such as %G_PRIORITY_DEFAULT
 * @callable: (transfer none): a Python callable
 *
 * Calls @callable once on the thread that runs @context: at once if that is
 * this thread, as g_main_context_invoke_full() decides.
 *
 * Returns: as raddle_idle_add(); it says nothing of what @callable returns or
 *   raises
 *
 * Thread: any, holding Python or not; enters Python.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_main_context_invoke     (GMainContext  *context,
                                              gint           priority,
                                              PyObject      *callable);

/**
 * raddle_main_loop_run:
 * @loop: a main loop
 *
 * g_main_loop_run() with Python's signals: Python's handlers run while the
 * loop idles, and if one raises (Ctrl-C raises KeyboardInterrupt), or a
 * source's callable raises KeyboardInterrupt or SystemExit, the loop ends.
 * Nests; a signal ends the innermost one. SIGINT reaches Python only if it has
 * a handler: see raddle_options_set_signal_handlers().
 *
 * Python is given up while the loop runs; on a context that was attached with
 * %RADDLE_HOLD_TURN it is held from wake-up to poll instead.
 *
 * Returns: %RADDLE_STATUS_OK after g_main_loop_quit(); %RADDLE_STATUS_PYTHON
 *   if an exception ended it: it is set as Python's current exception if this
 *   thread holds Python, otherwise raddle_last_error_message() names it;
 *   %RADDLE_STATUS_NULL; %RADDLE_STATUS_NOT_STARTED or %RADDLE_STATUS_CLOSED,
 *   and then the loop was not run
 *
 * Thread: one that may own the loop's context; signals are Python's main
 * thread's alone.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_main_loop_run           (GMainLoop     *loop);

/**
 * raddle_completions_attach:
 * @completions: a queue of completions
 * @context: (nullable): a main context; %NULL for the default one
 * @priority: such as %G_PRIORITY_DEFAULT
 *
 * Has @context run what is posted to @completions, in batches, on the thread
 * that iterates it: each batch is one entry of Python, and ends after about
 * 4 ms so that others have their turn. What is raised goes to
 * sys.unraisablehook, and the others still run; but KeyboardInterrupt and
 * SystemExit end the innermost raddle_main_loop_run() of the thread, if there
 * is one, and what is left waits for the next turn. The source does not
 * recurse; a loop inside of what is run calls raddle_completions_drain() if it
 * waits for more. It goes when the queue is closed.
 *
 * Returns: %RADDLE_STATUS_OK; %RADDLE_STATUS_NULL; %RADDLE_STATUS_WRONG_ORDER
 *   if the queue has an owner already; %RADDLE_STATUS_STOPPED if it is closed;
 *   %RADDLE_STATUS_NOT_STARTED or %RADDLE_STATUS_CLOSED if no runtime is open
 *
 * Thread: any, also while another one iterates @context.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_completions_attach      (RaddleCompletions *completions,
                                              GMainContext      *context,
                                              gint               priority);

/**
 * raddle_completions_detach:
 * @completions: a queue of completions
 *
 * Takes @completions from its main context. What was posted stays in it; a
 * batch that runs goes on.
 *
 * Returns: %RADDLE_STATUS_OK; %RADDLE_STATUS_NULL; %RADDLE_STATUS_WRONG_ORDER
 *   if no main context has it
 *
 * Thread: any, before start and after stop too.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_completions_detach      (RaddleCompletions *completions);

/**
 * raddle_glib_log_writer:
 * @level: the level
 * @fields: (array length=n_fields): what g_log_structured() was given, or
 *   g_log()
 * @n_fields: how many
 * @user_data: not used
 *
 * A GLogWriterFunc, to be passed to g_log_set_writer_func(). It pushes a record
 * to Python's logging as raddle_log_message() does, and so never waits: to the
 * logger of the domain, with CODE_FILE, CODE_LINE and CODE_FUNC as its place,
 * and the other fields as attributes. GLib's error is CRITICAL, its critical
 * ERROR, message and info INFO; PRIORITY is kept beside it.
 *
 * What no Python takes (before its start, after its end or raddle_log_stop()),
 * what raddle.log.GLibHandler wrote, and what is fatal goes to
 * g_log_writer_default().
 *
 * Returns: %G_LOG_WRITER_HANDLED, or what g_log_writer_default() says
 *
 * Thread: any, before start and after stop too.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
GLogWriterOutput raddle_glib_log_writer      (GLogLevelFlags   level,
                                              const GLogField *fields,
                                              gsize            n_fields,
                                              gpointer         user_data);

/**
 * raddle_glib_log_install:
 * @former: (nullable) (scope notified): the host's own writer; %NULL for
 *   g_log_writer_default()
 * @user_data: (nullable): data for @former
 * @notify: (nullable): how to free @user_data; called when GLib drops the
 *   writer, which it does at no time now, or at once if this fails
 *
 * Makes raddle_glib_log_writer() GLib's log writer, with @former in the place
 * of g_log_writer_default(). GLib takes one writer in the life of a process:
 * call this instead of g_log_set_writer_func(). If @former logs itself, that
 * goes to g_log_writer_default().
 *
 * Returns: %RADDLE_STATUS_OK, or %RADDLE_STATUS_WRONG_ORDER if it was installed
 *   already
 *
 * Thread: any, before start and after stop too.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_glib_log_install        (GLogWriterFunc   former,
                                              gpointer         user_data,
                                              GDestroyNotify   notify);

/**
 * RaddleAsyncioFunc:
 * @exception: (nullable): the Python exception, lent for the call
 * @user_data: what was set with the function
 *
 * Tells the host of an asyncio event loop what its turns came to.
 *
 * Thread: the one that runs the loop's context, holding Python.
 *
 * Since: 0.1
 */
typedef void (*RaddleAsyncioFunc) (PyObject *exception, gpointer user_data);

/**
 * raddle_asyncio_get_loop:
 * @context: (nullable): a main context; %NULL for the default one
 * @out_loop: (out) (transfer full): the event loop, a Python object
 *
 * The asyncio event loop that lives on @context, a
 * raddle.asyncio.GLibEventLoop, made if there is none. From then on its tasks
 * run whenever @context is iterated, by g_main_loop_run(), GApplication or
 * whatever the host does; it stays until Python code closes it or Python ends.
 * Hand it tasks by asyncio.run_coroutine_threadsafe(), or on the context's own
 * thread by its create_task().
 *
 * Returns: %RADDLE_STATUS_OK; %RADDLE_STATUS_NULL; a status of raddle_enter();
 *   %RADDLE_STATUS_PYTHON if another asyncio loop has @context, or
 *   raddle.asyncio cannot be imported
 *
 * Thread: any, holding Python or not, before @context runs or while it does;
 * enters Python. Drop the object with raddle_decref().
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_asyncio_get_loop        (GMainContext      *context,
                                              PyObject         **out_loop);

/**
 * raddle_asyncio_set_error_func:
 * @context: (nullable): a main context; %NULL for the default one
 * @func: (nullable) (scope notified) (closure user_data) (destroy notify): the
 *   function; %NULL for none
 * @user_data: passed to @func
 * @notify: (nullable): called once with @user_data when @func is needed no
 *   more, also if this call fails or @func is %NULL
 *
 * Has @func called with each exception that leaves a turn of the context's
 * event loop while a host runs it. These are KeyboardInterrupt and SystemExit;
 * others are handled by asyncio, whose exception handler logs them. Without
 * @func they end the innermost raddle_main_loop_run() of the thread, and
 * without such a run go to sys.unraisablehook. The loop goes on in any case.
 *
 * Returns: as raddle_asyncio_get_loop()
 *
 * Thread: any; enters Python. @notify may be called on any thread.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_asyncio_set_error_func  (GMainContext      *context,
                                              RaddleAsyncioFunc  func,
                                              gpointer           user_data,
                                              GDestroyNotify     notify);

/**
 * raddle_asyncio_set_quit_func:
 * @context: (nullable): a main context; %NULL for the default one
 * @func: (nullable) (scope notified) (closure user_data) (destroy notify): the
 *   function; %NULL for none
 * @user_data: passed to @func
 * @notify: (nullable): called once with @user_data when @func is needed no
 *   more, also if this call fails or @func is %NULL
 *
 * Has @func called when Python code asks the host that runs the context to end
 * its loop: with %NULL after loop.stop(), with the exception if a SystemExit
 * has left a turn (instead of the error function). raddle itself never ends the
 * process.
 *
 * Returns: as raddle_asyncio_get_loop()
 *
 * Thread: any; enters Python. @notify may be called on any thread.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_asyncio_set_quit_func   (GMainContext      *context,
                                              RaddleAsyncioFunc  func,
                                              gpointer           user_data,
                                              GDestroyNotify     notify);

/**
 * raddle_asyncio_run: (skip)
 * @context: (nullable): a main context; %NULL for the default one
 * @callable: (transfer none): called without arguments, inside the loop; what
 *   it returns is awaited if it is awaitable, as a coroutine is
 * @cancellable: (nullable) (type GObject): a GCancellable
 * @type: the type of the result, as for raddle_call()
 * @done: (nullable): called once with the result or the error, on the thread
 *   that runs @context, with Python held; not if the loop is closed before
 * @user_data: (nullable): passed to @done
 * @notify: (nullable): called once with @user_data, after @done; on every path
 *
 * Runs @callable as a task of the asyncio event loop of @context.
 *
 * If @cancellable is cancelled, on whichever thread, the task is, and never
 * begins if it was cancelled before; whoever cancels does not wait for Python.
 * If the task ends as a cancelled one, @cancellable is cancelled and the error
 * is G_IO_ERROR_CANCELLED.
 *
 * Returns: as raddle_asyncio_get_loop(), and %RADDLE_STATUS_INVALID if @callable
 *   is not callable or @cancellable is no GCancellable
 *
 * Thread: any, holding Python or not; enters Python. @notify may be called on
 * any thread.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_asyncio_run             (GMainContext      *context,
                                              PyObject          *callable,
                                              gpointer           cancellable,
                                              GType              type,
                                              RaddleDoneFunc     done,
                                              gpointer           user_data,
                                              GDestroyNotify     notify);

RADDLE_END_DECLS

#endif /* RADDLE_GLIB_H */
