/* guard.c: attaching that Python may refuse (PEP 788), where Python can: from 3.15 on.
 *
 * The gate's own admission is faster and is there on every version, but it knows only of ends that
 * run Python's exit handlers to their end. A guard is asked for where an entry is slow anyway. */
#include <Python.h>

#include "gate_shim.h"

#if PY_VERSION_HEX >= 0x030f0000

/* A view of the interpreter that this thread holds; NULL without memory. */
void *
raddle_py_view_open (void)
{
  PyInterpreterView *view = PyInterpreterView_FromCurrent ();
  if (view == NULL)
    PyErr_Clear ();
  return view;
}

void
raddle_py_view_close (void *view)
{
  PyInterpreterView_Close (view);
}

/* Attaches with `state`; returns 0, attached to nothing, if the interpreter is going. */
int
raddle_py_attach_by_view (void *view, PyThreadState *state)
{
  PyInterpreterGuard *guard = PyInterpreterGuard_FromView (view);
  if (guard == NULL)
    return 0;
  PyEval_RestoreThread (state);
  PyInterpreterGuard_Close (guard);
  return 1;
}

#else

void *
raddle_py_view_open (void)
{
  return NULL;
}

void
raddle_py_view_close (void *view)
{
  (void) view;
}

int
raddle_py_attach_by_view (void *view, PyThreadState *state)
{
  (void) view;
  PyEval_RestoreThread (state);
  return 1;
}

#endif
