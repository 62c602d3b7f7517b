/* glib_sources.c: Python callables in idle, timeout and fd sources, in invoke, and in destroy notifies. */
#include "support_glib.h"

#include <gio/gio.h>
#include <glib-unix.h>
#include <raddle/raddle-glib.h>
#include <fcntl.h>
#include <unistd.h>

#define STORM_THREADS 8
#define STORM_CALLS 1000

/* Callables whose calls have one result each, and what the hook was given. */
#define DEFINITIONS CALL_CODE                                     \
  "import os\n"                                                   \
  "class Answers(Call):\n"                                        \
  "    def __call__(self): return super().__call__().pop(0)\n"    \
  "def hook(about):\n"                                            \
  "    reports.append((about.exc_type.__name__, type(about.object).__name__))\n" \
  "sys.unraisablehook = hook\n"

typedef enum { IDLE, TIMEOUT, INVOKE } Kind;

/* Adds a source with a callable that nobody else holds. */
static guint
add_made (GMainContext *context,
          Kind          kind,
          const char   *expression)
{
  guint id = 0;
  assert_ok (raddle_enter ());
  PyObject *callable = make (expression);
  if (kind == IDLE)
    assert_ok (raddle_idle_add (context, G_PRIORITY_DEFAULT_IDLE, callable, &id));
  else if (kind == TIMEOUT)
    assert_ok (raddle_timeout_add (context, G_PRIORITY_DEFAULT, 1, callable, &id));
  else
    assert_ok (raddle_main_context_invoke (context, G_PRIORITY_DEFAULT, callable));
  Py_DECREF (callable);
  assert_ok (raddle_leave ());
  g_assert_true (id > 0 || kind == INVOKE);
  return id;
}

static void
idle_and_timeout_sources_live_while_their_callables_say_so (void)
{
  Kind kinds[] = { IDLE, TIMEOUT };
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    {
      GMainContext *context = g_main_context_new ();
      begin_notes ();
      guint id = add_made (context, kinds[i], "Answers([True, 1, 'yes', 0])");
      g_assert_nonnull (g_main_context_find_source_by_id (context, id));
      while (look ("len(calls)") < 4)
        g_main_context_iteration (context, TRUE);
      iterate (context);
      g_assert_null (g_main_context_find_source_by_id (context, id));
      g_assert_cmpint (look ("len(calls)"), ==, 4);
      g_assert_cmpint (look ("set(calls) == {()}"), ==, TRUE);
      g_assert_cmpint (look ("len(ends)"), ==, 1);
      g_main_context_unref (context);
    }
}

static void
the_id_may_be_left_out_and_the_default_context_be_null (void)
{
  begin_notes ();
  assert_ok (raddle_enter ());
  PyObject *callable = make ("Call()");
  assert_ok (raddle_idle_add (NULL, G_PRIORITY_DEFAULT_IDLE, callable, NULL));
  assert_ok (raddle_timeout_add (NULL, G_PRIORITY_DEFAULT, 0, callable, NULL));
  Py_DECREF (callable);
  assert_ok (raddle_leave ());
  while (look ("len(calls)") < 2)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (look ("len(ends)"), ==, 1);
}

static gpointer
write_to_pipe (gpointer data)
{
  int fd = GPOINTER_TO_INT (data);
  for (guint i = 0; i < 1000; i++)
    g_assert_cmpint (write (fd, "x", 1), ==, 1);
  g_assert_cmpint (close (fd), ==, 0);
  return NULL;
}

static void
a_pipe_is_read_to_its_end_by_a_callable (void)
{
  GMainContext *context = g_main_context_new ();
  int ends[2];
  g_assert_true (g_unix_open_pipe (ends, FD_CLOEXEC, NULL));
  guint id = 0;
  assert_ok (raddle_enter ());
  run ("read, conditions = b'', []\n"
       "def reader(fd, condition):\n"
       "    global read\n"
       "    conditions.append(condition)\n"
       "    new = os.read(fd, 64)\n"
       "    read += new\n"
       "    return new\n");
  assert_ok (raddle_fd_add (context, G_PRIORITY_DEFAULT, ends[0], G_IO_IN | G_IO_HUP,
                            named ("reader"), &id));
  assert_ok (raddle_leave ());
  GThread *writer = g_thread_new ("writer", write_to_pipe, GINT_TO_POINTER (ends[1]));
  while (g_main_context_find_source_by_id (context, id))
    g_main_context_iteration (context, TRUE);
  g_thread_join (writer);
  g_assert_cmpint (look ("read == b'x' * 1000"), ==, TRUE);
  g_assert_cmpint (look ("conditions[0]") & G_IO_IN, !=, 0);
  g_assert_cmpint (look ("conditions[-1]") & G_IO_HUP, !=, 0);
  g_assert_cmpint (close (ends[0]), ==, 0);
  g_main_context_unref (context);
}

