/* signal.c: Python callables and held C handlers on signals: connected, emitted, disconnected, finalised, from any thread. */
#include "support.h"

#include <gio/gio.h>
#include <raddle/raddle-glib.h>
#include <string.h>

#define STORM_THREADS 8
#define STORM_OBJECTS 16
#define STORM_STEPS 600

/* --- a type with a signal of every shape --- */

typedef struct {
  GObject parent;
  int     number;
} Thing;
typedef GObjectClass ThingClass;
GType thing_get_type (void);
G_DEFINE_TYPE (Thing, thing, G_TYPE_OBJECT)

enum { PLAIN, ASKS, NAMES, DECIDES, N_SIGNALS };
static guint signals[N_SIGNALS];

static void
thing_set (GObject      *object,
           guint         id,
           const GValue *value,
           GParamSpec   *spec)
{
  (void) id;
  (void) spec;
  ((Thing *) object)->number = g_value_get_int (value);
}

static void
thing_get (GObject    *object,
           guint       id,
           GValue     *value,
           GParamSpec *spec)
{
  (void) id;
  (void) spec;
  g_value_set_int (value, ((Thing *) object)->number);
}

static void
thing_class_init (ThingClass *class)
{
  class->set_property = thing_set;
  class->get_property = thing_get;
  g_object_class_install_property (class, 1, g_param_spec_int ("number", NULL, NULL, 0, 100, 0, G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS));
  signals[PLAIN] = g_signal_new ("plain", thing_get_type (), G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
  signals[ASKS] = g_signal_new ("asks", thing_get_type (), G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_INT, 2, G_TYPE_INT, G_TYPE_STRING);
  signals[NAMES] = g_signal_new ("names", thing_get_type (), G_SIGNAL_RUN_LAST | G_SIGNAL_DETAILED, 0, NULL, NULL, NULL, G_TYPE_STRING, 1, G_TYPE_OBJECT);
  signals[DECIDES] = g_signal_new ("decides", thing_get_type (), G_SIGNAL_RUN_LAST, 0, g_signal_accumulator_true_handled, NULL, NULL, G_TYPE_BOOLEAN, 0);
}

static void
thing_init (Thing *thing)
{
  thing->number = 0;
}

static Thing *
new_thing (void)
{
  return g_object_new (thing_get_type (), NULL);
}

#define DEFINITIONS CALL_CODE REPORTS_CODE

/* Connects a callable that nobody else holds. */
static gulong
connect (gpointer      object,
         const char   *signal,
         const char   *expression,
         GConnectFlags flags)
{
  assert_ok (raddle_enter ());
  PyObject *made = make (expression);
  gulong id = raddle_signal_connect (object, signal, made, flags);
  Py_DECREF (made);
  assert_ok (raddle_leave ());
  return id;
}

static int
ask (Thing *thing)
{
  int answer = -1;
  g_signal_emit (thing, signals[ASKS], 0, 5, "five", &answer);
  return answer;
}

static gpointer
ask_on_a_thread (gpointer thing)
{
  g_assert_false (raddle_is_held ());
  return GINT_TO_POINTER (ask (thing));
}

static void
a_handler_gets_the_instance_and_the_arguments_and_answers (void)
{
  begin_notes ();
  Thing *thing = new_thing ();
  gulong id = connect (thing, "asks", "Call(42)", 0);
  g_assert_cmpuint (id, >, 0);
  g_assert_cmpint (ask (thing), ==, 42);
  g_assert_cmpint (GPOINTER_TO_INT (on_a_thread (ask_on_a_thread, thing)), ==, 42);
  assert_ok (raddle_enter ());
  g_assert_cmpint (ask (thing), ==, 42);
  assert_ok (raddle_leave ());
  g_assert_cmpint (look ("len(calls) == 3 and calls[0][1:] == (5, 'five') and calls[0][0].type_name == 'Thing'"), ==, TRUE);
  g_assert_cmpint (look ("calls[0][0] == calls[1][0] == calls[2][0]"), ==, TRUE);
  g_signal_handler_disconnect (thing, id);
  g_assert_cmpint (ask (thing), ==, 0);
  g_assert_cmpint (look ("len(ends) == 1 and len(calls) == 3"), ==, TRUE);
  g_assert_cmpuint (G_OBJECT (thing)->ref_count, ==, 4);
  begin_notes ();
  g_assert_cmpuint (G_OBJECT (thing)->ref_count, ==, 1);
  g_object_unref (thing);
}

static void
a_text_and_a_truth_are_answered_too (void)
{
  begin_notes ();
  Thing *thing = new_thing ();
  char *name = NULL;
  gboolean decided = FALSE;
  connect (thing, "names::first", "Call('called')", 0);
  g_signal_emit (thing, signals[NAMES], g_quark_from_static_string ("second"), thing, &name);
  g_assert_null (name);
  g_signal_emit (thing, signals[NAMES], g_quark_from_static_string ("first"), thing, &name);
  g_assert_cmpstr (name, ==, "called");
  g_free (name);
  g_assert_cmpint (look ("calls[0][0] == calls[0][1] and len(calls) == 1"), ==, TRUE);
  connect (thing, "decides", "Call(None)", 0);
  connect (thing, "decides", "Call([1])", 0);
  connect (thing, "decides", "Call(True)", 0);
  g_signal_emit (thing, signals[DECIDES], 0, &decided);
  g_assert_true (decided);
  g_assert_cmpint (look ("len(calls)"), ==, 3);
  g_object_unref (thing);
}

static void
a_property_is_watched_by_its_name (void)
{
  begin_notes ();
  Thing *thing = new_thing ();
  connect (thing, "notify::number", "Call()", 0);
  g_object_set (thing, "number", 7, NULL);
  g_assert_cmpint (look ("calls[0][1].name == 'number' and calls[0][0].get_property('number') == 7"), ==, TRUE);
  assert_ok (raddle_enter ());
  run ("calls[0][0].set_property('number', 9)\n"
       "try:\n"
       "    calls[0][0].set_property('number', 101)\n"
       "    refused = False\n"
       "except OverflowError:\n"
       "    refused = True");
  g_assert_cmpint (evaluate ("refused and len(calls) == 2"), ==, TRUE);
  assert_ok (raddle_leave ());
  g_assert_cmpint (thing->number, ==, 9);
  begin_notes ();
  g_object_unref (thing);
  g_assert_cmpint (look ("len(ends)"), ==, 1);
}

static void
handlers_after_come_last (void)
{
  begin_notes ();
  Thing *thing = new_thing ();
  connect (thing, "asks", "Call(1, lambda *_: calls.append('after'))", G_CONNECT_AFTER);
  connect (thing, "asks", "Call(2, lambda *_: calls.append('before'))", 0);
  g_assert_cmpint (ask (thing), ==, 1);
  g_assert_cmpint (look ("calls[1] == 'before' and calls[3] == 'after'"), ==, TRUE);
  begin_notes ();
  g_object_unref (thing);
}

static void
what_goes_wrong_is_reported_with_the_signal_and_the_emission_goes_on (void)
{
  begin_notes ();
  Thing *thing = new_thing ();
  connect (thing, "asks", "Call(ValueError)", 0);
  g_assert_cmpint (ask (thing), ==, 0);
  connect (thing, "asks", "Call(2 ** 31)", 0);
  g_assert_cmpint (ask (thing), ==, 0);
  connect (thing, "asks", "Call(11)", 0);
  g_assert_cmpint (ask (thing), ==, 11);
  g_assert_cmpint (look ("len(calls) == 6 and len(reports) == 5"), ==, TRUE);
  g_assert_cmpint (look ("reports[0][0] == 'ValueError' and 'the signal asks of Thing' in reports[0][1] and 'Call' in reports[0][1]"), ==, TRUE);
  g_assert_cmpint (look ("reports[2][0] == 'OverflowError'"), ==, TRUE);
  char *name = NULL;
  connect (thing, "names::x", "Call(7)", 0);
  g_signal_emit (thing, signals[NAMES], g_quark_from_static_string ("x"), NULL, &name);
  g_assert_null (name);
  g_assert_cmpint (look ("reports[-1][0] == 'TypeError' and 'names::x of Thing' in reports[-1][1] and calls[-1][1] is None"), ==, TRUE);
  begin_notes ();
  g_object_unref (thing);
}

static gboolean
emit_plain (gpointer thing)
{
  g_signal_emit (thing, signals[PLAIN], 0);
  return G_SOURCE_REMOVE;
}

static void
keyboard_interrupt_and_system_exit_end_the_innermost_run (void)
{
  const char *asking[] = { "Call(KeyboardInterrupt)", "Call(SystemExit)" };
  for (guint i = 0; i < G_N_ELEMENTS (asking); i++)
    {
      begin_notes ();
      Thing *thing = new_thing ();
      GMainLoop *loop = g_main_loop_new (NULL, FALSE);
      connect (thing, "plain", asking[i], 0);
      g_idle_add (emit_plain, thing);
      assert_status (raddle_main_loop_run (loop), RADDLE_STATUS_PYTHON);
      assert_message_has (i == 0 ? "KeyboardInterrupt" : "SystemExit");
      g_assert_cmpint (look ("reports == []"), ==, TRUE);
      g_signal_emit (thing, signals[PLAIN], 0);
      g_assert_cmpint (look ("len(reports)"), ==, 1);
      g_main_loop_unref (loop);
      begin_notes ();
      g_object_unref (thing);
    }
}

static void
a_handler_may_disconnect_itself_and_unref_its_object (void)
{
  begin_notes ();
  Thing *thing = new_thing ();
  gpointer gone = thing;
  g_object_add_weak_pointer (G_OBJECT (thing), &gone);
  gulong id = connect (thing, "asks", "Call(3, lambda thing, *_: thing.disconnect(handler))", 0);
  assert_ok (raddle_enter ());
  give ("handler", PyLong_FromUnsignedLong (id));
  give_address ("unref_address", (gpointer) g_object_unref);
  run ("import ctypes\n"
       "unref = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(unref_address)");
  assert_ok (raddle_leave ());
  g_assert_cmpint (ask (thing), ==, 3);
  g_assert_cmpint (look ("len(ends)"), ==, 1);
  g_assert_cmpint (ask (thing), ==, 0);
  connect (thing, "asks", "Call(4, lambda thing, *_: unref(thing.address))", 0);
  begin_notes ();
  g_assert_cmpint (ask (thing), ==, 4);
  begin_notes ();
  g_assert_null (gone);
}

static void
python_connects_emits_and_disconnects (void)
{
  begin_notes ();
  Thing *thing = new_thing ();
  assert_ok (raddle_enter ());
  give_address ("address", thing);
  run ("import raddle\n"
       "thing = raddle.wrap_object(address)\n"
       "first = raddle.connect(thing, 'asks', lambda thing, number, text: number + len(text))\n"
       "second = thing.connect(signal='asks', handler=lambda *_: calls.append('after'), after=True)\n"
       "thing.disconnect(second)\n"
       "answer = thing.emit('asks', 30, 'four')\n"
       "raddle.disconnect(thing, first)\n"
       "last = thing.emit('asks', 30, 'four')\n"
       "named = thing.emit('names::x', thing)\n"
       "wrong = []\n"
       "for call in (lambda: thing.emit('asks', 'x', 'y'), lambda: thing.emit(), lambda: thing.emit('asks', 1),\n"
       "             lambda: raddle.connect(7, 'asks', print), lambda: raddle.connect(thing, 'asks', 7),\n"
       "             lambda: raddle.connect(thing, 7, print), lambda: raddle.wrap_object(0),\n"
       "             lambda: raddle.disconnect(thing, first), lambda: raddle.connect(thing)):\n"
       "    try: call()\n"
       "    except Exception as error: wrong.append(type(error).__name__)");
  g_assert_cmpint (evaluate ("(answer, last, named, calls) == (34, 0, None, [])"), ==, TRUE);
  g_assert_cmpint (evaluate ("wrong == ['TypeError', 'TypeError', 'TypeError', 'TypeError', 'TypeError', 'TypeError', 'ValueError', 'ValueError', 'TypeError']"), ==, TRUE);
  run ("del thing");
  assert_ok (raddle_leave ());
  g_assert_cmpuint (G_OBJECT (thing)->ref_count, ==, 1);
  g_object_unref (thing);
}

static gpointer
unref_on_a_thread (gpointer object)
{
  g_assert_false (raddle_is_held ());
  g_object_unref (object);
  return NULL;
}

static void
a_handler_goes_with_its_object_on_whichever_thread (void)
{
  begin_notes ();
  for (int i = 0; i < 30; i++)
    {
      Thing *thing = new_thing ();
      connect (thing, "plain", "Call()", 0);
      if (i % 3 == 0)
        g_object_unref (thing);
      else if (i % 3 == 1)
        on_a_thread (unref_on_a_thread, thing);
      else
        {
          assert_ok (raddle_enter ());
          g_object_unref (thing);
          assert_ok (raddle_leave ());
        }
    }
  g_assert_cmpint (look ("len(ends)"), ==, 30);
}

static void
a_closure_that_outlives_its_object_is_deaf (void)
{
  begin_notes ();
  Thing *thing = new_thing ();
  assert_ok (raddle_enter ());
  run ("made = Call(1)");
  GClosure *closure = raddle_closure_new (named ("made"));
  run ("del made");
  assert_ok (raddle_leave ());
  g_closure_ref (closure);
  g_object_watch_closure (G_OBJECT (thing), closure);
  g_signal_connect_closure (thing, "asks", closure, FALSE);
  g_assert_cmpint (ask (thing), ==, 1);
  begin_notes ();
  g_object_unref (thing);
  g_assert_cmpint (look ("len(ends)"), ==, 1);
  g_closure_invoke (closure, NULL, 0, NULL, NULL);
  g_assert_cmpint (look ("calls == []"), ==, TRUE);
  g_closure_unref (closure);
}

static void
mistakes_give_0_and_a_message (void)
{
  Thing *thing = new_thing ();
  GParamSpec *spec = g_param_spec_ref_sink (g_param_spec_int ("x", NULL, NULL, 0, 1, 0, G_PARAM_READWRITE));
  g_assert_cmpuint (raddle_signal_connect (NULL, "plain", NULL, 0), ==, 0);
  assert_message_has ("NULL");
  g_assert_cmpuint (raddle_signal_connect (thing, NULL, NULL, 0), ==, 0);
  g_assert_cmpuint (raddle_signal_connect (thing, "plain", NULL, 0), ==, 0);
  assert_ok (raddle_enter ());
  g_assert_cmpuint (raddle_signal_connect (spec, "plain", named ("Call"), 0), ==, 0);
  assert_message_has ("GObject");
  g_assert_cmpuint (raddle_signal_connect (thing, "nothing", named ("Call"), 0), ==, 0);
  assert_message_has ("Thing has no signal 'nothing'");
  g_assert_cmpuint (raddle_signal_connect (thing, "plain::detail", named ("Call"), 0), ==, 0);
  g_assert_cmpuint (raddle_signal_connect (thing, "plain", Py_None, 0), ==, 0);
  assert_message_has ("not callable");
  g_assert_cmpuint (raddle_signal_connect (thing, "plain", named ("Call"), G_CONNECT_SWAPPED), ==, 0);
  assert_message_has ("swap");
  assert_ok (raddle_leave ());
  g_param_spec_unref (spec);
  g_assert_cmpuint (G_OBJECT (thing)->ref_count, ==, 1);
  g_object_unref (thing);
}

/* --- handlers in C that are called with Python held --- */

static int held_calls, notified;

static int
answer_held (Thing      *thing,
             int         number,
             const char *text,
             gpointer    data)
{
  g_assert_true (raddle_is_held () && number == 5 && strcmp (text, "five") == 0 && data == &held_calls);
  (void) thing;
  run ("calls.append('from C')");
  held_calls++;
  return 77;
}

static void
note (gpointer data)
{
  g_assert_true (data == &held_calls);
  notified++;
}

static void
a_wrapped_handler_runs_with_python_held (void)
{
  begin_notes ();
  Thing *thing = new_thing ();
  GClosure *closure = raddle_signal_wrap (G_CALLBACK (answer_held), &held_calls, note);
  gulong id = g_signal_connect_closure (thing, "asks", closure, FALSE);
  held_calls = notified = 0;
  g_assert_cmpint (ask (thing), ==, 77);
  g_assert_false (raddle_is_held ());
  g_assert_cmpint (GPOINTER_TO_INT (on_a_thread (ask_on_a_thread, thing)), ==, 77);
  assert_ok (raddle_enter ());
  PyErr_SetString (PyExc_KeyError, "mine");
  g_assert_cmpint (ask (thing), ==, 77);
  g_assert_true (PyErr_ExceptionMatches (PyExc_KeyError));
  PyErr_Clear ();
  assert_ok (raddle_leave ());
  g_assert_cmpint (look ("len(calls)"), ==, 3);
  g_assert_cmpint (notified, ==, 0);
  g_signal_handler_disconnect (thing, id);
  g_assert_cmpint (notified, ==, 1);
  g_object_unref (thing);
  g_assert_null (raddle_signal_wrap (NULL, &held_calls, note));
  g_assert_cmpint (notified, ==, 2);
  closure = raddle_signal_wrap (G_CALLBACK (answer_held), NULL, NULL);
  g_closure_unref (closure);
}

static void
a_wrapped_handler_is_not_called_before_the_start_nor_after_the_stop (void)
{
  IN_A_CHILD ();
  Thing *thing = new_thing ();
  g_signal_connect_closure (thing, "asks", raddle_signal_wrap (G_CALLBACK (answer_held), &held_calls, note), FALSE);
  g_assert_cmpint (ask (thing), ==, 0);
  RaddleRuntime *runtime = start_python ();
  in_python ("calls = []");
  g_assert_cmpint (ask (thing), ==, 77);
  stop_python (runtime);
  g_assert_cmpint (ask (thing), ==, 0);
  g_assert_cmpint (held_calls, ==, 1);
  g_object_unref (thing);
  g_assert_cmpint (notified, ==, 1);
}

/* --- storms --- */

static struct {
  GMutex mutex;
  Thing *things[STORM_OBJECTS];
  gint   connected, notified;
} storm;

static void
storm_notify (gpointer data)
{
  (void) data;
  g_atomic_int_inc (&storm.notified);
}

static int
storm_handler (Thing      *thing,
               int         number,
               const char *text,
               gpointer    data)
{
  (void) thing;
  (void) text;
  (void) data;
  g_assert_true (raddle_is_held ());
  return number;
}

/* One of the things, referenced. */
static Thing *
storm_thing (guint at)
{
  g_mutex_lock (&storm.mutex);
  Thing *thing = g_object_ref (storm.things[at]);
  g_mutex_unlock (&storm.mutex);
  return thing;
}

static gpointer
storm_thread (gpointer data)
{
  GRand *rand = g_rand_new_with_seed (GPOINTER_TO_UINT (data));
  for (int step = 0; step < STORM_STEPS; step++)
    {
      guint at = (guint) g_rand_int_range (rand, 0, STORM_OBJECTS);
      Thing *thing = storm_thing (at);
      gboolean held = g_rand_boolean (rand);
      if (held)
        assert_ok (raddle_enter ());
      switch (g_rand_int_range (rand, 0, 8))
        {
        case 0:
        case 1:
          connect (thing, "asks", "Call(1)", g_rand_boolean (rand) ? G_CONNECT_AFTER : 0);
          g_atomic_int_inc (&storm.connected);
          break;
        case 2:
          g_signal_handlers_disconnect_matched (thing, G_SIGNAL_MATCH_ID, signals[ASKS], 0, NULL, NULL, NULL);
          break;
        case 3:
          {
            /* The old one dies as soon as the last thread lets go of it. */
            Thing *fresh = new_thing ();
            g_mutex_lock (&storm.mutex);
            Thing *old = storm.things[at];
            storm.things[at] = fresh;
            g_mutex_unlock (&storm.mutex);
            g_object_unref (old);
          }
          break;
        case 4:
          g_signal_connect_closure (thing, "asks", raddle_signal_wrap (G_CALLBACK (storm_handler), NULL, storm_notify), FALSE);
          g_atomic_int_inc (&storm.connected);
          break;
        case 5:
          g_object_set (thing, "number", step % 100, NULL);
          break;
        default:
          ask (thing);
        }
      g_object_unref (thing);
      if (held)
        assert_ok (raddle_leave ());
    }
  g_rand_free (rand);
  return NULL;
}

static void
emissions_connects_disconnects_and_ends_at_random_on_eight_threads (void)
{
  begin_notes ();
  const char *asked = g_getenv ("RADDLE_STORM_SEED");
  guint seed = asked ? (guint) g_ascii_strtoull (asked, NULL, 10) : g_random_int ();
  g_test_message ("RADDLE_STORM_SEED=%u", seed);
  in_python ("class Count:\n"
             "    made = gone = 0\n"
             "class Call:\n"
             "    def __init__(self, result): self.result = result; Count.made += 1\n"
             "    def __call__(self, thing, number, text): return number + self.result\n"
             "    def __del__(self): Count.gone += 1");
  storm.connected = storm.notified = 0;
  for (int i = 0; i < STORM_OBJECTS; i++)
    storm.things[i] = new_thing ();
  GThread *threads[STORM_THREADS];
  for (guint i = 0; i < STORM_THREADS; i++)
    threads[i] = g_thread_new ("storm", storm_thread, GUINT_TO_POINTER (seed + i));
  for (int i = 0; i < STORM_THREADS; i++)
    g_thread_join (threads[i]);
  for (int i = 0; i < STORM_OBJECTS; i++)
    {
      g_assert_cmpuint (G_OBJECT (storm.things[i])->ref_count, ==, 1);
      g_object_unref (storm.things[i]);
    }
  g_assert_cmpint (look ("Count.made"), ==, look ("Count.gone"));
  g_assert_cmpint (look ("Count.made") + storm.notified, ==, storm.connected);
  g_assert_cmpint (look ("reports == [] or print(reports[:3])"), ==, TRUE);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/signal/a-handler-gets-the-instance-and-the-arguments",
                   a_handler_gets_the_instance_and_the_arguments_and_answers);
  g_test_add_func ("/signal/a-text-and-a-truth-are-answered-too", a_text_and_a_truth_are_answered_too);
  g_test_add_func ("/signal/a-property-is-watched-by-its-name", a_property_is_watched_by_its_name);
  g_test_add_func ("/signal/handlers-after-come-last", handlers_after_come_last);
  g_test_add_func ("/signal/what-goes-wrong-is-reported-with-the-signal",
                   what_goes_wrong_is_reported_with_the_signal_and_the_emission_goes_on);
  g_test_add_func ("/signal/what-asks-for-an-end-ends-the-innermost-run",
                   keyboard_interrupt_and_system_exit_end_the_innermost_run);
  g_test_add_func ("/signal/a-handler-may-disconnect-itself", a_handler_may_disconnect_itself_and_unref_its_object);
  g_test_add_func ("/signal/python-connects-emits-and-disconnects", python_connects_emits_and_disconnects);
  g_test_add_func ("/signal/a-handler-goes-with-its-object", a_handler_goes_with_its_object_on_whichever_thread);
  g_test_add_func ("/signal/a-closure-that-outlives-its-object-is-deaf", a_closure_that_outlives_its_object_is_deaf);
  g_test_add_func ("/signal/mistakes-give-0-and-a-message", mistakes_give_0_and_a_message);
  g_test_add_func ("/signal/wrap/a-handler-runs-with-python-held", a_wrapped_handler_runs_with_python_held);
  g_test_add_func ("/signal/wrap/nothing-before-the-start-nor-after-the-stop",
                   a_wrapped_handler_is_not_called_before_the_start_nor_after_the_stop);
  g_test_add_func ("/signal/storm/eight-threads-at-random",
                   emissions_connects_disconnects_and_ends_at_random_on_eight_threads);
  return run_with_definitions (DEFINITIONS);
}
