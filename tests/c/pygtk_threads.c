/* pygtk_threads.c: the two cases of PyGTK's notes on threads, on GObject signals and destroy notifies.
 *
 * A callback may come from code that holds Python or from a main loop, and does not know which. Every
 * callback here is written with PyGTK's macros and is called from each of these places. The program
 * links libgobject and nothing above it. */
#include "support.h"

#include "bell.h"

#include <raddle/pygtk_threads.h>
#include <string.h>

/* Whether the callbacks found Python held, newest last. */
static GArray *found_held;
static GMutex found_held_mutex;

static void
callback (void)
{
  gboolean held = raddle_is_held ();
  g_mutex_lock (&found_held_mutex);
  g_array_append_val (found_held, held);
  g_mutex_unlock (&found_held_mutex);
  PyGTK_BLOCK_THREADS
  g_assert_true (raddle_is_held ());
  run ("seen.append(threading.get_ident())");
  PyGTK_UNBLOCK_THREADS
  g_assert_true (raddle_is_held () == held);
}

static void
on_ring (RaddleBell *bell,
         gpointer    data)
{
  (void) bell;
  (void) data;
  callback ();
}

static void
on_destroy (gpointer data)
{
  (void) data;
  callback ();
}

/* What each case does to the bell: rings it, or drops the data whose notify is a callback. */
typedef void (*Touch) (RaddleBell *bell);

static void
ring (RaddleBell *bell)
{
  g_signal_emit_by_name (bell, "ring");
}

static void
drop_data (RaddleBell *bell)
{
  g_object_set_data_full (G_OBJECT (bell), "data", bell, on_destroy);
  g_object_set_data (G_OBJECT (bell), "data", NULL);
}

static RaddleBell *
bell_with_handlers (void)
{
  if (found_held)
    g_array_unref (found_held);
  found_held = g_array_new (FALSE, FALSE, sizeof (gboolean));
  RaddleBell *bell = g_object_new (raddle_bell_get_type (), NULL);
  g_signal_connect (bell, "ring", G_CALLBACK (on_ring), NULL);
  assert_ok (raddle_enter ());
  run ("import threading\n"
       "seen = []");
  assert_ok (raddle_leave ());
  return bell;
}

static void
expect_one_call (gboolean held)
{
  g_assert_cmpuint (found_held->len, ==, 1);
  g_assert_true (g_array_index (found_held, gboolean, 0) == held);
  assert_ok (raddle_enter ());
  g_assert_cmpint (evaluate ("len(seen)"), ==, 1);
  assert_ok (raddle_leave ());
}

/* Case one: "the global interpreter lock will be held, and a thread state will be acquired". */
static void
from_code_that_holds (gconstpointer data)
{
  RaddleBell *bell = bell_with_handlers ();
  assert_ok (raddle_enter ());
  ((Touch) data) (bell);
  g_assert_true (raddle_is_held ());
  assert_ok (raddle_leave ());
  expect_one_call (TRUE);
  g_object_unref (bell);
}

typedef struct {
  Touch       touch;
  RaddleBell *bell;
  GMainLoop  *loop;
} Turn;

static gboolean
touch_and_quit (gpointer data)
{
  Turn *turn = data;
  turn->touch (turn->bell);
  g_main_loop_quit (turn->loop);
  return G_SOURCE_REMOVE;
}

static Turn
turn_with (Touch touch)
{
  Turn turn = { touch, bell_with_handlers (), g_main_loop_new (NULL, FALSE) };
  return turn;
}

static void
turn_end (Turn *turn)
{
  g_object_unref (turn->bell);
  g_main_loop_unref (turn->loop);
}

/* Case two: "we will not hold it and there will be a NULL thread state". */
static void
from_a_loop_of_the_host (gconstpointer data)
{
  Turn turn = turn_with ((Touch) data);
  g_idle_add (touch_and_quit, &turn);
  g_main_loop_run (turn.loop);
  expect_one_call (FALSE);
  turn_end (&turn);
}

/* gtk.main () as PyGTK wrapped it: called by code that holds Python, which is given up around it. */
static void
from_a_loop_that_python_runs (gconstpointer data)
{
  Turn turn = turn_with ((Touch) data);
  g_idle_add (touch_and_quit, &turn);
  assert_ok (raddle_enter ());
  PyGTK_UNBLOCK_THREADS
  g_assert_false (raddle_is_held ());
  g_main_loop_run (turn.loop);
  PyGTK_BLOCK_THREADS
  g_assert_true (raddle_is_held ());
  assert_ok (raddle_leave ());
  expect_one_call (FALSE);
  turn_end (&turn);
}

