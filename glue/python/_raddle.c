/* The extension module _raddle: all of it is in libraddle, this only makes CPython's import find it there. */
#include <Python.h>

extern PyObject *PyInit__raddle (void);

/* import looks for PyInit__raddle in this file and in what it links; the reference keeps the linker from
 * dropping libraddle as unused. */
PyObject *(*const raddle_module) (void) = PyInit__raddle;
