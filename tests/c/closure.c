/* closure.c: Python callables as closures: invoked, invalidated and dropped, held or not, on any thread. */
#include "support_glib.h"

#include <gio/gio.h>
#include <raddle/raddle-glib.h>

#define DEFINITIONS CALL_CODE REPORTS_CODE

/* A closure of a callable that nobody else holds. */
static GClosure *
closure_of (const char *expression)
{
  assert_ok (raddle_enter ());
  g_autofree char *code = g_strdup_printf ("made = %s", expression);
  run (code);
  GClosure *closure = raddle_closure_new (named ("made"));
  g_assert_nonnull (closure);
  run ("del made");
  assert_ok (raddle_leave ());
  g_closure_ref (closure);
  g_closure_sink (closure);
  return closure;
}

/* Invokes a closure with an int and a text, for an int. */
static int
invoke (GClosure *closure)
{
  GValue result = G_VALUE_INIT, values[2] = { G_VALUE_INIT, G_VALUE_INIT };
  g_value_init (&result, G_TYPE_INT);
  g_value_set_int (&result, -1);
  g_value_init (&values[0], G_TYPE_INT);
  g_value_set_int (&values[0], 5);
  g_value_init (&values[1], G_TYPE_STRING);
  g_value_set_static_string (&values[1], "five");
  g_closure_invoke (closure, &result, 2, values, NULL);
  g_value_unset (&values[1]);
  return g_value_get_int (&result);
}

static gpointer
invoke_on_a_thread (gpointer closure)
{
  g_assert_false (raddle_is_held ());
  return GINT_TO_POINTER (invoke (closure));
}

static void
a_closure_calls_with_its_values_and_gives_the_result (void)
{
  begin_notes ();
  GClosure *closure = closure_of ("Call(42)");
  g_assert_cmpint (invoke (closure), ==, 42);
  assert_ok (raddle_enter ());
  g_assert_cmpint (invoke (closure), ==, 42);
  g_assert_true (raddle_is_held ());
  assert_ok (raddle_leave ());
  g_assert_cmpint (GPOINTER_TO_INT (on_a_thread (invoke_on_a_thread, closure)), ==, 42);
  g_assert_cmpint (look ("calls == [(5, 'five')] * 3 and threads[0] == threads[1] != threads[2]"), ==, TRUE);
  g_closure_invoke (closure, NULL, 0, NULL, NULL);
  g_assert_cmpint (look ("calls[3] == () and ends == []"), ==, TRUE);
  g_closure_unref (closure);
  g_assert_cmpint (look ("len(ends)"), ==, 1);
}

static void
more_values_than_usual_come_in_their_order (void)
{
  GValue values[20] = { G_VALUE_INIT };
  begin_notes ();
  GClosure *closure = closure_of ("Call()");
  for (int i = 0; i < 20; i++)
    {
      g_value_init (&values[i], G_TYPE_INT);
      g_value_set_int (&values[i], i);
    }
  for (int count = 0; count <= 20; count++)
    g_closure_invoke (closure, NULL, count, values, NULL);
  g_assert_cmpint (look ("[list(given) for given in calls] == [list(range(n)) for n in range(21)]"), ==, TRUE);
  g_closure_unref (closure);
}

static void
what_goes_wrong_is_reported_and_the_result_keeps_its_default (void)
{
  const char *wrong[] = { "Call(ValueError)", "Call('text')", "Call(2 ** 40)", "Call(1.5)", "len" };
  const char *raised[] = { "ValueError", "TypeError", "OverflowError", "TypeError", "TypeError" };
  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
    {
      begin_notes ();
      GClosure *closure = closure_of (wrong[i]);
      g_assert_cmpint (invoke (closure), ==, -1);
      g_autofree char *reported = g_strdup_printf ("[name for name, _ in reports] == ['%s']", raised[i]);
      g_assert_cmpint (look (reported), ==, TRUE);
      g_closure_unref (closure);
    }
}

