/* host.c: three calls start Python, one stops it; what may go wrong has raddle's message. */
#include "python.h"

#include "host.h"

#include <signal.h>
#include <stdio.h>

#include <gio/gio.h>
#include <raddle/raddle-glib.h>

#define STOP_WITHIN_MS 5000

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
    status = raddle_options_set_signal_handlers (options, true);
  if (status == RADDLE_STATUS_OK)
    status = raddle_options_set_timing (options, true);
  return status;
}

/* Python does not start if Ctrl-C strikes between its first module and its last: hold it back. */
static RaddleStatus
start_undisturbed (const RaddleOptions *options, RaddleRuntime **out)
{
  sigset_t interrupt, before;
  RaddleStatus status;

  sigemptyset (&interrupt);
  sigaddset (&interrupt, SIGINT);
  pthread_sigmask (SIG_BLOCK, &interrupt, &before);
  status = raddle_runtime_new (options, out);
  pthread_sigmask (SIG_SETMASK, &before, NULL);
  return status;
}

bool
host_start (const char *plugin_folder, RaddleRuntime **out, GError **error)
{
  g_autoptr (RaddleOptions) options = raddle_options_new ();
  RaddleRuntime *runtime = NULL;

  if (describe (options, plugin_folder) != RADDLE_STATUS_OK ||
      start_undisturbed (options, &runtime) != RADDLE_STATUS_OK)
    return fail (error, raddle_last_error_message ());

  /* Plugins may run the main loop too (PyGObject does): Python is never kept while it polls. */
  if (raddle_main_context_attach (NULL, RADDLE_HOLD_CALLBACK, NULL) != RADDLE_STATUS_OK)
    {
      fail (error, raddle_last_error_message ());
      host_stop (runtime);
      return false;
    }
  *out = runtime;
  return true;
}

/* An attribute, or the result of the call if args is not NULL, as a string in the file system's
 * encoding (transfer full); NULL with an exception set. */
static char *
ask_text (const char *module_name, const char *attribute, const char *argument)
{
  g_autoptr (PyObject) module = PyImport_ImportModule (module_name);
  g_autoptr (PyObject) answer = NULL;
  g_autoptr (PyObject) bytes = NULL;

  if (!module)
    return NULL;
  answer = argument ? PyObject_CallMethod (module, attribute, "s", argument)
                    : PyObject_GetAttrString (module, attribute);
  if (answer && !PyUnicode_Check (answer))
    PyErr_Format (PyExc_TypeError, "%s.%s is not known", module_name, attribute);
  else if (answer)
    bytes = PyUnicode_EncodeFSDefault (answer);
  return bytes ? g_strdup (PyBytes_AS_STRING (bytes)) : NULL;
}

bool
host_ask (HostFacts *out, GError **error)
{
  g_auto (HostFacts) facts = { 0 };
  RADDLE_ENTER_SCOPE (scope);

  if (!scope.entered)
    return fail (error, raddle_last_error_message ());
  facts.version = g_strndup (Py_GetVersion (), strcspn (Py_GetVersion (), " "));
  if (!(facts.executable = ask_text ("sys", "executable", NULL)) ||
      !(facts.stdlib = ask_text ("sysconfig", "get_path", "stdlib")))
    {
      bool interrupted = PyErr_ExceptionMatches (PyExc_KeyboardInterrupt);
      g_autofree char *what = python_take_exception (NULL);

      g_set_error_literal (error, G_IO_ERROR,
                           interrupted ? G_IO_ERROR_CANCELLED : G_IO_ERROR_FAILED, what);
      return false;
    }
  *out = facts;
  facts = (HostFacts) { 0 };
  return true;
}

void
host_forget_interrupts (void)
{
  RADDLE_ENTER_SCOPE (scope);

  signal (SIGINT, SIG_DFL);
  if (scope.entered && PyErr_CheckSignals () < 0)
    PyErr_Clear ();
}

bool
host_stop (RaddleRuntime *runtime)
{
  RaddleStatus status = raddle_runtime_stop (runtime, STOP_WITHIN_MS);

  if (status != RADDLE_STATUS_OK)
    {
      fprintf (stderr, "indexer: Python is left as it is: %s\n", raddle_last_error_message ());
      raddle_runtime_abandon (runtime);
    }
  raddle_runtime_unref (runtime);
  return status == RADDLE_STATUS_OK;
}

void
host_facts_clear (HostFacts *self)
{
  g_clear_pointer (&self->version, g_free);
  g_clear_pointer (&self->executable, g_free);
  g_clear_pointer (&self->stdlib, g_free);
}
