/* stackless_tasklet.c: each function of Stackless's tasklets, from C. */
#include "stackless.h"

static void
types_are_there_and_checked (void)
{
  PyTaskletObject *task;
  PyChannelObject *channel;
  PyObject *number;

  enter ();
  set_up ();
  g_assert_nonnull (PyTasklet_TypePtr);
  g_assert_cmpstr (PyTasklet_Type.tp_name, ==, "raddle.stackless.tasklet");
  g_assert_cmpstr (PyChannel_Type.tp_name, ==, "raddle.stackless.channel");
  task = tasklet_of ("note");
  channel = PyChannel_New (NULL);
  g_assert_true (PyTasklet_Check (task) && PyTasklet_CheckExact (task));
  g_assert_true (PyChannel_Check (channel) && PyChannel_CheckExact (channel));
  g_assert_false (PyTasklet_Check (channel));
  g_assert_false (PyChannel_Check (task));
  number = PyLong_FromLong (1);
  g_assert_false (PyTasklet_Check (number));
  drop (number);
  drop (task);
  drop (channel);
  leave ();
}

static void
types_go_with_python_and_come_back (void)
{
  RaddleRuntime *runtime;

  IN_A_CHILD ();
  g_assert_null (PyTasklet_TypePtr);
  for (int round = 0; round < 2; round++)
    {
      runtime = start_python ();
      g_assert_nonnull (PyTasklet_TypePtr);
      g_assert_nonnull (PyChannel_TypePtr);
      enter ();
      set_up ();
      drop (tasklet_of ("note"));
      leave ();
      stop_python (runtime);
      g_assert_null (PyTasklet_TypePtr);
      g_assert_null (PyChannel_TypePtr);
    }
}

static void
a_type_of_cs_own_derives_from_the_tasklets (void)
{
  PyType_Slot slots[] = { { 0, NULL } };
  PyType_Spec spec = { "test.worker", 0, 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots };
  PyObject *class, *note;
  PyTaskletObject *task;

  enter ();
  set_up ();
  class = PyType_FromSpecWithBases (&spec, (PyObject *) PyTasklet_TypePtr);
  g_assert_nonnull (class);
  note = function ("note");
  task = PyTasklet_New ((PyTypeObject *) class, note);
  g_assert_nonnull (task);
  g_assert_true (PyTasklet_Check (task));
  g_assert_false (PyTasklet_CheckExact (task));
  works (PyTasklet_Setup (task, NULL, NULL));
  works (PyTasklet_Run (task));
  g_assert_cmpint (notes (), ==, 1);
  g_assert_null (PyTasklet_New (&PyLong_Type, note));
  expect (PyExc_TypeError, NULL);
  g_assert_null (PyChannel_New (PyTasklet_TypePtr));
  expect (PyExc_TypeError, NULL);
  drop (task);
  drop (note);
  drop (class);
  leave ();
}

static void
a_tasklet_is_set_up_and_run (void)
{
  PyTaskletObject *task;
  PyObject *arguments, *keywords;

  enter ();
  set_up ();
  task = tasklet_of ("note");
  g_assert_cmpint (PyTasklet_Alive (task), ==, 0);
  arguments = Py_BuildValue ("(is)", 7, "seven");
  keywords = Py_BuildValue ("{s:i}", "key", 8);
  works (PyTasklet_Setup (task, arguments, keywords));
  g_assert_cmpint (PyTasklet_Alive (task), ==, 1);
  g_assert_cmpint (PyTasklet_Scheduled (task), ==, 1);
  g_assert_cmpint (PyTasklet_Paused (task), ==, 0);
  g_assert_cmpint (PyTasklet_Restorable (task), ==, 1);
  g_assert_cmpint (PyStackless_GetRunCount (), ==, 2);
  fails (PyTasklet_Setup (task, arguments, keywords));
  expect (PyExc_RuntimeError, NULL);
  works (PyTasklet_Run (task));
  g_assert_true (evaluate ("notes == [((7, 'seven'), {'key': 8})]"));
  g_assert_cmpint (PyTasklet_Alive (task), ==, 0);
  g_assert_cmpint (PyTasklet_Restorable (task), ==, 1);
  drop (arguments);
  drop (keywords);
  drop (task);
  leave ();
}

