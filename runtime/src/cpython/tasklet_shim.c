/* tasklet_shim.c: moves the running fields of a thread state in and out of a tasklet's record.
 *
 *            thread state                 record of A        record of B
 *   A runs   A's fields                   (stale)            B's fields, parked for tools
 *   swap     save -> A's record, load <- B's record
 *   B runs   B's fields                   A's, parked        (stale)
 *
 * The thread keeps its one state, so PyGILState, threading.local, signals and asyncio find what they
 * expect. Compiled against the headers of the Python in use, 3.11 to 3.15. Free-threaded builds have
 * more that would have to travel (critical sections, references on the C stack) and are refused. */
#define Py_BUILD_CORE 1
#include <Python.h>
#include <internal/pycore_code.h>
#include <internal/pycore_context.h>
#include <internal/pycore_frame.h>
#if PY_VERSION_HEX >= 0x030e0000
# include <internal/pycore_interpframe.h>
# include <internal/pycore_tstate.h>
#endif
#include <stdio.h>
#include <string.h>

#include "tasklet_shim.h"

_Static_assert (sizeof (raddle_running) <= RADDLE_RUNNING_SIZE, "tasklet.rs reserves too little");

/* What one nested call from Python over C to Python takes of the stack, at most. The frames of the
 * interpreter's loop make most of it; a debug build does not share their slots. */
#ifdef Py_DEBUG
# define CALL_SIZE (24 * 1024)
#else
# define CALL_SIZE (6 * 1024)
#endif
/* What is left for C code that does not count its calls. */
#define CALL_RESERVE (64 * 1024)

/* The context of a suspended tasklet; takes the reference to the new one, drops the old. */
void
raddle_py_running_context (raddle_running *running, PyObject *context)
{
  PyObject *before = running->context;
  running->context = context;
  Py_XDECREF (before);
}

/* The context of a suspended tasklet, or of the one that runs (`running` is NULL). Lent. */
PyObject *
raddle_py_context (PyThreadState *state, const raddle_running *running)
{
  return running != NULL ? running->context : state->context;
}

/* Puts another context in place of the one that runs; takes one reference and gives the other. */
PyObject *
raddle_py_context_exchange (PyThreadState *state, PyObject *context)
{
  PyObject *before = state->context;
  state->context = context;
  state->context_ver++;
  return before;
}

int
raddle_py_context_is_entered (PyObject *context)
{
  return ((PyContext *) context)->ctx_entered != 0;
}

/* What traces or profiles a suspended tasklet, or the one that runs. Lent. */
PyObject *
raddle_py_traced_by (PyThreadState *state, const raddle_running *running, int profile)
{
  if (running != NULL)
    return profile ? running->c_profileobj : running->c_traceobj;
  return profile ? state->c_profileobj : state->c_traceobj;
}

/* The C function that traces what runs, or NULL. */
void *
raddle_py_trace_function (PyThreadState *state)
{
  return (void *) state->c_tracefunc;
}

unsigned long
raddle_py_ident (PyThreadState *state)
{
  return state->thread_id;
}

/* Whether a state belongs to no thread that runs: one of ours, or an orphan of the gate's. */
int
raddle_py_is_parked (PyThreadState *state)
{
  return state->thread_id == (unsigned long) (uintptr_t) state;
}

#ifdef Py_GIL_DISABLED

void
raddle_py_trace_swap (PyThreadState *state, raddle_running *running)
{
  (void) state, (void) running;
}

int
raddle_py_tasklets_work (char *why, size_t size)
{
  snprintf (why, size, "tasklets need a Python with the GIL: a free-threaded one keeps more on the "
                       "stack of a thread than can be moved");
  return 0;
}

void
raddle_py_running_fresh (PyThreadState *state, raddle_running *fresh, void *chunk, size_t chunk_size,
                         void *stack, size_t stack_size)
{
  (void) state, (void) fresh, (void) chunk, (void) chunk_size, (void) stack, (void) stack_size;
}

void
raddle_py_running_swap (PyThreadState *state, raddle_running *from, raddle_running *to)
{
  (void) state, (void) from, (void) to;
}

int
raddle_py_running_park (PyThreadState *state, raddle_running *running)
{
  (void) state, (void) running;
  return 0;
}

void
raddle_py_running_unpark (raddle_running *running)
{
  (void) running;
}

void
raddle_py_running_end (PyThreadState *state)
{
  (void) state;
}

int
raddle_py_nesting (PyThreadState *state, const raddle_running *running)
{
  (void) state, (void) running;
  return 0;
}

int
raddle_py_depth (PyThreadState *state, const raddle_running *running)
{
  (void) state, (void) running;
  return 0;
}

