/* stackless.h: what the tests of Stackless's C API share: checks of exceptions, and tasklets by name. */
#ifndef RADDLE_TESTS_STACKLESS_H
#define RADDLE_TESTS_STACKLESS_H

#include "support.h"

#include <raddle/stackless_api.h>
#include <string.h>

G_GNUC_UNUSED static void
enter (void)
{
  assert_ok (raddle_enter ());
}

G_GNUC_UNUSED static void
leave (void)
{
  g_assert_null (PyErr_Occurred ());
  assert_ok (raddle_leave ());
}

/* Checks that the exception is of a class and says something, and takes it. */
G_GNUC_UNUSED static void
expect (PyObject *class, const char *part)
{
  PyObject *type, *value, *traceback, *text;

  g_assert_true (PyErr_ExceptionMatches (class));
  PyErr_Fetch (&type, &value, &traceback);
  PyErr_NormalizeException (&type, &value, &traceback);
  text = PyObject_Str (value);
  g_assert_nonnull (text);
  if (part != NULL && strstr (PyUnicode_AsUTF8 (text), part) == NULL)
    g_error ("\"%s\" is not in \"%s\"", part, PyUnicode_AsUTF8 (text));
  Py_DECREF (text);
  Py_XDECREF (type);
  Py_XDECREF (value);
  Py_XDECREF (traceback);
}

#define fails(call) g_assert_cmpint ((call), ==, -1)
#define works(call) g_assert_cmpint ((call), ==, 0)

/* A function that Python code has defined in __main__. */
G_GNUC_UNUSED static PyObject *
function (const char *name)
{
  return Py_NewRef (named (name));
}

G_GNUC_UNUSED static PyTaskletObject *
tasklet_of (const char *name)
{
  PyObject *callable = function (name);
  PyTaskletObject *task = PyTasklet_New (NULL, callable);

  Py_DECREF (callable);
  g_assert_nonnull (task);
  return task;
}

G_GNUC_UNUSED static void
drop (void *object)
{
  Py_XDECREF ((PyObject *) object);
}

G_GNUC_UNUSED static gint64
notes (void)
{
  return evaluate ("len(notes)");
}

G_GNUC_UNUSED static void
set_up (void)
{
  run ("notes = []\n"
       "def note(*args, **kwargs):\n"
       "    notes.append((args, kwargs))\n");
}

#endif /* RADDLE_TESTS_STACKLESS_H */
