/* python.h: CPython's API with GLib's scope guards, and an exception as a line of text. */
#ifndef INDEXER_PYTHON_H
#define INDEXER_PYTHON_H

/* CPython wants to be included first, and is not written for -Wpedantic. */
#define PY_SSIZE_T_CLEAN
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#include <Python.h>
#pragma GCC diagnostic pop

#include <glib.h>

/* g_autoptr (PyObject) drops its reference where its scope ends: declare it after the scope's
 * RADDLE_ENTER_SCOPE, so that it goes while Python is still held. */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PyObject, Py_DecRef)

/* Clears the exception that is set and returns "Type: text" as one line of UTF-8 (transfer full).
 * With out_line, also the line of the outermost Python frame it went through, frozen modules
 * (the import machinery) left aside, or 0.
 * Needs Python held. */
char *python_take_exception (int *out_line);

#endif /* INDEXER_PYTHON_H */
