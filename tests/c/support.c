/* support.c: what the C tests share (see support.h). */
#include "support.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_SECONDS 60
#define FORK_SECONDS 30

void
support_assert_status (const char   *function,
                       int           line,
                       const char   *call,
                       RaddleStatus  got,
                       RaddleStatus  expected)
{
  if (got != expected)
    g_error ("%s:%d: %s: %s instead of %s (last message: %s)", function, line, call,
             raddle_status_name (got), raddle_status_name (expected), raddle_last_error_message ());
}

void
support_assert_has (const char *function,
                    int         line,
                    const char *text,
                    const char *part)
{
  if (!strstr (text, part))
    g_error ("%s:%d: \"%s\" has no \"%s\" in it", function, line, text, part);
}

RaddleRuntime *
start_python (void)
{
  RaddleRuntime *runtime = NULL;
  assert_ok (raddle_runtime_new (NULL, &runtime));
  return runtime;
}

RaddleRuntime *
start_with_signal_handlers (void)
{
  RaddleOptions *options = raddle_options_new ();
  RaddleRuntime *runtime = NULL;
  assert_ok (raddle_options_set_signal_handlers (options, true));
  assert_ok (raddle_runtime_new (options, &runtime));
  raddle_options_free (options);
  return runtime;
}

void
stop_python (RaddleRuntime *runtime)
{
  assert_ok (raddle_runtime_stop (runtime, 20 * 1000));
  raddle_runtime_unref (runtime);
}

int
run_with_definitions (const char *code)
{
  if (g_test_subprocess ())
    return g_test_run ();
  RaddleRuntime *runtime = start_python ();
  if (code)
    in_python (code);
  int result = g_test_run ();
  stop_python (runtime);
  return result;
}

int
run_with_python (void)
{
  return run_with_definitions (NULL);
}

static PyObject *
names (void)
{
  PyObject *module = PyImport_AddModule ("__main__");
  g_assert_nonnull (module);
  return PyModule_GetDict (module);
}

static void
expect_no_exception (const char *code)
{
  if (PyErr_Occurred ())
    {
      PyErr_Print ();
      g_error ("Python code raised: %s", code);
    }
}

void
run (const char *code)
{
  PyObject *result = PyRun_String (code, Py_file_input, names (), names ());
  expect_no_exception (code);
  Py_DECREF (result);
}

PyObject *
make (const char *expression)
{
  PyObject *result = PyRun_String (expression, Py_eval_input, names (), names ());
  expect_no_exception (expression);
  return result;
}

gint64
evaluate (const char *expression)
{
  PyObject *result = make (expression);
  gint64 number = PyLong_AsLongLong (result);
  expect_no_exception (expression);
  Py_DECREF (result);
  return number;
}

char *
evaluate_text (const char *expression)
{
  PyObject *result = make (expression);
  char *text = g_strdup (PyUnicode_AsUTF8 (result));
  expect_no_exception (expression);
  Py_DECREF (result);
  return text;
}

void
give (const char *name,
      PyObject   *object)
{
  expect_no_exception (name);
  g_assert_cmpint (PyDict_SetItemString (names (), name, object), ==, 0);
  Py_DECREF (object);
}

void
give_address (const char *name,
              gpointer    address)
{
  give (name, PyLong_FromVoidPtr (address));
}

PyObject *
named (const char *name)
{
  PyObject *object = PyDict_GetItemString (names (), name);
  g_assert_nonnull (object);
  return object;
}

GObject *
object_named (const char *name)
{
  PyObject *capsule = PyObject_GetAttrString (named (name), "__gpointer__");
  expect_no_exception (name);
  GObject *object = PyCapsule_GetPointer (capsule, NULL);
  expect_no_exception (name);
  Py_DECREF (capsule);
  return object;
}

void
in_python (const char *code)
{
  assert_ok (raddle_enter ());
  run (code);
  assert_ok (raddle_leave ());
}

gint64
look (const char *expression)
{
  assert_ok (raddle_enter ());
  gint64 number = evaluate (expression);
  assert_ok (raddle_leave ());
  return number;
}

void
begin_notes (void)
{
  in_python ("calls, threads, ends, reports = [], [], [], []");
}

