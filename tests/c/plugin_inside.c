/* plugin_inside.c: the plugin of plugin.c. It starts Python, imports extension modules and stops it. */
#include <Python.h>
#include <raddle/raddle.h>

const char *plugin_use_python (void);

const char *
plugin_use_python (void)
{
  RaddleRuntime *runtime = NULL;
  const char *complaint = NULL;

  if (raddle_runtime_new (NULL, &runtime) != RADDLE_STATUS_OK)
    return raddle_last_error_message ();
  if (raddle_enter () != RADDLE_STATUS_OK)
    return raddle_last_error_message ();
  if (PyRun_SimpleString ("import _ctypes, _json, _decimal, _asyncio, raddle\n"
                          "assert raddle.gate_stats()['entries'] > 0\n") != 0)
    complaint = "an import failed: see above";
  if (raddle_leave () != RADDLE_STATUS_OK || raddle_runtime_stop (runtime, 20000) != RADDLE_STATUS_OK)
    complaint = raddle_last_error_message ();
  raddle_runtime_unref (runtime);
  return complaint;
}
