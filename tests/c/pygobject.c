/* pygobject.c: unpatched PyGObject in a host: its callbacks, sources and objects on threads that Python never made. */
#include "support_glib.h"

#include <gio/gio.h>
#include <raddle/raddle-glib.h>

#define THREADS 8
#define ROUNDS 50

/* What all of them use: a class of PyGObject's with a signal, a property and an end. Entered, or skipped. */
static gboolean
enter_with_gi (void)
{
  if (!have_gi ())
    return FALSE;
  assert_ok (raddle_enter ());
  run ("import gc, sys, threading\n"
       "from gi.repository import Gio, GLib, GObject\n"
       "reports, seen, ends = [], [], []\n"
       "def report(*about):\n"
       "    reports.append(str(about))\n"
       "sys.excepthook = sys.unraisablehook = report\n"
       "local = threading.local()\n"
       "if 'Thing' not in globals():\n"
       "    class Thing(GObject.Object):\n"
       "        kept = GObject.Property(type=int, default=0)\n"
       "        @GObject.Property(type=int)\n"
       "        def asked(self):\n"
       "            seen.append(threading.get_ident())\n"
       "            return 42\n"
       "        @GObject.Signal(return_type=int, arg_types=(int,))\n"
       "        def asks(self, number): return 0\n"
       "        def __del__(self): ends.append(threading.get_ident())\n");
  return TRUE;
}

/* The last check of each test. */
static void
leave_without_reports (void)
{
  run ("gc.collect()");
  g_assert_cmpint (evaluate ("len(reports)"), ==, 0);
  assert_ok (raddle_leave ());
}

/* Runs @func on THREADS threads at once, without Python held here, and waits for all. */
static void
on_threads (GThreadFunc func, gpointer data)
{
  GThread *threads[THREADS];

  assert_ok (raddle_unblock_threads ());
  for (guint i = 0; i < THREADS; i++)
    threads[i] = g_thread_new (NULL, func, data);
  for (guint i = 0; i < THREADS; i++)
    g_thread_join (threads[i]);
  assert_ok (raddle_block_threads ());
}

static gpointer
emit_often (gpointer thing)
{
  for (gint i = 0; i < ROUNDS; i++)
    {
      gint answer = 0;

      g_signal_emit_by_name (thing, "asks", i, &answer);
      g_assert_cmpint (answer, ==, i + 1);
      g_assert_false (raddle_is_held ());
    }
  return NULL;
}

static void
a_handler_of_its_own_is_called_on_native_threads (void)
{
  if (!enter_with_gi ())
    return;
  run ("thing = Thing()\n"
       "def answer(thing, number):\n"
       "    seen.append(threading.get_ident())\n"
       "    return number + 1\n"
       "thing.connect('asks', answer)");
  on_threads (emit_often, object_named ("thing"));
  g_assert_cmpint (evaluate ("len(seen)"), ==, THREADS * ROUNDS);
  g_assert_cmpint (evaluate ("threading.get_ident() in seen"), ==, FALSE);
  run ("del thing");
  leave_without_reports ();
}

/* PyGObject takes Python by PyGILState_Ensure: that has to find the state which raddle keeps. */
static gpointer
emit_on_a_thread_that_has_entered (gpointer thing)
{
  gint answer = 0;

  assert_ok (raddle_enter ());
  run ("local.mark = 'kept'");
  assert_ok (raddle_leave ());
  g_signal_emit_by_name (thing, "asks", 1, &answer);
  g_assert_cmpint (answer, ==, 2);
  assert_ok (raddle_enter ());
  /* And inside an entry too, where the state is current already. */
  g_signal_emit_by_name (thing, "asks", 2, &answer);
  g_assert_true (raddle_is_held ());
  assert_ok (raddle_leave ());
  g_assert_cmpint (answer, ==, 3);
  return NULL;
}

static void
a_handler_finds_the_state_that_the_thread_keeps (void)
{
  if (!enter_with_gi ())
    return;
  run ("thing = Thing()\n"
       "def answer(thing, number):\n"
       "    seen.append(local.mark)\n"
       "    return number + 1\n"
       "thing.connect('asks', answer)");
  on_threads (emit_on_a_thread_that_has_entered, object_named ("thing"));
  g_assert_cmpint (evaluate ("seen == ['kept'] * 16"), ==, TRUE);
  run ("del thing");
  leave_without_reports ();
}

static gpointer
ask_for_properties (gpointer thing)
{
  for (gint i = 0; i < ROUNDS; i++)
    {
      gint asked = 0;

      g_object_get (thing, "asked", &asked, NULL);
      g_assert_cmpint (asked, ==, 42);
      g_object_set (thing, "kept", i, NULL);
    }
  return NULL;
}

