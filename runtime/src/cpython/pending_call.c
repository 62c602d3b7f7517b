/* pending_call.c: has Python's main thread call a function between two bytecodes, soon.
 *
 * Up to 3.12 Py_AddPendingCall sets the flag that the evaluation loop looks at only if its caller could
 * make the call itself, so a main thread that runs a loop with nobody else wanting Python would not
 * look. The flag is set here; the loop works it out anew when it has looked. */
#include <patchlevel.h>
#if PY_VERSION_HEX < 0x030d0000
# define Py_BUILD_CORE 1
# include <Python.h>
# include <internal/pycore_interp.h>
#else
# include <Python.h>
#endif

#include "gate_shim.h"

void
raddle_py_call_on_main_thread (PyInterpreterState *interpreter, int (*call) (void *))
{
  if (Py_AddPendingCall (call, NULL) != 0)
    return;
#if PY_VERSION_HEX < 0x030d0000
  _Py_atomic_store_relaxed (&interpreter->ceval.eval_breaker, 1);
#else
  (void) interpreter;
#endif
}
