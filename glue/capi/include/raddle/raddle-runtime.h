/* raddle-runtime.h: starting, adopting and stopping Python. Include <raddle/raddle.h>. */
#ifndef RADDLE_RUNTIME_H
#define RADDLE_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <raddle/raddle-macros.h>
#include <raddle/raddle-status.h>

RADDLE_BEGIN_DECLS

/**
 * RaddleOptions:
 *
 * How to start Python. A plain record behind a pointer; used by one thread at
 * a time, and not kept by raddle_runtime_new(). Every setter copies what it is
 * given and returns %RADDLE_STATUS_OK, %RADDLE_STATUS_NULL for a %NULL where
 * none may be, or %RADDLE_STATUS_INVALID for text that is not UTF-8.
 *
 * What a fresh record says: isolated (no PYTHON* variables, no user site, no
 * current directory on sys.path), UTF-8 mode, the standard library where the
 * Python that raddle was built for keeps it, no signal handlers of Python's.
 *
 * Since: 0.1
 */
typedef struct _RaddleOptions RaddleOptions;

/**
 * raddle_options_new: (skip)
 *
 * Returns: (transfer full): a fresh record.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleOptions *raddle_options_new                  (void);

/**
 * raddle_options_free: (skip)
 * @self: (nullable) (transfer full): a record.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
void           raddle_options_free                 (RaddleOptions *self);

/**
 * raddle_options_set_program_name: (skip)
 * @program_name: (nullable): argv[0]; Python looks for itself from there.
 *   %NULL: the interpreter that raddle was built for
 *
 * sys.executable is a Python in any case, never the host, so that
 * multiprocessing's spawn and subprocess start a Python.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus   raddle_options_set_program_name     (RaddleOptions *self,
                                                    const char    *program_name);

/**
 * raddle_options_set_home: (skip)
 * @home: (nullable): the prefix under which the standard library lies.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus   raddle_options_set_home             (RaddleOptions *self,
                                                    const char    *home);

/**
 * raddle_options_set_venv: (skip)
 * @venv: (nullable): a virtual environment's folder; its packages are
 *   importable and sys.prefix names it.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus   raddle_options_set_venv             (RaddleOptions *self,
                                                    const char    *venv);

/**
 * raddle_options_set_argv: (skip)
 * @argv: (array length=argc): sys.argv.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus   raddle_options_set_argv             (RaddleOptions      *self,
                                                    int                 argc,
                                                    const char *const  *argv);

/**
 * raddle_options_add_search_path: (skip)
 * @folder: a folder to put on sys.path before the standard library.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus   raddle_options_add_search_path      (RaddleOptions *self,
                                                    const char    *folder);

/**
 * raddle_options_add_plugin_folder: (skip)
 * @folder: a folder of plugins, put at the end of sys.path; must exist.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus   raddle_options_add_plugin_folder    (RaddleOptions *self,
                                                    const char    *folder);

/**
 * raddle_options_set_signal_handlers: (skip)
 * @install: whether Python installs its handlers, SIGINT's among them.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus   raddle_options_set_signal_handlers  (RaddleOptions *self,
                                                    bool           install);

/**
 * raddle_options_set_timing: (skip)
 * @timing: whether each entry reads the clock twice
 *
 * Fills RaddleGateStats.waits and wait_ns, and lets a stop that is refused say
 * to the millisecond since when a thread has been inside. Costs two clock
 * readings for each entry that takes Python (docs/reference/gate.md).
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus   raddle_options_set_timing           (RaddleOptions *self,
                                                    bool           timing);

/**
 * raddle_options_set_reap_on_exit: (skip)
 * @here: whether a dying thread clears its thread state itself
 *
 * By default a dying thread leaves that to the next thread that enters, for it
 * would have to wait for Python while somebody may be joining it with Python
 * held. With %TRUE it waits, and its threading.local values are finalized on it.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus   raddle_options_set_reap_on_exit     (RaddleOptions *self,
                                                    bool           here);

/**
 * raddle_options_set_answer_ft_utils: (skip)
 * @answer: whether `import ft_utils.weave` finds raddle's weave when no
 *   ft_utils is installed.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus   raddle_options_set_answer_ft_utils  (RaddleOptions *self,
                                                    bool           answer);

/**
 * RaddleRuntime:
 *
 * The one Python of this process. Reference counted; dropping the last
 * reference stops nothing: raddle_runtime_stop() does.
 *
 * Since: 0.1
 */
RADDLE_DECLARE_SHARED (RaddleRuntime, raddle_runtime)

