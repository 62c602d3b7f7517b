/* thread_end.c: a native thread ends its tasklets before it ends, or is told why it cannot. */
#include "stackless.h"

static void
name_the_sleepers (void)
{
  run ("from raddle import stackless\n"
       "log = []\n"
       "def sleeper(name):\n"
       "    try:\n"
       "        stackless.schedule_remove()\n"
       "    finally:\n"
       "        log.append(name)\n"
       "def stubborn():\n"
       "    while True:\n"
       "        try:\n"
       "            stackless.schedule_remove()\n"
       "        except TaskletExit:\n"
       "            log.append('no')\n"
       "kept = []\n"
       "def sleep(*tasks):\n"
       "    kept.extend(tasks)\n"
       "    stackless.run()\n");
}

static void
sleep_here (const char *code)
{
  enter ();
  run (code);
  leave ();
}

static gpointer
end_three (gpointer unused)
{
  (void) unused;
  sleep_here ("sleep(*[stackless.tasklet(sleeper)(name) for name in 'abc'])");
  assert_ok (raddle_thread_end ());
  g_assert_false (raddle_is_held ());
  return NULL;
}

static void
tasklets_end_in_the_order_of_their_beginnings (void)
{
  enter ();
  name_the_sleepers ();
  on_a_thread (end_three, NULL);
  g_assert_true (evaluate ("log == ['a', 'b', 'c'] and not any(task.alive for task in kept)"));
  g_assert_true (evaluate ("stackless.leaked_tasklets() == []"));
  leave ();
}

static gpointer
end_and_go_on (gpointer unused)
{
  (void) unused;
  for (int round = 0; round < 3; round++)
    {
      sleep_here ("sleep(stackless.tasklet(sleeper)('again'))");
      assert_ok (raddle_thread_end ());
      assert_ok (raddle_thread_end ());
    }
  return NULL;
}

static void
a_thread_goes_on_and_may_end_again (void)
{
  enter ();
  name_the_sleepers ();
  on_a_thread (end_and_go_on, NULL);
  g_assert_true (evaluate ("log == ['again'] * 3"));
  leave ();
}

static gpointer
end_inside (gpointer unused)
{
  (void) unused;
  enter ();
  run ("sleep(stackless.tasklet(sleeper)('inside'))");
  PyErr_SetString (PyExc_KeyError, "set before");
  assert_ok (raddle_thread_end ());
  expect (PyExc_KeyError, "set before");
  g_assert_true (raddle_is_held ());
  leave ();
  return NULL;
}

static void
an_entry_and_an_exception_stay (void)
{
  enter ();
  name_the_sleepers ();
  on_a_thread (end_inside, NULL);
  g_assert_true (evaluate ("log == ['inside']"));
  leave ();
}

static gpointer
end_nothing (gpointer unused)
{
  (void) unused;
  assert_ok (raddle_thread_end ());
  return NULL;
}

/* A thread that had to wait here would wait for ever: it is joined with Python held. */
static void
who_has_no_tasklet_does_not_wait (void)
{
  enter ();
  g_thread_join (g_thread_new ("none", end_nothing, NULL));
  leave ();
}

static PyObject *
end_here (PyObject *module, PyObject *unused)
{
  (void) module, (void) unused;
  return PyLong_FromLong (raddle_thread_end ());
}

static PyMethodDef end_method = { "end", end_here, METH_NOARGS, NULL };

static void
it_is_refused_where_nothing_can_be_switched (void)
{
  PyObject *callable;

  enter ();
  name_the_sleepers ();
  callable = PyCFunction_New (&end_method, NULL);
  give ("end", callable);
  run ("seen = []\n"
       "def body():\n"
       "    seen.append(end())\n"
       "stackless.tasklet(body)()\n"
       "stackless.run()\n"
       "stackless.set_schedule_callback(lambda *_: seen.append(end()))\n"
       "stackless.tasklet(int)()\n"
       "stackless.run()\n"
       "stackless.set_schedule_callback(None)\n"
       "stackless.switch_trap(1)\n"
       "seen.append(end())\n"
       "stackless.switch_trap(-1)\n"
       "last = end()");
  g_assert_cmpint (evaluate ("len(seen)"), >=, 4);
  g_assert_cmpint (evaluate ("seen[0]"), ==, RADDLE_STATUS_WRONG_ORDER);
  g_assert_cmpint (evaluate ("len(set(seen))"), ==, 1);
  g_assert_cmpint (evaluate ("last"), ==, RADDLE_STATUS_OK);
  leave ();
}

static gpointer
end_a_stubborn_one (gpointer unused)
{
  (void) unused;
  sleep_here ("sleep(stackless.tasklet(stubborn)())");
  assert_status (raddle_thread_end (), RADDLE_STATUS_BUSY);
  assert_message_has ("stubborn");
  return NULL;
}

static void
who_outlives_it_is_named_and_leaked_with_the_thread (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  enter ();
  name_the_sleepers ();
  on_a_thread (end_a_stubborn_one, NULL);
  run ("import gc; gc.collect()"); /* Another entry clears the dead thread's state. */
  leave ();
  enter ();
  g_assert_true (evaluate ("log == ['no'] * 10"));
  g_assert_true (evaluate ("stackless.leaked_tasklets() == ['stubborn']"));
  leave ();
  stop_python (runtime);
}

static Meeting asleep, stopped;

static gpointer
end_too_late (gpointer unused)
{
  (void) unused;
  sleep_here ("sleep(stackless.tasklet(sleeper)('late'))");
  meet (&asleep);
  meet (&stopped);
  assert_status (raddle_thread_end (), RADDLE_STATUS_CLOSED);
  return NULL;
}

static void
it_is_refused_after_the_stop_and_nothing_before_the_start (void)
{
  IN_A_CHILD ();
  meeting_init (&asleep, 2);
  meeting_init (&stopped, 2);
  assert_ok (raddle_thread_end ());
  on_a_thread (end_nothing, NULL);
  RaddleRuntime *runtime = start_python ();
  enter ();
  name_the_sleepers ();
  leave ();
  GThread *thread = g_thread_new ("late", end_too_late, NULL);
  meet (&asleep);
  stop_python (runtime);
  meet (&stopped);
  g_thread_join (thread);
  on_a_thread (end_nothing, NULL);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/thread-end/tasklets-end-in-the-order-of-their-beginnings",
                   tasklets_end_in_the_order_of_their_beginnings);
  g_test_add_func ("/thread-end/a-thread-goes-on-and-may-end-again", a_thread_goes_on_and_may_end_again);
  g_test_add_func ("/thread-end/an-entry-and-an-exception-stay", an_entry_and_an_exception_stay);
  g_test_add_func ("/thread-end/who-has-no-tasklet-does-not-wait", who_has_no_tasklet_does_not_wait);
  g_test_add_func ("/thread-end/it-is-refused-where-nothing-can-be-switched",
                   it_is_refused_where_nothing_can_be_switched);
  g_test_add_func ("/thread-end/who-outlives-it-is-named-and-leaked-with-the-thread",
                   who_outlives_it_is_named_and_leaked_with_the_thread);
  g_test_add_func ("/thread-end/it-is-refused-after-the-stop-and-nothing-before-the-start",
                   it_is_refused_after_the_stop_and_nothing_before_the_start);
  return run_with_python ();
}
