/* misuse.c: every function in every situation answers with a status and a message, never a crash.
 *
 * One row per call, one column per situation. Pairs are closed by the row itself, so that each call
 * finds the situation as its column says. */
#include "misuse_waits.h"
#include "support.h"
#include "misuse_completion.h"

#include <fcntl.h>
#include <raddle/pygtk_threads.h>
#include <raddle/stackless_api.h>
#include <string.h>
#include <unistd.h>

typedef enum {
  BEFORE_START,
  OUTSIDE,
  INSIDE,
  OTHER_THREAD,
  AFTER_STOP,
  ABANDONED,
  FORKED,
  N_SITUATIONS
} Situation;

static const char *const situation_names[] = {
  "before-start", "outside", "inside", "other-thread", "after-stop", "abandoned", "forked"
};

static RaddleRuntime *runtime; /* NULL before the start */
static RaddleOptions *options;

static RaddleStatus
enter_and_leave (void)
{
  RaddleStatus status = raddle_enter ();
  if (status == RADDLE_STATUS_OK)
    assert_ok (raddle_leave ());
  return status;
}

static RaddleStatus
enter_fresh_and_leave (void)
{
  RaddleStatus status = raddle_enter_fresh ();
  if (status == RADDLE_STATUS_OK)
    assert_ok (raddle_leave ());
  return status;
}

static RaddleStatus
leave (void)
{
  RaddleStatus status = raddle_leave ();
  if (status == RADDLE_STATUS_OK)
    assert_ok (raddle_enter ());
  return status;
}

static RaddleStatus
unblock_and_block (void)
{
  RaddleStatus status = raddle_unblock_threads ();
  if (status == RADDLE_STATUS_OK)
    assert_ok (raddle_block_threads ());
  return status;
}

static RaddleStatus
pygtk_block_and_unblock (void)
{
  RaddleStatus status = raddle_pygtk_block ();
  assert_ok (raddle_pygtk_unblock ());
  return status;
}

static RaddleStatus
pygtk_unblock_and_block (void)
{
  RaddleStatus status = raddle_pygtk_unblock ();
  if (status == RADDLE_STATUS_OK)
    assert_ok (raddle_pygtk_block ());
  return status;
}

static RaddleStatus
leave_what_was_given_up (void)
{
  if (raddle_unblock_threads () != RADDLE_STATUS_OK)
    return RADDLE_STATUS_NOT_STARTED;
  RaddleStatus status = raddle_leave ();
  assert_ok (raddle_block_threads ());
  return status;
}

/* On a thread that has a scheduler, if it can have one. */
static RaddleStatus
end_with_tasklets (void)
{
  RaddleStatus status = raddle_enter ();
  if (status != RADDLE_STATUS_OK)
    return status;
  if (PyStackless_GetRunCount () < 0)
    PyErr_Clear (); /* A free-threaded Python has no tasklets. */
  status = raddle_thread_end ();
  assert_ok (raddle_leave ());
  return status;
}

static RaddleStatus
stats (void)
{
  RaddleGateStats out;
  return raddle_gate_get_stats (&out);
}

static RaddleStatus
stats_null (void)
{
  return raddle_gate_get_stats (NULL);
}

static RaddleStatus
handle_get (void)
{
  /* A function that answers with a pointer: NULL says that the message is set. */
  int somewhere;
  PyObject *object = raddle_handle_get (raddle_handle ((PyObject *) &somewhere));
  g_assert_true (object == NULL || object == (PyObject *) &somewhere);
  return object ? RADDLE_STATUS_OK : RADDLE_STATUS_WRONG_ORDER;
}

static RaddleStatus
handle_get_null (void)
{
  g_assert_null (raddle_handle_get (raddle_handle (NULL)));
  return RADDLE_STATUS_OK;
}

static RaddleStatus
decref_null (void)
{
  raddle_decref (NULL);
  return RADDLE_STATUS_OK;
}

static RaddleStatus
at_thread_exit_null (void)
{
  return raddle_at_thread_exit (NULL, NULL);
}

static int stopper_notified;

static RaddleStatus
stop_nothing (void *user_data)
{
  (void) user_data;
  return RADDLE_STATUS_OK;
}

