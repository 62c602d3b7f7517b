/* scope.c: entries, runtimes and options that end with their block. */
#include "support.h"

#include <raddle/raddle-glib.h>

static int
enter_and_return (int early)
{
  RADDLE_ENTER_SCOPE (scope);
  if (!scope.entered)
    return (int) scope.status;
  g_assert_true (raddle_is_held ());
  if (early)
    return -1;
  RADDLE_ENTER_SCOPE (inner);
  g_assert_true (inner.entered);
  return -2;
}

static void
an_entry_ends_with_its_block (void)
{
  g_assert_cmpint (enter_and_return (TRUE), ==, -1);
  g_assert_false (raddle_is_held ());
  g_assert_cmpint (enter_and_return (FALSE), ==, -2);
  g_assert_false (raddle_is_held ());
  assert_status (raddle_leave (), RADDLE_STATUS_WRONG_ORDER);
}

static void
an_entry_may_be_left_early (void)
{
  RADDLE_ENTER_SCOPE (scope);
  g_assert_true (scope.entered);
  raddle_scope_leave (&scope);
  g_assert_false (scope.entered);
  g_assert_false (raddle_is_held ());
  raddle_scope_leave (&scope);
}

static void
a_refused_entry_leaves_nothing (void)
{
  IN_A_CHILD ();
  g_assert_cmpint (enter_and_return (TRUE), ==, RADDLE_STATUS_NOT_STARTED);
  stop_python (start_python ());
  g_assert_cmpint (enter_and_return (TRUE), ==, RADDLE_STATUS_CLOSED);
}

static void
references_end_with_their_block (void)
{
  IN_A_CHILD ();
  for (int round = 0; round < 2; round++)
    {
      g_autoptr (RaddleOptions) options = raddle_options_new ();
      raddle_auto (raddle_runtime) RaddleRuntime *runtime = NULL;
      assert_ok (raddle_runtime_new (options, &runtime));
      g_autoptr (RaddleRuntime) again = raddle_runtime_ref (runtime);
      raddle_auto (raddle_runtime) RaddleRuntime *nothing = NULL;
      g_assert_null (nothing);
      assert_ok (raddle_runtime_stop (again, -1));
    }
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/scope/entry/ends-with-its-block", an_entry_ends_with_its_block);
  g_test_add_func ("/scope/entry/may-be-left-early", an_entry_may_be_left_early);
  g_test_add_func ("/scope/entry/refused-leaves-nothing", a_refused_entry_leaves_nothing);
  g_test_add_func ("/scope/reference/ends-with-its-block", references_end_with_their_block);
  return run_with_python ();
}
