/* ft_weave.c: ft_weave.h in a host that runs Python, on threads of every make. */
#include <Python.h>

#include <glib.h>
#include <pthread.h>
#include <raddle/ft_weave.h>
#include <raddle/raddle.h>
#include <unistd.h>

/* What a thread's destructors did, in order; read when the thread is gone. Each value is one letter. */
static struct {
  char   text[64];
  size_t length;
} notes;

static void
note (void *value)
{
  g_assert_cmpuint (notes.length, <, sizeof notes.text - 1);
  notes.text[notes.length++] = value ? *(const char *) value : '0';
}

static void
note_twice (void *value)
{
  note (value);
  note (value);
}

static void
forget_notes (void)
{
  memset (&notes, 0, sizeof notes);
}

static void *letter_a = (void *) "a";
static void *letter_b = (void *) "b";
static void *nothing;

static void
enter (void)
{
  g_assert_cmpint (raddle_enter (), ==, RADDLE_STATUS_OK);
}

static void
leave (void)
{
  g_assert_cmpint (raddle_leave (), ==, RADDLE_STATUS_OK);
}

static void
run (const char *code, PyObject *globals)
{
  PyObject *result = PyRun_String (code, Py_file_input, globals, globals);

  if (result == NULL)
    PyErr_Print ();
  g_assert_nonnull (result);
  Py_DECREF (result);
}

static PyObject *
new_globals (void)
{
  PyObject *globals = PyDict_New ();

  g_assert_nonnull (globals);
  g_assert_cmpint (PyDict_SetItemString (globals, "__builtins__", PyEval_GetBuiltins ()), ==, 0);
  return globals;
}

static void
set_flag (void)
{
  PyObject *globals;

  enter ();
  globals = new_globals ();
  run ("import raddle\nraddle.ENABLE_EXPERIMENTAL = True\n", globals);
  Py_DECREF (globals);
  leave ();
}

static RaddleRuntime *
start_python_with (const RaddleOptions *options)
{
  RaddleRuntime *runtime = NULL;
  RaddleStatus   status = raddle_runtime_new (options, &runtime);

  if (status != RADDLE_STATUS_OK)
    g_error ("%s", raddle_last_error_message ());
  return runtime;
}

static RaddleRuntime *
start_python (void)
{
  return start_python_with (NULL);
}

static void
stop_python (RaddleRuntime *runtime)
{
  if (raddle_runtime_stop (runtime, 10000) != RADDLE_STATUS_OK)
    g_error ("%s", raddle_last_error_message ());
  raddle_runtime_unref (runtime);
}

/* Registers in a thread that holds Python. */
static void
register_all (void)
{
  g_assert_cmpint (_py_register_wvls_destructor (&letter_a, note), ==, 0);
  g_assert_cmpint (_py_register_wvls_destructor (&letter_b, note_twice), ==, 0);
  g_assert_cmpint (_py_register_wvls_destructor (&nothing, note), ==, 0);
  g_assert_cmpint (_py_register_wvls_destructor (NULL, note), ==, 0);
  g_assert_cmpint (_py_register_wvls_destructor (&letter_a, NULL), ==, 0);
  g_assert_cmpint (_py_register_wvls_destructor (&letter_a, note), ==, 0);
}

static const char all[] = "abb0a";

static void *
enters_and_registers_all (void *data G_GNUC_UNUSED)
{
  enter ();
  register_all ();
  leave ();
  return NULL;
}

static pthread_t
start (void *(*body) (void *))
{
  pthread_t thread;

  g_assert_cmpint (pthread_create (&thread, NULL, body, NULL), ==, 0);
  return thread;
}

static void
on_pthread (void *(*body) (void *))
{
  forget_notes ();
  g_assert_cmpint (pthread_join (start (body), NULL), ==, 0);
}

static void
pthread_runs_all_in_order (void)
{
  on_pthread (enters_and_registers_all);
  g_assert_cmpstr (notes.text, ==, all);
}

static void
gthread_runs_all_in_order (void)
{
  forget_notes ();
  g_thread_join (g_thread_new ("ft-weave", enters_and_registers_all, NULL));
  g_assert_cmpstr (notes.text, ==, all);
}

static PyObject *
register_from_python (PyObject *self G_GNUC_UNUSED, PyObject *args G_GNUC_UNUSED)
{
  register_all ();
  Py_RETURN_NONE;
}

static PyMethodDef register_def = { "register", register_from_python, METH_NOARGS, NULL };

static void
threading_thread_runs_all_in_order (void)
{
  PyObject *globals, *function;

  forget_notes ();
  enter ();
  globals = new_globals ();
  function = PyCFunction_New (&register_def, NULL);
  g_assert_nonnull (function);
  g_assert_cmpint (PyDict_SetItemString (globals, "register", function), ==, 0);
  Py_DECREF (function);
  run ("import threading, raddle.weave\n"
       "thread = threading.Thread(target=register)\n"
       "thread.start()\n"
       "assert raddle.weave.join(thread)\n",
       globals);
  Py_DECREF (globals);
  leave ();
  g_assert_cmpstr (notes.text, ==, all);
}