static void
an_unbound_tasklet_is_bound_later (void)
{
  PyTaskletObject *task;
  PyObject *note, *arguments;

  enter ();
  set_up ();
  task = PyTasklet_New (NULL, NULL);
  g_assert_nonnull (task);
  fails (PyTasklet_Setup (task, NULL, NULL));
  expect (PyExc_RuntimeError, NULL);
  fails (PyTasklet_Insert (task));
  expect (PyExc_RuntimeError, NULL);
  note = function ("note");
  works (PyTasklet_BindEx (task, note, NULL, NULL));
  g_assert_cmpint (PyTasklet_Alive (task), ==, 0);
  arguments = Py_BuildValue ("(i)", 1);
  works (PyTasklet_BindEx (task, note, arguments, NULL));
  g_assert_cmpint (PyTasklet_Alive (task), ==, 1);
  g_assert_cmpint (PyTasklet_Paused (task), ==, 1);
  works (PyTasklet_Insert (task));
  works (PyTasklet_Insert (task));
  works (PyTasklet_Remove (task));
  works (PyTasklet_Remove (task));
  works (PyTasklet_BindThread (task, (unsigned long) -1));
  fails (PyTasklet_BindThread (task, 1));
  PyErr_Clear ();
  works (PyTasklet_Run_nr (task));
  g_assert_cmpint (notes (), ==, 1);
  fails (PyTasklet_BindEx (task, arguments, NULL, NULL));
  expect (PyExc_TypeError, NULL);
  drop (arguments);
  drop (note);
  drop (task);
  leave ();
}

static void
a_switch_pauses_the_caller (void)
{
  PyTaskletObject *task;

  enter ();
  run ("import raddle.stackless as stackless\n"
       "def wake(main):\n"
       "    assert main.paused\n"
       "    main.insert()\n");
  for (int round = 0; round < 2; round++)
    {
      PyObject *arguments = Py_BuildValue ("(N)", PyStackless_GetCurrent ());
      task = tasklet_of ("wake");
      works (PyTasklet_Setup (task, arguments, NULL));
      drop (arguments);
      works (round == 0 ? PyTasklet_Switch (task) : PyTasklet_Switch_nr (task));
      g_assert_cmpint (PyTasklet_Alive (task), ==, 0);
      /* A dead one has forgotten what it was bound to. */
      fails (PyTasklet_Setup (task, NULL, NULL));
      expect (PyExc_RuntimeError, NULL);
      drop (task);
    }
  leave ();
}

static void
exceptions_are_raised_in_tasklets (void)
{
  PyTaskletObject *task;

  enter ();
  run ("import raddle.stackless as stackless\n"
       "caught = []\n"
       "def catch():\n"
       "    while True:\n"
       "        try:\n"
       "            stackless.schedule_remove()\n"
       "        except (ValueError, KeyError) as error:\n"
       "            caught.append(repr(error))\n");
  task = tasklet_of ("catch");
  works (PyTasklet_Setup (task, NULL, NULL));
  works (PyTasklet_Run (task));
  g_assert_cmpint (PyTasklet_Paused (task), ==, 1);
  g_assert_cmpint (PyTasklet_Restorable (task), ==, 0);
  works (PyTasklet_RaiseException (task, PyExc_ValueError, NULL));
  {
    PyObject *arguments = Py_BuildValue ("(ss)", "a", "b");
    works (PyTasklet_RaiseException (task, PyExc_ValueError, arguments));
    drop (arguments);
  }
  {
    PyObject *value = PyUnicode_FromString ("key");
    works (PyTasklet_Throw (task, 0, PyExc_KeyError, value, NULL));
    works (PyTasklet_Throw (task, 1, PyExc_KeyError, value, NULL));
    drop (value);
  }
  g_assert_cmpint (evaluate ("len(caught)"), ==, 3);
  g_assert_cmpint (PyTasklet_Scheduled (task), ==, 1);
  drop (PyStackless_Schedule (NULL, 0));
  g_assert_true (
    evaluate ("caught == ['ValueError()', \"ValueError('a', 'b')\", \"KeyError('key')\", \"KeyError('key')\"]"));
  fails (PyTasklet_RaiseException (task, NULL, NULL));
  expect (PyExc_TypeError, NULL);
  fails (PyTasklet_Throw (task, 0, NULL, NULL, NULL));
  expect (PyExc_TypeError, NULL);
  works (PyTasklet_Kill (task));
  g_assert_cmpint (PyTasklet_Alive (task), ==, 0);
  works (PyTasklet_Kill (task));
  fails (PyTasklet_RaiseException (task, PyExc_ValueError, NULL));
  expect (PyExc_RuntimeError, NULL);
  drop (task);

  task = tasklet_of ("catch");
  works (PyTasklet_Setup (task, NULL, NULL));
  works (PyTasklet_Run (task));
  works (PyTasklet_KillEx (task, 1));
  g_assert_cmpint (PyTasklet_Alive (task), ==, 1);
  drop (PyStackless_Schedule_nr (NULL, 0));
  g_assert_cmpint (PyTasklet_Alive (task), ==, 0);
  drop (task);
  leave ();
}

static void
an_exception_that_nobody_catches_reaches_the_caller (void)
{
  PyTaskletObject *task;

  enter ();
  run ("def fail():\n"
       "    raise LookupError('lost')\n");
  task = tasklet_of ("fail");
  works (PyTasklet_Setup (task, NULL, NULL));
  fails (PyTasklet_Run (task));
  expect (PyExc_LookupError, "lost");
  g_assert_cmpint (PyTasklet_Alive (task), ==, 0);
  drop (task);
  leave ();
}

