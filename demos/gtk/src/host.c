/* host.c: starting and stopping Python, and the module _window for the host's own Python code. */
#include "host.h"

#include <stdio.h>

#include <gio/gio.h>
#include <raddle/raddle-glib.h>

/* Set before Python starts, and not changed while it runs. */
static Notes *pane;
static Loom *loom;

/* log(level, clock, thread, text) */
static PyObject *
window_log (PyObject *module, PyObject *args)
{
  int level;
  double clock;
  const char *thread, *text;

  (void) module;
  if (!PyArg_ParseTuple (args, "idss", &level, &clock, &thread, &text))
    return NULL;
  notes_add (pane, level, clock, thread, text);
  Py_RETURN_NONE;
}

/* throw(colour, raised, seconds) -> bool */
static PyObject *
window_throw (PyObject *module, PyObject *args)
{
  Pick pick;

  (void) module;
  if (!PyArg_ParseTuple (args, "IId", &pick.colour, &pick.raised, &pick.seconds))
    return NULL;
  if (!(pick.seconds > 0))
    {
      PyErr_SetString (PyExc_ValueError, "a shuttle flies for more than 0 seconds");
      return NULL;
    }
  return PyBool_FromLong (loom_throw (loom, &pick));
}

static bool
add_module (void)
{
  static PyMethodDef methods[] = {
    { "log", window_log, METH_VARARGS, "log(level, clock, thread, text): a line of the log pane" },
    { "throw", window_throw, METH_VARARGS,
      "throw(colour, raised, seconds): whether the loom takes the pick" },
    { 0 }
  };
  static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "_window", .m_doc = "The window.", .m_size = 0,
    .m_methods = methods,
  };
  g_autoptr (PyObject) module = PyModule_Create (&definition);

  return module && PyDict_SetItemString (PyImport_GetModuleDict (), "_window", module) == 0;
}

static bool
fail (GError **error, const char *message)
{
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_FAILED, message);
  return false;
}

static RaddleStatus
describe (RaddleOptions *options, const char *plugin_folder)
{
  RaddleStatus status = raddle_options_add_plugin_folder (options, plugin_folder);

  if (status == RADDLE_STATUS_OK)
    status = raddle_options_add_search_path (options, WINDOW_PYTHON);
  return status;
}

/* What the host has in Python: desk.py sends logging to the pane. */
static bool
open_desk (GError **error)
{
  RADDLE_ENTER_SCOPE (scope);
  g_autoptr (PyObject) desk = NULL;
  g_autoptr (PyObject) done = NULL;
  g_autofree char *what = NULL;

  if (!scope.entered)
    return fail (error, raddle_last_error_message ());
  if (add_module ())
    desk = PyImport_ImportModule ("desk");
  if (desk)
    done = PyObject_CallMethod (desk, "begin", NULL);
  if (done)
    return true;
  what = python_take_exception (NULL);
  return fail (error, what);
}

bool
host_start (const char *plugin_folder, Notes *notes, Loom *weaves, RaddleRuntime **out,
            GError **error)
{
  g_autoptr (RaddleOptions) options = raddle_options_new ();
  RaddleRuntime *runtime = NULL;

  pane = notes;
  loom = weaves;
  /* What GTK and GLib log, on any thread, takes the same way as what Python logs. */
  (void) raddle_glib_log_install (NULL, NULL, NULL);
  if (describe (options, plugin_folder) != RADDLE_STATUS_OK ||
      raddle_runtime_new (options, &runtime) != RADDLE_STATUS_OK)
    return fail (error, raddle_last_error_message ());

  /* PyGObject's callbacks may run loops of their own: Python is never kept while one polls. */
  if (raddle_main_context_attach (NULL, RADDLE_HOLD_CALLBACK, NULL) != RADDLE_STATUS_OK)
    fail (error, raddle_last_error_message ());
  else if (open_desk (error))
    {
      *out = runtime;
      return true;
    }
  (void) host_stop (runtime, 5000);
  return false;
}

char *
host_stdlib (GError **error)
{
  RADDLE_ENTER_SCOPE (scope);
  g_autoptr (PyObject) module = NULL;
  g_autoptr (PyObject) path = NULL;
  g_autoptr (PyObject) bytes = NULL;
  g_autofree char *what = NULL;

  if (!scope.entered)
    {
      fail (error, raddle_last_error_message ());
      return NULL;
    }
  module = PyImport_ImportModule ("sysconfig");
  if (module)
    path = PyObject_CallMethod (module, "get_path", "s", "stdlib");
  if (path)
    bytes = PyUnicode_EncodeFSDefault (path);
  if (bytes)
    return g_strdup (PyBytes_AS_STRING (bytes));
  what = python_take_exception (NULL);
  fail (error, what);
  return NULL;
}

bool
host_stop (RaddleRuntime *runtime, int64_t within_ms)
{
  RaddleStatus status = raddle_runtime_stop (runtime, within_ms);

  if (status != RADDLE_STATUS_OK)
    {
      fprintf (stderr, "indexer-window: Python is left as it is: %s\n", raddle_last_error_message ());
      raddle_runtime_abandon (runtime);
    }
  raddle_runtime_unref (runtime);
  return status == RADDLE_STATUS_OK;
}