int
raddle_py_traverse (const raddle_running *running, PyObject *const *extent, visitproc visit, void *arg)
{
  (void) running, (void) extent, (void) visit, (void) arg;
  return 0;
}

#else /* with a GIL */

# if PY_VERSION_HEX < 0x030c0000
#  define LIMIT recursion_limit
#  define REMAINING recursion_remaining
#  define WHAT_EVENT tracing_what
# else
#  define LIMIT py_recursion_limit
#  define REMAINING py_recursion_remaining
#  define WHAT_EVENT what_event
# endif
# if PY_VERSION_HEX < 0x030c0000
#  define TRASH_NESTING trash_delete_nesting
#  define DELETE_LATER trash_delete_later
# elif PY_VERSION_HEX < 0x030d0000
#  define TRASH_NESTING trash.delete_nesting
#  define DELETE_LATER trash.delete_later
# else
#  define DELETE_LATER delete_later
# endif
# if PY_VERSION_HEX < 0x030e0000
#  define EXECUTOR previous_executor
# else
#  define EXECUTOR current_executor
# endif

# if PY_VERSION_HEX >= 0x030c0000 && PY_VERSION_HEX < 0x030d0000
#  define C_LIMIT C_RECURSION_LIMIT
# elif PY_VERSION_HEX < 0x030e0000
#  define C_LIMIT Py_C_RECURSION_LIMIT
# endif

/* Exported by all of them, and declared by some. */
extern PyThreadState *_PyThreadState_Prealloc (PyInterpreterState *);

# ifdef RADDLE_HAS_STACK_LIMITS
/* Came during 3.14: asked for by name, so that the first releases of 3.14 can load us too. */
extern int PyUnstable_ThreadState_SetStackProtection (PyThreadState *, void *, size_t)
    __attribute__ ((weak));

static void
stack_limits_of (uintptr_t out[3], void *stack, size_t size)
{
  uintptr_t base = (uintptr_t) stack;
  out[0] = base + size;
  out[1] = base + 2 * _PyOS_STACK_MARGIN_BYTES;
  out[2] = base + _PyOS_STACK_MARGIN_BYTES;
}

static inline void
read_stack_limits (PyThreadState *state, uintptr_t out[3])
{
  const _PyThreadStateImpl *impl = (const _PyThreadStateImpl *) state;
  out[0] = impl->c_stack_top;
  out[1] = impl->c_stack_soft_limit;
  out[2] = impl->c_stack_hard_limit;
}

static inline void
write_stack_limits (PyThreadState *state, const uintptr_t from[3])
{
  _PyThreadStateImpl *impl = (_PyThreadStateImpl *) state;
  impl->c_stack_top = from[0];
  impl->c_stack_soft_limit = from[1];
  impl->c_stack_hard_limit = from[2];
}
# endif

/* Whether this Python lays its thread state out as the headers said that we were compiled against.
 * The public part has not moved within a minor version; what lies behind it might. */
int
raddle_py_tasklets_work (char *why, size_t size)
{
# ifdef RADDLE_HAS_STACK_LIMITS
  PyThreadState *state = PyThreadState_Get ();
  uintptr_t mine[3], seen[3];
  char *pretended = (char *) (uintptr_t) 0x100000000;
  size_t length = 0x100000;

  if (PyUnstable_ThreadState_SetStackProtection == NULL)
    {
      if (Py_Version == PY_VERSION_HEX)
        return 1;
      snprintf (why, size, "tasklets were compiled for Python %s and this is another 3.%d that cannot "
                           "be asked about its stack: build raddle against it",
                PY_VERSION, PY_MINOR_VERSION);
      return 0;
    }
  read_stack_limits (state, mine);
  if (PyUnstable_ThreadState_SetStackProtection (state, pretended, length) != 0)
    PyErr_Clear ();
  read_stack_limits (state, seen);
  if (seen[0] > (uintptr_t) pretended && seen[0] <= (uintptr_t) pretended + length
      && seen[2] > (uintptr_t) pretended && seen[2] < seen[1] && seen[1] < seen[0])
    {
      write_stack_limits (state, mine);
      return 1;
    }
  /* Nothing was written where we looked: put right what was written elsewhere. */
  if (PyUnstable_ThreadState_SetStackProtection (state, (void *) mine[2], mine[0] - mine[2]) != 0)
    PyErr_Clear ();
  snprintf (why, size, "tasklets were compiled for Python %s, whose thread state differs from this "
                       "one's: build raddle against it", PY_VERSION);
  return 0;
# else
  (void) why, (void) size;
  return 1;
# endif
}

