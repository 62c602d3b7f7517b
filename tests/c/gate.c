/* gate.c: entering, nesting, giving Python up and leaving, on one thread and its neighbours. */
#include "support.h"

#include <gio/gio.h>

/* What a C callback saw, that was called by Python code inside an entry. */
typedef struct {
  guint    calls;
  gboolean was_held;
  gboolean is_held_after;
} Seen;

static void
enter_from_c (GSimpleAction *action,
              GVariant      *parameter,
              gpointer       data)
{
  Seen *seen = data;
  (void) action;
  (void) parameter;
  seen->was_held = raddle_is_held ();
  assert_ok (raddle_enter ());
  run ("called.append(threading.get_ident())");
  assert_ok (raddle_enter ());
  run ("called.append('nested')");
  assert_ok (raddle_leave ());
  assert_ok (raddle_leave ());
  seen->is_held_after = raddle_is_held ();
  seen->calls++;
}

static gpointer
call_through_pygobject (gpointer data)
{
  Seen seen = { 0 };
  (void) data;
  assert_ok (raddle_enter ());
  run ("import threading\n"
       "from gi.repository import Gio\n"
       "called = []\n"
       "action = Gio.SimpleAction.new('ring', None)");
  g_signal_connect (object_named ("action"), "activate", G_CALLBACK (enter_from_c), &seen);
  run ("action.activate(None)");
  g_assert_true (raddle_is_held ());
  g_assert_cmpint (evaluate ("called == [threading.get_ident(), 'nested']"), ==, 1);
  run ("del action");
  assert_ok (raddle_leave ());
  g_assert_false (raddle_is_held ());
  g_assert_cmpuint (seen.calls, ==, 1);
  /* The point of the test: PyGObject gave Python up, and our counter could not see it. */
  g_assert_false (seen.was_held);
  g_assert_false (seen.is_held_after);
  return NULL;
}

static void
pygobject_releases_below (void)
{
  if (!have_gi ())
    return;
  call_through_pygobject (NULL);
  on_a_thread (call_through_pygobject, NULL);
}

static Seen ctypes_seen;

static int
called_by_ctypes (void)
{
  enter_from_c (NULL, NULL, &ctypes_seen);
  return 42;
}

static gpointer
call_through_ctypes (gpointer data)
{
  gboolean releases = GPOINTER_TO_INT (data);
  ctypes_seen = (Seen) { 0 };
  assert_ok (raddle_enter ());
  give_address ("address", (gpointer) called_by_ctypes);
  give ("releases", PyBool_FromLong (releases));
  run ("import ctypes, threading\n"
       "called = []\n"
       "make = ctypes.CFUNCTYPE if releases else ctypes.PYFUNCTYPE\n"
       "result = make(ctypes.c_int)(address)()");
  g_assert_cmpint (evaluate ("result"), ==, 42);
  assert_ok (raddle_leave ());
  g_assert_cmpuint (ctypes_seen.calls, ==, 1);
  g_assert_true (ctypes_seen.was_held == !releases);
  g_assert_true (ctypes_seen.is_held_after == !releases);
  return NULL;
}

static void
ctypes_releases_below (void)
{
  call_through_ctypes (GINT_TO_POINTER (TRUE));
  on_a_thread (call_through_ctypes, GINT_TO_POINTER (TRUE));
}

static void
ctypes_holds_below (void)
{
  call_through_ctypes (GINT_TO_POINTER (FALSE));
  on_a_thread (call_through_ctypes, GINT_TO_POINTER (FALSE));
}

static void
nested_entries_are_counted (void)
{
  RaddleGateStats before = figures ();
  for (int depth = 0; depth < 100; depth++)
    assert_ok (raddle_enter ());
  g_assert_cmpint (evaluate ("6 * 7"), ==, 42);
  for (int depth = 0; depth < 100; depth++)
    {
      g_assert_true (raddle_is_held ());
      assert_ok (raddle_leave ());
    }
  g_assert_false (raddle_is_held ());
  RaddleGateStats after = figures ();
  g_assert_cmpuint (after.entries - before.entries, ==, 1);
  g_assert_cmpuint (after.nested - before.nested, ==, 99);
}