/* Two pipes: what a thread says, and what lets it go on. */
static int said[2], go_on[2];

static void *
registers_all_and_waits (void *data G_GNUC_UNUSED)
{
  char byte;

  enters_and_registers_all (NULL);
  g_assert_cmpint (write (said[1], "r", 1), ==, 1);
  g_assert_cmpint (read (go_on[0], &byte, 1), ==, 1);
  return NULL;
}

static pthread_t
start_and_await_registration (void)
{
  pthread_t thread;
  char      byte;

  forget_notes ();
  g_assert_cmpint (pipe (said), ==, 0);
  g_assert_cmpint (pipe (go_on), ==, 0);
  thread = start (registers_all_and_waits);
  g_assert_cmpint (read (said[0], &byte, 1), ==, 1);
  return thread;
}

static void
let_go_on_and_join (pthread_t thread)
{
  g_assert_cmpint (write (go_on[1], "g", 1), ==, 1);
  g_assert_cmpint (pthread_join (thread, NULL), ==, 0);
  for (int i = 0; i < 2; i++) {
    close (said[i]);
    close (go_on[i]);
  }
}

/* A dying thread waits for nothing that its joiner may have. */
static void
joiner_may_hold_python (void)
{
  pthread_t thread = start_and_await_registration ();

  enter ();
  let_go_on_and_join (thread);
  leave ();
  g_assert_cmpstr (notes.text, ==, all);
}

static void *
takes_back (void *data G_GNUC_UNUSED)
{
  int unregistered = -1;

  enter ();
  register_all ();
  g_assert_cmpint (_py_unregister_wvls_destructor (&letter_a, &unregistered), ==, 0);
  g_assert_cmpint (unregistered, ==, 1);
  g_assert_cmpint (_py_unregister_wvls_destructor (&letter_a, &unregistered), ==, 0);
  g_assert_cmpint (unregistered, ==, 0);
  g_assert_cmpint (_py_unregister_wvls_destructor (&nothing, NULL), ==, 0);
  leave ();
  return NULL;
}

static void
taking_back_says_whether_there_was_any (void)
{
  on_pthread (takes_back);
  g_assert_cmpstr (notes.text, ==, "bb");
}

static weave_local void *thread_local_letter;
static char             *seen_by_destructor;

static void
look_at_thread_local (void *value)
{
  note (value);
  seen_by_destructor = thread_local_letter;
}

static void *
registers_a_weave_local (void *data G_GNUC_UNUSED)
{
  thread_local_letter = letter_a;
  enter ();
  g_assert_cmpint (_py_register_wvls_destructor (&thread_local_letter, look_at_thread_local), ==, 0);
  leave ();
  thread_local_letter = letter_b;
  return NULL;
}

static void
weave_local_keeps_its_value_with_glibc (void)
{
  on_pthread (registers_a_weave_local);
  g_assert_cmpstr (notes.text, ==, "b");
  g_assert_cmpstr (seen_by_destructor, ==, "b");
  g_assert_null (thread_local_letter);
}

static void *
mixes_the_faces (void *data G_GNUC_UNUSED)
{
  g_assert_cmpint (raddle_at_thread_exit (note, (void *) "1"), ==, RADDLE_STATUS_OK);
  enter ();
  g_assert_cmpint (_py_register_wvls_destructor (&letter_a, note), ==, 0);
  leave ();
  g_assert_cmpint (raddle_at_thread_exit (note, (void *) "2"), ==, RADDLE_STATUS_OK);
  return NULL;
}

static void
every_face_appends_to_one_list (void)
{
  on_pthread (mixes_the_faces);
  g_assert_cmpstr (notes.text, ==, "1a2");
}

static GPrivate later = G_PRIVATE_INIT (note);

static void *
has_a_gprivate (void *data G_GNUC_UNUSED)
{
  enter ();
  g_assert_cmpint (_py_register_wvls_destructor (&letter_a, note), ==, 0);
  leave ();
  g_private_set (&later, (void *) "p");
  return NULL;
}

static void
gprivate_of_a_later_key_runs_after (void)
{
  on_pthread (has_a_gprivate);
  g_assert_cmpstr (notes.text, ==, "ap");
}

static void
refuse_all (void)
{
  int unregistered = -1;

  g_assert_cmpint (_py_register_wvls_destructor (&letter_a, note), ==, 1);
  g_assert_cmpint (_py_unregister_wvls_destructor (&letter_a, &unregistered), ==, 1);
  g_assert_cmpint (unregistered, ==, -1);
}

static void *
refuses_without_python (void *data G_GNUC_UNUSED)
{
  refuse_all ();
  enter ();
  leave ();
  /* Python knows this thread by now. */
  refuse_all ();
  return NULL;
}

static void
thread_that_does_not_hold_python_gets_1 (void)
{
  on_pthread (refuses_without_python);
  g_assert_cmpstr (notes.text, ==, "");
}

/* Runs the rest of the test in a process of its own, which passes. */
static gboolean
in_own_process (void)
{
  if (g_test_subprocess ())
    return TRUE;
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_passed ();
  return FALSE;
}