static void
a_property_in_python_is_read_on_native_threads (void)
{
  if (!enter_with_gi ())
    return;
  run ("thing = Thing()");
  on_threads (ask_for_properties, object_named ("thing"));
  g_assert_cmpint (evaluate ("len(seen)"), ==, THREADS * ROUNDS);
  g_assert_cmpint (evaluate ("thing.kept"), ==, ROUNDS - 1);
  run ("del thing");
  leave_without_reports ();
}

static gpointer
raise_by_emission (gpointer thing)
{
  gint answer = 7;

  g_signal_emit_by_name (thing, "asks", 1, &answer);
  /* Nothing of it is left for the next entry of this thread. */
  assert_ok (raddle_enter ());
  g_assert_null (PyErr_Occurred ());
  assert_ok (raddle_leave ());
  return NULL;
}

static void
what_a_handler_raises_on_a_native_thread_stays_there (void)
{
  if (!enter_with_gi ())
    return;
  run ("thing = Thing()\n"
       "thing.connect('asks', lambda thing, number: 1 / 0)");
  on_threads (raise_by_emission, object_named ("thing"));
  g_assert_cmpint (evaluate ("len(reports)"), ==, THREADS);
  g_assert_cmpint (evaluate ("all('ZeroDivisionError' in report for report in reports)"), ==, TRUE);
  run ("reports.clear()\n"
       "del thing");
  leave_without_reports ();
}

static gpointer
post_from_here (gpointer context)
{
  (void) context;
  assert_ok (raddle_enter ());
  run ("for _ in range(50):\n"
       "    GLib.idle_add(tick)");
  assert_ok (raddle_leave ());
  return NULL;
}

static gboolean
has_all_ticks (gpointer data)
{
  gboolean done;

  (void) data;
  iterate (NULL);
  assert_ok (raddle_enter ());
  done = evaluate ("len(seen) == 400");
  assert_ok (raddle_leave ());
  return done;
}

static void
idle_sources_from_native_threads_run_on_the_host_s_loop (void)
{
  if (!enter_with_gi ())
    return;
  run ("def tick():\n"
       "    seen.append(threading.get_ident())");
  on_threads (post_from_here, NULL);
  assert_ok (raddle_unblock_threads ());
  wait_until (has_all_ticks, NULL);
  assert_ok (raddle_block_threads ());
  g_assert_cmpint (evaluate ("set(seen) == {threading.get_ident()}"), ==, TRUE);
  leave_without_reports ();
}

/* A source that goes takes its callable with it, by a destroy notify of PyGObject's. */
static gpointer
remove_sources (gpointer data)
{
  GAsyncQueue *ids = data;
  gpointer id;

  while ((id = g_async_queue_try_pop (ids)))
    g_assert_true (g_source_remove (GPOINTER_TO_UINT (id)));
  g_assert_false (raddle_is_held ());
  return NULL;
}

static void
sources_are_removed_on_native_threads (void)
{
  g_autoptr (GAsyncQueue) ids = g_async_queue_new ();

  if (!enter_with_gi ())
    return;
  run ("class Tick:\n"
       "    def __call__(self): return True\n"
       "    def __del__(self): ends.append(threading.get_ident())");
  for (int i = 0; i < THREADS * ROUNDS; i++)
    g_async_queue_push (ids, GUINT_TO_POINTER ((guint) evaluate ("GLib.timeout_add_seconds(1000, Tick())")));
  on_threads (remove_sources, ids);
  g_assert_cmpint (evaluate ("len(ends)"), ==, THREADS * ROUNDS);
  leave_without_reports ();
}

static gpointer
run_its_loop (gpointer data)
{
  (void) data;
  assert_ok (raddle_enter ());
  run ("def run_here():\n"
       "    context = GLib.MainContext()\n"
       "    context.push_thread_default()\n"
       "    loop = GLib.MainLoop(context)\n"
       "    source = GLib.Timeout(1)\n"
       "    turns = []\n"
       "    def tick(*_):\n"
       "        turns.append(threading.get_ident())\n"
       "        if len(turns) == 10: loop.quit()\n"
       "        return len(turns) < 10\n"
       "    source.set_callback(tick)\n"
       "    source.attach(context)\n"
       "    loop.run()\n"
       "    context.pop_thread_default()\n"
       "    seen.append(set(turns) == {threading.get_ident()})\n"
       "run_here()");
  g_assert_true (raddle_is_held ());
  assert_ok (raddle_leave ());
  return NULL;
}

static void
its_main_loop_runs_on_native_threads (void)
{
  if (!enter_with_gi ())
    return;
  on_threads (run_its_loop, NULL);
  g_assert_cmpint (evaluate ("seen == [True] * 8"), ==, TRUE);
  leave_without_reports ();
}

static gpointer
drop_objects (gpointer data)
{
  GAsyncQueue *things = data;
  GObject *thing;

  while ((thing = g_async_queue_try_pop (things)))
    {
      gint answer = 0;

      g_signal_emit_by_name (thing, "asks", 1, &answer);
      g_object_unref (thing);
    }
  g_assert_false (raddle_is_held ());
  return NULL;
}

