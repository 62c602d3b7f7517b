/* stackless_api.c: the variadic functions of stackless_api.h; C-variadic functions are written in C. */
#include <raddle/raddle-gate.h>
#include <raddle/stackless_api.h>

/* No object: an address that nothing else has. */
static char unwind_token;
PyObject *const Py_UnwindToken = (PyObject *) &unwind_token;

/* Whether this thread holds Python. If not, says so by the function that only needs to fail. */
static int
python_is_held (void)
{
  if (raddle_is_held ())
    return 1;
  PyStackless_Call_Main (NULL, NULL, NULL);
  return 0;
}

/* The arguments that a format makes, as a tuple. */
static PyObject *
build_arguments (const char *format, va_list values)
{
  PyObject *built, *tuple;

  if (format == NULL || *format == '\0')
    return PyTuple_New (0);
  built = Py_VaBuildValue (format, values);
  if (built == NULL || PyTuple_Check (built))
    return built;
  tuple = PyTuple_Pack (1, built);
  Py_DECREF (built);
  return tuple;
}

/* Calls a function, which it takes over as it does the arguments; either may be NULL with an exception. */
static PyObject *
call (PyObject *function, PyObject *arguments)
{
  PyObject *result = NULL;

  if (function != NULL && arguments != NULL)
    result = PyStackless_Call_Main (function, arguments, NULL);
  Py_XDECREF (arguments);
  Py_XDECREF (function);
  return result;
}

PyObject *
PyStackless_CallMethod_Main (PyObject *o, char *name, char *format, ...)
{
  PyObject *method, *arguments = NULL;
  va_list values;

  if (!python_is_held ())
    return NULL;
  if (o == NULL || name == NULL)
    {
      PyErr_SetString (PyExc_TypeError, "an object and the name of a method are wanted, not NULL");
      return NULL;
    }
  method = PyObject_GetAttrString (o, name);
  if (method != NULL)
    {
      va_start (values, format);
      arguments = build_arguments (format, values);
      va_end (values);
    }
  return call (method, arguments);
}

PyObject *
PyStackless_CallCMethod_Main (PyMethodDef *meth, PyObject *self, char *format, ...)
{
  PyObject *function, *arguments = NULL;
  va_list values;

  if (!python_is_held ())
    return NULL;
  if (meth == NULL)
    {
      PyErr_SetString (PyExc_TypeError, "a function in C is wanted, not NULL");
      return NULL;
    }
  function = PyCFunction_New (meth, self);
  if (function != NULL)
    {
      va_start (values, format);
      arguments = build_arguments (format, values);
      va_end (values);
    }
  return call (function, arguments);
}