static void
count_notified (void *user_data)
{
  (void) user_data;
  stopper_notified++;
}

/* Whatever the answer, notify has been called once when the stopper is gone. */
static RaddleStatus
add_stopper (const char *name, RaddleStage stage, int64_t timeout_ms, RaddleStopFunc func)
{
  RaddleStopper *stopper = NULL;
  int before = stopper_notified;
  RaddleStatus status = raddle_stopper_new (name, stage, timeout_ms, func, NULL, count_notified, &stopper);
  g_assert_true ((stopper != NULL) == (status == RADDLE_STATUS_OK));
  if (stopper)
    g_assert_true (raddle_stopper_remove (stopper));
  g_assert_false (raddle_stopper_remove (stopper));
  raddle_stopper_unref (stopper);
  g_assert_cmpint (stopper_notified, ==, before + 1);
  return status;
}

static RaddleStatus
stopper (void)
{
  return add_stopper ("stopper", RADDLE_STAGE_POOLS, 1000, stop_nothing);
}

static RaddleStatus
stopper_without_func (void)
{
  return add_stopper ("stopper", RADDLE_STAGE_POOLS, 1000, NULL);
}

static RaddleStatus
stopper_without_name (void)
{
  return add_stopper (NULL, RADDLE_STAGE_POOLS, 1000, stop_nothing);
}

static RaddleStatus
stopper_of_empty_name (void)
{
  return add_stopper ("", RADDLE_STAGE_POOLS, 1000, stop_nothing);
}

static RaddleStatus
stopper_not_utf8 (void)
{
  return add_stopper ("\xff", RADDLE_STAGE_POOLS, 1000, stop_nothing);
}

static RaddleStatus
stopper_of_no_stage (void)
{
  return add_stopper ("stopper", (RaddleStage) 17, 1000, stop_nothing);
}

static RaddleStatus
stopper_without_time (void)
{
  return add_stopper ("stopper", RADDLE_STAGE_POOLS, -1, stop_nothing);
}

static RaddleStatus
stopper_null (void)
{
  g_assert_null (raddle_stopper_ref (NULL));
  raddle_stopper_unref (NULL);
  g_assert_false (raddle_stopper_remove (NULL));
  return raddle_stopper_new (NULL, (RaddleStage) 17, -1, NULL, NULL, NULL, NULL);
}

static RaddleStatus
new_null (void)
{
  return raddle_runtime_new (NULL, NULL);
}

static RaddleStatus
new_again (void)
{
  RaddleRuntime *unset = (RaddleRuntime *) &runtime;
  RaddleStatus status = raddle_runtime_new (NULL, &unset);
  g_assert_true (unset == (RaddleRuntime *) &runtime);
  return status;
}

static RaddleStatus
adopt_null (void)
{
  return raddle_runtime_adopt (NULL);
}

static RaddleStatus
adopt (void)
{
  RaddleRuntime *adopted = NULL;
  RaddleStatus status = raddle_runtime_adopt (&adopted);
  if (status == RADDLE_STATUS_OK)
    g_assert_cmpuint (raddle_runtime_get_generation (adopted), ==,
                      raddle_runtime_get_generation (runtime));
  raddle_runtime_unref (adopted);
  return status;
}

static RaddleStatus
stop_null (void)
{
  return raddle_runtime_stop (NULL, 0);
}

static RaddleStatus
stop (void)
{
  return raddle_runtime_stop (runtime, 1000);
}

static RaddleStatus
abandon_null (void)
{
  return raddle_runtime_abandon (NULL);
}

static RaddleStatus
latency_null (void)
{
  return raddle_runtime_set_latency (NULL, 5000);
}

static RaddleStatus
latency (void)
{
  return raddle_runtime_set_latency (runtime, 5000);
}

static RaddleStatus
latency_of_nothing (void)
{
  return raddle_runtime_set_latency (runtime, 0);
}

static RaddleStatus
latency_negative (void)
{
  return raddle_runtime_set_latency (runtime, -1);
}

static RaddleStatus
latency_of_an_age (void)
{
  return raddle_runtime_set_latency (runtime, G_MAXINT64);
}

