/* stackless_api.c: Stackless's scheduler from C, and what its whole C API does with bad arguments. */
#include "stackless.h"

static void
scheduling_returns_its_value (void)
{
  PyObject *value, *current, *back;

  enter ();
  value = PyLong_FromLong (77);
  back = PyStackless_Schedule (value, 0);
  g_assert_true (back == value);
  drop (back);
  back = PyStackless_Schedule_nr (value, 0);
  g_assert_true (back == value);
  drop (back);
  drop (value);
  current = PyStackless_GetCurrent ();
  back = PyStackless_Schedule (NULL, 0);
  g_assert_true (back == current);
  drop (back);
  drop (current);
  g_assert_cmpint (PyStackless_GetRunCount (), ==, 1);
  /* Nobody else can run, so the main tasklet, although it left the run queue, goes on. */
  back = PyStackless_Schedule (NULL, 1);
  g_assert_nonnull (back);
  drop (back);
  g_assert_cmpint (PyStackless_GetRunCount (), ==, 1);
  leave ();
}

static void
ids_tell_tasklets_apart (void)
{
  unsigned long here;
  PyTaskletObject *task;

  enter ();
  give_address ("get_id", (gpointer) PyStackless_GetCurrentId);
  run ("import ctypes\n"
       "ids = []\n"
       "ask = ctypes.PYFUNCTYPE(ctypes.c_ulong)(get_id)\n"
       "def note_id():\n"
       "    ids.append(ask())\n");
  here = PyStackless_GetCurrentId ();
  g_assert_cmpuint (here, ==, (unsigned long) evaluate ("__import__('threading').get_ident()"));
  task = tasklet_of ("note_id");
  works (PyTasklet_Setup (task, NULL, NULL));
  works (PyTasklet_Run (task));
  g_assert_cmpuint (here, !=, (unsigned long) evaluate ("ids[0]"));
  drop (task);
  leave ();
  g_assert_cmpuint (here, ==, PyStackless_GetCurrentId ());
}

static void
the_watchdog_interrupts_and_returns_the_tasklet (void)
{
  PyTaskletObject *task;
  PyObject *result;

  enter ();
  run ("def spin():\n"
       "    while True:\n"
       "        pass\n");
  result = PyStackless_RunWatchdog (1000);
  g_assert_true (result == Py_None);
  drop (result);
  for (int form = 0; form < 4; form++)
    {
      const int flags[] = { 0, Py_WATCHDOG_TIMEOUT, PY_WATCHDOG_TOTALTIMEOUT | Py_WATCHDOG_THREADBLOCK,
                            PY_WATCHDOG_IGNORE_NESTING };
      task = tasklet_of ("spin");
      works (PyTasklet_Setup (task, NULL, NULL));
      result = form == 0 ? PyStackless_RunWatchdog (1000) : PyStackless_RunWatchdogEx (1000, flags[form]);
      g_assert_true (result == (PyObject *) task);
      g_assert_cmpint (PyTasklet_Paused (task), ==, 1);
      drop (result);
      works (PyTasklet_Kill (task));
      drop (task);
    }
  g_assert_null (PyStackless_RunWatchdogEx (1000, 256));
  expect (PyExc_ValueError, NULL);
  g_assert_null (PyStackless_RunWatchdogEx (1000, -1));
  expect (PyExc_ValueError, NULL);
  leave ();
}

static void
a_soft_watchdog_waits_for_the_next_switch (void)
{
  PyTaskletObject *task;
  PyObject *result;

  enter ();
  run ("import raddle.stackless as stackless\n"
       "def polite():\n"
       "    while True:\n"
       "        for _ in range(100):\n"
       "            pass\n"
       "        stackless.schedule()\n");
  task = tasklet_of ("polite");
  works (PyTasklet_Setup (task, NULL, NULL));
  result = PyStackless_RunWatchdogEx (1000, PY_WATCHDOG_SOFT | Py_WATCHDOG_TIMEOUT);
  g_assert_true (result == Py_None);
  drop (result);
  g_assert_cmpint (PyTasklet_Alive (task), ==, 1);
  works (PyTasklet_Kill (task));
  drop (task);
  leave ();
}

static PyObject *
run_watchdog_here (PyObject *unused, PyObject *none)
{
  (void) unused;
  (void) none;
  return PyStackless_RunWatchdog (0);
}

static PyMethodDef watchdog_method = { "run_watchdog", run_watchdog_here, METH_NOARGS, NULL };

static void
the_watchdog_is_for_the_main_tasklet (void)
{
  PyTaskletObject *task;
  PyObject *method;

  enter ();
  method = PyCFunction_New (&watchdog_method, NULL);
  task = PyTasklet_New (NULL, method);
  works (PyTasklet_Setup (task, NULL, NULL));
  fails (PyTasklet_Run (task));
  expect (PyExc_RuntimeError, "main");
  drop (task);
  drop (method);
  leave ();
}

