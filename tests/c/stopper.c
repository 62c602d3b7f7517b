/* stopper.c: exit stoppers, run once or given back, whoever ends Python. Each test in a process of its own. */
#include "support.h"

#include <string.h>
#include <unistd.h>

/* What the stoppers did, in order. */
static GString *notes;
static GMutex notes_lock;

static void
note (const char *text)
{
  g_mutex_lock (&notes_lock);
  g_string_append_printf (notes, "%s%s", notes->len ? " " : "", text);
  g_mutex_unlock (&notes_lock);
}

static void
assert_notes (const char *expected)
{
  g_mutex_lock (&notes_lock);
  g_assert_cmpstr (notes->str, ==, expected);
  g_mutex_unlock (&notes_lock);
}

static RaddleStatus
note_run (void *user_data)
{
  g_assert_false (raddle_is_held ());
  note (user_data);
  return RADDLE_STATUS_OK;
}

static void
note_freed (void *user_data)
{
  char *text = g_strdup_printf ("-%s", (const char *) user_data);
  note (text);
  g_free (text);
}

static RaddleStopper *
add (const char *name, RaddleStage stage)
{
  RaddleStopper *stopper = NULL;
  assert_ok (raddle_stopper_new (name, stage, 5000, note_run, (void *) name, note_freed, &stopper));
  g_assert_nonnull (stopper);
  return stopper;
}

static void
each_runs_once_in_its_stage_and_is_freed (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  assert_ok (raddle_stopper_new ("l", RADDLE_STAGE_LOG, 5000, note_run, (void *) "l", note_freed, NULL));
  assert_ok (raddle_stopper_new ("p", RADDLE_STAGE_POOLS, 5000, note_run, (void *) "p", note_freed, NULL));
  assert_ok (raddle_stopper_new ("c", RADDLE_STAGE_COMPLETIONS, 5000, note_run, (void *) "c", NULL, NULL));
  assert_ok (raddle_stopper_new ("q", RADDLE_STAGE_POOLS, 5000, note_run, (void *) "q", note_freed, NULL));
  assert_ok (raddle_stopper_new ("r", RADDLE_STAGE_REFUSE, 5000, note_run, (void *) "r", note_freed, NULL));
  assert_notes ("");
  stop_python (runtime);
  assert_notes ("r -r q -q p -p c l -l");
}

static void
one_that_is_removed_is_freed_and_does_not_run (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  RaddleStopper *removed = add ("removed", RADDLE_STAGE_POOLS);
  RaddleStopper *kept = add ("kept", RADDLE_STAGE_POOLS);
  g_assert_true (raddle_stopper_remove (removed));
  assert_notes ("-removed");
  g_assert_false (raddle_stopper_remove (removed));
  g_assert_true (raddle_stopper_ref (kept) == kept);
  raddle_stopper_unref (kept);
  stop_python (runtime);
  assert_notes ("-removed kept -kept");
  g_assert_false (raddle_stopper_remove (kept));
  raddle_stopper_unref (kept);
  raddle_stopper_unref (removed);
}

static void
dropping_the_reference_leaves_it_registered (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  {
    raddle_auto (raddle_stopper) RaddleStopper *stopper = add ("kept", RADDLE_STAGE_POOLS);
    g_assert_nonnull (stopper);
  }
  assert_notes ("");
  stop_python (runtime);
  assert_notes ("kept -kept");
}

static RaddleStatus
enter_and_look (void *user_data G_GNUC_UNUSED)
{
  assert_ok (raddle_enter ());
  run ("import threading");
  gboolean native = evaluate ("threading.current_thread() is not threading.main_thread()") == 1;
  assert_ok (raddle_leave ());
  note (native ? "entered" : "on the main thread");
  return RADDLE_STATUS_OK;
}

static void
the_gate_is_open_to_them (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  assert_ok (raddle_stopper_new ("look", RADDLE_STAGE_LOG, 5000, enter_and_look, NULL, NULL, NULL));
  stop_python (runtime);
  assert_notes ("entered");
}

static RaddleStatus
fail (void *user_data G_GNUC_UNUSED)
{
  return raddle_gate_get_stats (NULL);
}

