/* glib_log.c: GLib's log arrives in Python's, Python's in GLib's, and nothing goes round in a circle. */
#define G_LOG_USE_STRUCTURED
#define G_LOG_DOMAIN "app.ui"
#include "support.h"

#include <raddle/raddle-glib.h>
#include <string.h>

/* What the host's own writer was given: one line for each record. */
static GMutex lock;
static GString *former_lines;

static const char *
field (const GLogField *fields,
       gsize            n_fields,
       const char      *name)
{
  for (gsize i = 0; i < n_fields; i++)
    if (strcmp (fields[i].key, name) == 0)
      return fields[i].value;
  return "-";
}

static GLogWriterOutput
former_writer (GLogLevelFlags   level,
               const GLogField *fields,
               gsize            n_fields,
               gpointer         user_data)
{
  (void) level;
  g_assert_cmpstr (user_data, ==, "data");
  g_mutex_lock (&lock);
  g_string_append_printf (former_lines, "%s|%s|%s|%s|%s\n", field (fields, n_fields, "GLIB_DOMAIN"),
                          field (fields, n_fields, "PRIORITY"), field (fields, n_fields, "MESSAGE"),
                          field (fields, n_fields, "CODE_FUNC"), field (fields, n_fields, "ANSWER"));
  g_mutex_unlock (&lock);
  if (strstr (field (fields, n_fields, "MESSAGE"), "recurse"))
    g_message ("from the writer itself, about recursion");
  return G_LOG_WRITER_HANDLED;
}

static void
collect (void)
{
  g_mutex_lock (&lock);
  g_string_truncate (former_lines, 0);
  g_mutex_unlock (&lock);
  in_python ("import raddle.log");
  collect_log ("app");
}

static gpointer
complain (gpointer unused)
{
  (void) unused;
  g_warning ("heap %d is late", 7);
  return GINT_TO_POINTER (__LINE__ - 1);
}

static void
a_record_says_where_and_who (void)
{
  collect ();
  int line = GPOINTER_TO_INT (on_a_thread (complain, NULL));
  g_autofree char *expected = g_strdup_printf (
    "[('app.ui', 'WARNING', 'heap 7 is late', 'raddle-test', 'glib_log.c', %d, 'complain', '4')]", line);
  assert_seen ("str([(r.name, r.levelname, r.getMessage(), r.threadName, r.filename, r.lineno, r.funcName, r.PRIORITY)"
               " for r in seen])", expected);
  g_assert_cmpstr (former_lines->str, ==, "");
}

static void
every_level_has_its_number (void)
{
  collect ();
  g_debug ("d");
  g_info ("i");
  g_message ("m");
  g_warning ("w");
  g_critical ("c");
  g_log ("app.old", G_LOG_LEVEL_MESSAGE, "by %s", "g_log");
  assert_seen ("str([(r.name, r.levelno, r.getMessage()) for r in seen])",
               "[('app.ui', 10, 'd'), ('app.ui', 20, 'i'), ('app.ui', 20, 'm'), ('app.ui', 30, 'w'), "
               "('app.ui', 40, 'c'), ('app.old', 20, 'by g_log')]");
}

static void
fields_are_kept (void)
{
  const char binary[] = { 'a', '\0', '\xff' };
  const GLogField fields[] = {
    { "MESSAGE", "whole", 3 },
    { "GLIB_DOMAIN", "app", -1 },
    { "ANSWER", "42", -1 },
    { "BINARY", binary, sizeof binary },
    { "NOTHING", NULL, -1 },
  };
  collect ();
  g_log_structured_array (G_LOG_LEVEL_INFO, fields, G_N_ELEMENTS (fields));
  assert_seen ("str([(r.name, r.getMessage(), r.ANSWER, r.BINARY, r.NOTHING) for r in seen])",
               "[('app', 'who', '42', b'a\\x00\\xff', '')]");
}

static void
a_level_that_is_not_wanted_goes_nowhere (void)
{
  collect ();
  g_info ("known");
  assert_seen ("str(len(seen))", "1");
  in_python ("logger.setLevel(logging.WARNING)");
  g_info ("unwanted");
  g_warning ("wanted");
  assert_seen ("str([r.getMessage() for r in seen])", "['known', 'wanted']");
  g_assert_cmpstr (former_lines->str, ==, "");
}

static void
python_s_records_go_to_the_former_writer_and_do_not_come_back (void)
{
  collect ();
  in_python ("def speak():\n"
             "    logger.error('from Python: %d', 7, extra={'answer': 42})\n"
             "logger.addHandler(raddle.log.GLibHandler())\n"
             "speak()\n"
             "logging.getLogger('app.py').debug('low')\n");
  assert_seen ("str([r.getMessage() for r in seen])", "['from Python: 7', 'low']");
  g_assert_cmpstr (former_lines->str, ==, "app|3|from Python: 7|speak|42\napp.py|7|low|<module>|-\n");
  /* And a native one reaches both of Python's handlers, of which GLib's leaves it alone. */
  g_message ("from C");
  assert_seen ("str([r.getMessage() for r in seen])", "['from Python: 7', 'low', 'from C']");
  g_assert_null (strstr (former_lines->str, "from C"));
}