static gpointer
enter_and_leave (gpointer data)
{
  (void) data;
  assert_ok (raddle_enter ());
  run ("passed = globals().get('passed', 0) + 1");
  assert_ok (raddle_leave ());
  return NULL;
}

static void
a_release_works_at_any_depth (void)
{
  for (int depth = 0; depth < 3; depth++)
    assert_ok (raddle_enter ());
  run ("passed = 0");
  RADDLE_UNBLOCK_THREADS
  g_assert_false (raddle_is_held ());
  /* A thread that is joined while it enters proves that Python is free. */
  g_thread_join (g_thread_new ("neighbour", enter_and_leave, NULL));
  RADDLE_BLOCK_THREADS
  g_assert_true (raddle_is_held ());
  g_assert_cmpint (evaluate ("passed"), ==, 1);
  for (int depth = 0; depth < 3; depth++)
    assert_ok (raddle_leave ());
  g_assert_false (raddle_is_held ());
}

static void
releases_nest (void)
{
  assert_ok (raddle_enter ());
  assert_ok (raddle_unblock_threads ());
  assert_ok (raddle_unblock_threads ());
  g_assert_false (raddle_is_held ());
  assert_ok (raddle_block_threads ());
  g_assert_false (raddle_is_held ());
  assert_ok (raddle_block_threads ());
  g_assert_true (raddle_is_held ());
  assert_ok (raddle_leave ());
}

static void
entries_and_releases_interleave (void)
{
  assert_ok (raddle_enter ());
  assert_ok (raddle_unblock_threads ());
  assert_ok (raddle_enter ());
  g_assert_true (raddle_is_held ());
  assert_ok (raddle_enter ());
  assert_ok (raddle_unblock_threads ());
  g_assert_false (raddle_is_held ());
  assert_ok (raddle_block_threads ());
  assert_ok (raddle_leave ());
  g_assert_true (raddle_is_held ());
  assert_ok (raddle_leave ());
  g_assert_false (raddle_is_held ());
  assert_ok (raddle_block_threads ());
  g_assert_true (raddle_is_held ());
  assert_ok (raddle_leave ());
  g_assert_false (raddle_is_held ());
}

static gpointer
release_without_holding (gpointer data)
{
  (void) data;
  g_assert_false (raddle_is_held ());
  assert_ok (raddle_unblock_threads ());
  assert_ok (raddle_enter ());
  assert_ok (raddle_leave ());
  assert_ok (raddle_block_threads ());
  g_assert_false (raddle_is_held ());
  return NULL;
}

static void
a_fresh_thread_starts_at_not_held (void)
{
  on_a_thread (release_without_holding, NULL);
}

static void
wrong_orders_are_reported_and_change_nothing (void)
{
  assert_status (raddle_leave (), RADDLE_STATUS_WRONG_ORDER);
  assert_message_has ("no entry to leave");
  assert_status (raddle_block_threads (), RADDLE_STATUS_WRONG_ORDER);
  assert_message_has ("nothing was given up");

  assert_ok (raddle_enter ());
  assert_status (raddle_block_threads (), RADDLE_STATUS_WRONG_ORDER);
  assert_ok (raddle_unblock_threads ());
  assert_status (raddle_leave (), RADDLE_STATUS_WRONG_ORDER);
  assert_message_has ("raddle_block_threads");
  g_assert_false (raddle_is_held ());

  assert_ok (raddle_enter ());
  assert_status (raddle_block_threads (), RADDLE_STATUS_WRONG_ORDER);
  assert_message_has ("leave it first");
  g_assert_true (raddle_is_held ());
  assert_status (raddle_thread_trim (), RADDLE_STATUS_WRONG_ORDER);
  assert_ok (raddle_leave ());

  assert_ok (raddle_block_threads ());
  g_assert_true (raddle_is_held ());
  assert_ok (raddle_leave ());
  g_assert_false (raddle_is_held ());
}