static void
one_that_fails_is_reported_with_its_message (void)
{
  if (g_test_subprocess ())
    {
      RaddleRuntime *runtime = start_python ();
      assert_ok (raddle_stopper_new ("failing", RADDLE_STAGE_POOLS, 5000, fail, NULL, NULL, NULL));
      stop_python (runtime);
      return;
    }
  g_test_trap_subprocess (NULL, 60 * G_USEC_PER_SEC, 0);
  g_test_trap_assert_passed ();
  g_test_trap_assert_stderr ("*the exit stopper 'failing'*RuntimeError: RADDLE_STATUS_NULL: NULL was passed*");
}

static RaddleStatus
hang (void *user_data G_GNUC_UNUSED)
{
  while (TRUE)
    pause ();
  return RADDLE_STATUS_OK;
}

static void
one_that_hangs_is_named_and_the_others_run (void)
{
  if (g_test_subprocess ())
    {
      RaddleRuntime *runtime = start_python ();
      assert_ok (raddle_stopper_new ("old", RADDLE_STAGE_POOLS, 5000, note_run, (void *) "old", note_freed, NULL));
      assert_ok (raddle_stopper_new ("hanging", RADDLE_STAGE_POOLS, 30, hang, (void *) "x", note_freed, NULL));
      stop_python (runtime);
      assert_notes ("old -old"); /* "x" is still used by the one that hangs */
      return;
    }
  g_test_trap_subprocess (NULL, 60 * G_USEC_PER_SEC, 0);
  g_test_trap_assert_passed ();
  g_test_trap_assert_stderr ("*raddle: the exit stopper 'hanging' has not ended after 30ms*");
}

static RaddleStatus
add_more (void *user_data)
{
  RaddleStopper *stopper = user_data;
  g_assert_true (raddle_stopper_remove (stopper));
  assert_ok (raddle_stopper_new ("later", RADDLE_STAGE_LOG, 5000, note_run, (void *) "later", note_freed, NULL));
  assert_status (raddle_stopper_new ("late", RADDLE_STAGE_POOLS, 5000, note_run, (void *) "late", note_freed, NULL),
                 RADDLE_STATUS_CLOSED);
  assert_message_has ("'pools' has begun");
  return RADDLE_STATUS_OK;
}

static void
unref_stopper (void *user_data)
{
  raddle_stopper_unref (user_data);
}

static void
one_may_add_and_remove_others (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  RaddleStopper *other = add ("other", RADDLE_STAGE_POOLS);
  assert_ok (raddle_stopper_new ("adder", RADDLE_STAGE_POOLS, 5000, add_more, other, unref_stopper, NULL));
  stop_python (runtime);
  assert_notes ("-other -late later -later");
}

static void
what_is_refused_is_freed (void)
{
  IN_A_CHILD ();
  RaddleStopper *unset = (RaddleStopper *) &notes;
  assert_status (raddle_stopper_new ("early", RADDLE_STAGE_LOG, 5000, note_run, (void *) "early", note_freed, &unset),
                 RADDLE_STATUS_NOT_STARTED);
  RaddleRuntime *runtime = start_python ();
  assert_status (raddle_stopper_new ("no func", RADDLE_STAGE_LOG, 5000, NULL, (void *) "no-func", note_freed, &unset),
                 RADDLE_STATUS_NULL);
  assert_status (raddle_stopper_new (NULL, RADDLE_STAGE_LOG, 5000, note_run, (void *) "no-name", note_freed, &unset),
                 RADDLE_STATUS_NULL);
  assert_status (raddle_stopper_new ("no stage", (RaddleStage) 4, 5000, note_run, (void *) "no-stage", note_freed, &unset),
                 RADDLE_STATUS_INVALID);
  assert_status (raddle_stopper_new ("no time", RADDLE_STAGE_LOG, 0, note_run, (void *) "no-time", note_freed, &unset),
                 RADDLE_STATUS_INVALID);
  g_assert_true (unset == (RaddleStopper *) &notes);
  assert_notes ("-early -no-func -no-name -no-stage -no-time");
  stop_python (runtime);
}

static void
an_abandon_frees_them_all (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  raddle_stopper_unref (add ("never", RADDLE_STAGE_POOLS));
  assert_ok (raddle_runtime_abandon (runtime));
  assert_notes ("-never");
  raddle_runtime_unref (runtime);
}