static void
what_a_callable_raises_is_reported_with_its_name_and_ends_the_source (void)
{
  const char *raisers[] = { "Call(result=ValueError)", "Call(result=SystemExit)",
                            "Call(result=KeyboardInterrupt)",
                            "Call(result=type('Odd', (), {'__bool__': lambda self: 1 / 0})())" };
  for (guint i = 0; i < G_N_ELEMENTS (raisers); i++)
    for (Kind kind = IDLE; kind <= INVOKE; kind++)
      {
        GMainContext *context = g_main_context_new ();
        begin_notes ();
        guint id = add_made (context, kind, raisers[i]);
        while (look ("len(calls)") < 1)
          g_main_context_iteration (context, TRUE);
        iterate (context);
        g_assert_cmpint (look ("len(calls)"), ==, 1);
        /* A call has no use for what it returns. */
        gint64 reports = kind == INVOKE && i == 3 ? 0 : 1;
        if (id)
          g_assert_null (g_main_context_find_source_by_id (context, id));
        g_assert_cmpint (look ("sum(about == 'Call' for _, about in reports)"), >=, reports);
        g_assert_cmpint (look ("len(ends)"), ==, 1);
        g_main_context_unref (context);
      }
  g_assert_cmpint (look ("reports[-1][0] == 'ZeroDivisionError'"), ==, TRUE);
}

static void
an_exception_that_is_set_outside_is_none_of_the_callable_s (void)
{
  GMainContext *context = g_main_context_new ();
  begin_notes ();
  add_made (context, IDLE, "Call(result=ValueError)");
  assert_ok (raddle_enter ());
  PyErr_SetString (PyExc_LookupError, "outside");
  iterate (context);
  g_assert_true (PyErr_ExceptionMatches (PyExc_LookupError));
  PyErr_Clear ();
  g_assert_cmpint (evaluate ("reports == [('ValueError', 'Call')]"), ==, TRUE);
  assert_ok (raddle_leave ());
  g_main_context_unref (context);
}

static void
mistakes_are_refused_and_write_nothing (void)
{
  guint id = 7;
  assert_status (raddle_idle_add (NULL, 0, NULL, &id), RADDLE_STATUS_NULL);
  assert_status (raddle_timeout_add (NULL, 0, 1, NULL, &id), RADDLE_STATUS_NULL);
  assert_status (raddle_fd_add (NULL, 0, 0, G_IO_IN, NULL, &id), RADDLE_STATUS_NULL);
  assert_status (raddle_main_context_invoke (NULL, 0, NULL), RADDLE_STATUS_NULL);
  assert_ok (raddle_enter ());
  PyObject *number = PyLong_FromLong (123456);
  Py_ssize_t count = Py_REFCNT (number);
  assert_status (raddle_idle_add (NULL, 0, number, &id), RADDLE_STATUS_INVALID);
  assert_message_has ("not callable");
  assert_status (raddle_main_context_invoke (NULL, 0, number), RADDLE_STATUS_INVALID);
  g_assert_cmpint (Py_REFCNT (number), ==, count);
  Py_DECREF (number);
  assert_ok (raddle_leave ());
  g_assert_cmpuint (id, ==, 7);
  g_assert_false (g_main_context_pending (NULL));
}

static void
invoke_calls_at_once_on_the_thread_that_owns_the_context (void)
{
  GMainContext *context = g_main_context_new ();
  begin_notes ();
  g_assert_true (g_main_context_acquire (context));
  add_made (context, INVOKE, "Call()");
  g_assert_cmpint (look ("threads == [threading.get_ident()]"), ==, TRUE);
  g_assert_cmpint (look ("len(ends)"), ==, 1);
  g_main_context_release (context);
  g_main_context_unref (context);
}

/* A loop on a thread of its own. */
typedef struct {
  GMainContext *context;
  GMainLoop    *loop;
  GThread      *thread;
} Server;

static gpointer
serve (gpointer data)
{
  Server *server = data;
  g_main_context_push_thread_default (server->context);
  g_main_loop_run (server->loop);
  g_main_context_pop_thread_default (server->context);
  return NULL;
}

