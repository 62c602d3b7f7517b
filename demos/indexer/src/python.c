/* python.c: an exception as a line of text, whatever its own methods do. */
#include "python.h"

#include <stdbool.h>

#define LONGEST_TEXT 300

static PyObject *
take_raised (void)
{
#if PY_VERSION_HEX >= 0x030c0000
  return PyErr_GetRaisedException ();
#else
  PyObject *type = NULL, *value = NULL, *traceback = NULL;

  PyErr_Fetch (&type, &value, &traceback);
  PyErr_NormalizeException (&type, &value, &traceback);
  if (value && traceback)
    PyException_SetTraceback (value, traceback);
  Py_XDECREF (type);
  Py_XDECREF (traceback);
  return value;
#endif
}

/* The text of an object, or NULL if it cannot say: then no exception is left behind either. */
static char *
text_of (PyObject *object)
{
  g_autoptr (PyObject) text = PyObject_Str (object);
  g_autoptr (PyObject) bytes = NULL;

  if (text)
    bytes = PyUnicode_AsEncodedString (text, "utf-8", "backslashreplace");
  if (!bytes)
    {
      PyErr_Clear ();
      return NULL;
    }
  return g_strndup (PyBytes_AS_STRING (bytes), LONGEST_TEXT);
}

/* Whether a traceback's frame is one of the import machinery, which is no plugin's. */
static bool
is_frozen (PyObject *traceback)
{
  g_autoptr (PyObject) frame = PyObject_GetAttrString (traceback, "tb_frame");
  g_autoptr (PyObject) code = frame ? PyObject_GetAttrString (frame, "f_code") : NULL;
  g_autoptr (PyObject) file = code ? PyObject_GetAttrString (code, "co_filename") : NULL;
  const char *name = file ? PyUnicode_AsUTF8 (file) : NULL;

  return name && g_str_has_prefix (name, "<frozen ");
}

static int
line_of (PyObject *exception)
{
  g_autoptr (PyObject) traceback = PyException_GetTraceback (exception);
  g_autoptr (PyObject) number = NULL;
  long line = 0;

  while (traceback && traceback != Py_None && is_frozen (traceback))
    {
      PyObject *next = PyObject_GetAttrString (traceback, "tb_next");

      Py_DECREF (traceback);
      traceback = next;
    }
  if (traceback && traceback != Py_None)
    number = PyObject_GetAttrString (traceback, "tb_lineno");
  if (number)
    line = PyLong_AsLong (number);
  PyErr_Clear ();
  return line > 0 && line < G_MAXINT ? (int) line : 0;
}

char *
python_take_exception (int *out_line)
{
  g_autoptr (PyObject) exception = take_raised ();
  g_autofree char *text = NULL;
  g_autofree char *line = NULL;

  if (out_line)
    *out_line = exception ? line_of (exception) : 0;
  if (!exception)
    return g_strdup ("an error without an exception");

  text = text_of (exception);
  if (!text || !*text)
    return g_strdup (Py_TYPE (exception)->tp_name);

  line = g_strdup_printf ("%s: %s", Py_TYPE (exception)->tp_name, text);
  g_strdelimit (line, "\n\r\t\v\f\033", ' ');
  return g_utf8_make_valid (line, -1);
}
