/* The smallest host: starts Python, runs a line of it inside an entry, and stops. */
#include <Python.h>
#include <raddle/raddle.h>
#include <stdio.h>

static int
fail (const char *what)
{
  fprintf (stderr, "%s: %s\n", what, raddle_last_error_message ());
  return 1;
}

int
main (void)
{
  raddle_auto (raddle_runtime) RaddleRuntime *runtime = NULL;
  int result;

  if (raddle_runtime_new (NULL, &runtime) != RADDLE_STATUS_OK)
    return fail ("start");
  if (raddle_enter () != RADDLE_STATUS_OK)
    return fail ("enter");
  result = PyRun_SimpleString ("import sys; sys.stdout.write('%d.%d%s ' % (*sys.version_info[:2], sys.abiflags)); sys.stdout.flush()");
  if (raddle_leave () != RADDLE_STATUS_OK)
    return fail ("leave");
  if (raddle_runtime_stop (runtime, 10000) != RADDLE_STATUS_OK)
    return fail ("stop");
  printf ("%s %s\n", raddle_python_abi (), raddle_status_name (RADDLE_STATUS_OK));
  return result;
}