static Server
start_server (void)
{
  Server server = { g_main_context_new (), NULL, NULL };
  assert_ok (raddle_main_context_attach (server.context, RADDLE_HOLD_CALLBACK, NULL));
  server.loop = g_main_loop_new (server.context, FALSE);
  return server;
}

static gboolean
is_running (gpointer data)
{
  return g_main_loop_is_running (((Server *) data)->loop);
}

static void
stop_server (Server *server)
{
  wait_until (is_running, server);
  g_main_loop_quit (server->loop);
  g_thread_join (server->thread);
  g_main_loop_unref (server->loop);
  g_main_context_unref (server->context);
}

static gboolean
has_python_list (gpointer expression)
{
  return look (expression) != 0;
}

typedef struct {
  GMainContext *context;
  Meeting       meeting;
} Storm;

static gpointer
storm_without_python (gpointer data)
{
  Storm *storm = data;
  meet (&storm->meeting);
  for (guint i = 0; i < STORM_CALLS; i++)
    add_made (storm->context, i % 2 ? INVOKE : IDLE, "Call()");
  return NULL;
}

static gpointer
storm_with_python (gpointer data)
{
  Storm *storm = data;
  meet (&storm->meeting);
  assert_ok (raddle_enter ());
  for (guint i = 0; i < STORM_CALLS; i++)
    {
      add_made (storm->context, i % 2 ? INVOKE : TIMEOUT, "Call()");
      if (i % 100 == 0)
        run ("sum(range(1000))");
    }
  assert_ok (raddle_leave ());
  return NULL;
}

static void
a_storm_of_invocations_arrives_whole_on_one_thread (void)
{
  begin_notes ();
  Server server = start_server ();
  server.thread = g_thread_new ("server", serve, &server);
  Storm storm = { .context = server.context };
  meeting_init (&storm.meeting, STORM_THREADS);
  GThread *threads[STORM_THREADS];
  for (guint i = 0; i < STORM_THREADS; i++)
    threads[i] = g_thread_new ("storm", i % 2 ? storm_with_python : storm_without_python, &storm);
  for (guint i = 0; i < STORM_THREADS; i++)
    g_thread_join (threads[i]);
  g_autofree char *all = g_strdup_printf ("len(calls) == len(ends) == %d", STORM_THREADS * STORM_CALLS);
  wait_until (has_python_list, all);
  g_assert_cmpint (look ("len(set(threads))"), ==, 1);
  stop_server (&server);
}

/* Destroys the source that is handed over, on a thread that does not hold Python. */
static gpointer
destroy_source (gpointer source)
{
  g_assert_false (raddle_is_held ());
  g_source_destroy (source);
  g_source_unref (source);
  return NULL;
}

static void
a_source_that_another_thread_destroys_drops_its_callable_once (void)
{
  for (Kind kind = IDLE; kind <= TIMEOUT; kind++)
    {
      GMainContext *context = g_main_context_new ();
      begin_notes ();
      guint id = add_made (context, kind, "Call()");
      GSource *source = g_source_ref (g_main_context_find_source_by_id (context, id));
      on_a_thread (destroy_source, source);
      g_assert_cmpint (look ("len(calls)"), ==, 0);
      g_assert_cmpint (look ("len(ends)"), ==, 1);
      g_main_context_unref (context);
    }
}

static void
a_context_that_dies_with_its_sources_drops_their_callables_once (void)
{
  begin_notes ();
  GMainContext *context = g_main_context_new ();
  for (guint i = 0; i < 30; i++)
    add_made (context, i % 3, "Call()");
  int ends[2];
  g_assert_true (g_unix_open_pipe (ends, FD_CLOEXEC, NULL));
  assert_ok (raddle_enter ());
  PyObject *callable = make ("Call()");
  assert_ok (raddle_fd_add (context, 0, ends[0], G_IO_IN, callable, NULL));
  Py_DECREF (callable);
  assert_ok (raddle_leave ());
  g_main_context_unref (context);
  g_assert_cmpint (look ("len(ends)"), ==, 31);
  g_assert_cmpint (look ("len(calls)"), ==, 0);
  g_assert_cmpint (close (ends[0]) | close (ends[1]), ==, 0);
}

static void
a_callable_may_remove_its_own_source (void)
{
  begin_notes ();
  GMainContext *context = g_main_context_new ();
  assert_ok (raddle_enter ());
  run ("import ctypes\n"
       "def remove(*_):\n"
       "    calls.append(())\n"
       "    destroy(source)\n"
       "    return True\n");
  give_address ("destroy_address", (gpointer) g_source_destroy);
  run ("destroy = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(destroy_address)");
  guint id = 0;
  assert_ok (raddle_idle_add (context, 0, named ("remove"), &id));
  give_address ("source", g_main_context_find_source_by_id (context, id));
  assert_ok (raddle_leave ());
  iterate (context);
  g_assert_cmpint (look ("len(calls)"), ==, 1);
  g_main_context_unref (context);
}

