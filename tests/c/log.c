/* log.c: records pushed from C arrive in Python's logging as they were made, or are counted. */
#define RADDLE_LOG_DOMAIN "net.c"
#include "support.h"

#include <fcntl.h>
#include <unistd.h>

static RaddleLogStats
log_figures (void)
{
  RaddleLogStats stats;
  assert_ok (raddle_log_get_stats (&stats));
  return stats;
}

static gpointer
warn_from_here (gpointer unused)
{
  (void) unused;
  RADDLE_WARNING ("heap %d is %s", 7, "late");
  return GINT_TO_POINTER (__LINE__ - 1);
}

static void
a_macro_says_where_and_who (void)
{
  collect_log ("net");
  GThread *thread = g_thread_new ("receiver", warn_from_here, NULL);
  int line = GPOINTER_TO_INT (g_thread_join (thread));
  g_autofree char *expected = g_strdup_printf (
    "[('net.c', 'WARNING', 'heap 7 is late', 'receiver', 'log.c', %d, 'warn_from_here')]", line);
  assert_seen ("str([(r.name, r.levelname, r.getMessage(), r.threadName, r.filename, r.lineno, r.funcName)"
               " for r in seen])", expected);
}

static void
a_long_message_arrives_whole (void)
{
  g_autofree char *text = g_strnfill (100000, 'x');
  collect_log ("net");
  raddle_log (RADDLE_LOG_INFO, "net", NULL, 0, NULL, "%s.", text);
  raddle_log (RADDLE_LOG_INFO, "net", __FILE__, -1, NULL, "%511s", "just");
  raddle_log (RADDLE_LOG_INFO, "net", __FILE__, -1, NULL, "%512s", "over");
  raddle_log (RADDLE_LOG_INFO, "net", __FILE__, -1, NULL, "not UTF-8: \xff");
  assert_seen ("str([len(r.getMessage()) for r in seen])", "[100001, 511, 512, 12]");
  assert_seen ("str([(r.lineno, r.funcName, r.getMessage()[-4:]) for r in seen[1:]])",
               "[(0, None, 'just'), (0, None, 'over'), (0, None, '8: \xef\xbf\xbd')]");
}

static void
fields_become_attributes (void)
{
  const RaddleLogField fields[] = {
    { .name = "none", .kind = RADDLE_LOG_NONE },
    { .name = "yes", .kind = RADDLE_LOG_BOOL, .integer = 1 },
    { .name = "least", .kind = RADDLE_LOG_INTEGER, .integer = G_MININT64 },
    { .name = "most", .kind = RADDLE_LOG_UNSIGNED, .unsigned_integer = G_MAXUINT64 },
    { .name = "ratio", .kind = RADDLE_LOG_FLOAT, .number = 0.5 },
    { .name = "text", .kind = RADDLE_LOG_TEXT, .length = -1, .text = "whole" },
    { .name = "part", .kind = RADDLE_LOG_TEXT, .length = 2, .text = "whole" },
    { .name = "bytes", .kind = RADDLE_LOG_BYTES, .length = 3, .text = "a\0b" },
    { .name = "nothing", .kind = RADDLE_LOG_TEXT, .length = -1, .text = NULL },
    { .name = NULL, .kind = RADDLE_LOG_TEXT, .length = 5, .text = NULL },
    { .name = "strange", .kind = 4711 },
    { .name = "name", .kind = RADDLE_LOG_BOOL },
  };
  collect_log ("net");
  raddle_log_message (33, "net", "/src/x.c", 12, "receive", "100%s", fields, G_N_ELEMENTS (fields));
  assert_seen ("str([(r.none, r.yes, r.least, r.most, r.ratio, r.text, r.part, r.bytes, r.nothing, r.strange, r.name_)"
               " for r in seen])",
               "[(None, True, -9223372036854775808, 18446744073709551615, 0.5, 'whole', 'wh', b'a\\x00b', '', None, False)]");
  assert_seen ("str([(r.levelno, r.pathname, r.lineno, r.funcName, r.getMessage()) for r in seen])",
               "[(33, '/src/x.c', 12, 'receive', '100%s')]");
}

static int formatted;

static int
format_it (void)
{
  return ++formatted;
}

static void
what_is_not_wanted_is_not_even_formatted (void)
{
  collect_log ("net");
  RADDLE_INFO ("so that its level is known");
  assert_seen ("str(len(seen))", "1");
  in_python ("logger.setLevel(logging.WARNING)");
  RADDLE_INFO ("%d", format_it ());
  RADDLE_TRACE ("%d", format_it ());
  g_assert_cmpint (formatted, ==, 0);
  g_assert_false (raddle_log_enabled (RADDLE_LOG_INFO, "net.c"));
  g_assert_true (raddle_log_enabled (RADDLE_LOG_WARNING, "net.c"));
  g_assert_true (raddle_log_target_wants (raddle_log_target ("net.c"), RADDLE_LOG_ERROR));
  RADDLE_ERROR ("%d", format_it ());
  RADDLE_CRITICAL ("%d", format_it ());
  raddle_log (RADDLE_LOG_DEBUG, "net.c", NULL, 0, NULL, "unwanted");
  assert_seen ("str([r.getMessage() for r in seen])", "['so that its level is known', '1', '2']");
}

static gpointer
flood (gpointer unused)
{
  (void) unused;
  for (int i = 0; i < 6000; i++)
    raddle_log (i % 2 ? RADDLE_LOG_DEBUG : RADDLE_LOG_ERROR, "net", __FILE__, __LINE__, __func__, "%d", i);
  return NULL;
}

