/* asyncio.c: an asyncio event loop inside main loops that a host in C runs.
 *
 * Each test starts a Python in a child of its own. */
#include "support.h"

#include <gio/gio.h>
#include <raddle/raddle-glib.h>

static PyObject *
loop_of (GMainContext *context)
{
  PyObject *event_loop = NULL;
  assert_ok (raddle_asyncio_get_loop (context, &event_loop));
  g_assert_nonnull (event_loop);
  return event_loop;
}

/* Starts Python with names: asyncio, sys, and `loop`, that of the context. */
static RaddleRuntime *
start_with_loop (GMainContext *context)
{
  RaddleRuntime *runtime = start_python ();
  PyObject *event_loop = loop_of (context);
  assert_ok (raddle_enter ());
  run ("import asyncio, sys\n"
       "seen, reports = [], []\n"
       "sys.unraisablehook = lambda about: reports.append(about.exc_type.__name__)\n");
  give ("loop", event_loop);
  assert_ok (raddle_leave ());
  return runtime;
}

static void
quit_now (PyObject *exception,
          gpointer  main_loop)
{
  g_assert_true (raddle_is_held ());
  g_assert_true (exception == NULL || PyErr_GivenExceptionMatches (exception, PyExc_SystemExit));
  g_main_loop_quit (main_loop);
}

static void
a_plain_main_loop_runs_tasks (void)
{
  IN_A_CHILD ();
  g_autoptr (GMainLoop) main_loop = g_main_loop_new (NULL, FALSE);
  RaddleRuntime *runtime = start_with_loop (NULL);

  assert_ok (raddle_asyncio_set_quit_func (NULL, quit_now, g_main_loop_ref (main_loop),
                                           (GDestroyNotify) g_main_loop_unref));
  in_python ("async def work():\n"
             "    await asyncio.sleep(0.01)\n"
             "    seen.append(asyncio.get_running_loop() is loop)\n"
             "    loop.stop()\n"
             "task = loop.create_task(work())\n");
  g_main_loop_run (main_loop);
  g_assert_cmpint (look ("seen == [True] and task.done()"), ==, 1);
  /* And again: a stop is over when the host was told. */
  in_python ("task = loop.create_task(work())\n");
  g_main_loop_run (main_loop);
  g_assert_cmpint (look ("seen == [True, True] and task.done()"), ==, 1);
  stop_python (runtime);
}

/* Makes the loop in a callback of the context's, with a task that quits. */
static gboolean
begin_inside (gpointer main_loop)
{
  assert_ok (raddle_asyncio_set_quit_func (NULL, quit_now, main_loop, NULL));
  PyObject *event_loop = loop_of (NULL);
  assert_ok (raddle_enter ());
  give ("loop", event_loop);
  run ("loop.call_later(0.01, loop.stop)\n");
  assert_ok (raddle_leave ());
  return G_SOURCE_REMOVE;
}

static void
a_loop_made_while_the_context_runs_runs_too (void)
{
  IN_A_CHILD ();
  g_autoptr (GMainLoop) main_loop = g_main_loop_new (NULL, FALSE);
  RaddleRuntime *runtime = start_python ();

  g_idle_add (begin_inside, main_loop);
  g_main_loop_run (main_loop);
  stop_python (runtime);
}

static gpointer
hand_a_coroutine_over (gpointer data G_GNUC_UNUSED)
{
  in_python ("async def answer():\n"
             "    await asyncio.sleep(0)\n"
             "    return 42\n"
             "future = asyncio.run_coroutine_threadsafe(answer(), loop)\n"
             "result = future.result(20)\n"
             "loop.call_soon_threadsafe(loop.stop)\n");
  return NULL;
}

static void
any_thread_hands_work_over (void)
{
  IN_A_CHILD ();
  g_autoptr (GMainLoop) main_loop = g_main_loop_new (NULL, FALSE);
  RaddleRuntime *runtime = start_with_loop (NULL);

  assert_ok (raddle_asyncio_set_quit_func (NULL, quit_now, main_loop, NULL));
  GThread *thread = g_thread_new ("other", hand_a_coroutine_over, NULL);
  g_main_loop_run (main_loop);
  g_thread_join (thread);
  g_assert_cmpint (look ("result"), ==, 42);
  stop_python (runtime);
}

static void
note_error (PyObject *exception,
            gpointer  place)
{
  g_assert_true (PyExceptionInstance_Check (exception));
  g_free (*(char **) place);
  *(char **) place = g_strdup (Py_TYPE (exception)->tp_name);
}

static void
count (gpointer place)
{
  *(int *) place += 1;
}

