/* scheduler.c: tasklets that main loops of GLib's run: turns, sleeps, descriptors, replies, errors.
 *
 * Each test starts a Python in a child of its own. */
#include "support_glib.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <glib-unix.h>
#include <time.h>
#include <raddle/raddle-gio.h>
#include <raddle/stackless_api.h>

static GMainLoop *main_loop;

/* Python code that waits by this file's functions, through ctypes, with Python held. */
static PyObject *
c_sleep (PyObject *self G_GNUC_UNUSED, PyObject *microseconds)
{
  RaddleStatus status = raddle_sleep (PyLong_AsLongLong (microseconds));
  if (status == RADDLE_STATUS_OK)
    Py_RETURN_NONE;
  g_assert_cmpint (status, ==, RADDLE_STATUS_PYTHON);
  g_assert_nonnull (PyErr_Occurred ());
  return NULL;
}

static PyObject *
c_quit (PyObject *self G_GNUC_UNUSED, PyObject *nothing G_GNUC_UNUSED)
{
  g_main_loop_quit (main_loop);
  Py_RETURN_NONE;
}

/* wait(fd): what it is ready for, or -1 after 20 ms. */
static PyObject *
c_wait_fd (PyObject *self G_GNUC_UNUSED, PyObject *fd)
{
  GIOCondition ready = 0;
  RaddleStatus status = raddle_wait_fd (PyLong_AsLong (fd), G_IO_IN, 20, &ready);
  if (status == RADDLE_STATUS_TIMED_OUT)
    return PyLong_FromLong (-1);
  if (status == RADDLE_STATUS_PYTHON)
    return NULL;
  assert_status (status, RADDLE_STATUS_OK);
  return PyLong_FromLong (ready);
}

/* load(path): the length of a file's contents, or minus the error's code. */
static PyObject *
c_load (PyObject *self G_GNUC_UNUSED, PyObject *path)
{
  g_autoptr (GFile) file = g_file_new_for_path (PyUnicode_AsUTF8 (path));
  g_autoptr (RaddleReply) reply = NULL;
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *contents = NULL;
  gsize length = 0;

  assert_ok (raddle_reply_new (&reply));
  g_file_load_contents_async (file, NULL, raddle_reply_ready, raddle_reply_ref (reply));
  if (raddle_reply_wait (reply, -1, (gpointer *) &result) != RADDLE_STATUS_OK)
    return NULL;
  g_assert_true (G_IS_ASYNC_RESULT (result));
  if (!g_file_load_contents_finish (file, result, &contents, &length, NULL, &error))
    return PyLong_FromLong (-error->code);
  return PyLong_FromSize_t (length);
}

static PyMethodDef methods[] = {
  { "sleep", c_sleep, METH_O, NULL },
  { "quit", c_quit, METH_NOARGS, NULL },
  { "wait_fd", c_wait_fd, METH_O, NULL },
  { "load", c_load, METH_O, NULL },
};

/* Starts Python with names: stackless, log, spawn, and the functions above. */
static RaddleRuntime *
start_with_names (void)
{
  RaddleRuntime *runtime = start_python ();
  assert_ok (raddle_enter ());
  run ("import raddle, sys\n"
       "from raddle import stackless\n"
       "log, reports = [], []\n"
       "sys.unraisablehook = lambda about: reports.append(about.exc_type.__name__)\n"
       "def spawn(function, *args):\n"
       "    return stackless.tasklet(function)(*args)\n");
  for (guint i = 0; i < G_N_ELEMENTS (methods); i++)
    {
      PyObject *callable = PyCFunction_New (&methods[i], NULL);
      give (methods[i].ml_name, callable);
    }
  assert_ok (raddle_leave ());
  return runtime;
}

