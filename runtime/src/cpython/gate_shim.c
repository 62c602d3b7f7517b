/* gate_shim.c: the thread slot, and what the gate does to a thread state that no public function
 * does. One of the files that know CPython's private layout; compiled against the headers of the
 * Python in use, 3.11 to 3.15. */
#include <Python.h>
#include <stdint.h>

#include "gate_shim.h"

/* Initial-exec: in a shared library the default model costs a call per access, 7 ns a pair instead
 * of 1.4. But it makes all of the library's thread-local memory static, of which a process has
 * little; an extension module, which comes after all the others, does without. */
#ifdef RADDLE_DYNAMIC_TLS
#define SLOT_MODEL "global-dynamic"
#else
#define SLOT_MODEL "initial-exec"
#endif

/* The gate's record of this thread (runtime/src/gate/slot.rs lays it out). */
_Alignas (64) __thread unsigned char raddle_gate_slot[RADDLE_GATE_SLOT_SIZE]
    __attribute__ ((tls_model (SLOT_MODEL), visibility ("hidden")));

void *
raddle_gate_slot_here (void)
{
  return raddle_gate_slot;
}

static int
has_exception (const PyThreadState *state)
{
#if PY_VERSION_HEX < 0x030c0000
  return state->curexc_type != NULL;
#else
  return state->current_exception != NULL;
#endif
}

/* Attaches, waiting. Returns 1 if code that is interrupted by it has an exception set. */
int
raddle_py_attach (PyThreadState *state)
{
  PyEval_RestoreThread (state);
  return has_exception (state);
}

/* Gives Python up as the end of an entry does, unless there is more to do first: returns 0 if it
 * is done, 1 if `state` is not the current one, 2 if an exception is set. One call instead of three. */
int
raddle_py_detach (PyThreadState *state)
{
#if PY_VERSION_HEX < 0x030c0000
  PyThreadState *current = __atomic_load_n (raddle_py_current_at, __ATOMIC_RELAXED);
#elif PY_VERSION_HEX < 0x030d0000
  PyThreadState *current = _PyThreadState_UncheckedGet ();
#else
  PyThreadState *current = PyThreadState_GetUnchecked ();
#endif
  if (current != state)
    return 1;
  if (has_exception (state))
    return 2;
  PyEval_SaveThread ();
  return 0;
}

/* A thread that ended in the middle of Python code leaves frames behind, some of them on the stack that
 * goes with it. Nobody may walk them (sys._current_frames, the collector): they are leaked, with all
 * that they refer to. */
static void
forget_frames (PyThreadState *state)
{
#if PY_VERSION_HEX < 0x030d0000
  if (state->cframe == &state->root_cframe && state->root_cframe.current_frame == NULL)
    return;
  state->root_cframe.current_frame = NULL;
  state->cframe = &state->root_cframe;
#else
# if PY_VERSION_HEX < 0x030f0000
  struct _PyInterpreterFrame *const base = NULL;
# else
  struct _PyInterpreterFrame *const base = state->base_frame;
# endif
  if (state->current_frame == base)
    return;
  state->current_frame = base;
#endif
  state->exc_info = &state->exc_state;
  state->datastack_chunk = NULL;
  state->datastack_top = NULL;
  state->datastack_limit = NULL;
}

/* Makes a state that its thread leaves behind safe to be found and deleted by another thread.
 * Called on the owner, detached, as its last touch of the state.
 *
 * - thread_id is what faulthandler (3.14+) takes for a pthread_t when it prints a thread's name:
 *   the state's own address is readable memory, the id of a dead thread may not be.
 * - bound_gilstate makes PyThreadState_Delete clear the gilstate slot of the *calling* thread. */
void
raddle_py_orphan (PyThreadState *state)
{
  state->thread_id = (unsigned long) (uintptr_t) state;
  state->native_thread_id = 0;
  forget_frames (state);
#if PY_VERSION_HEX >= 0x030c0000
  state->_status.bound_gilstate = 0;
#endif
}

/* Clears and frees an orphan. The caller is attached to the same interpreter. Runs finalizers. */
void
raddle_py_reap (PyThreadState *state)
{
  PyThreadState_Clear (state);
  /* A debug build asserts that a state to be deleted has a native id. */
  state->native_thread_id = 1;
#if PY_VERSION_HEX >= 0x030f0000 && defined (Py_DEBUG)
  if (!raddle_py_gilstate_slot_found ())
    {
      /* The dead thread's gilstate slot could not be cleared, and code that ran late on it may
       * have written to the state: its memory stays until the interpreter ends. */
      state->_status.cleared = 0;
      return;
    }
#endif
  PyThreadState_Delete (state);
}

/* The Python these files were compiled against. */
unsigned long
raddle_py_built_version (void)
{
  return PY_VERSION_HEX;
}

int
raddle_py_built_debug (void)
{
#ifdef Py_DEBUG
  return 1;
#else
  return 0;
#endif
}

int
raddle_py_built_free_threaded (void)
{
#ifdef Py_GIL_DISABLED
  return 1;
#else
  return 0;
#endif
}