static void
a_leave_without_the_state_that_somebody_gave_up_is_refused (void)
{
  assert_ok (raddle_enter ());
  PyThreadState *state = PyEval_SaveThread ();
  assert_status (raddle_leave (), RADDLE_STATUS_WRONG_ORDER);
  assert_message_has ("PyEval_RestoreThread");
  PyEval_RestoreThread (state);
  assert_ok (raddle_leave ());
}

static gpointer
count_entries_of_this_thread (gpointer data)
{
  (void) data;
  assert_ok (raddle_enter ());
  run ("import threading\n"
       "if 'local' not in globals(): local = threading.local()\n"
       "local.entries = getattr(local, 'entries', 0) + 1");
  assert_ok (raddle_leave ());
  assert_ok (raddle_enter ());
  run ("local.entries += 1");
  gint64 entries = evaluate ("local.entries");
  assert_ok (raddle_leave ());
  return GINT_TO_POINTER ((int) entries);
}

static void
thread_locals_live_from_one_entry_to_the_next (void)
{
  for (int thread = 0; thread < 3; thread++)
    g_assert_cmpint (GPOINTER_TO_INT (on_a_thread (count_entries_of_this_thread, NULL)), ==, 2);
}

static gpointer
trim_between_entries (gpointer data)
{
  guint64 reaped = figures ().reaped;
  (void) data;
  assert_ok (raddle_enter ());
  run ("local.trimmed = True");
  assert_ok (raddle_leave ());
  assert_ok (raddle_thread_trim ());
  assert_ok (raddle_thread_trim ());
  assert_ok (raddle_enter ());
  g_assert_cmpint (evaluate ("hasattr(local, 'trimmed')"), ==, 0);
  assert_ok (raddle_leave ());
  g_assert_cmpuint (figures ().reaped, >, reaped);
  return NULL;
}

static void
a_trim_gives_the_state_back (void)
{
  count_entries_of_this_thread (NULL);
  on_a_thread (trim_between_entries, NULL);
}

static void
a_pending_exception_goes_to_the_unraisable_hook (void)
{
  assert_ok (raddle_enter ());
  run ("import sys\n"
       "unraisable = []\n"
       "sys.unraisablehook = lambda it: unraisable.append((it.exc_type, str(it.exc_value)))");
  PyErr_SetString (PyExc_ValueError, "nobody looked");
  assert_ok (raddle_leave ());
  assert_ok (raddle_enter ());
  g_assert_null (PyErr_Occurred ());
  g_assert_cmpint (evaluate ("unraisable == [(ValueError, 'nobody looked')]"), ==, 1);
  run ("sys.unraisablehook = sys.__unraisablehook__");
  assert_ok (raddle_leave ());
}

static void
a_nested_leave_leaves_the_exception_to_the_outer_entry (void)
{
  assert_ok (raddle_enter ());
  assert_ok (raddle_enter ());
  PyErr_SetString (PyExc_KeyError, "mine");
  assert_ok (raddle_leave ());
  g_assert_true (PyErr_ExceptionMatches (PyExc_KeyError));
  PyErr_Clear ();
  assert_ok (raddle_leave ());
}

static void
an_inner_entry_does_not_see_the_exception_of_the_outer_one (void)
{
  assert_ok (raddle_enter ());
  PyErr_SetString (PyExc_KeyError, "outer");
  assert_ok (raddle_unblock_threads ());
  assert_ok (raddle_enter ());
  g_assert_null (PyErr_Occurred ());
  g_assert_cmpint (evaluate ("1 + 1"), ==, 2);
  assert_ok (raddle_leave ());
  assert_ok (raddle_block_threads ());
  g_assert_true (PyErr_ExceptionMatches (PyExc_KeyError));
  PyErr_Clear ();
  assert_ok (raddle_leave ());
}

