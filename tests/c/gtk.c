/* gtk.c: PyGTK's own example with a real button in a real window: held, and from the running loop. */
#include "support.h"

#include <raddle/pygtk_threads.h>

static int clicks;
static gboolean last_was_held;

static void
on_clicked (GObject *button,
            gpointer data)
{
  (void) button;
  (void) data;
  last_was_held = raddle_is_held ();
  PyGTK_BLOCK_THREADS
  run ("from_c += 1");
  PyGTK_UNBLOCK_THREADS
  clicks++;
}

static gboolean
have_a_display (void)
{
  if (!have_gi ())
    return FALSE;
  assert_ok (raddle_enter ());
  run ("import warnings\n"
       "warnings.simplefilter('ignore')\n"
       "try:\n"
       "    import gi\n"
       "    gi.require_version('Gtk', '4.0')\n"
       "    from gi.repository import Gtk\n"
       "    there = Gtk.init_check()\n"
       "except (ImportError, ValueError):\n"
       "    there = False");
  gboolean there = evaluate ("there") == 1;
  assert_ok (raddle_leave ());
  if (!there)
    g_test_skip ("no GTK 4 or no display (Debian: gir1.2-gtk-4.0, xvfb-run)");
  return there;
}

/* Needs Python held. */
static GObject *
make_the_button (void)
{
  run ("import threading\n"
       "from_c = 0\n"
       "calls = []\n"
       "button = Gtk.Button(label='Click me')\n"
       "def f(button):\n"
       "    calls.append(threading.get_ident())\n"
       "button.connect('clicked', f)\n"
       "window = Gtk.Window(child=button)\n"
       "window.present()");
  clicks = 0;
  GObject *button = object_named ("button");
  g_signal_connect (button, "clicked", G_CALLBACK (on_clicked), NULL);
  return button;
}

static void
drop_the_button (void)
{
  run ("window.destroy()\n"
       "del button, window");
}

static gboolean
has_clicked (int expected)
{
  gint64 deadline = g_get_monotonic_time () + 20 * G_TIME_SPAN_SECOND;
  while (clicks < expected && g_get_monotonic_time () < deadline)
    g_main_context_iteration (NULL, TRUE);
  return clicks == expected;
}

static gboolean
wake_the_loop (gpointer data)
{
  (void) data;
  return G_SOURCE_CONTINUE;
}

static void
clicked_by_python_code_that_holds (void)
{
  if (!have_a_display ())
    return;
  assert_ok (raddle_enter ());
  GObject *button = make_the_button ();
  run ("button.emit('clicked')"); /* PyGTK's b.clicked () */
  g_signal_emit_by_name (button, "clicked");
  g_assert_true (last_was_held);
  g_assert_cmpint (clicks, ==, 2);
  g_assert_cmpint (evaluate ("from_c == 2 and calls == [threading.get_ident()] * 2"), ==, 1);
  drop_the_button ();
  assert_ok (raddle_leave ());
}

static void
clicked_while_the_loop_runs (void)
{
  if (!have_a_display ())
    return;
  guint ticker = g_timeout_add (50, wake_the_loop, NULL);
  assert_ok (raddle_enter ());
  make_the_button ();
  /* A keyboard's way to click: the button goes down now, and a timeout of the loop's emits "clicked". */
  run ("button.activate()");
  g_assert_cmpint (clicks, ==, 0);
  PyGTK_UNBLOCK_THREADS
  g_assert_true (has_clicked (1));
  g_assert_false (last_was_held);
  PyGTK_BLOCK_THREADS
  g_assert_cmpint (evaluate ("from_c == 1 and calls == [threading.get_ident()]"), ==, 1);
  drop_the_button ();
  assert_ok (raddle_leave ());
  g_source_remove (ticker);
}

static void
clicked_while_python_runs_the_loop (void)
{
  if (!have_a_display ())
    return;
  assert_ok (raddle_enter ());
  make_the_button ();
  run ("from gi.repository import GLib\n"
       "loop = GLib.MainLoop()\n"
       "button.connect_after('clicked', lambda button: loop.quit())\n"
       "GLib.timeout_add_seconds(20, loop.quit)\n"
       "button.activate()\n"
       "loop.run()");
  g_assert_cmpint (clicks, ==, 1);
  g_assert_false (last_was_held); /* PyGObject released Python around the loop by itself. */
  g_assert_cmpint (evaluate ("from_c == 1 and calls == [threading.get_ident()]"), ==, 1);
  drop_the_button ();
  assert_ok (raddle_leave ());
}

static gpointer
ask_the_loop_to_click (gpointer data)
{
  (void) data;
  assert_ok (raddle_enter ());
  run ("GLib.idle_add(lambda: button.emit('clicked'))");
  assert_ok (raddle_leave ());
  return NULL;
}

/* GTK belongs to one thread; others ask its loop, as they do in any GTK program. */
static void
clicked_for_a_foreign_thread (void)
{
  if (!have_a_display ())
    return;
  guint ticker = g_timeout_add (50, wake_the_loop, NULL);
  assert_ok (raddle_enter ());
  make_the_button ();
  run ("from gi.repository import GLib");
  PyGTK_UNBLOCK_THREADS
  on_a_thread (ask_the_loop_to_click, NULL);
  g_assert_true (has_clicked (1));
  PyGTK_BLOCK_THREADS
  g_assert_cmpint (evaluate ("from_c == 1 and calls == [threading.get_ident()]"), ==, 1);
  drop_the_button ();
  assert_ok (raddle_leave ());
  g_source_remove (ticker);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  /* GTK warns of what a bare display lacks, such as a session bus. */
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
  g_setenv ("GTK_A11Y", "none", TRUE);
  g_test_add_func ("/gtk/clicked/by-python-code-that-holds", clicked_by_python_code_that_holds);
  g_test_add_func ("/gtk/clicked/while-the-loop-runs", clicked_while_the_loop_runs);
  g_test_add_func ("/gtk/clicked/while-python-runs-the-loop", clicked_while_python_runs_the_loop);
  g_test_add_func ("/gtk/clicked/for-a-foreign-thread", clicked_for_a_foreign_thread);
  return run_with_python ();
}
