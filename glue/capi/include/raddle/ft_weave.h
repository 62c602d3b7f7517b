/* ft_weave.h: destructors for thread-local values. Header only; stands in for the file of that name
 * in ft_utils.
 *
 * Needs Python.h and nothing else: no library to link, no other header of raddle's. The functions
 * import raddle.weave and call what they find there, so Python code must have said
 * raddle.ENABLE_EXPERIMENTAL = True. Native code that links raddle can register without Python and
 * without that flag: see raddle_at_thread_exit() in <raddle/raddle-weave.h>.
 */
#ifndef RADDLE_FT_WEAVE_H
#define RADDLE_FT_WEAVE_H

#include <Python.h>
#include <stdint.h>

/**
 * weave_local:
 *
 * Marks a variable of which every thread has its own: static weave_local void *cache;
 *
 * Do not register the address of a weave_local variable unless you know your platform, and do not
 * read one in a destructor: where the thread-local storage goes before the destructors run (macOS
 * does that at times) it is back at its first value by then. With glibc and musl it is still what
 * the thread stored last, and tests/c/ft_weave.c holds raddle to that. A plain static or allocated
 * variable works everywhere.
 *
 * Since: 0.1
 */
#ifndef weave_local
# if defined(_MSC_VER)
#  define weave_local __declspec(thread)
# elif defined(__cplusplus)
#  define weave_local thread_local
# else
#  define weave_local _Thread_local
# endif
#endif

/**
 * wvls_destructor_t:
 *
 * Called with the value that the variable has when the thread dies, %NULL included. It runs after
 * Python is done with the thread and must not call into Python in any way.
 *
 * Since: 0.1
 */
typedef void (*wvls_destructor_t) (void *value);

#ifdef __cplusplus
extern "C" {
#endif

/* Whether this thread may call Python now. */
static inline int
_raddle_wvls_python_is_held (void)
{
  if (!Py_IsInitialized ())
    return 0;
#if defined(Py_LIMITED_API)
  /* The limited API only tells whether Python knows the thread. */
  return PyGILState_GetThisThreadState () != NULL;
#elif PY_VERSION_HEX >= 0x030d0000
  return PyThreadState_GetUnchecked () != NULL;
#elif PY_VERSION_HEX >= 0x030c0000
  return _PyThreadState_UncheckedGet () != NULL;
#else
  /* Exact until a subinterpreter has existed, and always yes from then on. */
  return PyGILState_Check ();
#endif
}

/* Calls raddle.weave.<name> with one or two addresses: a new reference, or NULL. */
static inline PyObject *
_raddle_wvls_call (const char *name, void **wvls_var, const wvls_destructor_t *destructor)
{
  PyObject *module, *function = NULL, *var = NULL, *second = NULL, *result = NULL;

  module = PyImport_ImportModule ("raddle.weave");
  if (module == NULL)
    return NULL;
  function = PyObject_GetAttrString (module, name);
  var = PyLong_FromVoidPtr ((void *) wvls_var);
  if (destructor != NULL)
    second = PyLong_FromVoidPtr ((void *) (uintptr_t) *destructor);
  if (function != NULL && var != NULL && (destructor == NULL || second != NULL))
    result = PyObject_CallFunctionObjArgs (function, var, second, NULL);
  Py_XDECREF (second);
  Py_XDECREF (var);
  Py_XDECREF (function);
  Py_DECREF (module);
  return result;
}

/**
 * _py_register_wvls_destructor:
 * @wvls_var: (nullable): the variable; %NULL is accepted and skipped when the thread dies
 * @wvls_destructor: (nullable): what to call with its value; %NULL likewise
 *
 * Calls @wvls_destructor with the value of @wvls_var when this thread dies. Whatever was registered
 * runs once per registration, in that order. Nothing runs on the main thread.
 *
 * Returns: 0, or 1 with a Python exception set; 1 without one if Python is not running or this
 *   thread does not hold it (ft_utils' header aborts or crashes then)
 *
 * Thread: one that holds Python; the registration belongs to it.
 *
 * Since: 0.1
 */
static inline int
_py_register_wvls_destructor (void **wvls_var, wvls_destructor_t wvls_destructor)
{
  PyObject *result;

  if (!_raddle_wvls_python_is_held ())
    return 1;
  result = _raddle_wvls_call ("register_native_destructor", wvls_var, &wvls_destructor);
  if (result == NULL)
    return 1;
  Py_DECREF (result);
  return 0;
}

/**
 * _py_unregister_wvls_destructor:
 * @wvls_var: (nullable): the variable
 * @unregistered: (out) (optional): 1 if there was anything to take back, otherwise 0; written only
 *   on success
 *
 * Takes back everything that this thread registered for @wvls_var. From inside a destructor it finds
 * nothing.
 *
 * Returns: 0, or 1 as _py_register_wvls_destructor() does
 *
 * Thread: one that holds Python; what other threads registered stays.
 *
 * Since: 0.1
 */
static inline int
_py_unregister_wvls_destructor (void **wvls_var, int *unregistered)
{
  PyObject *result;
  int       truth;

  if (!_raddle_wvls_python_is_held ())
    return 1;
  result = _raddle_wvls_call ("unregister_native_destructor", wvls_var, NULL);
  if (result == NULL)
    return 1;
  truth = PyObject_IsTrue (result);
  Py_DECREF (result);
  if (truth < 0)
    return 1;
  if (unregistered != NULL)
    *unregistered = truth;
  return 0;
}

#ifdef __cplusplus
}
#endif

#endif /* RADDLE_FT_WEAVE_H */