static void
an_exception_that_is_set_outside_stays_set (void)
{
  begin_notes ();
  GClosure *closure = closure_of ("Call(7)");
  assert_ok (raddle_enter ());
  PyErr_SetString (PyExc_KeyError, "mine");
  g_assert_cmpint (invoke (closure), ==, 7);
  g_assert_true (PyErr_ExceptionMatches (PyExc_KeyError));
  PyErr_Clear ();
  assert_ok (raddle_leave ());
  g_assert_cmpint (look ("reports == []"), ==, TRUE);
  g_closure_unref (closure);
}

static gpointer
invalidate_on_a_thread (gpointer closure)
{
  g_assert_false (raddle_is_held ());
  g_closure_invalidate (closure);
  return NULL;
}

static void
an_invalidated_closure_drops_its_callable_at_once_and_calls_nothing (void)
{
  for (int way = 0; way < 3; way++)
    {
      begin_notes ();
      GClosure *closure = closure_of ("Call(1)");
      if (way == 0)
        g_closure_invalidate (closure);
      else if (way == 1)
        on_a_thread (invalidate_on_a_thread, closure);
      else
        {
          assert_ok (raddle_enter ());
          g_closure_invalidate (closure);
          g_assert_cmpint (evaluate ("len(ends)"), ==, 1);
          assert_ok (raddle_leave ());
        }
      g_assert_cmpint (look ("len(ends)"), ==, 1);
      g_assert_cmpint (invoke (closure), ==, -1);
      g_assert_cmpint (look ("calls == []"), ==, TRUE);
      g_closure_unref (closure);
    }
}

/* The callable of @inside invalidates its own closure from another thread, and is still there after. */
static GClosure *inside;

static void
invalidate_inside (void)
{
  on_a_thread (invalidate_on_a_thread, inside);
}

static void
who_is_inside_when_it_is_invalidated_finishes (void)
{
  begin_notes ();
  assert_ok (raddle_enter ());
  give_address ("address", (gpointer) invalidate_inside);
  run ("import ctypes\n"
       "invalidate = ctypes.PYFUNCTYPE(None)(address)");
  assert_ok (raddle_leave ());
  inside = closure_of ("Call(9, lambda *_: (invalidate(), noted.append(len(ends))))");
  in_python ("noted = []");
  g_assert_cmpint (invoke (inside), ==, 9);
  g_assert_cmpint (look ("noted == [0] and len(ends) == 1 and len(calls) == 1"), ==, TRUE);
  g_assert_cmpint (invoke (inside), ==, -1);
  g_closure_unref (inside);
}

static gpointer
drop_on_a_thread (gpointer closure)
{
  g_assert_false (raddle_is_held ());
  g_closure_unref (closure);
  return NULL;
}

static void
a_closure_is_dropped_on_any_thread_and_its_callable_once (void)
{
  begin_notes ();
  for (int i = 0; i < 30; i++)
    on_a_thread (drop_on_a_thread, closure_of ("Call()"));
  g_assert_cmpint (look ("len(ends)"), ==, 30);
}

static void
mistakes_give_null_and_a_message (void)
{
  g_assert_null (raddle_closure_new (NULL));
  assert_message_has ("NULL");
  assert_ok (raddle_enter ());
  g_assert_null (raddle_closure_new (Py_None));
  assert_message_has ("not callable");
  assert_ok (raddle_leave ());
}

/* --- after the stop --- */