static RaddleStatus
references_of_null (void)
{
  g_assert_null (raddle_runtime_ref (NULL));
  raddle_runtime_unref (NULL);
  raddle_options_free (NULL);
  g_assert_cmpuint (raddle_runtime_get_generation (NULL), ==, 0);
  g_assert_false (raddle_runtime_is_open (NULL));
  return RADDLE_STATUS_OK;
}

static RaddleStatus
log_anything (void)
{
  raddle_log (RADDLE_LOG_TRACE, NULL, NULL, -1, NULL, NULL);
  raddle_log (RADDLE_LOG_TRACE, "misuse\xff", "\xff", G_MININT, "\xff", "%s", "\xff");
  raddle_log_message (G_MAXINT, NULL, NULL, 0, NULL, NULL, NULL, 7);
  raddle_log_message (G_MININT, NULL, NULL, 0, NULL, "", NULL, 7);
  (void) raddle_log_enabled (0, NULL);
  (void) raddle_log_target (NULL);
  return RADDLE_STATUS_OK;
}

static RaddleStatus
log_stats (void)
{
  RaddleLogStats out;
  return raddle_log_get_stats (&out);
}

static RaddleStatus
log_stats_null (void)
{
  return raddle_log_get_stats (NULL);
}

static RaddleStatus
log_stop (void)
{
  return raddle_log_stop (20 * 1000);
}

static RaddleStatus
constants (void)
{
  g_assert_cmpstr (raddle_status_name (RADDLE_STATUS_OK), ==, "RADDLE_STATUS_OK");
  g_assert_cmpstr (raddle_status_name ((RaddleStatus) 4711), ==, "RADDLE_STATUS_UNKNOWN");
  g_assert_nonnull (raddle_python_abi ());
  g_assert_nonnull (raddle_last_error_message ());
  (void) raddle_is_held ();
  return RADDLE_STATUS_OK;
}

#include "misuse_glib.h"
#include "misuse_scheduler.h"

#define OPTION(name, call) \
  static RaddleStatus option_##name (void) { return call; }
OPTION (program_name_of_null, raddle_options_set_program_name (NULL, "host"))
OPTION (program_name_null, raddle_options_set_program_name (options, NULL))
OPTION (program_name_not_utf8, raddle_options_set_program_name (options, "\xff"))
OPTION (home_of_null, raddle_options_set_home (NULL, "/usr"))
OPTION (home_null, raddle_options_set_home (options, NULL))
OPTION (home_not_utf8, raddle_options_set_home (options, "\xff"))
OPTION (venv_of_null, raddle_options_set_venv (NULL, "venv"))
OPTION (venv_null, raddle_options_set_venv (options, NULL))
OPTION (venv_not_utf8, raddle_options_set_venv (options, "\xff"))
OPTION (argv_of_null, raddle_options_set_argv (NULL, 0, NULL))
OPTION (argv_null, raddle_options_set_argv (options, 1, NULL))
OPTION (argv_empty, raddle_options_set_argv (options, 0, NULL))
OPTION (argv_negative, raddle_options_set_argv (options, -1, (const char *const[]){ "a" }))
OPTION (argv_of_nulls, raddle_options_set_argv (options, 1, (const char *const[]){ NULL }))
OPTION (argv_not_utf8, raddle_options_set_argv (options, 1, (const char *const[]){ "\xff" }))
OPTION (search_path_of_null, raddle_options_add_search_path (NULL, "folder"))
OPTION (search_path_null, raddle_options_add_search_path (options, NULL))
OPTION (search_path_not_utf8, raddle_options_add_search_path (options, "\xff"))
OPTION (plugin_folder_of_null, raddle_options_add_plugin_folder (NULL, "folder"))
OPTION (plugin_folder_null, raddle_options_add_plugin_folder (options, NULL))
OPTION (plugin_folder_not_utf8, raddle_options_add_plugin_folder (options, "\xff"))
OPTION (signal_handlers_of_null, raddle_options_set_signal_handlers (NULL, true))
OPTION (signal_handlers, raddle_options_set_signal_handlers (options, false))
OPTION (timing_of_null, raddle_options_set_timing (NULL, true))
OPTION (timing, raddle_options_set_timing (options, false))
OPTION (reap_on_exit_of_null, raddle_options_set_reap_on_exit (NULL, true))
OPTION (reap_on_exit, raddle_options_set_reap_on_exit (options, false))
OPTION (answer_ft_utils_of_null, raddle_options_set_answer_ft_utils (NULL, true))
OPTION (answer_ft_utils, raddle_options_set_answer_ft_utils (options, false))