static void
before_start_and_after_stop_it_answers_1 (void)
{
  if (!in_own_process ())
    return;
  refuse_all ();
  stop_python (start_python ());
  refuse_all ();
}

static void
without_the_flag_it_raises (void)
{
  RaddleRuntime *runtime;
  PyObject      *type, *value, *traceback;
  PyObject      *text;
  int            unregistered = -1;

  if (!in_own_process ())
    return;
  runtime = start_python ();
  enter ();
  g_assert_cmpint (_py_register_wvls_destructor (&letter_a, note), ==, 1);
  g_assert_true (PyErr_ExceptionMatches (PyExc_RuntimeError));
  PyErr_Fetch (&type, &value, &traceback);
  text = PyObject_Str (value);
  g_assert_cmpstr (PyUnicode_AsUTF8 (text), ==, "Experimental support not enabled for raddle");
  Py_XDECREF (text);
  Py_XDECREF (type);
  Py_XDECREF (value);
  Py_XDECREF (traceback);
  g_assert_cmpint (_py_unregister_wvls_destructor (&letter_a, &unregistered), ==, 1);
  g_assert_cmpint (unregistered, ==, -1);
  g_assert_true (PyErr_ExceptionMatches (PyExc_RuntimeError));
  PyErr_Clear ();
  leave ();
  stop_python (runtime);
}

/* Code that was built with ft_utils' own header imports this. */
static const char finds_ft_utils[] = "import ft_utils, ft_utils.weave, raddle\n"
                                     "ft_utils.ENABLE_EXPERIMENTAL = True\n"
                                     "assert raddle.ENABLE_EXPERIMENTAL\n"
                                     "assert ft_utils.weave.register_native_destructor(0, 0) is None\n"
                                     "assert ft_utils.weave.unregister_native_destructor(0)\n";

static const char finds_no_ft_utils[] = "try:\n"
                                        "    import ft_utils\n"
                                        "except ModuleNotFoundError:\n"
                                        "    pass\n"
                                        "else:\n"
                                        "    raise AssertionError(ft_utils)\n";

static void
host_may_answer_for_ft_utils (void)
{
  if (!in_own_process ())
    return;
  for (int answer = 0; answer < 2; answer++) {
    RaddleOptions *options = raddle_options_new ();
    RaddleRuntime *runtime;
    PyObject      *globals;

    g_assert_cmpint (raddle_options_set_answer_ft_utils (options, answer), ==, RADDLE_STATUS_OK);
    runtime = start_python_with (options);
    raddle_options_free (options);
    enter ();
    globals = new_globals ();
    run (answer ? finds_ft_utils : finds_no_ft_utils, globals);
    Py_DECREF (globals);
    leave ();
    stop_python (runtime);
  }
}

static void
registrations_outlive_python (void)
{
  RaddleRuntime *runtime;
  pthread_t      thread;

  if (!in_own_process ())
    return;
  runtime = start_python ();
  set_flag ();
  thread = start_and_await_registration ();
  stop_python (runtime);
  let_go_on_and_join (thread);
  g_assert_cmpstr (notes.text, ==, all);
}

int
main (int argc, char **argv)
{
  RaddleRuntime *runtime = NULL;
  int            result;

  g_test_init (&argc, &argv, NULL);
  if (!g_test_subprocess ()) {
    runtime = start_python ();
    set_flag ();
  }
  g_test_add_func ("/ft-weave/pthread-runs-all-in-order", pthread_runs_all_in_order);
  g_test_add_func ("/ft-weave/gthread-runs-all-in-order", gthread_runs_all_in_order);
  g_test_add_func ("/ft-weave/threading-thread-runs-all-in-order", threading_thread_runs_all_in_order);
  g_test_add_func ("/ft-weave/joiner-may-hold-python", joiner_may_hold_python);
  g_test_add_func ("/ft-weave/taking-back-says-whether-there-was-any", taking_back_says_whether_there_was_any);
  g_test_add_func ("/ft-weave/weave-local-keeps-its-value-with-glibc", weave_local_keeps_its_value_with_glibc);
  g_test_add_func ("/ft-weave/every-face-appends-to-one-list", every_face_appends_to_one_list);
  g_test_add_func ("/ft-weave/gprivate-of-a-later-key-runs-after", gprivate_of_a_later_key_runs_after);
  g_test_add_func ("/ft-weave/thread-that-does-not-hold-python-gets-1", thread_that_does_not_hold_python_gets_1);
  g_test_add_func ("/ft-weave/before-start-and-after-stop-it-answers-1", before_start_and_after_stop_it_answers_1);
  g_test_add_func ("/ft-weave/without-the-flag-it-raises", without_the_flag_it_raises);
  g_test_add_func ("/ft-weave/host-may-answer-for-ft-utils", host_may_answer_for_ft_utils);
  g_test_add_func ("/ft-weave/registrations-outlive-python", registrations_outlive_python);
  result = g_test_run ();
  if (runtime != NULL)
    stop_python (runtime);
  return result;
}