static void
a_main_loop_runs_tasklets (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_with_names ();
  main_loop = g_main_loop_new (NULL, FALSE);

  assert_ok (raddle_scheduler_attach (NULL, 0, G_PRIORITY_DEFAULT));
  in_python ("def work(name):\n"
             "    for step in range(3):\n"
             "        log.append((name, step))\n"
             "        sleep(1000)\n"
             "    if name == 'b':\n"
             "        quit()\n"
             "spawn(work, 'a'), spawn(work, 'b')\n");
  g_assert_cmpint (look ("len(log)"), ==, 0);
  g_main_loop_run (main_loop);
  g_assert_cmpint (look ("log == [(n, s) for s in range(3) for n in 'ab']"), ==, 1);
  assert_ok (raddle_scheduler_detach (NULL));
  stop_python (runtime);
}

static gboolean
make_a_tasklet (gpointer counter)
{
  if (++*(int *) counter > 3)
    return G_SOURCE_REMOVE;
  in_python ("spawn(lambda: (log.append(1), len(log) == 3 and quit()))\n");
  return G_SOURCE_CONTINUE;
}

static void
a_callback_s_tasklets_run_in_the_loop (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_with_names ();
  int counter = 0;
  main_loop = g_main_loop_new (NULL, FALSE);

  assert_ok (raddle_scheduler_attach (NULL, 500, G_PRIORITY_LOW));
  g_timeout_add (1, make_a_tasklet, &counter);
  g_main_loop_run (main_loop);
  g_assert_cmpint (look ("len(log)"), ==, 3);
  stop_python (runtime);
}

static gboolean
redraw (gpointer count)
{
  *(int *) count += 1;
  return G_SOURCE_CONTINUE;
}

static gboolean
quit_it (gpointer data G_GNUC_UNUSED)
{
  g_main_loop_quit (main_loop);
  return G_SOURCE_REMOVE;
}

/* What this thread has had of a processor, in microseconds. */
static gint64
processor_time (void)
{
  struct timespec used;
  g_assert_cmpint (clock_gettime (CLOCK_THREAD_CPUTIME_ID, &used), ==, 0);
  return used.tv_sec * G_USEC_PER_SEC + used.tv_nsec / 1000;
}

/* When this thread has had a second of a processor: on a busy machine that is longer than one on the clock. */
static gboolean
quit_after_a_second (gpointer begun)
{
  if (processor_time () - *(gint64 *) begun < G_USEC_PER_SEC)
    return G_SOURCE_CONTINUE;
  return quit_it (NULL);
}

/* Tasklets that never sleep leave a redraw at priority 120, and a timer, what is theirs. */
static void
busy_tasklets_starve_nobody (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_with_names ();
  int redraws = 0, ticks = 0;
  main_loop = g_main_loop_new (NULL, FALSE);

  assert_ok (raddle_scheduler_attach (NULL, 0, G_PRIORITY_DEFAULT));
  in_python ("spins = 0\n"
             "def busy():\n"
             "    global spins\n"
             "    while True:\n"
             "        spins += 1\n"
             "        stackless.schedule()\n"
             "spawn(busy), spawn(busy)\n");
  g_timeout_add_full (120, 16, redraw, &redraws, NULL);
  g_timeout_add (10, redraw, &ticks);
  gint64 begun = processor_time ();
  g_timeout_add (10, quit_after_a_second, &begun);
  g_main_loop_run (main_loop);
  g_test_message ("%d of 62 redraws, %d of 100 ticks, %" G_GINT64_FORMAT " switches", redraws, ticks, look ("spins"));
  g_assert_cmpint (look ("spins > 1000"), ==, 1);
  g_assert_cmpint (redraws, >=, 30);
  g_assert_cmpint (ticks, >=, 40);
  stop_python (runtime);
}

static int polls;

static gint
counting_poll (GPollFD *fds, guint count, gint timeout)
{
  polls++;
  return g_poll (fds, count, timeout);
}

static void
an_idle_scheduler_does_not_poll (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_with_names ();
  main_loop = g_main_loop_new (NULL, FALSE);

  g_main_context_set_poll_func (NULL, counting_poll);
  assert_ok (raddle_scheduler_attach (NULL, 0, G_PRIORITY_DEFAULT));
  in_python ("pipe = stackless.channel()\n"
             "spawn(pipe.receive), spawn(sleep, 3600000000)\n");
  iterate (NULL);
  polls = 0;
  g_timeout_add (300, quit_it, NULL);
  g_main_loop_run (main_loop);
  g_assert_cmpint (polls, <=, 3);
  stop_python (runtime);
}

