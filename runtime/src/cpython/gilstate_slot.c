/* Knows CPython. */ #include <Python.h>
