/* hello.c: Python from a thread of GLib's, in three calls. */
#include <Python.h>
#include <glib.h>
#include <raddle/raddle-glib.h>

static gpointer
greet (gpointer name)
{
  RADDLE_ENTER_SCOPE (scope); /* waits for Python, and leaves it with this block */
  if (scope.entered)
    {
      PyObject *hello = PyImport_ImportModule ("hello");
      PyObject *result = hello ? PyObject_CallMethod (hello, "greet", "s", name) : NULL;
      Py_XDECREF (result); /* what was raised goes to sys.unraisablehook */
      Py_XDECREF (hello);
    }
  return NULL;
}

int
main (int argc, char **argv)
{
  g_autoptr (RaddleOptions) options = raddle_options_new ();
  g_autoptr (RaddleRuntime) runtime = NULL;

  raddle_options_add_plugin_folder (options, argc > 1 ? argv[1] : ".");
  if (raddle_runtime_new (options, &runtime) != RADDLE_STATUS_OK)
    g_error ("%s", raddle_last_error_message ());

  GThread *thread = g_thread_new ("greeter", greet, (gpointer) "a GThread");
  greet ((gpointer) "the main thread");
  g_thread_join (thread);

  return raddle_runtime_stop (runtime, 5000) == RADDLE_STATUS_OK ? 0 : 1;
}