static gpointer
send_from_a_thread (gpointer data G_GNUC_UNUSED)
{
  in_python ("for number in range(10):\n"
             "    pipe.send(number)\n");
  return NULL;
}

static void
a_channel_wakes_the_loop (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_with_names ();
  main_loop = g_main_loop_new (NULL, FALSE);

  assert_ok (raddle_scheduler_attach (NULL, 0, G_PRIORITY_DEFAULT));
  in_python ("pipe = stackless.channel()\n"
             "def receiver():\n"
             "    for _ in range(10):\n"
             "        log.append(pipe.receive())\n"
             "    quit()\n"
             "spawn(receiver)\n");
  GThread *thread = g_thread_new ("sender", send_from_a_thread, NULL);
  g_main_loop_run (main_loop);
  g_thread_join (thread);
  g_assert_cmpint (look ("log == list(range(10))"), ==, 1);
  stop_python (runtime);
}

static gboolean
write_a_byte (gpointer fd)
{
  g_assert_cmpint (write (GPOINTER_TO_INT (fd), "x", 1), ==, 1);
  return G_SOURCE_REMOVE;
}

static void
a_tasklet_waits_for_a_descriptor (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_with_names ();
  g_autofree char *code = NULL;
  int ends[2];
  main_loop = g_main_loop_new (NULL, FALSE);

  g_assert_true (g_unix_open_pipe (ends, FD_CLOEXEC, NULL));
  assert_ok (raddle_scheduler_attach (NULL, 0, G_PRIORITY_DEFAULT));
  code = g_strdup_printf ("def wait():\n"
                          "    log.append(wait_fd(%d))\n"
                          "    log.append('late')\n"
                          "    while True:\n"
                          "        ready = wait_fd(%d)\n"
                          "        if ready > 0:\n"
                          "            break\n"
                          "    log.append(ready)\n"
                          "    quit()\n"
                          "spawn(wait)\n", ends[0], ends[0]);
  in_python (code);
  g_timeout_add (60, write_a_byte, GINT_TO_POINTER (ends[1]));
  g_main_loop_run (main_loop);
  g_assert_cmpint (look ("log == [-1, 'late', 1]"), ==, 1);
  stop_python (runtime);
}

static void
a_tasklet_waits_for_a_gtask (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_with_names ();
  g_autofree char *path = NULL;
  g_autofree char *code = NULL;
  main_loop = g_main_loop_new (NULL, FALSE);

  int fd = g_file_open_tmp (NULL, &path, NULL);
  g_assert_cmpint (write (fd, "seven..", 7), ==, 7);
  g_close (fd, NULL);
  assert_ok (raddle_scheduler_attach (NULL, 0, G_PRIORITY_DEFAULT));
  code = g_strdup_printf ("def loads(path):\n"
                          "    log.append(load(path))\n"
                          "    len(log) == 20 and quit()\n"
                          "for number in range(20):\n"
                          "    spawn(loads, '%s' if number %% 2 else '/nowhere')\n", path);
  in_python (code);
  g_main_loop_run (main_loop);
  g_assert_cmpint (look ("sorted(log) == [-1] * 10 + [7] * 10"), ==, 1);
  g_unlink (path);
  stop_python (runtime);
}

static int freed;

static void
count_free (gpointer data G_GNUC_UNUSED)
{
  freed++;
}

static gpointer
give_it (gpointer reply)
{
  assert_ok (raddle_reply_give (reply, "from a thread", count_free));
  raddle_reply_unref (reply);
  return NULL;
}