static void
exceptions_go_to_the_host (void)
{
  IN_A_CHILD ();
  char *error = NULL;
  int notified = 0;
  g_autoptr (GMainLoop) main_loop = g_main_loop_new (NULL, FALSE);
  RaddleRuntime *runtime = start_with_loop (NULL);

  in_python ("def fail(kind):\n"
             "    raise kind\n");
  /* Nobody asked: the hook hears of it, and the process goes on. */
  in_python ("loop.call_soon(fail, SystemExit)\n");
  while (look ("len(reports)") == 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (look ("reports == ['SystemExit']"), ==, 1);

  assert_ok (raddle_asyncio_set_error_func (NULL, note_error, &error, NULL));
  in_python ("loop.call_soon(fail, KeyboardInterrupt)\n");
  while (error == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpstr (error, ==, "KeyboardInterrupt");

  /* A request to quit has a function of its own. */
  assert_ok (raddle_asyncio_set_quit_func (NULL, quit_now, main_loop, NULL));
  in_python ("loop.call_soon(fail, SystemExit)\n");
  g_main_loop_run (main_loop);
  g_assert_cmpstr (error, ==, "KeyboardInterrupt");

  /* What asyncio handles does not come here. */
  in_python ("loop.set_exception_handler(lambda _, about: seen.append(about['exception']))\n"
             "loop.call_soon(fail, ValueError)\n");
  while (look ("len(seen)") == 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpstr (error, ==, "KeyboardInterrupt");

  /* Each is given up once: replaced, refused, with the loop. */
  assert_ok (raddle_asyncio_set_error_func (NULL, note_error, &notified, count));
  assert_ok (raddle_asyncio_set_error_func (NULL, NULL, &notified, count));
  g_assert_cmpint (notified, ==, 2);
  assert_ok (raddle_asyncio_set_quit_func (NULL, quit_now, &notified, count));
  in_python ("loop.close()\n");
  g_assert_cmpint (notified, ==, 3);
  stop_python (runtime);
  assert_status (raddle_asyncio_set_error_func (NULL, note_error, &notified, count),
                 RADDLE_STATUS_CLOSED);
  assert_status (raddle_asyncio_set_quit_func (NULL, quit_now, &notified, count),
                 RADDLE_STATUS_CLOSED);
  g_assert_cmpint (notified, ==, 5);
  g_free (error);
}

static void
an_interrupt_ends_raddles_own_run (void)
{
  IN_A_CHILD ();
  g_autoptr (GMainLoop) main_loop = g_main_loop_new (NULL, FALSE);
  RaddleRuntime *runtime = start_with_loop (NULL);

  in_python ("def fail():\n"
             "    raise KeyboardInterrupt('enough')\n"
             "loop.call_soon(fail)\n");
  assert_status (raddle_main_loop_run (main_loop), RADDLE_STATUS_PYTHON);
  assert_message_has ("KeyboardInterrupt");
  g_assert_cmpint (look ("len(reports)"), ==, 0);
  stop_python (runtime);
}

static void
activate (GApplication *application,
          gpointer      data G_GNUC_UNUSED)
{
  g_application_hold (application);
  in_python ("async def work():\n"
             "    await asyncio.sleep(0.01)\n"
             "    seen.append(asyncio.current_task() is task)\n"
             "    loop.stop()\n"
             "task = loop.create_task(work())\n");
}

static void
release (PyObject *exception G_GNUC_UNUSED,
         gpointer  application)
{
  g_application_release (application);
}

static void
an_application_runs_tasks (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_with_loop (NULL);
  g_autoptr (GApplication) application = g_application_new (NULL, G_APPLICATION_NON_UNIQUE);

  g_signal_connect (application, "activate", G_CALLBACK (activate), NULL);
  assert_ok (raddle_asyncio_set_quit_func (NULL, release, application, NULL));
  g_assert_cmpint (g_application_run (application, 0, NULL), ==, 0);
  g_assert_cmpint (look ("seen == [True]"), ==, 1);
  stop_python (runtime);
}

/* A native loop inside a task: sources of the host's run, asyncio waits. */
static gboolean
stop_nested (gpointer main_loop)
{
  in_python ("seen.append('native')\n");
  g_main_loop_quit (main_loop);
  return G_SOURCE_REMOVE;
}

static PyObject *
nest (PyObject *self G_GNUC_UNUSED,
      PyObject *none G_GNUC_UNUSED)
{
  g_autoptr (GMainLoop) nested = g_main_loop_new (NULL, FALSE);
  g_timeout_add (1, stop_nested, nested);
  assert_ok (raddle_unblock_threads ());
  g_main_loop_run (nested);
  assert_ok (raddle_block_threads ());
  Py_RETURN_NONE;
}

static void
a_loop_nested_in_a_task_leaves_asyncio_out (void)
{
  IN_A_CHILD ();
  static PyMethodDef method = { "nest", nest, METH_NOARGS, NULL };
  g_autoptr (GMainLoop) main_loop = g_main_loop_new (NULL, FALSE);
  RaddleRuntime *runtime = start_with_loop (NULL);

  assert_ok (raddle_asyncio_set_quit_func (NULL, quit_now, main_loop, NULL));
  assert_ok (raddle_enter ());
  give ("nest", PyCFunction_New (&method, NULL));
  run ("async def deep(depth):\n"
       "    other = loop.create_task(deep(depth + 1)) if depth < 3 else None\n"
       "    seen.append(depth)\n"
       "    nest()\n"
       "    if other:\n"
       "        await other\n"
       "    else:\n"
       "        loop.stop()\n"
       "task = loop.create_task(deep(1))\n");
  assert_ok (raddle_leave ());
  g_main_loop_run (main_loop);
  g_assert_cmpint (look ("seen == [1, 'native', 2, 'native', 3, 'native']"), ==, 1);
  stop_python (runtime);
}

static void
a_context_of_another_thread_has_its_own_loop (void)
{
  IN_A_CHILD ();
  g_autoptr (GMainContext) context = g_main_context_new ();
  RaddleRuntime *runtime = start_with_loop (NULL);

  PyObject *other = loop_of (context);
  PyObject *again = loop_of (context);
  g_assert_true (other == again);
  assert_ok (raddle_enter ());
  give ("other", other);
  run ("other.call_soon(seen.append, 'other')\nloop.call_soon(seen.append, 'default')\n");
  assert_ok (raddle_leave ());
  raddle_decref (again);
  while (look ("len(seen)") == 0)
    g_main_context_iteration (context, TRUE);
  g_assert_cmpint (look ("seen == ['other']"), ==, 1);
  stop_python (runtime);
}

static void
after_a_restart_a_context_gets_a_new_loop (void)
{
  IN_A_CHILD ();
  for (int round = 0; round < 2; round++)
    {
      RaddleRuntime *runtime = start_with_loop (NULL);
      in_python ("loop.call_soon(seen.append, 1)\nloop.call_later(1000, print)\n");
      while (look ("len(seen)") == 0)
        g_main_context_iteration (NULL, TRUE);
      /* Left with work to do: nothing of it is touched after the end. */
      in_python ("loop.call_soon(seen.append, 2)\n");
      stop_python (runtime);
      for (int turn = 0; turn < 3; turn++)
        g_main_context_iteration (NULL, FALSE);
    }
}

static void
without_python_every_call_says_so (void)
{
  IN_A_CHILD ();
  PyObject *event_loop = NULL;
  int notified = 0;
  assert_status (raddle_asyncio_get_loop (NULL, NULL), RADDLE_STATUS_NULL);
  assert_status (raddle_asyncio_get_loop (NULL, &event_loop), RADDLE_STATUS_NOT_STARTED);
  assert_status (raddle_asyncio_set_error_func (NULL, NULL, &notified, count), RADDLE_STATUS_NOT_STARTED);
  assert_status (raddle_asyncio_set_quit_func (NULL, NULL, NULL, NULL), RADDLE_STATUS_NOT_STARTED);
  g_assert_null (event_loop);
  g_assert_cmpint (notified, ==, 1);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/asyncio/a-plain-main-loop-runs-tasks", a_plain_main_loop_runs_tasks);
  g_test_add_func ("/asyncio/a-loop-made-while-the-context-runs-runs-too", a_loop_made_while_the_context_runs_runs_too);
  g_test_add_func ("/asyncio/any-thread-hands-work-over", any_thread_hands_work_over);
  g_test_add_func ("/asyncio/exceptions-go-to-the-host", exceptions_go_to_the_host);
  g_test_add_func ("/asyncio/an-interrupt-ends-raddles-own-run", an_interrupt_ends_raddles_own_run);
  g_test_add_func ("/asyncio/an-application-runs-tasks", an_application_runs_tasks);
  g_test_add_func ("/asyncio/a-loop-nested-in-a-task-leaves-asyncio-out", a_loop_nested_in_a_task_leaves_asyncio_out);
  g_test_add_func ("/asyncio/a-context-of-another-thread-has-its-own-loop", a_context_of_another_thread_has_its_own_loop);
  g_test_add_func ("/asyncio/after-a-restart-a-context-gets-a-new-loop", after_a_restart_a_context_gets_a_new_loop);
  g_test_add_func ("/asyncio/without-python-every-call-says-so", without_python_every_call_says_so);
  return g_test_run ();
}