/* A record for a tasklet that has not run yet. `chunk` becomes the first piece of its data stack: it
 * is the tasklet's own memory, which CPython never frees, since the first piece is never popped. */
void
raddle_py_running_fresh (PyThreadState *state, raddle_running *fresh, void *chunk, size_t chunk_size,
                         void *stack, size_t stack_size)
{
  _PyStackChunk *first = chunk;
  size_t usable = stack_size > CALL_RESERVE ? stack_size - CALL_RESERVE : 0;
  int calls = (int) (usable / CALL_SIZE) + 8;

  (void) stack, (void) calls;
  memset (fresh, 0, sizeof *fresh);
  first->previous = NULL;
  first->size = chunk_size;
  first->top = 0;
  fresh->chunk = first;
  fresh->top = &first->data[1];
  fresh->limit = (PyObject **) ((char *) chunk + chunk_size);
# if PY_VERSION_HEX < 0x030d0000
  fresh->root.previous = &state->root_cframe;
  fresh->cframe = &fresh->root;
# elif PY_VERSION_HEX >= 0x030f0000
  fresh->current_frame = state->base_frame;
# endif
# if PY_VERSION_HEX < 0x030c0000
  /* Python calls and C calls are one count: a small stack lowers the limit of both. */
  if (state->LIMIT > calls)
    fresh->lowered = state->LIMIT - calls;
# elif PY_VERSION_HEX < 0x030e0000
  fresh->c_remaining = calls < C_LIMIT ? calls : C_LIMIT;
# else
  stack_limits_of (fresh->c_stack, stack, stack_size);
# endif
}

static inline struct _PyInterpreterFrame *
frame_of (const raddle_running *running)
{
# if PY_VERSION_HEX < 0x030d0000
  return running->cframe->current_frame;
# else
  return running->current_frame;
# endif
}

static inline void
show (PyThreadState *parked, const raddle_running *running)
{
# if PY_VERSION_HEX < 0x030d0000
  parked->root_cframe.current_frame = frame_of (running);
# else
  parked->current_frame = frame_of (running);
# endif
}

static inline void
hide (PyThreadState *parked)
{
# if PY_VERSION_HEX < 0x030d0000
  parked->root_cframe.current_frame = NULL;
# elif PY_VERSION_HEX < 0x030f0000
  parked->current_frame = NULL;
# else
  parked->current_frame = parked->base_frame;
# endif
}

static inline void
save (PyThreadState *state, raddle_running *to)
{
# if PY_VERSION_HEX < 0x030d0000
  to->cframe = state->cframe;
  to->trash_nesting = state->TRASH_NESTING;
# else
  to->current_frame = state->current_frame;
# endif
  to->delete_later = state->DELETE_LATER;
  to->chunk = state->datastack_chunk;
  to->top = state->datastack_top;
  to->limit = state->datastack_limit;
  to->exc_state = state->exc_state;
  to->exc_info = state->exc_info == &state->exc_state ? NULL : state->exc_info;
# if PY_VERSION_HEX < 0x030c0000
  to->curexc[0] = state->curexc_type;
  to->curexc[1] = state->curexc_value;
  to->curexc[2] = state->curexc_traceback;
# else
  to->current_exception = state->current_exception;
# endif
  to->context = state->context;
  to->depth = state->LIMIT - to->lowered - state->REMAINING;
  to->headroom = state->recursion_headroom;
# if PY_VERSION_HEX >= 0x030c0000 && PY_VERSION_HEX < 0x030e0000
  to->c_remaining = state->c_recursion_remaining;
# endif
# ifdef RADDLE_HAS_STACK_LIMITS
  read_stack_limits (state, to->c_stack);
  to->executor = state->EXECUTOR;
# endif
  to->tracing = state->tracing;
  to->what_event = state->WHAT_EVENT;
  to->c_profilefunc = state->c_profilefunc;
  to->c_tracefunc = state->c_tracefunc;
  to->c_profileobj = state->c_profileobj;
  to->c_traceobj = state->c_traceobj;
  if (to->parked != NULL)
    show (to->parked, to);
}