static void
data_of_a_reply_is_freed_once_or_taken (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_with_names ();
  RaddleReply *reply = NULL;
  gpointer data = NULL;

  assert_ok (raddle_reply_new (&reply));
  assert_ok (raddle_reply_give (reply, "one", count_free));
  assert_ok (raddle_reply_give (reply, "two", count_free)); /* the first stays */
  g_assert_cmpint (freed, ==, 1);
  assert_status (raddle_reply_wait (reply, 0, &data), RADDLE_STATUS_WRONG_ORDER); /* without Python */
  assert_ok (raddle_enter ());
  assert_ok (raddle_reply_wait (reply, 0, &data));
  g_assert_cmpstr (data, ==, "one");
  g_assert_cmpint (freed, ==, 1);
  assert_status (raddle_reply_wait (reply, 1, &data), RADDLE_STATUS_TIMED_OUT);
  assert_ok (raddle_reply_give (reply, "three", count_free));
  assert_ok (raddle_reply_wait (reply, -1, NULL));
  g_assert_cmpint (freed, ==, 2);
  GThread *thread = g_thread_new ("giver", give_it, raddle_reply_ref (reply));
  assert_ok (raddle_reply_wait (reply, 20000, &data));
  g_assert_cmpstr (data, ==, "from a thread");
  assert_ok (raddle_leave ());
  g_thread_join (thread);
  assert_ok (raddle_reply_give (reply, "four", count_free));
  raddle_reply_unref (reply);
  g_assert_cmpint (freed, ==, 3);
  stop_python (runtime);
}

static void
note_error (PyObject *exception, gpointer place)
{
  g_assert_true (PyErr_GivenExceptionMatches (exception, PyExc_ValueError));
  if (++*(int *) place == 2)
    g_main_loop_quit (main_loop);
}

static void
errors_go_to_the_host_and_the_loop_goes_on (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_with_names ();
  int errors = 0;
  main_loop = g_main_loop_new (NULL, FALSE);

  freed = 0;
  assert_status (raddle_scheduler_set_error_func (NULL, note_error, &errors, count_free), RADDLE_STATUS_WRONG_ORDER);
  g_assert_cmpint (freed, ==, 1);
  assert_ok (raddle_scheduler_attach (NULL, 0, G_PRIORITY_DEFAULT));
  assert_ok (raddle_scheduler_set_error_func (NULL, note_error, &errors, count_free));
  in_python ("def fails():\n"
             "    raise ValueError('lost')\n"
             "spawn(fails), spawn(log.append, 1), spawn(fails)\n");
  g_main_loop_run (main_loop);
  g_assert_cmpint (errors, ==, 2);
  g_assert_cmpint (look ("log == [1] and not reports"), ==, 1);
  assert_ok (raddle_scheduler_set_error_func (NULL, NULL, NULL, NULL));
  g_assert_cmpint (freed, ==, 2);
  in_python ("spawn(fails), spawn(quit)\n");
  g_main_loop_run (main_loop);
  g_assert_cmpint (look ("reports == ['ValueError']"), ==, 1);
  assert_ok (raddle_scheduler_set_error_func (NULL, note_error, &errors, count_free));
  assert_ok (raddle_scheduler_detach (NULL));
  g_assert_cmpint (freed, ==, 3);
  stop_python (runtime);
}

static gboolean
interrupt (gpointer data G_GNUC_UNUSED)
{
  kill (getpid (), SIGINT);
  return G_SOURCE_REMOVE;
}

static void
ctrl_c_ends_the_run (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_with_names ();
  main_loop = g_main_loop_new (NULL, FALSE);

  in_python ("import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n");
  assert_ok (raddle_scheduler_attach (NULL, 0, G_PRIORITY_DEFAULT));
  /* Once while all sleep, and once while they run. */
  in_python ("spawn(sleep, 3600000000)\n");
  g_timeout_add (50, interrupt, NULL);
  assert_status (raddle_main_loop_run (main_loop), RADDLE_STATUS_PYTHON);
  assert_message_has ("KeyboardInterrupt");
  in_python ("def busy():\n"
             "    while True:\n"
             "        stackless.schedule()\n"
             "spawn(busy), spawn(busy)\n");
  g_timeout_add (50, interrupt, NULL);
  assert_status (raddle_main_loop_run (main_loop), RADDLE_STATUS_PYTHON);
  assert_message_has ("KeyboardInterrupt");
  stop_python (runtime);
}

