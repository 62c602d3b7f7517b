/* start_shim.c: fills CPython's configuration records and starts Python. Their layouts differ from
 * version to version, so only C that is compiled against the Python in use may touch them. */
#include <Python.h>
#include <stdio.h>

#include "start_shim.h"

static int
fails (PyStatus status, const char *what, char *message, size_t size)
{
  if (!PyStatus_Exception (status))
    return 0;
  if (PyStatus_IsExit (status))
    snprintf (message, size, "%s: Python asked to exit with %d", what, status.exitcode);
  else
    snprintf (message, size, "%s: %s%s%s", what, status.func != NULL ? status.func : "",
              status.func != NULL ? ": " : "", status.err_msg != NULL ? status.err_msg : "no reason given");
  return 1;
}

static PyStatus
fill (PyConfig *config, const struct raddle_start *how)
{
  PyStatus status = PyStatus_Ok ();

  config->install_signal_handlers = how->signal_handlers;
  if (how->program_name != NULL)
    status = PyConfig_SetBytesString (config, &config->program_name, how->program_name);
  if (!PyStatus_Exception (status) && how->home != NULL)
    status = PyConfig_SetBytesString (config, &config->home, how->home);
  if (!PyStatus_Exception (status) && how->executable != NULL)
    status = PyConfig_SetBytesString (config, &config->executable, how->executable);
  if (!PyStatus_Exception (status) && how->argc > 0)
    status = PyConfig_SetBytesArgv (config, (Py_ssize_t) how->argc, how->argv);
  return status;
}

/* Starts Python, isolated and in UTF-8 mode, and leaves the calling thread attached. Returns 0, or
 * -1 with one line in `message`. */
int
raddle_py_start (const struct raddle_start *how, char *message, size_t size)
{
  PyPreConfig before;
  PyConfig config;
  PyStatus status;
  int failed;

  PyPreConfig_InitIsolatedConfig (&before);
  /* Without it a host that never called setlocale gets ASCII, whatever its LANG says. */
  before.utf8_mode = 1;
  if (fails (Py_PreInitialize (&before), "Python could not be prepared", message, size))
    return -1;
  PyConfig_InitIsolatedConfig (&config);
  failed = fails (fill (&config, how), "Python refused its options", message, size);
  if (!failed)
    {
      status = Py_InitializeFromConfig (&config);
      failed = fails (status, "Python could not start", message, size);
    }
  PyConfig_Clear (&config);
  return failed ? -1 : 0;
}