static int hooked, fails_now;
static PyTaskletObject *ended_last;

static int
fast_hook (PyTaskletObject *from, PyTaskletObject *to)
{
  hooked++;
  if (to == NULL)
    ended_last = from;
  if (fails_now)
    {
      PyErr_SetString (PyExc_PermissionError, "not now");
      return -1;
    }
  return 0;
}

static void
callbacks_are_told (void)
{
  PyTaskletObject *task;
  PyChannelObject *channel;
  PyObject *note;

  enter ();
  set_up ();
  run ("def nothing():\n    pass\n");
  note = function ("note");
  works (PyStackless_SetScheduleCallback (note));
  task = tasklet_of ("nothing");
  works (PyTasklet_Setup (task, NULL, NULL));
  works (PyTasklet_Run (task));
  works (PyStackless_SetScheduleCallback (NULL));
  g_assert_cmpint (notes (), >=, 2);
  drop (task);
  run ("notes.clear()\n");
  works (PyStackless_SetChannelCallback (note));
  channel = PyChannel_New (NULL);
  g_assert_null (PyChannel_Receive (channel));
  PyErr_Clear ();
  works (PyStackless_SetChannelCallback (NULL));
  g_assert_cmpint (notes (), ==, 1);
  g_assert_cmpint (evaluate ("len(notes[0][0])"), ==, 4);
  drop (channel);
  fails (PyStackless_SetChannelCallback (Py_None));
  expect (PyExc_TypeError, NULL);
  fails (PyStackless_SetScheduleCallback (Py_None));
  expect (PyExc_TypeError, NULL);
  drop (note);

  hooked = 0;
  PyStackless_SetScheduleFastcallback (fast_hook);
  task = tasklet_of ("nothing");
  works (PyTasklet_Setup (task, NULL, NULL));
  works (PyTasklet_Run (task));
  /* From main to it; its death; back to main. */
  g_assert_cmpint (hooked, ==, 3);
  g_assert_true (ended_last == task);
  drop (task);
  task = tasklet_of ("nothing");
  works (PyTasklet_Setup (task, NULL, NULL));
  run ("import sys\n"
       "unraised = []\n"
       "sys.unraisablehook = lambda info: unraised.append(repr(info.exc_value))\n");
  fails_now = 1;
  works (PyTasklet_Run (task));
  fails_now = 0;
  PyStackless_SetScheduleFastcallback (NULL);
  run ("sys.unraisablehook = sys.__unraisablehook__\n");
  g_assert_true (evaluate ("unraised == [\"PermissionError('not now')\"] * 3"));
  g_assert_cmpint (PyTasklet_Alive (task), ==, 0);
  drop (task);
  leave ();
}

static PyObject *
add (PyObject *self, PyObject *arguments)
{
  long a, b;
  if (!PyArg_ParseTuple (arguments, "ll", &a, &b))
    return NULL;
  return PyLong_FromLong (PyLong_AsLong (self) + a + b);
}

static PyMethodDef add_method = { "add", add, METH_VARARGS, NULL };

static void
callables_are_called_as_main (void)
{
  PyObject *note, *arguments, *result, *text, *number;

  enter ();
  set_up ();
  note = function ("note");
  result = PyStackless_Call_Main (note, NULL, NULL);
  g_assert_true (result == Py_None);
  drop (result);
  arguments = Py_BuildValue ("(i)", 1);
  drop (PyStackless_Call_Main (note, arguments, NULL));
  g_assert_true (evaluate ("notes == [((), {}), ((1,), {})]"));
  drop (arguments);
  drop (note);
  g_assert_null (PyStackless_Call_Main (NULL, NULL, NULL));
  expect (PyExc_TypeError, NULL);

  text = PyUnicode_FromString ("a,b");
  result = PyStackless_CallMethod_Main (text, (char *) "upper", NULL);
  g_assert_cmpstr (PyUnicode_AsUTF8 (result), ==, "A,B");
  drop (result);
  result = PyStackless_CallMethod_Main (text, (char *) "find", (char *) "s", "b");
  g_assert_cmpint (PyLong_AsLong (result), ==, 2);
  drop (result);
  result = PyStackless_CallMethod_Main (text, (char *) "replace", (char *) "ss", "b", "c");
  g_assert_cmpstr (PyUnicode_AsUTF8 (result), ==, "a,c");
  drop (result);
  g_assert_null (PyStackless_CallMethod_Main (text, (char *) "nothing", NULL));
  expect (PyExc_AttributeError, "nothing");
  g_assert_null (PyStackless_CallMethod_Main (NULL, (char *) "upper", NULL));
  expect (PyExc_TypeError, NULL);
  g_assert_null (PyStackless_CallMethod_Main (text, NULL, NULL));
  expect (PyExc_TypeError, NULL);
  drop (text);

  number = PyLong_FromLong (1);
  result = PyStackless_CallCMethod_Main (&add_method, number, (char *) "ll", 2L, 3L);
  g_assert_cmpint (PyLong_AsLong (result), ==, 6);
  drop (result);
  g_assert_null (PyStackless_CallCMethod_Main (NULL, number, NULL));
  expect (PyExc_TypeError, NULL);
  drop (number);
  leave ();
}