static void
a_full_ring_drops_and_counts (void)
{
  RaddleLogStats before, after;

  collect_log ("net");
  assert_seen ("str(len(seen))", "0");
  before = log_figures ();
  assert_ok (raddle_enter ());
  /* Python stays held, so that the worker gets nowhere. */
  GThread *thread = g_thread_new ("flood", flood, NULL);
  g_thread_join (thread);
  assert_ok (raddle_leave ());
  assert_ok (raddle_log_flush (20 * 1000));
  after = log_figures ();
  guint64 dropped = after.dropped[1] + after.dropped[4] - before.dropped[1] - before.dropped[4];
  g_assert_cmpuint (dropped, >, 1000);
  g_assert_cmpuint (after.handed - before.handed + dropped, ==, 6000);
  g_assert_cmpuint (after.waiting, ==, 0);
}

static void
say (int         level,
     const char *format,
     ...)
{
  va_list arguments;
  va_start (arguments, format);
  raddle_log_va (level, "net.own", NULL, 0, "say", format, arguments);
  va_end (arguments);
}

static void
a_host_wraps_it_in_a_function_of_its_own (void)
{
  collect_log ("net");
  say (RADDLE_LOG_WARNING, "%s %c %.1f", "text", 'c', 0.5);
  assert_seen ("str([(r.name, r.getMessage(), r.funcName) for r in seen])", "[('net.own', 'text c 0.5', 'say')]");
}

static void
nulls_are_survived (void)
{
  collect_log ("net");
  raddle_log (RADDLE_LOG_INFO, NULL, NULL, 0, NULL, NULL);
  raddle_log_message (RADDLE_LOG_INFO, "net", NULL, 0, NULL, NULL, NULL, 5);
  raddle_log_message (RADDLE_LOG_INFO, "net", NULL, 0, NULL, "", NULL, 5);
  g_assert_true (raddle_log_target (NULL) == raddle_log_target (""));
  g_assert_false (raddle_log_target_wants (NULL, RADDLE_LOG_CRITICAL));
  g_assert_cmpint (raddle_log_get_stats (NULL), ==, RADDLE_STATUS_NULL);
  assert_seen ("str([(r.name, r.getMessage(), r.filename) for r in seen])", "[('net', '', '(unknown file)')]");
}

static void
stop_start_and_stop_again (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  collect_log ("net");
  assert_ok (raddle_log_start ());
  RADDLE_INFO ("one");
  assert_ok (raddle_log_stop (20 * 1000));
  g_assert_cmpuint (log_figures ().handed, ==, 1);
  RADDLE_ERROR ("to stderr");
  g_assert_cmpuint (log_figures ().elsewhere, ==, 1);
  assert_ok (raddle_log_start ());
  RADDLE_INFO ("two");
  stop_python (runtime);
  g_assert_cmpuint (log_figures ().handed, ==, 2);
  assert_status (raddle_log_start (), RADDLE_STATUS_CLOSED);
  RADDLE_ERROR ("to stderr");
  g_assert_cmpuint (log_figures ().elsewhere, ==, 2);
}

static void
a_hanging_handler_is_a_status (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  collect_log ("net");
  in_python ("import threading\n"
             "go_on = threading.Event()\n"
             "logger.handlers[0].addFilter(lambda record: go_on.wait(20))");
  RADDLE_INFO ("hangs");
  assert_status (raddle_log_flush (20), RADDLE_STATUS_BUSY);
  assert_message_has ("flush again");
  assert_status (raddle_log_stop (20), RADDLE_STATUS_BUSY);
  in_python ("go_on.set()");
  assert_ok (raddle_log_stop (-1));
  stop_python (runtime);
}

/* A thread of the host's that logs until the process is gone. */
static gpointer
log_for_ever (gpointer unused)
{
  (void) unused;
  for (int i = 0;; i++)
    RADDLE_INFO ("%d", i);
  return NULL;
}

static void
a_process_ends_while_its_threads_log (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start_python ();
  collect_log ("net");
  int null = open ("/dev/null", O_WRONLY);
  g_assert_cmpint (dup2 (null, STDERR_FILENO), ==, STDERR_FILENO);
  for (int i = 0; i < 3; i++)
    g_thread_unref (g_thread_new ("forever", log_for_ever, NULL));
  while (log_figures ().handed < 1000)
    g_usleep (100);
  stop_python (runtime);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/log/a-macro-says-where-and-who", a_macro_says_where_and_who);
  g_test_add_func ("/log/a-long-message-arrives-whole", a_long_message_arrives_whole);
  g_test_add_func ("/log/fields-become-attributes", fields_become_attributes);
  g_test_add_func ("/log/what-is-not-wanted-is-not-even-formatted", what_is_not_wanted_is_not_even_formatted);
  g_test_add_func ("/log/a-full-ring-drops-and-counts", a_full_ring_drops_and_counts);
  g_test_add_func ("/log/a-host-wraps-it-in-a-function-of-its-own", a_host_wraps_it_in_a_function_of_its_own);
  g_test_add_func ("/log/nulls-are-survived", nulls_are_survived);
  g_test_add_func ("/log/stop-start-and-stop-again", stop_start_and_stop_again);
  g_test_add_func ("/log/a-hanging-handler-is-a-status", a_hanging_handler_is_a_status);
  g_test_add_func ("/log/a-process-ends-while-its-threads-log", a_process_ends_while_its_threads_log);
  return run_with_python ();
}
