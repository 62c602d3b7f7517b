/* tasklet_shim.h: what a thread state says about the code that runs on it, one record per tasklet. */
#ifndef RADDLE_TASKLET_SHIM_H
#define RADDLE_TASKLET_SHIM_H

#include <Python.h>
#include <stddef.h>
#include <stdint.h>

#if PY_VERSION_HEX >= 0x030e0000
# define RADDLE_HAS_STACK_LIMITS 1
#endif

/* The running fields of a thread state: those that belong to the stack of calls and not to the
 * thread. One tasklet's are in the thread state, those of all others are in their records.
 * The Rust side only knows the size (runtime/src/cpython/tasklet.rs). */
typedef struct raddle_running
{
  PyThreadState *parked;        /* shows the suspended frames to tools; NULL if there is none */
#if PY_VERSION_HEX < 0x030d0000
  _PyCFrame *cframe;            /* innermost */
  _PyCFrame root;               /* what the outermost frame's links to */
#else
  struct _PyInterpreterFrame *current_frame;
#endif
  _PyStackChunk *chunk;         /* the data stack of Python frames */
  PyObject **top;
  PyObject **limit;

  _PyErr_StackItem exc_state;   /* the exceptions that are being handled */
  _PyErr_StackItem *exc_info;   /* NULL: the thread state's own item */
#if PY_VERSION_HEX < 0x030c0000
  PyObject *curexc[3];
#else
  PyObject *current_exception;
#endif
  PyObject *context;            /* owned */

  int depth;                    /* Python calls: the limit may change while we sleep */
  int lowered;                  /* 3.11: by how much our stack is too small for the limit */
  int headroom;
#if PY_VERSION_HEX >= 0x030c0000 && PY_VERSION_HEX < 0x030e0000
  int c_remaining;
#endif
#ifdef RADDLE_HAS_STACK_LIMITS
  uintptr_t c_stack[3];         /* top, soft limit, hard limit */
  PyObject *executor;
#endif

  int tracing;
  int what_event;
  Py_tracefunc c_profilefunc;
  Py_tracefunc c_tracefunc;
  PyObject *c_profileobj;
  PyObject *c_traceobj;

#if PY_VERSION_HEX < 0x030d0000
  int trash_nesting;
#endif
  PyObject *delete_later;       /* a chain of dying objects: never counted */
} raddle_running;

#define RADDLE_RUNNING_SIZE 320

int raddle_py_tasklets_work (char *why, size_t size);
void raddle_py_running_fresh (PyThreadState *state, raddle_running *fresh, void *chunk,
                              size_t chunk_size, void *stack, size_t stack_size);
void raddle_py_running_context (raddle_running *running, PyObject *context);
void raddle_py_running_swap (PyThreadState *state, raddle_running *from, raddle_running *to);
int raddle_py_running_park (PyThreadState *state, raddle_running *running);
void raddle_py_running_unpark (raddle_running *running);
void raddle_py_running_end (PyThreadState *state);
unsigned long raddle_py_ident (PyThreadState *state);
int raddle_py_is_parked (PyThreadState *state);
void raddle_py_trace_swap (PyThreadState *state, raddle_running *running);
PyObject *raddle_py_context (PyThreadState *state, const raddle_running *running);
PyObject *raddle_py_context_exchange (PyThreadState *state, PyObject *context);
int raddle_py_context_is_entered (PyObject *context);
PyObject *raddle_py_traced_by (PyThreadState *state, const raddle_running *running, int profile);
void *raddle_py_trace_function (PyThreadState *state);
int raddle_py_nesting (PyThreadState *state, const raddle_running *running);
int raddle_py_depth (PyThreadState *state, const raddle_running *running);
int raddle_py_traverse (const raddle_running *running, PyObject *const *extent, visitproc visit,
                        void *arg);

#endif