/* Every function that takes a tasklet or a channel gets NULL and an object of another type. */
static void
other_objects_are_refused (void)
{
  PyObject *number;

  enter ();
  number = PyLong_FromLong (1);
  run ("import sys\n"
       "unraised = []\n"
       "sys.unraisablehook = lambda info: unraised.append(info.exc_type.__name__)\n");
  for (int i = 0; i < 2; i++)
    {
      PyTaskletObject *task = (PyTaskletObject *) (i == 0 ? NULL : number);
      PyChannelObject *channel = (PyChannelObject *) task;
      int (*const of_tasklet[]) (PyTaskletObject *) = {
        PyTasklet_Run, PyTasklet_Run_nr, PyTasklet_Switch, PyTasklet_Switch_nr, PyTasklet_Remove,
        PyTasklet_Insert, PyTasklet_Kill, PyTasklet_GetAtomic, PyTasklet_GetIgnoreNesting,
        PyTasklet_GetPendingIrq, PyTasklet_GetBlockTrap, PyTasklet_IsMain, PyTasklet_IsCurrent,
        PyTasklet_GetRecursionDepth, PyTasklet_GetNestingLevel, PyTasklet_Alive, PyTasklet_Paused,
        PyTasklet_Scheduled, PyTasklet_Restorable
      };
      int (*const of_channel[]) (PyChannelObject *) = {
        PyChannel_GetClosing, PyChannel_GetClosed, PyChannel_GetPreference, PyChannel_GetScheduleAll,
        PyChannel_GetBalance
      };

      for (guint f = 0; f < G_N_ELEMENTS (of_tasklet); f++)
        {
          fails (of_tasklet[f](task));
          expect (PyExc_TypeError, NULL);
        }
      for (guint f = 0; f < G_N_ELEMENTS (of_channel); f++)
        {
          fails (of_channel[f](channel));
          expect (PyExc_TypeError, NULL);
        }
#define refused(call) \
  do { fails (call); expect (PyExc_TypeError, NULL); } while (0)
      refused (PyTasklet_Setup (task, NULL, NULL));
      refused (PyTasklet_BindEx (task, NULL, NULL, NULL));
      refused (PyTasklet_BindThread (task, (unsigned long) -1));
      refused (PyTasklet_RaiseException (task, PyExc_ValueError, NULL));
      refused (PyTasklet_Throw (task, 0, PyExc_ValueError, NULL, NULL));
      refused (PyTasklet_KillEx (task, 0));
      refused (PyTasklet_SetAtomic (task, 1));
      refused (PyTasklet_SetIgnoreNesting (task, 1));
      refused (PyChannel_Send (channel, Py_None));
      refused (PyChannel_Send_nr (channel, Py_None));
      refused (PyChannel_SendException (channel, PyExc_ValueError, NULL));
      refused (PyChannel_SendException_nr (channel, PyExc_ValueError, NULL));
      refused (PyChannel_SendThrow (channel, PyExc_ValueError, NULL, NULL));
      refused (PyChannel_SendThrow_nr (channel, PyExc_ValueError, NULL, NULL));
#undef refused
      g_assert_null (PyTasklet_GetFrame (task));
      expect (PyExc_TypeError, NULL);
      g_assert_null (PyChannel_Receive (channel));
      expect (PyExc_TypeError, NULL);
      g_assert_null (PyChannel_Receive_nr (channel));
      expect (PyExc_TypeError, NULL);
      g_assert_null (PyChannel_GetQueue (channel));
      expect (PyExc_TypeError, NULL);
      PyTasklet_SetBlockTrap (task, 1);
      PyChannel_Close (channel);
      PyChannel_Open (channel);
      PyChannel_SetPreference (channel, 1);
      PyChannel_SetScheduleAll (channel, 1);
      g_assert_null (PyErr_Occurred ());
      g_assert_cmpint (evaluate ("len(unraised)"), ==, 5 * (i + 1));
    }
  g_assert_true (evaluate ("set(unraised) == {'TypeError'}"));
  run ("sys.unraisablehook = sys.__unraisablehook__\n");
  g_assert_null (PyTasklet_New (NULL, number));
  expect (PyExc_TypeError, NULL);
  {
    PyChannelObject *channel = PyChannel_New (NULL);
    /* NULL is None, which nobody is there to receive. */
    fails (PyChannel_Send (channel, NULL));
    expect (PyExc_RuntimeError, NULL);
    drop (channel);
  }
  drop (number);
  leave ();
}