static inline void
load (PyThreadState *state, raddle_running *from)
{
  if (from->parked != NULL)
    hide (from->parked);
# if PY_VERSION_HEX < 0x030d0000
  state->cframe = from->cframe;
  state->TRASH_NESTING = from->trash_nesting;
# else
  state->current_frame = from->current_frame;
# endif
  state->DELETE_LATER = from->delete_later;
  state->datastack_chunk = from->chunk;
  state->datastack_top = from->top;
  state->datastack_limit = from->limit;
  state->exc_state = from->exc_state;
  state->exc_info = from->exc_info == NULL ? &state->exc_state : from->exc_info;
# if PY_VERSION_HEX < 0x030c0000
  state->curexc_type = from->curexc[0];
  state->curexc_value = from->curexc[1];
  state->curexc_traceback = from->curexc[2];
# else
  state->current_exception = from->current_exception;
# endif
  state->context = from->context;
  /* Context variables keep a value that they looked up, by the thread and this number. */
  state->context_ver++;
  state->REMAINING = state->LIMIT - from->lowered - from->depth;
  state->recursion_headroom = from->headroom;
# if PY_VERSION_HEX >= 0x030c0000 && PY_VERSION_HEX < 0x030e0000
  state->c_recursion_remaining = from->c_remaining;
# endif
# ifdef RADDLE_HAS_STACK_LIMITS
  write_stack_limits (state, from->c_stack);
  state->EXECUTOR = from->executor;
# endif
  state->tracing = from->tracing;
  state->WHAT_EVENT = from->what_event;
  state->c_profilefunc = from->c_profilefunc;
  state->c_tracefunc = from->c_tracefunc;
  state->c_profileobj = from->c_profileobj;
  state->c_traceobj = from->c_traceobj;
}

/* The running fields go into `from`, and those of `to` take their place. */
void
raddle_py_running_swap (PyThreadState *state, raddle_running *from, raddle_running *to)
{
  save (state, from);
  load (state, to);
}

/* Gives a record that is about to be suspended a thread state that nothing ever attaches, by which
 * sys._current_frames, faulthandler and debuggers see its frames. Returns 0 if there is no memory. */
int
raddle_py_running_park (PyThreadState *state, raddle_running *running)
{
  PyThreadState *parked = _PyThreadState_Prealloc (state->interp);
  if (parked == NULL)
    return 0;
  /* Tools take the id for a pthread_t: the state's own address is memory that can be read. */
  parked->thread_id = (unsigned long) (uintptr_t) parked;
  parked->native_thread_id = 0;
  running->parked = parked;
  hide (parked);
  return 1;
}

/* Takes it back. Python is held, and the interpreter is alive. */
void
raddle_py_running_unpark (raddle_running *running)
{
  PyThreadState *parked = running->parked;
  if (parked == NULL)
    return;
  running->parked = NULL;
  hide (parked);
  PyThreadState_Clear (parked);
  /* A debug build asserts that a state to be deleted has a native id. */
  parked->native_thread_id = 1;
  PyThreadState_Delete (parked);
}

/* The function of a tasklet has returned, on the tasklet's own stack: nothing that its fields own
 * may be left in the thread state. */
void
raddle_py_running_end (PyThreadState *state)
{
  if (state->c_tracefunc != NULL)
    PyEval_SetTrace (NULL, NULL);
  if (state->c_profilefunc != NULL)
    PyEval_SetProfile (NULL, NULL);
# if PY_VERSION_HEX >= 0x030d0000
  if (state->DELETE_LATER != NULL)
    {
      /* What died deep in calls waits here for a shallow one: nobody else will come by. */
#  if PY_VERSION_HEX < 0x030e0000
      int remaining = state->c_recursion_remaining;
      state->c_recursion_remaining = C_LIMIT;
#  endif
      _PyTrash_thread_destroy_chain (state);
#  if PY_VERSION_HEX < 0x030e0000
      state->c_recursion_remaining = remaining;
#  endif
    }
# endif
  PyObject *handled = state->exc_state.exc_value;
  state->exc_state.exc_value = NULL;
  Py_XDECREF (handled);
  PyObject *context = state->context;
  state->context = NULL;
  state->context_ver++;
  Py_XDECREF (context);
}

/* Exchanges what traces and profiles, so that Python's own functions set it for another tasklet. */
void
raddle_py_trace_swap (PyThreadState *state, raddle_running *running)
{
# define SWAP(type, one, other) do { type kept = one; one = other; other = kept; } while (0)
  SWAP (int, state->tracing, running->tracing);
  SWAP (Py_tracefunc, state->c_profilefunc, running->c_profilefunc);
  SWAP (Py_tracefunc, state->c_tracefunc, running->c_tracefunc);
  SWAP (PyObject *, state->c_profileobj, running->c_profileobj);
  SWAP (PyObject *, state->c_traceobj, running->c_traceobj);
# if PY_VERSION_HEX < 0x030c0000
  SWAP (_PyCFrame *, state->cframe, running->cframe); /* its flag says whether to trace */
# endif
}

/* How often the interpreter's loop was entered from C on this stack, the first time not counted.
 * `running` is NULL for the one that is in the thread state. */