/* The same with PyGTK's own entry outside: the count goes down to "not held" and up again. */
static void
from_a_loop_inside_a_callback (gconstpointer data)
{
  Turn turn = turn_with ((Touch) data);
  g_idle_add (touch_and_quit, &turn);
  PyGTK_BLOCK_THREADS
  PyGTK_UNBLOCK_THREADS;
  g_main_loop_run (turn.loop);
  PyGTK_BLOCK_THREADS;
  g_assert_true (raddle_is_held ());
  PyGTK_UNBLOCK_THREADS
  g_assert_false (raddle_is_held ());
  expect_one_call (FALSE);
  turn_end (&turn);
}

static gpointer
touch_here (gpointer data)
{
  Turn *turn = data;
  turn->touch (turn->bell);
  return NULL;
}

/* The case that needed the GDK lock: a thread whose count PyGTK started at "held". */
static void
from_a_foreign_thread (gconstpointer data)
{
  Turn turn = turn_with ((Touch) data);
  on_a_thread (touch_here, &turn);
  expect_one_call (FALSE);
  assert_ok (raddle_enter ());
  g_assert_cmpint (evaluate ("seen != [threading.get_ident()]"), ==, 1);
  assert_ok (raddle_leave ());
  turn_end (&turn);
}

static void
from_foreign_threads_at_once (gconstpointer data)
{
  enum { THREADS = 8 };
  Turn turn = turn_with ((Touch) data);
  RaddleBell *bells[THREADS];
  Turn turns[THREADS];
  GThread *threads[THREADS];
  for (int i = 0; i < THREADS; i++)
    {
      bells[i] = g_object_new (raddle_bell_get_type (), NULL);
      g_signal_connect (bells[i], "ring", G_CALLBACK (on_ring), NULL);
      turns[i] = (Turn) { turn.touch, bells[i], NULL };
    }
  assert_ok (raddle_enter ()); /* All of them wait at their BLOCK, or will. */
  for (int i = 0; i < THREADS; i++)
    threads[i] = g_thread_new ("ringer", touch_here, &turns[i]);
  assert_ok (raddle_leave ());
  for (int i = 0; i < THREADS; i++)
    {
      g_thread_join (threads[i]);
      g_object_unref (bells[i]);
    }
  g_assert_cmpuint (found_held->len, ==, THREADS);
  for (int i = 0; i < THREADS; i++)
    g_assert_false (g_array_index (found_held, gboolean, i));
  turn_end (&turn);
}

/* PyGTK's example, below GTK: b.connect ("clicked", f); b.clicked (); gtk.main () */
static void
the_example_of_the_notes (void)
{
  if (!have_gi ())
    return;
  Turn turn = turn_with (ring);
  g_type_ensure (raddle_bell_get_type ());
  assert_ok (raddle_enter ());
  run ("from gi.repository import GObject\n"
       "b = GObject.new('RaddleBell')\n"
       "calls = []\n"
       "def f(bell):\n"
       "    calls.append(threading.get_ident())\n"
       "b.connect('ring', f)\n"
       "b.emit('ring')");
  g_assert_cmpint (evaluate ("len(calls)"), ==, 1);
  g_object_unref (turn.bell);
  turn.bell = g_object_ref ((gpointer) object_named ("b"));
  g_signal_connect (turn.bell, "ring", G_CALLBACK (on_ring), NULL);
  g_idle_add (touch_and_quit, &turn);
  PyGTK_UNBLOCK_THREADS
  g_main_loop_run (turn.loop);
  on_a_thread (touch_here, &turn);
  PyGTK_BLOCK_THREADS
  run ("b.emit('ring')");
  g_assert_cmpint (evaluate ("len(calls)"), ==, 4);
  g_assert_cmpint (evaluate ("len(set(calls))"), ==, 2);
  g_assert_cmpint (evaluate ("len(seen)"), ==, 3);
  run ("del b");
  assert_ok (raddle_leave ());
  turn_end (&turn);
}

/* The last reference of a wrapped object goes with a Python statement. */
static void
python_drops_the_object (void)
{
  if (!have_gi ())
    return;
  RaddleBell *unused = bell_with_handlers ();
  g_object_unref (unused);
  assert_ok (raddle_enter ());
  run ("from gi.repository import GObject\n"
       "b = GObject.new('RaddleBell')");
  g_object_set_data_full (object_named ("b"), "data", unused, on_destroy);
  run ("del b");
  g_assert_cmpint (evaluate ("seen == [threading.get_ident()]"), ==, 1);
  assert_ok (raddle_leave ());
  g_assert_cmpuint (found_held->len, ==, 1);
}