static void
after_the_stop_a_closure_is_deaf_and_dropping_it_never_attaches (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  GObject *object = g_object_new (G_TYPE_SIMPLE_ACTION, "name", "a", NULL);
  in_python (DEFINITIONS);
  begin_notes ();
  GClosure *first = closure_of ("Call(1)"), *second = closure_of ("Call(2)");
  assert_ok (raddle_enter ());
  g_assert_cmpuint (raddle_signal_connect (object, "activate", named ("Call"), 0), >, 0);
  assert_ok (raddle_leave ());
  stop_python (runtime);
  guint64 leaked = figures ().leaked;
  g_assert_cmpint (invoke (first), ==, -1);
  g_assert_cmpint (GPOINTER_TO_INT (on_a_thread (invoke_on_a_thread, second)), ==, -1);
  g_action_activate (G_ACTION (object), NULL);
  g_closure_invalidate (first);
  g_closure_unref (first);
  on_a_thread (drop_on_a_thread, second);
  g_object_unref (object);
  g_assert_cmpuint (figures ().leaked, ==, leaked + 3);
  runtime = start_python ();
  assert_ok (raddle_enter ());
  run ("calls, ends = [], []\n"
       "def fresh(): calls.append(1)");
  GClosure *third = raddle_closure_new (named ("fresh"));
  g_closure_sink (g_closure_ref (third));
  g_closure_invoke (third, NULL, 0, NULL, NULL);
  g_assert_cmpint (evaluate ("len(calls)"), ==, 1);
  assert_ok (raddle_leave ());
  g_closure_unref (third);
  stop_python (runtime);
}

static void
a_closure_of_the_last_python_is_deaf_in_the_next (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  assert_ok (raddle_enter ());
  run ("def old(*_): return 3");
  GClosure *closure = raddle_closure_new (named ("old"));
  g_closure_sink (g_closure_ref (closure));
  assert_ok (raddle_leave ());
  stop_python (runtime);
  runtime = start_python ();
  g_assert_cmpint (invoke (closure), ==, -1);
  g_closure_unref (closure);
  stop_python (runtime);
}

static gpointer
stop_from_here (gpointer runtime)
{
  assert_ok (raddle_runtime_stop (runtime, 20 * 1000));
  return NULL;
}

/* Invokes until the gate refuses, while another thread stops Python. */
static void
a_storm_of_invocations_may_go_on_through_a_stop (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  assert_ok (raddle_enter ());
  run ("def answer(*_): return 3");
  GClosure *closure = raddle_closure_new (named ("answer"));
  g_closure_sink (g_closure_ref (closure));
  assert_ok (raddle_leave ());
  GThread *threads[4];
  for (int i = 0; i < 4; i++)
    {
      g_assert_cmpint (invoke (closure), ==, 3);
      threads[i] = NULL;
    }
  gint64 deadline = g_get_monotonic_time () + 20 * G_TIME_SPAN_SECOND;
  for (int i = 0; i < 4; i++)
    threads[i] = g_thread_new ("invoker", invoke_on_a_thread, closure);
  stop_from_here (runtime);
  while (invoke (closure) == 3)
    g_assert_cmpint (g_get_monotonic_time (), <, deadline);
  for (int i = 0; i < 4; i++)
    {
      int got = GPOINTER_TO_INT (g_thread_join (threads[i]));
      g_assert_true (got == 3 || got == -1);
    }
  g_closure_unref (closure);
  raddle_runtime_unref (runtime);
}

/* --- held through the turn --- */

static gboolean
invoke_in_a_turn (gpointer data)
{
  gpointer *held_and_closure = data;
  held_and_closure[0] = GINT_TO_POINTER (raddle_is_held ());
  invoke (held_and_closure[1]);
  return G_SOURCE_REMOVE;
}

static void
in_a_held_turn_an_invocation_nests (void)
{
  begin_notes ();
  GMainContext *context = g_main_context_new ();
  GMainLoop *loop = g_main_loop_new (context, FALSE);
  assert_ok (raddle_main_context_attach (context, RADDLE_HOLD_TURN, NULL));
  gpointer data[2] = { NULL, closure_of ("Call(1)") };
  g_main_context_invoke (context, quit_loop, loop);
  for (int i = 0; i < 2; i++)
    {
      GSource *source = g_idle_source_new ();
      g_source_set_priority (source, i);
      add_source (context, source, i == 0 ? invoke_in_a_turn : quit_loop, i == 0 ? (gpointer) data : loop);
    }
  guint64 nested = figures ().nested;
  assert_ok (raddle_main_loop_run (loop));
  g_assert_true (GPOINTER_TO_INT (data[0]));
  g_assert_cmpuint (figures ().nested, >, nested);
  g_assert_cmpint (look ("len(calls)"), ==, 1);
  g_closure_unref (data[1]);
  g_main_loop_unref (loop);
  g_main_context_unref (context);
}