/* GPrivate values are destroyed late, by pthread: after Rust's and C++'s thread-local values. */
static GPrivate kept = G_PRIVATE_INIT (raddle_destroy_notify);

static gpointer
keep_an_object (gpointer data)
{
  assert_ok (raddle_enter ());
  PyObject *object = make ("Call()");
  if (GPOINTER_TO_INT (data))
    g_private_set (&kept, object);
  assert_ok (raddle_leave ());
  if (!GPOINTER_TO_INT (data))
    g_private_set (&kept, object);
  return NULL;
}

static void
an_object_in_a_private_of_a_thread_goes_with_it (void)
{
  begin_notes ();
  for (int i = 0; i < 20; i++)
    on_a_thread (keep_an_object, GINT_TO_POINTER (i % 2));
  g_assert_cmpint (look ("len(ends)"), ==, 20);
}

static gpointer
drop_foreign (gpointer object)
{
  g_assert_false (raddle_is_held ());
  g_object_unref (object);
  return NULL;
}

static void
an_object_in_the_data_of_another_goes_with_it (void)
{
  enum { NOT_HELD, HELD, RELEASED, FOREIGN, WAYS };
  begin_notes ();
  for (int way = 0; way < WAYS; way++)
    {
      GObject *object = g_object_new (G_TYPE_OBJECT, NULL);
      assert_ok (raddle_enter ());
      g_object_set_data_full (object, "callable", make ("Call()"), raddle_destroy_notify);
      if (way == NOT_HELD)
        assert_ok (raddle_leave ());
      if (way == RELEASED || way == FOREIGN)
        assert_ok (raddle_unblock_threads ());
      if (way == FOREIGN)
        g_thread_join (g_thread_new ("foreign", drop_foreign, object));
      else
        g_object_unref (object);
      if (way == RELEASED || way == FOREIGN)
        assert_ok (raddle_block_threads ());
      if (way != NOT_HELD)
        assert_ok (raddle_leave ());
    }
  raddle_destroy_notify (NULL);
  g_assert_cmpint (look ("len(ends)"), ==, WAYS);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/glib/source/idle-and-timeout-sources-live-while-their-callables-say-so",
                   idle_and_timeout_sources_live_while_their_callables_say_so);
  g_test_add_func ("/glib/source/the-id-may-be-left-out-and-the-default-context-be-null",
                   the_id_may_be_left_out_and_the_default_context_be_null);
  g_test_add_func ("/glib/source/a-pipe-is-read-to-its-end-by-a-callable",
                   a_pipe_is_read_to_its_end_by_a_callable);
  g_test_add_func ("/glib/source/what-a-callable-raises-is-reported-and-ends-the-source",
                   what_a_callable_raises_is_reported_with_its_name_and_ends_the_source);
  g_test_add_func ("/glib/source/an-exception-that-is-set-outside-is-none-of-the-callable-s",
                   an_exception_that_is_set_outside_is_none_of_the_callable_s);
  g_test_add_func ("/glib/source/mistakes-are-refused-and-write-nothing",
                   mistakes_are_refused_and_write_nothing);
  g_test_add_func ("/glib/source/another-thread-s-destroy-drops-the-callable-once",
                   a_source_that_another_thread_destroys_drops_its_callable_once);
  g_test_add_func ("/glib/source/a-dying-context-drops-its-callables-once",
                   a_context_that_dies_with_its_sources_drops_their_callables_once);
  g_test_add_func ("/glib/source/a-callable-may-remove-its-own-source",
                   a_callable_may_remove_its_own_source);
  g_test_add_func ("/glib/invoke/calls-at-once-on-the-thread-that-owns-the-context",
                   invoke_calls_at_once_on_the_thread_that_owns_the_context);
  g_test_add_func ("/glib/invoke/a-storm-arrives-whole-on-one-thread",
                   a_storm_of_invocations_arrives_whole_on_one_thread);
  g_test_add_func ("/glib/notify/an-object-in-a-private-of-a-thread-goes-with-it",
                   an_object_in_a_private_of_a_thread_goes_with_it);
  g_test_add_func ("/glib/notify/an-object-in-the-data-of-another-goes-with-it",
                   an_object_in_the_data_of_another_goes_with_it);
  return run_with_definitions (DEFINITIONS);
}