static gboolean
run_a_nested_loop (gpointer data G_GNUC_UNUSED)
{
  g_autoptr (GMainLoop) nested = g_main_loop_new (NULL, FALSE);
  GMainLoop *outer = main_loop;

  main_loop = nested;
  in_python ("spawn(lambda: (sleep(1000), log.append('nested'), quit()))\n");
  g_main_loop_run (nested);
  g_assert_cmpint (look ("log == ['nested']"), ==, 1);
  main_loop = outer;
  in_python ("spawn(quit)\n");
  return G_SOURCE_REMOVE;
}

static void
tasklets_run_in_a_nested_loop (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_with_names ();
  main_loop = g_main_loop_new (NULL, FALSE);

  assert_ok (raddle_scheduler_attach (NULL, 0, G_PRIORITY_DEFAULT));
  g_idle_add (run_a_nested_loop, NULL);
  g_main_loop_run (main_loop);
  stop_python (runtime);
}

static void
python_stops_with_sleepers (void)
{
  IN_A_CHILD ();
  for (int round = 0; round < 3; round++)
    {
      RaddleRuntime *runtime = start_with_names ();

      assert_ok (raddle_scheduler_attach (NULL, 0, G_PRIORITY_DEFAULT));
      in_python ("import builtins, os\n"
                 "begun = []\n"
                 "def sleeper(fd):\n"
                 "    begun.append(fd)\n"
                 "    try:\n"
                 "        raddle.sleep(3600)\n"
                 "    finally:\n"
                 "        os.write(fd, b'x')\n"
                 "ends = os.pipe()\n"
                 "for _ in range(5):\n"
                 "    spawn(sleeper, ends[1])\n");
      /* A turn may end before each has begun. */
      while (look ("len(begun)") < 5)
        iterate (NULL);
      int fd = look ("ends[0]");
      char bytes[16];
      stop_python (runtime);
      g_assert_cmpint (read (fd, bytes, sizeof bytes), ==, 5);
      /* The source has gone with Python. */
      g_assert_false (g_main_context_iteration (NULL, FALSE));
      assert_status (raddle_scheduler_detach (NULL), RADDLE_STATUS_CLOSED);
    }
}

static gpointer
run_a_context (gpointer totals)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  gint64 deadline = g_get_monotonic_time () + 20 * G_TIME_SPAN_SECOND;

  g_main_context_push_thread_default (context);
  assert_ok (raddle_scheduler_attach (context, 0, G_PRIORITY_DEFAULT));
  in_python ("import threading\n"
             "def work(place):\n"
             "    for number in range(20):\n"
             "        raddle.sleep(0.0005)\n"
             "        place.append(number)\n"
             "place = []\n"
             "sums[threading.get_ident()] = place\n"
             "spawn(work, place)\n");
  while (look ("len(sums[threading.get_ident()]) < 20"))
    {
      g_assert_cmpint (g_get_monotonic_time (), <, deadline);
      g_main_context_iteration (context, TRUE);
    }
  assert_ok (raddle_scheduler_detach (context));
  g_main_context_pop_thread_default (context);
  g_atomic_int_inc ((int *) totals);
  return NULL;
}

static void
each_thread_has_a_context (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_with_names ();
  GThread *threads[4];
  int totals = 0;

  in_python ("sums = {}\n");
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("context", run_a_context, &totals);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  g_assert_cmpint (totals, ==, 4);
  stop_python (runtime);
}

static gpointer
attach_elsewhere (gpointer data G_GNUC_UNUSED)
{
  assert_status (raddle_scheduler_attach (NULL, 0, 0), RADDLE_STATUS_WRONG_ORDER);
  assert_message_has ("another thread");
  return NULL;
}