/* --- workers --- */

static void
a_call_gives_a_value_or_an_error (void)
{
  GValue value = G_VALUE_INIT;
  GError *error = NULL;
  assert_ok (raddle_enter ());
  run (DEFINITIONS
       "calls, threads, ends, reports = [], [], [], []\n"
       "import asyncio\n"
       "from raddle import GError\n"
       "def own():\n"
       "    error = GError('busy')\n"
       "    error.domain, error.code, error.message = 'g-io-error-quark', 26, 'busy'\n"
       "    raise error\n"
       "def cancelled(): raise asyncio.CancelledError()\n"
       "seven, fails = Call(7), Call(KeyError)");
  PyObject *seven = named ("seven"), *fails = named ("fails"), *own = named ("own"), *cancelled = named ("cancelled");
  assert_ok (raddle_leave ());
  g_assert_true (raddle_call (seven, G_TYPE_INT64, &value, &error));
  g_assert_cmpint (g_value_get_int64 (&value), ==, 7);
  g_value_unset (&value);
  g_assert_true (raddle_call (seven, G_TYPE_INVALID, &value, NULL));
  g_assert_cmpint (g_value_get_int (&value), ==, 7);
  g_value_unset (&value);
  g_assert_true (raddle_call (seven, G_TYPE_INT, NULL, NULL));
  g_assert_false (raddle_call (fails, G_TYPE_INT, &value, &error));
  g_assert_error (error, RADDLE_DOMAIN, RADDLE_STATUS_PYTHON);
  support_assert_has (G_STRFUNC, __LINE__, error->message, "KeyError: 'from Python'");
  g_clear_error (&error);
  g_assert_false (raddle_call (seven, G_TYPE_STRING, &value, &error));
  support_assert_has (G_STRFUNC, __LINE__, error->message, "TypeError");
  g_clear_error (&error);
  g_assert_false (raddle_call (own, G_TYPE_INT, &value, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_BUSY);
  g_clear_error (&error);
  g_assert_false (raddle_call (cancelled, G_TYPE_INT, &value, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  g_assert_false (raddle_call (NULL, G_TYPE_INT, &value, &error));
  g_assert_error (error, RADDLE_DOMAIN, RADDLE_STATUS_NULL);
  g_clear_error (&error);
  g_assert_false (raddle_call (fails, G_TYPE_INT, &value, NULL));
  g_assert_true (value.g_type == G_TYPE_INVALID);
}

static void
a_call_passes_its_values (void)
{
  begin_notes ();
  GValue value = G_VALUE_INIT, given[2] = { G_VALUE_INIT, G_VALUE_INIT };
  GError *error = NULL;
  assert_ok (raddle_enter ());
  run ("double = lambda *given: calls.append(given) or given[0] * 2");
  PyObject *twice = named ("double");
  assert_ok (raddle_leave ());
  g_value_init (&given[0], G_TYPE_INT);
  g_value_set_int (&given[0], 21);
  g_value_init (&given[1], G_TYPE_OBJECT);
  g_assert_true (raddle_call_with_values (twice, G_TYPE_INT, 2, given, &value, &error));
  g_assert_cmpint (g_value_get_int (&value), ==, 42);
  g_assert_cmpint (look ("calls == [(21, None)]"), ==, TRUE);
  g_value_unset (&value);
  g_assert_false (raddle_call_with_values (twice, G_TYPE_INT, 0, NULL, &value, &error));
  support_assert_has (G_STRFUNC, __LINE__, error->message, "IndexError");
  g_clear_error (&error);
  g_assert_false (raddle_call_with_values (twice, G_TYPE_INT, 1, NULL, &value, &error));
  g_assert_error (error, RADDLE_DOMAIN, RADDLE_STATUS_NULL);
  g_clear_error (&error);
  g_value_unset (&given[1]);
}

static struct {
  GMutex mutex;
  int done, failed, sum, notified;
} pool_figures;

static void
pool_done (const GValue *value,
           const GError *error,
           gpointer      data)
{
  g_assert_true (data == &pool_figures && (value == NULL) != (error == NULL));
  g_mutex_lock (&pool_figures.mutex);
  pool_figures.done++;
  if (error)
    pool_figures.failed++;
  else
    pool_figures.sum += g_value_get_int (value);
  g_mutex_unlock (&pool_figures.mutex);
}

static void
pool_notified (gpointer data)
{
  g_assert_true (data == &pool_figures);
  g_atomic_int_inc (&pool_figures.notified);
}

static gboolean
all_are_notified (gpointer unused)
{
  (void) unused;
  g_assert_cmpint (g_atomic_int_get (&pool_figures.notified), <=, 123);
  return g_atomic_int_get (&pool_figures.notified) == 123;
}

static void
a_pool_calls_on_its_threads_and_tells_what_came_of_it (void)
{
  begin_notes ();
  GError *error = NULL;
  GThreadPool *pool = raddle_thread_pool_new (4, FALSE, &error);
  g_assert_no_error (error);
  assert_ok (raddle_enter ());
  run ("one, wrong = Call(1), Call(KeyError)");
  PyObject *one = named ("one"), *wrong = named ("wrong");
  for (int i = 0; i < 100; i++)
    assert_ok (raddle_thread_pool_push (pool, i % 10 ? one : wrong, G_TYPE_INT, pool_done, &pool_figures, pool_notified));
  assert_status (raddle_thread_pool_push (NULL, one, G_TYPE_INT, pool_done, &pool_figures, pool_notified), RADDLE_STATUS_NULL);
  assert_status (raddle_thread_pool_push (pool, NULL, G_TYPE_INT, NULL, &pool_figures, pool_notified), RADDLE_STATUS_NULL);
  assert_status (raddle_thread_pool_push (pool, Py_None, G_TYPE_INT, NULL, &pool_figures, pool_notified), RADDLE_STATUS_INVALID);
  assert_ok (raddle_leave ());
  g_thread_pool_free (pool, FALSE, TRUE);
  g_assert_cmpint (pool_figures.done, ==, 100);
  g_assert_cmpint (pool_figures.failed, ==, 10);
  g_assert_cmpint (pool_figures.sum, ==, 90);
  g_assert_cmpint (pool_figures.notified, ==, 103);
  /* Work that is thrown away is notified of as well, and its callable dropped. */
  pool = raddle_thread_pool_new (1, TRUE, NULL);
  assert_ok (raddle_enter ());
  for (int i = 0; i < 20; i++)
    assert_ok (raddle_thread_pool_push (pool, one, G_TYPE_INT, NULL, &pool_figures, pool_notified));
  run ("del one, wrong");
  assert_ok (raddle_leave ());
  g_thread_pool_free (pool, TRUE, TRUE);
  /* GLib waits for what is under way; its last thread throws the rest away. */
  wait_until (all_are_notified, NULL);
  g_assert_cmpint (look ("len(ends)"), ==, 2);
}

static void
a_status_becomes_an_error_of_raddle_s_domain (void)
{
  GError *error = NULL;
  g_assert_true (raddle_set_error (&error, RADDLE_STATUS_OK));
  g_assert_no_error (error);
  g_assert_false (raddle_set_error (&error, raddle_idle_add (NULL, 0, NULL, NULL)));
  g_assert_error (error, RADDLE_DOMAIN, RADDLE_STATUS_NULL);
  g_assert_cmpstr (error->message, ==, raddle_last_error_message ());
  g_clear_error (&error);
  g_assert_false (raddle_set_error (NULL, RADDLE_STATUS_BUSY));
  g_assert_cmpstr (g_quark_to_string (RADDLE_DOMAIN), ==, "raddle-error-quark");
}

static void
types_are_registered_with_all_their_values (void)
{
  GEnumClass *statuses = g_type_class_ref (RADDLE_TYPE_STATUS);
  for (guint i = 0; i < statuses->n_values; i++)
    g_assert_cmpstr (raddle_status_name ((RaddleStatus) statuses->values[i].value), ==, statuses->values[i].value_name);
  g_assert_cmpstr (raddle_status_name ((RaddleStatus) statuses->n_values), ==, "RADDLE_STATUS_UNKNOWN");
  g_type_class_unref (statuses);
  GEnumClass *holds = g_type_class_ref (RADDLE_TYPE_HOLD);
  g_assert_cmpuint (holds->n_values, ==, 2);
  g_type_class_unref (holds);
  g_assert_true (G_TYPE_IS_BOXED (RADDLE_TYPE_RUNTIME) && G_TYPE_IS_BOXED (RADDLE_TYPE_OBJECT));
  GValue value = G_VALUE_INIT;
  RaddleRuntime *runtime = NULL;
  assert_ok (raddle_enter ());
  assert_ok (raddle_runtime_adopt (&runtime));
  assert_ok (raddle_leave ());
  g_value_init (&value, RADDLE_TYPE_RUNTIME);
  g_value_take_boxed (&value, runtime);
  RaddleRuntime *copy = g_value_dup_boxed (&value);
  g_value_unset (&value);
  g_assert_true (raddle_runtime_is_open (copy));
  raddle_runtime_unref (copy);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/closure/calls-with-its-values-and-gives-the-result",
                   a_closure_calls_with_its_values_and_gives_the_result);
  g_test_add_func ("/closure/more-values-than-usual-come-in-their-order",
                   more_values_than_usual_come_in_their_order);
  g_test_add_func ("/closure/what-goes-wrong-is-reported-and-the-result-keeps-its-default",
                   what_goes_wrong_is_reported_and_the_result_keeps_its_default);
  g_test_add_func ("/closure/an-exception-that-is-set-outside-stays-set",
                   an_exception_that_is_set_outside_stays_set);
  g_test_add_func ("/closure/invalidated/drops-its-callable-at-once-and-calls-nothing",
                   an_invalidated_closure_drops_its_callable_at_once_and_calls_nothing);
  g_test_add_func ("/closure/invalidated/who-is-inside-finishes",
                   who_is_inside_when_it_is_invalidated_finishes);
  g_test_add_func ("/closure/dropped/on-any-thread-and-its-callable-once",
                   a_closure_is_dropped_on_any_thread_and_its_callable_once);
  g_test_add_func ("/closure/mistakes-give-null-and-a-message", mistakes_give_null_and_a_message);
  g_test_add_func ("/closure/stop/afterwards-it-is-deaf-and-dropping-it-never-attaches",
                   after_the_stop_a_closure_is_deaf_and_dropping_it_never_attaches);
  g_test_add_func ("/closure/stop/one-of-the-last-python-is-deaf-in-the-next",
                   a_closure_of_the_last_python_is_deaf_in_the_next);
  g_test_add_func ("/closure/stop/a-storm-may-go-on-through-it",
                   a_storm_of_invocations_may_go_on_through_a_stop);
  g_test_add_func ("/closure/turn/an-invocation-nests", in_a_held_turn_an_invocation_nests);
  g_test_add_func ("/worker/a-call-gives-a-value-or-an-error", a_call_gives_a_value_or_an_error);
  g_test_add_func ("/worker/a-call-passes-its-values", a_call_passes_its_values);
  g_test_add_func ("/worker/a-pool-calls-and-tells-what-came-of-it",
                   a_pool_calls_on_its_threads_and_tells_what_came_of_it);
  g_test_add_func ("/gtype/a-status-becomes-an-error", a_status_becomes_an_error_of_raddle_s_domain);
  g_test_add_func ("/gtype/types-have-all-their-values", types_are_registered_with_all_their_values);
  return run_with_definitions (DEFINITIONS);
}