int
raddle_py_nesting (PyThreadState *state, const raddle_running *running)
{
  struct _PyInterpreterFrame *frame;
  int entries = 0;

# if PY_VERSION_HEX < 0x030d0000
  frame = running != NULL ? frame_of (running) : state->cframe->current_frame;
# else
  frame = running != NULL ? frame_of (running) : state->current_frame;
# endif
  for (; frame != NULL; frame = frame->previous)
# if PY_VERSION_HEX < 0x030c0000
    entries += frame->is_entry;
# elif PY_VERSION_HEX < 0x030e0000
    entries += frame->owner == FRAME_OWNED_BY_CSTACK;
# elif PY_VERSION_HEX < 0x030f0000
    entries += frame->owner == FRAME_OWNED_BY_INTERPRETER;
# else
    entries += frame->owner == FRAME_OWNED_BY_INTERPRETER && frame != state->base_frame;
# endif
  return entries > 0 ? entries - 1 : 0;
}

/* How many Python calls are open on this stack, as the recursion limit counts them. */
int
raddle_py_depth (PyThreadState *state, const raddle_running *running)
{
  return running != NULL ? running->depth : state->LIMIT - state->REMAINING;
}

/* Visits what the frames of a suspended tasklet own. It is right to visit less than all, since what
 * is not visited is only taken for reachable from elsewhere. So it stops at what it cannot see: the
 * value stack of a frame that called C. That stack ends at `extent`, if that points into it (the
 * arguments of the C function that suspended the tasklet), and is left out if not. */
int
raddle_py_traverse (const raddle_running *running, PyObject *const *extent, visitproc visit, void *arg)
{
# if PY_VERSION_HEX < 0x030e0000
  int innermost = 1;
# else
  (void) extent; /* frames know where their value stack ends */
# endif

  Py_VISIT (running->exc_state.exc_value);
  Py_VISIT (running->context);
  Py_VISIT (running->c_traceobj);
  Py_VISIT (running->c_profileobj);
  for (struct _PyInterpreterFrame *frame = frame_of (running); frame != NULL; frame = frame->previous)
    {
# if PY_VERSION_HEX >= 0x030e0000
      if (frame->owner >= FRAME_OWNED_BY_INTERPRETER)
        continue;
# elif PY_VERSION_HEX >= 0x030c0000
      if (frame->owner == FRAME_OWNED_BY_CSTACK)
        continue;
# endif
# if PY_VERSION_HEX < 0x030e0000
      const int called_us = innermost;
      innermost = 0;
# endif
      if (frame->owner != FRAME_OWNED_BY_THREAD)
        continue; /* a generator's: it visits its own */
# if PY_VERSION_HEX < 0x030e0000
#  if PY_VERSION_HEX < 0x030c0000
      Py_VISIT (frame->f_func);
      Py_VISIT (frame->f_code);
      const PyCodeObject *code = frame->f_code;
#  elif PY_VERSION_HEX < 0x030d0000
      Py_VISIT (frame->f_funcobj);
      Py_VISIT (frame->f_code);
      const PyCodeObject *code = frame->f_code;
#  else
      Py_VISIT (frame->f_funcobj);
      Py_VISIT (frame->f_executable);
      const PyCodeObject *code = (const PyCodeObject *) frame->f_executable;
#  endif
      Py_VISIT (frame->f_locals);
      Py_VISIT (frame->frame_obj);
      PyObject **values = frame->localsplus;
      PyObject **end = values + code->co_nlocalsplus;
      if (called_us && (PyObject **) extent >= end && (PyObject **) extent <= end + code->co_stacksize)
        end = (PyObject **) extent;
      else if (frame->stacktop >= 0 && frame->stacktop > code->co_nlocalsplus)
        end = values + frame->stacktop;
      for (; values < end; values++)
        Py_VISIT (*values);
# else
      Py_VISIT (frame->f_locals);
      Py_VISIT (frame->frame_obj);
      _PyStackRef *refs[] = { &frame->f_executable, &frame->f_funcobj };
      for (int i = 0; i < 2; i++)
        if (!PyStackRef_IsNull (*refs[i]) && PyStackRef_RefcountOnObject (*refs[i]))
          Py_VISIT (PyStackRef_AsPyObjectBorrow (*refs[i]));
      for (_PyStackRef *value = frame->localsplus; value < frame->stackpointer; value++)
        if (!PyStackRef_IsNullOrInt (*value) && PyStackRef_RefcountOnObject (*value))
          Py_VISIT (PyStackRef_AsPyObjectBorrow (*value));
# endif
    }
  return 0;
}

#endif