static void
unblock_twice (void)
{
  PyGTK_BLOCK_THREADS
  PyGTK_BLOCK_THREADS
  g_assert_true (raddle_is_held ());
  PyGTK_UNBLOCK_THREADS
  g_assert_true (raddle_is_held ());
  PyGTK_UNBLOCK_THREADS
  g_assert_false (raddle_is_held ());

  assert_ok (raddle_enter ());
  PyGTK_UNBLOCK_THREADS
  PyGTK_UNBLOCK_THREADS
  g_assert_false (raddle_is_held ());
  PyGTK_BLOCK_THREADS
  g_assert_false (raddle_is_held ());
  PyGTK_BLOCK_THREADS
  g_assert_true (raddle_is_held ());
  assert_ok (raddle_leave ());
  g_assert_false (raddle_is_held ());
}

static void
pygobject_s_spellings (void)
{
  pyg_block_threads ();
  g_assert_true (raddle_is_held ());
  pyg_unblock_threads ();
  g_assert_false (raddle_is_held ());
}

static void
pairs_of_one_kind (void)
{
  assert_ok (raddle_pygtk_block ());
  assert_status (raddle_leave (), RADDLE_STATUS_WRONG_ORDER);
  assert_message_has ("PyGTK");
  assert_status (raddle_block_threads (), RADDLE_STATUS_WRONG_ORDER);
  assert_ok (raddle_pygtk_unblock ());
  g_assert_false (raddle_is_held ());
}

static void
block_and_unblock (RaddleStatus expected)
{
  assert_status (raddle_pygtk_block (), expected);
  g_assert_false (raddle_is_held ());
  assert_status (raddle_pygtk_block (), expected);
  assert_status (raddle_leave (), RADDLE_STATUS_WRONG_ORDER);
  assert_status (raddle_block_threads (), RADDLE_STATUS_WRONG_ORDER);
  assert_ok (raddle_pygtk_unblock ());
  assert_ok (raddle_pygtk_unblock ());
}

static void
refused_blocks (void)
{
  IN_A_CHILD ();
  block_and_unblock (RADDLE_STATUS_NOT_STARTED);
  RaddleRuntime *runtime = start_python ();
  PyGTK_BLOCK_THREADS
  g_assert_true (raddle_is_held ());
  PyGTK_UNBLOCK_THREADS
  g_assert_false (raddle_is_held ());
  stop_python (runtime);
  block_and_unblock (RADDLE_STATUS_CLOSED);
  runtime = start_python ();
  PyGTK_BLOCK_THREADS
  g_assert_true (raddle_is_held ());
  PyGTK_UNBLOCK_THREADS
  stop_python (runtime);
}

static void
nothing_above_gobject (void)
{
  char *maps = NULL;
  if (!g_file_get_contents ("/proc/self/maps", &maps, NULL, NULL))
    {
      g_test_skip ("no /proc/self/maps here");
      return;
    }
  g_assert_nonnull (strstr (maps, "libgobject-2.0"));
  g_assert_null (strstr (maps, "libgtk"));
  g_assert_null (strstr (maps, "libgdk"));
  g_free (maps);
}

static void
add (const char   *name,
     GTestDataFunc test)
{
  char *path = g_strconcat ("/pygtk-threads/signal/", name, NULL);
  g_test_add_data_func (path, ring, test);
  g_free (path);
  path = g_strconcat ("/pygtk-threads/destroy-notify/", name, NULL);
  g_test_add_data_func (path, drop_data, test);
  g_free (path);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  add ("from-code-that-holds", from_code_that_holds);
  add ("from-a-loop-of-the-host", from_a_loop_of_the_host);
  add ("from-a-loop-that-python-runs", from_a_loop_that_python_runs);
  add ("from-a-loop-inside-a-callback", from_a_loop_inside_a_callback);
  add ("from-a-foreign-thread", from_a_foreign_thread);
  add ("from-foreign-threads-at-once", from_foreign_threads_at_once);
  g_test_add_func ("/pygtk-threads/example-of-the-notes", the_example_of_the_notes);
  g_test_add_func ("/pygtk-threads/destroy-notify/python-drops-the-object", python_drops_the_object);
  g_test_add_func ("/pygtk-threads/pair/nests-in-both-orders", unblock_twice);
  g_test_add_func ("/pygtk-threads/pair/has-pygobject-s-spellings", pygobject_s_spellings);
  g_test_add_func ("/pygtk-threads/pair/is-closed-by-its-own-kind", pairs_of_one_kind);
  g_test_add_func ("/pygtk-threads/needs-nothing-above-gobject", nothing_above_gobject);
  g_test_add_func ("/pygtk-threads/refused/needs-its-unblock-all-the-same", refused_blocks);
  return run_with_python ();
}
