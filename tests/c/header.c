/* header.c: the headers stand alone in plain C11: no GLib, no Python.h, nothing that pedants complain of.
 * Built with -Wpedantic -Werror; the checks are the compiler's. */
#include <raddle/raddle.h>

#ifdef __G_LIB_H__
# error "raddle.h brings GLib along"
#endif
#ifdef Py_PYTHON_H
# error "raddle.h brings Python.h along"
#endif

#include <raddle/pygtk_threads.h>
#include <raddle/raddle.h>

#include <stddef.h>
#include <stdio.h>
#include <string.h>

_Static_assert (RADDLE_MAJOR_VERSION == 0, "a new major version has new headers");
_Static_assert (RADDLE_MINOR_VERSION == 1, "raddle.h says which version this is");
_Static_assert (RADDLE_MICRO_VERSION == 0, "raddle.h says which version this is");

/* What is passed by value or filled in by the library is the same on both sides for ever. */
_Static_assert (sizeof (RaddleStatus) == sizeof (int), "a status is an int in size");
_Static_assert (RADDLE_STATUS_OK == 0 && RADDLE_STATUS_TIMED_OUT == 14, "a number keeps its meaning");
_Static_assert (sizeof (RaddleHandle) == sizeof (void *), "a handle is a pointer in size");
_Static_assert (sizeof (RaddleGateStats) == 9 * sizeof (uint64_t), "figures are only ever appended");
_Static_assert (offsetof (RaddleGateStats, entries) == 0, "the first figure");
_Static_assert (offsetof (RaddleGateStats, leaked) == 8 * sizeof (uint64_t), "the last figure");
_Static_assert (sizeof (RaddleRingStats) == 7 * sizeof (uint64_t), "figures are only ever appended");
_Static_assert (RADDLE_WAIT_PLAIN == 0 && RADDLE_WAIT_RELEASE_PYTHON == 1, "a number keeps its meaning");

/* Every macro can be used as a statement, with and without a semicolon. */
static void
use_every_macro (void)
{
  RADDLE_UNBLOCK_THREADS
  RADDLE_BLOCK_THREADS
  PyGTK_BLOCK_THREADS
  PyGTK_UNBLOCK_THREADS
  PyGTK_BLOCK_THREADS;
  PyGTK_UNBLOCK_THREADS;
  if (raddle_is_held ())
    pyg_block_threads ();
  else
    pyg_unblock_threads ();
  RADDLE_ENTER_SCOPE (scope);
  (void) scope;
  raddle_auto (raddle_runtime) RaddleRuntime *runtime = NULL;
  (void) runtime;
}

int
main (void)
{
  use_every_macro ();
  puts ("1..1");
  int told = strcmp (raddle_status_name (RADDLE_STATUS_OK), "RADDLE_STATUS_OK") == 0;
  printf ("%s 1 /header/stands-alone\n", told ? "ok" : "not ok");
  return 0;
}