#define OK RADDLE_STATUS_OK
#define NUL RADDLE_STATUS_NULL
#define INVALID RADDLE_STATUS_INVALID
#define UNSTARTED RADDLE_STATUS_NOT_STARTED
#define STARTED RADDLE_STATUS_ALREADY_STARTED
#define CLOSED RADDLE_STATUS_CLOSED
#define THREAD RADDLE_STATUS_WRONG_THREAD
#define ORDER RADDLE_STATUS_WRONG_ORDER
#define BUSY RADDLE_STATUS_BUSY
#define DOES_IT -1 /* the call would really do it: other tests have that */
#define ALWAYS(status) { status, status, status, status, status, status, status }

#define ROW(name) #name, name
static const struct {
  const char *name;
  RaddleStatus (*call) (void);
  int expected[N_SITUATIONS];
} rows[] = {
  /*                                  before     outside  inside   thread   after    aband.  forked */
  { ROW (enter_and_leave),          { UNSTARTED, OK,      OK,      OK,      CLOSED,  CLOSED, CLOSED } },
  { ROW (enter_fresh_and_leave),    { UNSTARTED, OK,      OK,      OK,      CLOSED,  CLOSED, CLOSED } },
  { ROW (leave),                    { ORDER,     ORDER,   OK,      ORDER,   ORDER,   ORDER,  ORDER } },
  { ROW (leave_what_was_given_up),  { UNSTARTED, ORDER,   ORDER,   ORDER,   ORDER,   ORDER,  ORDER } },
  { ROW (raddle_block_threads),     ALWAYS (ORDER) },
  { ROW (unblock_and_block),        { UNSTARTED, OK,      OK,      OK,      OK,      OK,     OK } },
  { ROW (pygtk_block_and_unblock),  { UNSTARTED, OK,      OK,      OK,      CLOSED,  CLOSED, CLOSED } },
  { ROW (pygtk_unblock_and_block),  { UNSTARTED, OK,      OK,      OK,      OK,      OK,     OK } },
  { ROW (raddle_thread_trim),       { OK,        OK,      ORDER,   OK,      OK,      OK,     OK } },
  { ROW (raddle_thread_end),        ALWAYS (OK) },
  { ROW (end_with_tasklets),        { UNSTARTED, OK,      OK,      OK,      CLOSED,  CLOSED, CLOSED } },
  { ROW (stats),                    ALWAYS (OK) },
  { ROW (stats_null),               ALWAYS (NUL) },
  { ROW (handle_get),               { ORDER,     ORDER,   OK,      ORDER,   ORDER,   ORDER,  ORDER } },
  { ROW (handle_get_null),          ALWAYS (OK) },
  { ROW (decref_null),              ALWAYS (OK) },
  { ROW (at_thread_exit_null),      ALWAYS (NUL) },
  { ROW (stopper),                  { UNSTARTED, OK,      OK,      OK,      CLOSED,  CLOSED, CLOSED } },
  { ROW (stopper_without_func),     ALWAYS (NUL) },
  { ROW (stopper_without_name),     ALWAYS (NUL) },
  { ROW (stopper_of_empty_name),    ALWAYS (INVALID) },
  { ROW (stopper_not_utf8),         ALWAYS (INVALID) },
  { ROW (stopper_of_no_stage),      ALWAYS (INVALID) },
  { ROW (stopper_without_time),     ALWAYS (INVALID) },
  { ROW (stopper_null),             ALWAYS (NUL) },
  WAIT_ROWS,
  { ROW (new_null),                 ALWAYS (NUL) },
  { ROW (new_again),                { DOES_IT,   STARTED, STARTED, STARTED, DOES_IT, BUSY,   STARTED } },
  { ROW (adopt_null),               ALWAYS (NUL) },
  { ROW (adopt),                    { UNSTARTED, THREAD,  OK,      THREAD,  UNSTARTED, THREAD, THREAD } },
  { ROW (stop_null),                ALWAYS (NUL) },
  { ROW (stop),                     { NUL,       DOES_IT, ORDER,   THREAD,  OK,      CLOSED, CLOSED } },
  { ROW (abandon_null),             ALWAYS (NUL) },
  { ROW (latency_null),             ALWAYS (NUL) },
  { ROW (latency),                  { NUL,       OK,      OK,      OK,      CLOSED,  CLOSED, CLOSED } },
  { ROW (latency_of_nothing),       { NUL,       INVALID, INVALID, INVALID, INVALID, INVALID, INVALID } },
  { ROW (latency_negative),         { NUL,       INVALID, INVALID, INVALID, INVALID, INVALID, INVALID } },
  { ROW (latency_of_an_age),        { NUL,       INVALID, INVALID, INVALID, INVALID, INVALID, INVALID } },
  { ROW (raddle_log_start),         { UNSTARTED, OK,      OK,      OK,      CLOSED,  CLOSED, CLOSED } },
  { ROW (log_anything),             ALWAYS (OK) },
  { ROW (log_stats),                ALWAYS (OK) },
  { ROW (log_stats_null),           ALWAYS (NUL) },
  { ROW (log_stop),                 { BUSY,      OK,      OK,      OK,      OK,      OK,     OK } },
  COMPLETION_ROWS
  { ROW (references_of_null),       ALWAYS (OK) },
  { ROW (constants),                ALWAYS (OK) },
  { ROW (closure_of_null),          ALWAYS (NUL) },
  { ROW (closure_of_a_type),        { UNSTARTED, OK,      OK,      OK,      CLOSED,  CLOSED, CLOSED } },
  { ROW (signal_connect_null),      ALWAYS (NUL) },
  { ROW (signal_connect_a_type),    { UNSTARTED, OK,      OK,      OK,      CLOSED,  CLOSED, CLOSED } },
  { ROW (signal_wrap_and_drop),     ALWAYS (OK) },
  { ROW (value_to_python),          { ORDER,     ORDER,   OK,      ORDER,   ORDER,   ORDER,  ORDER } },
  { ROW (value_to_python_null),     ALWAYS (NUL) },
  { ROW (value_from_python_null),   ALWAYS (NUL) },
  { ROW (value_of_object),          ALWAYS (OK) },
  { ROW (call_null),                ALWAYS (NUL) },
  { ROW (call_a_type),              { UNSTARTED, OK,      OK,      OK,      CLOSED,  CLOSED, CLOSED } },
  { ROW (call_with_no_values),      ALWAYS (NUL) },
  { ROW (call_a_type_with_values),  { UNSTARTED, OK,      OK,      OK,      CLOSED,  CLOSED, CLOSED } },
  { ROW (asyncio_run_null),         ALWAYS (NUL) },
  { ROW (asyncio_run_a_type),       { UNSTARTED, OK,      OK,      OK,      CLOSED,  CLOSED, CLOSED } },
  { ROW (pool_push_null),           ALWAYS (NUL) },
  { ROW (pool_push_a_type),         { UNSTARTED, OK,      OK,      OK,      CLOSED,  CLOSED, CLOSED } },
  { ROW (pool_push_to_null),        ALWAYS (NUL) },
  { ROW (types),                    ALWAYS (OK) },
  { ROW (raise_error_null),         ALWAYS (NUL) },
  { ROW (raise_error),              { ORDER,     ORDER,   OK,      ORDER,   ORDER,   ORDER,  ORDER } },
  { ROW (error_from_python),        { ORDER,     ORDER,   OK,      ORDER,   ORDER,   ORDER,  ORDER } },
  SCHEDULER_ROWS
  { ROW (option_program_name_of_null),    ALWAYS (NUL) },
  { ROW (option_program_name_null),       ALWAYS (OK) },
  { ROW (option_program_name_not_utf8),   ALWAYS (INVALID) },
  { ROW (option_home_of_null),            ALWAYS (NUL) },
  { ROW (option_home_null),               ALWAYS (OK) },
  { ROW (option_home_not_utf8),           ALWAYS (INVALID) },
  { ROW (option_venv_of_null),            ALWAYS (NUL) },
  { ROW (option_venv_null),               ALWAYS (OK) },
  { ROW (option_venv_not_utf8),           ALWAYS (INVALID) },
  { ROW (option_argv_of_null),            ALWAYS (NUL) },
  { ROW (option_argv_null),               ALWAYS (NUL) },
  { ROW (option_argv_empty),              ALWAYS (OK) },
  { ROW (option_argv_negative),           ALWAYS (INVALID) },
  { ROW (option_argv_of_nulls),           ALWAYS (NUL) },
  { ROW (option_argv_not_utf8),           ALWAYS (INVALID) },
  { ROW (option_search_path_of_null),     ALWAYS (NUL) },
  { ROW (option_search_path_null),        ALWAYS (NUL) },
  { ROW (option_search_path_not_utf8),    ALWAYS (INVALID) },
  { ROW (option_plugin_folder_of_null),   ALWAYS (NUL) },
  { ROW (option_plugin_folder_null),      ALWAYS (NUL) },
  { ROW (option_plugin_folder_not_utf8),  ALWAYS (INVALID) },
  { ROW (option_signal_handlers_of_null), ALWAYS (NUL) },
  { ROW (option_signal_handlers),         ALWAYS (OK) },
  { ROW (option_timing_of_null),          ALWAYS (NUL) },
  { ROW (option_timing),                  ALWAYS (OK) },
  { ROW (option_reap_on_exit_of_null),    ALWAYS (NUL) },
  { ROW (option_reap_on_exit),            ALWAYS (OK) },
  { ROW (option_answer_ft_utils_of_null), ALWAYS (NUL) },
  { ROW (option_answer_ft_utils),         ALWAYS (OK) },
};