static void
an_adopted_python_runs_them_at_its_end (void)
{
  IN_A_CHILD ();
  Py_InitializeEx (0);
  RaddleRuntime *runtime = NULL;
  assert_ok (raddle_runtime_adopt (&runtime));
  raddle_stopper_unref (add ("l", RADDLE_STAGE_LOG));
  raddle_stopper_unref (add ("r", RADDLE_STAGE_REFUSE));
  run ("import atexit, ctypes\n"
       "note = ctypes.CFUNCTYPE(None, ctypes.c_char_p)");
  give_address ("note_address", (gpointer) note);
  run ("atexit.register(lambda: note(note_address)(b'atexit'))");
  g_assert_cmpint (Py_FinalizeEx (), ==, 0);
  assert_notes ("r -r atexit l -l");
  raddle_runtime_unref (runtime);
}

static void
an_adopted_python_that_is_left_runs_them_then (void)
{
  IN_A_CHILD ();
  Py_InitializeEx (0);
  for (int round = 0; round < 2; round++)
    {
      RaddleRuntime *runtime = NULL;
      assert_ok (raddle_runtime_adopt (&runtime));
      raddle_stopper_unref (add ("p", RADDLE_STAGE_POOLS));
      assert_ok (raddle_runtime_stop (runtime, 5000));
      assert_notes (round ? "p -p p -p" : "p -p");
      raddle_runtime_unref (runtime);
    }
  g_assert_cmpint (Py_FinalizeEx (), ==, 0);
  assert_notes ("p -p p -p");
}

static gpointer
add_and_remove (gpointer data G_GNUC_UNUSED)
{
  for (int i = 0; i < 500; i++)
    {
      raddle_auto (raddle_stopper) RaddleStopper *stopper = NULL;
      RaddleStatus status = raddle_stopper_new ("many", (RaddleStage) (i % 4), 5000, note_run, (void *) "m", note_freed, &stopper);
      if (status == RADDLE_STATUS_OK && i % 2)
        (void) raddle_stopper_remove (stopper);
      else if (status != RADDLE_STATUS_OK)
        assert_status (status, RADDLE_STATUS_CLOSED);
    }
  return NULL;
}

static void
many_threads_add_and_remove_while_python_stops (void)
{
  IN_A_CHILD ();
  GThread *threads[4];
  RaddleRuntime *runtime = start_python ();
  for (gsize i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("adder", add_and_remove, NULL);
  stop_python (runtime);
  for (gsize i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  guint freed = 0;
  for (const char *at = notes->str; (at = strstr (at, "-m")) != NULL; at += 2)
    freed++;
  g_assert_cmpuint (freed, ==, 500 * G_N_ELEMENTS (threads));
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  notes = g_string_new (NULL);
  g_test_add_func ("/stopper/each-runs-once-in-its-stage-and-is-freed", each_runs_once_in_its_stage_and_is_freed);
  g_test_add_func ("/stopper/one-that-is-removed-is-freed-and-does-not-run", one_that_is_removed_is_freed_and_does_not_run);
  g_test_add_func ("/stopper/dropping-the-reference-leaves-it-registered", dropping_the_reference_leaves_it_registered);
  g_test_add_func ("/stopper/the-gate-is-open-to-them", the_gate_is_open_to_them);
  g_test_add_func ("/stopper/one-that-fails-is-reported-with-its-message", one_that_fails_is_reported_with_its_message);
  g_test_add_func ("/stopper/one-that-hangs-is-named-and-the-others-run", one_that_hangs_is_named_and_the_others_run);
  g_test_add_func ("/stopper/one-may-add-and-remove-others", one_may_add_and_remove_others);
  g_test_add_func ("/stopper/what-is-refused-is-freed", what_is_refused_is_freed);
  g_test_add_func ("/stopper/an-abandon-frees-them-all", an_abandon_frees_them_all);
  g_test_add_func ("/stopper/an-adopted-python-runs-them-at-its-end", an_adopted_python_runs_them_at_its_end);
  g_test_add_func ("/stopper/an-adopted-python-that-is-left-runs-them-then", an_adopted_python_that_is_left_runs_them_then);
  g_test_add_func ("/stopper/many-threads-add-and-remove-while-python-stops", many_threads_add_and_remove_while_python_stops);
  return g_test_run ();
}