gboolean
have_gi (void)
{
  assert_ok (raddle_enter ());
  gboolean there = PyRun_SimpleString ("try:\n"
                                       "    import gi\n"
                                       "    there = True\n"
                                       "except ImportError:\n"
                                       "    there = False\n") == 0 && evaluate ("there");
  assert_ok (raddle_leave ());
  if (!there)
    g_test_skip ("this Python has no PyGObject (Debian: python3-gi; elsewhere: pip install PyGObject)");
  return there;
}

gpointer
on_a_thread (GThreadFunc func,
             gpointer    data)
{
  GThread *thread = g_thread_new ("raddle-test", func, data);
  gboolean held = raddle_is_held ();
  if (held)
    assert_ok (raddle_unblock_threads ());
  gpointer result = g_thread_join (thread);
  if (held)
    assert_ok (raddle_block_threads ());
  return result;
}

RaddleGateStats
figures (void)
{
  RaddleGateStats stats;
  assert_ok (raddle_gate_get_stats (&stats));
  return stats;
}

void
collect_log (const char *name)
{
  g_autofree char *code = g_strdup_printf ("import logging\n"
                                           "class Keep(logging.Handler):\n"
                                           "    def emit(self, record): seen.append(record)\n"
                                           "seen = []\n"
                                           "logger = logging.getLogger('%s')\n"
                                           "logger.handlers[:] = [Keep()]\n"
                                           "logger.setLevel(1)\n"
                                           "logger.propagate = False\n", name);
  in_python (code);
}

void
assert_seen (const char *expression,
             const char *expected)
{
  assert_ok (raddle_log_flush (20 * 1000));
  assert_ok (raddle_enter ());
  g_autofree char *text = evaluate_text (expression);
  assert_ok (raddle_leave ());
  g_assert_cmpstr (text, ==, expected);
}

void
wait_until (gboolean (*check) (gpointer data),
            gpointer   data)
{
  gint64 deadline = g_get_monotonic_time () + 20 * G_TIME_SPAN_SECOND;
  while (!check (data))
    {
      g_assert_cmpint (g_get_monotonic_time (), <, deadline);
      g_usleep (100);
    }
}

void
meeting_init (Meeting *meeting,
              guint    threads)
{
  g_mutex_init (&meeting->mutex);
  g_cond_init (&meeting->cond);
  meeting->awaited = threads;
}

void
meet (Meeting *meeting)
{
  g_mutex_lock (&meeting->mutex);
  if (--meeting->awaited == 0)
    g_cond_broadcast (&meeting->cond);
  while (meeting->awaited > 0)
    g_cond_wait (&meeting->cond, &meeting->mutex);
  g_mutex_unlock (&meeting->mutex);
}

gpointer
stay_inside_for_ever (gpointer meeting)
{
  assert_ok (raddle_enter ());
  assert_ok (raddle_unblock_threads ());
  meet (meeting);
  for (;;)
    pause ();
  return NULL;
}

/* Both sides of a fork: the child's ends here. */
static void
go_on_after_fork (pid_t    child,
                  void   (*func) (gpointer data),
                  gpointer data)
{
  int status = 0;
  g_assert_cmpint (child, >=, 0);
  if (child == 0)
    {
      alarm (FORK_SECONDS);
      func (data);
      _exit (0);
    }
  while (waitpid (child, &status, 0) != child)
    g_assert_cmpint (errno, ==, EINTR);
  if (WIFSIGNALED (status))
    g_error ("the forked child ended by signal %d", WTERMSIG (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 0);
}

void
in_a_fork (void   (*child) (gpointer data),
           gpointer data)
{
  go_on_after_fork (fork (), child, data);
}

void
in_a_fork_of_python_s (void   (*child) (gpointer data),
                       gpointer data)
{
  go_on_after_fork ((pid_t) evaluate ("__import__('os').fork()"), child, data);
}

gboolean
support_is_child (void)
{
  if (g_test_subprocess ())
    {
      alarm (CHILD_SECONDS);
      return TRUE;
    }
  g_test_trap_subprocess (NULL, (CHILD_SECONDS + 10) * G_USEC_PER_SEC, 0);
  g_test_trap_assert_passed ();
  return FALSE;
}
