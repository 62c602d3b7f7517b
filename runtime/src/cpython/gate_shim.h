/* gate_shim.h: what the shim's files tell each other. Not installed. */
#ifndef RADDLE_GATE_SHIM_H
#define RADDLE_GATE_SHIM_H

#include <Python.h>

/* slot.rs asserts that its Slot fits. Initial-exec memory is scarce in dlopen'ed libraries
 * (glibc keeps 1.6 KiB for all of them), so this stays small. */
#define RADDLE_GATE_SLOT_SIZE 256

void *raddle_gate_slot_here (void);
int raddle_py_attach (PyThreadState *state);
int raddle_py_detach (PyThreadState *state);
void raddle_py_orphan (PyThreadState *state);
void raddle_py_reap (PyThreadState *state);
unsigned long raddle_py_built_version (void);
int raddle_py_built_debug (void);
int raddle_py_built_free_threaded (void);

/* gilstate_slot.c */
#if PY_VERSION_HEX < 0x030c0000
extern PyThreadState *const *const raddle_py_current_at __attribute__ ((visibility ("hidden")));
#endif
void raddle_py_find_gilstate_slot (PyThreadState *mine);
int raddle_py_gilstate_slot_found (void);
void raddle_py_forget_gilstate (PyThreadState *stale);

/* guard.c */
void *raddle_py_view_open (void);
void raddle_py_view_close (void *view);
int raddle_py_attach_by_view (void *view, PyThreadState *state);

/* pending_call.c */
void raddle_py_call_on_main_thread (PyInterpreterState *interpreter, int (*call) (void *));

#endif