/**
 * raddle_runtime_new: (skip)
 * @options: (nullable): how; %NULL for a fresh record
 * @out: (out) (transfer full): where to put the runtime; written only on success
 *
 * Starts Python and gives it up at once, so that any thread, this one
 * included, may raddle_enter().
 *
 * Returns: %RADDLE_STATUS_OK, %RADDLE_STATUS_NULL,
 *   %RADDLE_STATUS_ALREADY_STARTED (also if somebody else started Python:
 *   see raddle_runtime_adopt()), %RADDLE_STATUS_VERSION, %RADDLE_STATUS_START,
 *   or %RADDLE_STATUS_BUSY after raddle_runtime_abandon()
 *
 * Thread: any; it becomes Python's main thread and must call
 * raddle_runtime_stop().
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1 RADDLE_MUST_CHECK
RaddleStatus   raddle_runtime_new                  (const RaddleOptions  *options,
                                                    RaddleRuntime       **out);

/**
 * raddle_runtime_adopt:
 * @out: (out) (transfer full): where to put the runtime; written only on success
 *
 * Opens the gate to a Python that somebody else started: the host itself, or
 * the `python3` that imported an extension. When its owner finalizes it, the
 * gate closes first, waiting as raddle_runtime_stop() would, and entries are
 * refused from then on. Adopting again gives the same runtime.
 *
 * Returns: %RADDLE_STATUS_OK, %RADDLE_STATUS_NULL, %RADDLE_STATUS_NOT_STARTED
 *   if no Python runs, %RADDLE_STATUS_WRONG_THREAD if this thread does not
 *   hold it, or %RADDLE_STATUS_VERSION
 *
 * Thread: one that holds Python.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1 RADDLE_MUST_CHECK
RaddleStatus   raddle_runtime_adopt                (RaddleRuntime **out);

/**
 * raddle_runtime_stop:
 * @self: the runtime
 * @timeout_ms: how long to wait for others, or -1 for as long as it takes
 *
 * Runs the exit stoppers (raddle-stopper.h), closes the gate, waits for the
 * threads that are inside and for non-daemon Python threads, and finalizes
 * Python. If the time passes first, nothing is ended: the message names who
 * remains, the gate stays closed unless stoppers are left to run, and the host
 * may call again or raddle_runtime_abandon().
 *
 * After it, raddle_runtime_new() may start Python again.
 *
 * An adopted Python is only left: its owner finalizes it.
 *
 * Returns: %RADDLE_STATUS_OK, also if it has stopped already;
 *   %RADDLE_STATUS_NULL; %RADDLE_STATUS_WRONG_THREAD on another thread than
 *   the one that started it; %RADDLE_STATUS_WRONG_ORDER inside an entry;
 *   %RADDLE_STATUS_BUSY; %RADDLE_STATUS_CLOSED after raddle_runtime_abandon()
 *   and in the child of a plain fork; or %RADDLE_STATUS_PYTHON if Python has
 *   ended, but what its streams still held could not be written
 *
 * Thread: the one that started Python.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus   raddle_runtime_stop                 (RaddleRuntime *self,
                                                    int64_t        timeout_ms);

/**
 * raddle_runtime_abandon:
 * @self: the runtime
 *
 * Leaves Python unfinalized for good: for a host that must exit although
 * somebody remains inside. The gate stays closed, exit handlers of Python do
 * not run, and this process cannot start Python again.
 *
 * Returns: %RADDLE_STATUS_OK or %RADDLE_STATUS_NULL
 *
 * Thread: any.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus   raddle_runtime_abandon              (RaddleRuntime *self);

/**
 * raddle_runtime_set_latency:
 * @self: the runtime
 * @microseconds: how long a thread may wait behind a busy Python thread,
 *   1 to 1,000,000; Python's own default is 5,000
 *
 * Sets the switch interval. A smaller one costs the busy thread throughput
 * whenever somebody waits (docs/reference/gate.md has figures) and nothing
 * otherwise. No effect on a free-threaded Python, where nobody waits.
 *
 * Returns: %RADDLE_STATUS_OK, %RADDLE_STATUS_NULL, %RADDLE_STATUS_INVALID or
 *   %RADDLE_STATUS_CLOSED
 *
 * Thread: any; enters Python.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus   raddle_runtime_set_latency          (RaddleRuntime *self,
                                                    int64_t        microseconds);

/**
 * raddle_runtime_get_generation:
 * @self: (nullable): a runtime
 *
 * Returns: which start of Python in this process this is, from 1; 0 for %NULL
 *
 * Thread: any.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
uint64_t       raddle_runtime_get_generation       (RaddleRuntime *self);

/**
 * raddle_runtime_is_open:
 *
 * Returns: whether an entry made now would be let in. Thread: any.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
bool           raddle_runtime_is_open              (RaddleRuntime *self);

/**
 * raddle_python_abi:
 *
 * Returns: (transfer none): the Python that raddle was built for, as version
 *   and ABI flags: "3.11", "3.13t", "3.14d". Static.
 *
 * Thread: any, before start and after stop too.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
const char    *raddle_python_abi                   (void);

RADDLE_END_DECLS

#endif /* RADDLE_RUNTIME_H */