static void
flags_are_set_and_told (void)
{
  PyTaskletObject *task;
  PyObject *current;

  enter ();
  set_up ();
  task = tasklet_of ("note");
  g_assert_cmpint (PyTasklet_GetAtomic (task), ==, 0);
  g_assert_cmpint (PyTasklet_SetAtomic (task, 5), ==, 0);
  g_assert_cmpint (PyTasklet_GetAtomic (task), ==, 1);
  g_assert_cmpint (PyTasklet_SetAtomic (task, 0), ==, 1);
  g_assert_cmpint (PyTasklet_GetIgnoreNesting (task), ==, 0);
  g_assert_cmpint (PyTasklet_SetIgnoreNesting (task, 5), ==, 0);
  g_assert_cmpint (PyTasklet_SetIgnoreNesting (task, 0), ==, 1);
  g_assert_cmpint (PyTasklet_GetPendingIrq (task), ==, 0);
  PyTasklet_SetBlockTrap (task, 5);
  g_assert_cmpint (PyTasklet_GetBlockTrap (task), ==, 1);
  PyTasklet_SetBlockTrap (task, 0);
  g_assert_cmpint (PyTasklet_GetBlockTrap (task), ==, 0);
  g_assert_cmpint (PyTasklet_IsMain (task), ==, 0);
  g_assert_cmpint (PyTasklet_IsCurrent (task), ==, 0);
  g_assert_cmpint (PyTasklet_GetNestingLevel (task), ==, 0);
  g_assert_cmpint (PyTasklet_GetRecursionDepth (task), ==, 0);
  g_assert_null (PyTasklet_GetFrame (task));
  g_assert_null (PyErr_Occurred ());
  current = PyStackless_GetCurrent ();
  g_assert_cmpint (PyTasklet_IsMain ((PyTaskletObject *) current), ==, 1);
  g_assert_cmpint (PyTasklet_IsCurrent ((PyTaskletObject *) current), ==, 1);
  drop (current);
  drop (task);
  leave ();
}

static void
a_suspended_tasklet_shows_its_frame (void)
{
  PyTaskletObject *task;
  PyObject *frame, *code, *name;

  enter ();
  run ("import raddle.stackless as stackless\n"
       "def pause():\n"
       "    stackless.schedule_remove()\n");
  task = tasklet_of ("pause");
  works (PyTasklet_Setup (task, NULL, NULL));
  works (PyTasklet_Run (task));
  frame = PyTasklet_GetFrame (task);
  g_assert_nonnull (frame);
  code = PyObject_GetAttrString (frame, "f_code");
  name = PyObject_GetAttrString (code, "co_name");
  g_assert_cmpstr (PyUnicode_AsUTF8 (name), ==, "pause");
  g_assert_cmpint (PyTasklet_GetRecursionDepth (task), >=, 1);
  drop (name);
  drop (code);
  drop (frame);
  works (PyTasklet_Kill (task));
  drop (task);
  leave ();
}

static void
become_and_capture_say_what_to_use (void)
{
  PyTaskletObject *task;
  PyObject *(*const functions[]) (PyTaskletObject *, PyObject *) = { PyTasklet_Become, PyTasklet_Capture };

  enter ();
  run ("import warnings\n");
  for (guint i = 0; i < G_N_ELEMENTS (functions); i++)
    {
      task = PyTasklet_New (NULL, NULL);
      run ("warnings.simplefilter('ignore')\n");
      g_assert_null (functions[i](task, Py_None));
      expect (PyExc_RuntimeError, "PyTasklet_New");
      run ("warnings.simplefilter('error')\n");
      g_assert_null (functions[i](task, NULL));
      expect (PyExc_DeprecationWarning, i == 0 ? "PyTasklet_Become" : "PyTasklet_Capture");
      run ("warnings.resetwarnings()\n");
      drop (task);
    }
  leave ();
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define CASE(path, function) g_test_add_func ("/stackless-tasklet/" path, function)
  CASE ("types/checked", types_are_there_and_checked);
  CASE ("types/go-and-come-back", types_go_with_python_and_come_back);
  CASE ("types/derived-in-c", a_type_of_cs_own_derives_from_the_tasklets);
  CASE ("set-up-and-run", a_tasklet_is_set_up_and_run);
  CASE ("bound-later", an_unbound_tasklet_is_bound_later);
  CASE ("switch", a_switch_pauses_the_caller);
  CASE ("exceptions", exceptions_are_raised_in_tasklets);
  CASE ("uncaught", an_exception_that_nobody_catches_reaches_the_caller);
  CASE ("flags", flags_are_set_and_told);
  CASE ("frame", a_suspended_tasklet_shows_its_frame);
  CASE ("become-and-capture", become_and_capture_say_what_to_use);
#undef CASE
  return run_with_python ();
}