static gpointer
enter_fresh_and_change_the_context (gpointer data)
{
  (void) data;
  assert_ok (raddle_enter ());
  run ("import contextvars, decimal\n"
       "if 'var' not in globals(): var = contextvars.ContextVar('var', default='none')\n"
       "token = var.set('outer')\n"
       "decimal.getcontext().prec = 7");
  assert_ok (raddle_enter_fresh ());
  g_assert_cmpint (evaluate ("var.get() == 'none' and decimal.getcontext().prec == 28"), ==, 1);
  run ("var.set('inner')\n"
       "decimal.getcontext().prec = 3");
  assert_ok (raddle_leave ());
  g_assert_cmpint (evaluate ("var.get() == 'outer' and decimal.getcontext().prec == 7"), ==, 1);
  run ("var.reset(token)");
  assert_ok (raddle_leave ());

  assert_ok (raddle_enter_fresh ());
  run ("var.set('alone')");
  assert_ok (raddle_leave ());
  assert_ok (raddle_enter ());
  g_assert_cmpint (evaluate ("var.get() == 'none'"), ==, 1);
  assert_ok (raddle_leave ());
  return NULL;
}

static void
a_fresh_entry_has_a_context_of_its_own (void)
{
  enter_fresh_and_change_the_context (NULL);
  on_a_thread (enter_fresh_and_change_the_context, NULL);
}

static void
figures_count_what_happens (void)
{
  RaddleGateStats before = figures ();
  on_a_thread (enter_and_leave, NULL);
  RaddleGateStats after = figures ();
  g_assert_cmpuint (after.entries - before.entries, ==, 1);
  g_assert_cmpuint (after.threads - before.threads, ==, 1);
  g_assert_cmpuint (after.live_threads, ==, before.live_threads);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/gate/nested/finds-that-pygobject-released-below", pygobject_releases_below);
  g_test_add_func ("/gate/nested/finds-that-ctypes-released-below", ctypes_releases_below);
  g_test_add_func ("/gate/nested/finds-that-ctypes-holds-below", ctypes_holds_below);
  g_test_add_func ("/gate/nested/is-counted", nested_entries_are_counted);
  g_test_add_func ("/gate/release/works-at-any-depth", a_release_works_at_any_depth);
  g_test_add_func ("/gate/release/nests", releases_nest);
  g_test_add_func ("/gate/release/interleaves-with-entries", entries_and_releases_interleave);
  g_test_add_func ("/gate/release/a-fresh-thread-starts-at-not-held", a_fresh_thread_starts_at_not_held);
  g_test_add_func ("/gate/order/wrong-ones-are-reported-and-change-nothing",
                   wrong_orders_are_reported_and_change_nothing);
  g_test_add_func ("/gate/order/a-leave-waits-for-what-others-gave-up",
                   a_leave_without_the_state_that_somebody_gave_up_is_refused);
  g_test_add_func ("/gate/kept/thread-locals-live-from-one-entry-to-the-next",
                   thread_locals_live_from_one_entry_to_the_next);
  g_test_add_func ("/gate/kept/a-trim-gives-it-back", a_trim_gives_the_state_back);
  g_test_add_func ("/gate/exception/left-set-goes-to-the-unraisable-hook",
                   a_pending_exception_goes_to_the_unraisable_hook);
  g_test_add_func ("/gate/exception/is-left-to-the-outer-entry",
                   a_nested_leave_leaves_the_exception_to_the_outer_entry);
  g_test_add_func ("/gate/exception/of-the-outer-entry-is-not-seen-inside",
                   an_inner_entry_does_not_see_the_exception_of_the_outer_one);
  g_test_add_func ("/gate/fresh/has-a-context-of-its-own", a_fresh_entry_has_a_context_of_its_own);
  g_test_add_func ("/gate/figures/count-what-happens", figures_count_what_happens);
  return run_with_python ();
}