static gpointer
call_all (gpointer data)
{
  Situation situation = GPOINTER_TO_INT (data);
  options = raddle_options_new ();
  g_assert_nonnull (options);
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      int expected = rows[i].expected[situation];
      if (expected == DOES_IT)
        continue;
      gboolean held = raddle_is_held ();
      support_assert_status (situation_names[situation], __LINE__, rows[i].name, rows[i].call (),
                             (RaddleStatus) expected);
      if (expected != RADDLE_STATUS_OK)
        g_assert_cmpuint (strlen (raddle_last_error_message ()), >, 10);
      g_assert_true (raddle_is_held () == held);
    }
  raddle_options_free (options);
  return NULL;
}

static void
call_all_in_a_forked_child (gpointer situation)
{
  call_all (situation);
}

static void
every_row (gconstpointer data)
{
  Situation situation = GPOINTER_TO_INT (data);
  IN_A_CHILD ();
  if (situation != BEFORE_START)
    runtime = start_python ();
  if (situation == INSIDE)
    assert_ok (raddle_enter ());
  if (situation == AFTER_STOP)
    assert_ok (raddle_runtime_stop (runtime, 20 * 1000));
  if (situation == ABANDONED)
    assert_ok (raddle_runtime_abandon (runtime));
  if (situation == FORKED)
    in_a_fork (call_all_in_a_forked_child, GINT_TO_POINTER (situation));
  else if (situation == OTHER_THREAD)
    on_a_thread (call_all, GINT_TO_POINTER (situation));
  else
    call_all (GINT_TO_POINTER (situation));
  if (situation == INSIDE)
    assert_ok (raddle_leave ());
  if (situation != BEFORE_START && situation != ABANDONED)
    assert_ok (raddle_runtime_stop (runtime, 20 * 1000));
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (int situation = 0; situation < N_SITUATIONS; situation++)
    {
      char *path = g_strdup_printf ("/misuse/%s/is-answered-with-a-status", situation_names[situation]);
      g_test_add_data_func (path, GINT_TO_POINTER (situation), every_row);
      g_free (path);
    }
  return g_test_run ();
}