/* Without Python nothing can be raised, so the reason is where raddle leaves its own. */
static gpointer
call_without_python (gpointer task)
{
  PyObject *none = Py_None;

#define is_refused(call) \
  do { \
    assert_status (raddle_lock_mutex (NULL), RADDLE_STATUS_NULL); \
    g_assert_true (call); \
    assert_message_has ("does not hold Python"); \
  } while (0)
  is_refused (PyTasklet_New (NULL, NULL) == NULL);
  is_refused (PyTasklet_Setup (task, NULL, NULL) == -1);
  is_refused (PyTasklet_Run (task) == -1);
  is_refused (PyTasklet_Insert (task) == -1);
  is_refused (PyTasklet_Kill (task) == -1);
  is_refused (PyTasklet_GetFrame (task) == NULL);
  is_refused (PyTasklet_Alive (task) == -1);
  is_refused ((PyTasklet_SetBlockTrap (task, 1), TRUE));
  is_refused (PyChannel_New (NULL) == NULL);
  is_refused (PyChannel_Send (NULL, none) == -1);
  is_refused (PyChannel_Receive (NULL) == NULL);
  is_refused ((PyChannel_Close (NULL), TRUE));
  is_refused (PyStackless_Schedule (none, 0) == NULL);
  is_refused (PyStackless_GetRunCount () == -1);
  is_refused (PyStackless_GetCurrent () == NULL);
  is_refused (PyStackless_RunWatchdog (0) == NULL);
  is_refused (PyStackless_RunWatchdogEx (0, 0) == NULL);
  is_refused (PyStackless_SetChannelCallback (none) == -1);
  is_refused (PyStackless_SetScheduleCallback (none) == -1);
  is_refused (PyStackless_Call_Main (none, NULL, NULL) == NULL);
  is_refused (PyStackless_CallMethod_Main (none, (char *) "x", NULL) == NULL);
  is_refused (PyStackless_CallCMethod_Main (&add_method, none, NULL) == NULL);
#undef is_refused
  PyStackless_SetScheduleFastcallback (NULL);
  g_assert_cmpuint (PyStackless_GetCurrentId (), !=, 0);
  return NULL;
}

static void
a_thread_without_python_is_told (void)
{
  PyTaskletObject *task;

  enter ();
  set_up ();
  task = tasklet_of ("note");
  on_a_thread (call_without_python, task);
  drop (task);
  leave ();
}

static void
before_start_and_after_stop_it_is_told_too (void)
{
  RaddleRuntime *runtime;

  IN_A_CHILD ();
  call_without_python (NULL);
  runtime = start_python ();
  stop_python (runtime);
  call_without_python (NULL);
}

static gpointer
use_tasklets_on_a_native_thread (gpointer unused)
{
  PyTaskletObject *task;

  (void) unused;
  enter ();
  task = tasklet_of ("note");
  works (PyTasklet_Setup (task, NULL, NULL));
  g_assert_cmpint (PyStackless_GetRunCount (), ==, 2);
  drop (PyStackless_RunWatchdog (0));
  g_assert_cmpint (PyTasklet_Alive (task), ==, 0);
  drop (task);
  leave ();
  return NULL;
}

static void
a_native_thread_has_tasklets_of_its_own (void)
{
  enter ();
  set_up ();
  on_a_thread (use_tasklets_on_a_native_thread, NULL);
  g_assert_cmpint (notes (), ==, 1);
  g_assert_cmpint (PyStackless_GetRunCount (), ==, 1);
  leave ();
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define CASE(path, function) g_test_add_func ("/stackless-api/" path, function)
  CASE ("schedule", scheduling_returns_its_value);
  CASE ("ids", ids_tell_tasklets_apart);
  CASE ("watchdog", the_watchdog_interrupts_and_returns_the_tasklet);
  CASE ("soft-watchdog", a_soft_watchdog_waits_for_the_next_switch);
  CASE ("watchdog-outside-main", the_watchdog_is_for_the_main_tasklet);
  CASE ("callbacks", callbacks_are_told);
  CASE ("call-main", callables_are_called_as_main);
  CASE ("misuse/other-objects", other_objects_are_refused);
  CASE ("misuse/without-python", a_thread_without_python_is_told);
  CASE ("misuse/before-and-after", before_start_and_after_stop_it_is_told_too);
  CASE ("threads/native", a_native_thread_has_tasklets_of_its_own);
#undef CASE
  return run_with_python ();
}