/* The last reference is C's: what Python put into the object lives as long, and goes with it. The wrapper itself
 * does only up to some PyGObject before 3.58, which makes another one when it is asked for. */
static void
objects_end_on_native_threads (void)
{
  g_autoptr (GAsyncQueue) things = g_async_queue_new ();

  if (!enter_with_gi ())
    return;
  run ("values = []\n"
       "class Value:\n"
       "    def __del__(self): values.append(threading.get_ident())");
  for (int i = 0; i < THREADS * ROUNDS; i++)
    {
      run ("thing = Thing()\n"
           "thing.value = Value()\n"
           "thing.connect('asks', lambda thing, number: seen.append(type(thing.value)) or number)");
      g_async_queue_push (things, g_object_ref (object_named ("thing")));
    }
  run ("del thing");
  g_assert_cmpint (evaluate ("len(values)"), ==, 0);
  on_threads (drop_objects, things);
  run ("gc.collect()");
  g_assert_cmpint (evaluate ("seen == [Value] * 400"), ==, TRUE);
  g_assert_cmpint (evaluate ("len(values)"), ==, THREADS * ROUNDS);
  g_assert_cmpint (evaluate ("len(ends)"), >=, THREADS * ROUNDS);
  /* On these threads, not here: nobody was kept for it. */
  g_assert_cmpint (evaluate ("threading.get_ident() in values"), ==, FALSE);
  leave_without_reports ();
}

static gpointer
drop_objects_of_c (gpointer data)
{
  GAsyncQueue *things = data;
  GObject *thing;

  while ((thing = g_async_queue_try_pop (things)))
    g_object_unref (thing);
  return NULL;
}

/* A native object with a wrapper that carries nothing, and with a weak reference of Python's. */
static void
weak_references_are_told_on_native_threads (void)
{
  g_autoptr (GAsyncQueue) things = g_async_queue_new ();

  if (!enter_with_gi ())
    return;
  run ("weak = []");
  for (int i = 0; i < THREADS * ROUNDS; i++)
    {
      run ("thing = Gio.SimpleAction.new('name', None)\n"
           "weak.append(thing.weak_ref(lambda: ends.append(threading.get_ident())))");
      g_async_queue_push (things, g_object_ref (object_named ("thing")));
    }
  run ("del thing");
  g_assert_cmpint (evaluate ("all(ref() is not None for ref in weak)"), ==, TRUE);
  on_threads (drop_objects_of_c, things);
  g_assert_cmpint (evaluate ("len(ends)"), ==, THREADS * ROUNDS);
  g_assert_cmpint (evaluate ("any(ref() for ref in weak)"), ==, FALSE);
  leave_without_reports ();
}

static gpointer
emit_and_end_with_the_thread (gpointer data)
{
  static GPrivate of_thread = G_PRIVATE_INIT (g_object_unref);
  GAsyncQueue *things = data;

  g_private_set (&of_thread, g_async_queue_pop (things));
  return NULL;
}

/* A GPrivate's destructor runs after raddle has given the thread's state back. */
static void
objects_end_with_their_thread (void)
{
  g_autoptr (GAsyncQueue) things = g_async_queue_new ();

  if (!enter_with_gi ())
    return;
  for (int i = 0; i < THREADS; i++)
    {
      run ("thing = Thing()");
      g_async_queue_push (things, g_object_ref (object_named ("thing")));
    }
  run ("del thing");
  on_threads (emit_and_end_with_the_thread, things);
  run ("gc.collect()");
  g_assert_cmpint (evaluate ("len(ends)"), ==, THREADS);
  leave_without_reports ();
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/pygobject/handler/on-native-threads", a_handler_of_its_own_is_called_on_native_threads);
  g_test_add_func ("/pygobject/handler/finds-the-kept-state", a_handler_finds_the_state_that_the_thread_keeps);
  g_test_add_func ("/pygobject/handler/raises-on-native-threads", what_a_handler_raises_on_a_native_thread_stays_there);
  g_test_add_func ("/pygobject/property/on-native-threads", a_property_in_python_is_read_on_native_threads);
  g_test_add_func ("/pygobject/source/from-native-threads", idle_sources_from_native_threads_run_on_the_host_s_loop);
  g_test_add_func ("/pygobject/source/removed-on-native-threads", sources_are_removed_on_native_threads);
  g_test_add_func ("/pygobject/main-loop/on-native-threads", its_main_loop_runs_on_native_threads);
  g_test_add_func ("/pygobject/object/ends-on-native-threads", objects_end_on_native_threads);
  g_test_add_func ("/pygobject/object/weak-references", weak_references_are_told_on_native_threads);
  g_test_add_func ("/pygobject/object/ends-with-its-thread", objects_end_with_their_thread);
  return run_with_python ();
}