static void
what_is_refused_says_why (void)
{
  IN_A_CHILD ();
  g_autoptr (GMainContext) other = g_main_context_new ();
  assert_status (raddle_scheduler_attach (NULL, 0, 0), RADDLE_STATUS_NOT_STARTED);
  assert_status (raddle_scheduler_detach (NULL), RADDLE_STATUS_NOT_STARTED);
  assert_status (raddle_sleep (1), RADDLE_STATUS_NOT_STARTED);
  assert_status (raddle_wait_fd (0, G_IO_IN, 0, NULL), RADDLE_STATUS_NOT_STARTED);

  RaddleRuntime *runtime = start_with_names ();
  assert_status (raddle_scheduler_detach (NULL), RADDLE_STATUS_WRONG_ORDER);
  assert_ok (raddle_scheduler_attach (NULL, 0, 0));
  assert_ok (raddle_scheduler_attach (NULL, 100, 10));
  assert_status (raddle_scheduler_attach (other, 0, 0), RADDLE_STATUS_WRONG_ORDER);
  assert_message_has ("already");
  on_a_thread (attach_elsewhere, NULL);
  assert_status (raddle_sleep (1), RADDLE_STATUS_WRONG_ORDER);
  assert_ok (raddle_enter ());
  assert_ok (raddle_sleep (0));
  assert_ok (raddle_sleep (1000)); /* the main tasklet sleeps too */
  assert_status (raddle_wait_fd (-1, G_IO_IN, -1, NULL), RADDLE_STATUS_PYTHON);
  g_assert_true (PyErr_ExceptionMatches (PyExc_OSError));
  PyErr_Clear ();
  assert_status (raddle_reply_new (NULL), RADDLE_STATUS_NULL);
  assert_status (raddle_reply_give (NULL, NULL, NULL), RADDLE_STATUS_NULL);
  assert_status (raddle_reply_wait (NULL, 0, NULL), RADDLE_STATUS_NULL);
  g_assert_null (raddle_reply_ref (NULL));
  raddle_reply_unref (NULL);
  assert_ok (raddle_leave ());
  stop_python (runtime);
  assert_status (raddle_sleep (1), RADDLE_STATUS_CLOSED);
  assert_status (raddle_scheduler_attach (NULL, 0, 0), RADDLE_STATUS_CLOSED);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/scheduler/a-main-loop-runs-tasklets", a_main_loop_runs_tasklets);
  g_test_add_func ("/scheduler/a-callback-s-tasklets-run-in-the-loop", a_callback_s_tasklets_run_in_the_loop);
  g_test_add_func ("/scheduler/busy-tasklets-starve-nobody", busy_tasklets_starve_nobody);
  g_test_add_func ("/scheduler/an-idle-scheduler-does-not-poll", an_idle_scheduler_does_not_poll);
  g_test_add_func ("/scheduler/a-channel-wakes-the-loop", a_channel_wakes_the_loop);
  g_test_add_func ("/scheduler/a-tasklet-waits-for-a-descriptor", a_tasklet_waits_for_a_descriptor);
  g_test_add_func ("/scheduler/a-tasklet-waits-for-a-gtask", a_tasklet_waits_for_a_gtask);
  g_test_add_func ("/scheduler/data-of-a-reply-is-freed-once-or-taken", data_of_a_reply_is_freed_once_or_taken);
  g_test_add_func ("/scheduler/errors-go-to-the-host-and-the-loop-goes-on", errors_go_to_the_host_and_the_loop_goes_on);
  g_test_add_func ("/scheduler/ctrl-c-ends-the-run", ctrl_c_ends_the_run);
  g_test_add_func ("/scheduler/tasklets-run-in-a-nested-loop", tasklets_run_in_a_nested_loop);
  g_test_add_func ("/scheduler/python-stops-with-sleepers", python_stops_with_sleepers);
  g_test_add_func ("/scheduler/each-thread-has-a-context", each_thread_has_a_context);
  g_test_add_func ("/scheduler/what-is-refused-says-why", what_is_refused_says_why);
  return g_test_run ();
}