static void
a_flood_from_a_thread_that_holds_python_does_not_hang (void)
{
  collect ();
  assert_ok (raddle_enter ());
  for (int i = 0; i < 10000; i++)
    g_debug ("%d", i);
  assert_ok (raddle_leave ());
  assert_ok (raddle_log_flush (20 * 1000));
}

static void
installing_twice_is_refused_and_frees_the_data (void)
{
  int freed = 0;
  assert_status (raddle_glib_log_install (NULL, &freed, (GDestroyNotify) g_atomic_int_inc), RADDLE_STATUS_WRONG_ORDER);
  g_assert_cmpint (freed, ==, 1);
}

static void
nothing_is_survived (void)
{
  g_assert_cmpint (raddle_glib_log_writer (G_LOG_LEVEL_INFO, NULL, 3, NULL), ==, G_LOG_WRITER_UNHANDLED);
  const GLogField none[] = { { NULL, NULL, 0 } };
  g_assert_cmpint (raddle_glib_log_writer (G_LOG_LEVEL_INFO, none, 1, NULL), ==, G_LOG_WRITER_HANDLED);
}

/* In a child, which has a writer and a Python of its own. */
static void
before_start_and_after_stop_the_former_writer_gets_it (void)
{
  IN_A_CHILD ();
  former_lines = g_string_new (NULL);
  assert_ok (raddle_glib_log_install (former_writer, (gpointer) "data", NULL));
  g_message ("before");
  RaddleRuntime *runtime = start_python ();
  collect ();
  g_message ("during");
  assert_seen ("str([r.getMessage() for r in seen])", "['during']");
  stop_python (runtime);
  g_message ("after");
  g_assert_cmpstr (former_lines->str, ==, "app.ui|5|after|before_start_and_after_stop_the_former_writer_gets_it|-\n");
}

static void
a_former_writer_that_logs_does_not_go_round_in_a_circle (void)
{
  IN_A_CHILD ();
  former_lines = g_string_new (NULL);
  assert_ok (raddle_glib_log_install (former_writer, (gpointer) "data", NULL));
  g_message ("recurse");
  g_message ("recurse again");
  g_assert_cmpstr (former_lines->str, ==,
                   "app.ui|5|recurse|a_former_writer_that_logs_does_not_go_round_in_a_circle|-\n"
                   "app.ui|5|recurse again|a_former_writer_that_logs_does_not_go_round_in_a_circle|-\n");
}

static void
a_fatal_message_is_told_before_the_end (void)
{
  if (g_test_subprocess ())
    {
      g_log_set_writer_func (raddle_glib_log_writer, NULL, NULL);
      RaddleRuntime *runtime = start_python ();
      collect ();
      g_message ("not this one");
      g_error ("this one, %p", (gpointer) runtime);
    }
  g_test_trap_subprocess (NULL, 60 * G_USEC_PER_SEC, 0);
  g_test_trap_assert_failed ();
  g_test_trap_assert_stderr ("*this one, 0x*");
  g_test_trap_assert_stderr_unmatched ("*not this one*");
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  /* GTest makes warnings fatal, and what is fatal is not for Python. */
  g_log_set_always_fatal (G_LOG_FATAL_MASK);
  /* Nor is its own handler wanted, which in later GLibs keeps what g_log() says from the writer. */
  g_log_set_default_handler (g_log_default_handler, NULL);
  if (!g_test_subprocess ())
    {
      former_lines = g_string_new (NULL);
      assert_ok (raddle_glib_log_install (former_writer, (gpointer) "data", NULL));
    }
  else
    former_lines = g_string_new (NULL);
  g_test_add_func ("/glib_log/a-record-says-where-and-who", a_record_says_where_and_who);
  g_test_add_func ("/glib_log/every-level-has-its-number", every_level_has_its_number);
  g_test_add_func ("/glib_log/fields-are-kept", fields_are_kept);
  g_test_add_func ("/glib_log/a-level-that-is-not-wanted-goes-nowhere", a_level_that_is_not_wanted_goes_nowhere);
  g_test_add_func ("/glib_log/python-s-records-go-to-the-former-writer-and-do-not-come-back",
                   python_s_records_go_to_the_former_writer_and_do_not_come_back);
  g_test_add_func ("/glib_log/a-flood-from-a-thread-that-holds-python-does-not-hang",
                   a_flood_from_a_thread_that_holds_python_does_not_hang);
  g_test_add_func ("/glib_log/installing-twice-is-refused-and-frees-the-data", installing_twice_is_refused_and_frees_the_data);
  g_test_add_func ("/glib_log/nothing-is-survived", nothing_is_survived);
  g_test_add_func ("/glib_log/before-start-and-after-stop-the-former-writer-gets-it",
                   before_start_and_after_stop_the_former_writer_gets_it);
  g_test_add_func ("/glib_log/a-former-writer-that-logs-does-not-go-round-in-a-circle",
                   a_former_writer_that_logs_does_not_go_round_in_a_circle);
  g_test_add_func ("/glib_log/a-fatal-message-is-told-before-the-end", a_fatal_message_is_told_before_the_end);
  return run_with_python ();
}
