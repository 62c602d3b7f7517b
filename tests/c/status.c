/* status.c: names of statuses, and messages that belong to their threads to the very end. */
#include "support.h"

#include <pthread.h>
#include <string.h>

#define NAMED(status) { status, #status }
static const struct {
  RaddleStatus status;
  const char  *name;
} statuses[] = {
  NAMED (RADDLE_STATUS_OK),          NAMED (RADDLE_STATUS_NULL),
  NAMED (RADDLE_STATUS_INVALID),     NAMED (RADDLE_STATUS_NOT_STARTED),
  NAMED (RADDLE_STATUS_ALREADY_STARTED), NAMED (RADDLE_STATUS_CLOSED),
  NAMED (RADDLE_STATUS_WRONG_THREAD), NAMED (RADDLE_STATUS_WRONG_ORDER),
  NAMED (RADDLE_STATUS_BUSY),        NAMED (RADDLE_STATUS_VERSION),
  NAMED (RADDLE_STATUS_START),       NAMED (RADDLE_STATUS_PYTHON),
  NAMED (RADDLE_STATUS_NO_MEMORY),
  NAMED (RADDLE_STATUS_STOPPED),
  NAMED (RADDLE_STATUS_TIMED_OUT),
};

static void
every_number_has_the_header_s_name (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (statuses); i++)
    {
      g_assert_cmpint ((int) statuses[i].status, ==, (int) i);
      g_assert_cmpstr (raddle_status_name (statuses[i].status), ==, statuses[i].name);
    }
  g_assert_cmpstr (raddle_status_name ((RaddleStatus) G_N_ELEMENTS (statuses)), ==, "RADDLE_STATUS_UNKNOWN");
  g_assert_cmpstr (raddle_status_name ((RaddleStatus) G_MAXUINT), ==, "RADDLE_STATUS_UNKNOWN");
}

static gpointer
start_empty_and_fail (gpointer data)
{
  (void) data;
  g_assert_cmpstr (raddle_last_error_message (), ==, "");
  assert_status (raddle_gate_get_stats (NULL), RADDLE_STATUS_NULL);
  assert_message_has ("NULL");
  return NULL;
}

static void
a_message_belongs_to_its_thread (void)
{
  assert_status (raddle_leave (), RADDLE_STATUS_WRONG_ORDER);
  char *before = g_strdup (raddle_last_error_message ());
  on_a_thread (start_empty_and_fail, NULL);
  g_assert_cmpstr (raddle_last_error_message (), ==, before);
  g_free (before);
}

static void
a_success_leaves_the_message_alone (void)
{
  assert_status (raddle_leave (), RADDLE_STATUS_WRONG_ORDER);
  const char *message = raddle_last_error_message ();
  (void) figures ();
  assert_ok (raddle_enter ());
  assert_ok (raddle_leave ());
  g_assert_true (raddle_last_error_message () == message);
  assert_message_has ("no entry to leave");
}

/* A pthread key's destructor runs after those of Rust's and C++'s thread-locals. */
static char *last_words[4];
static pthread_key_t key;

static void
fail_again (void *data)
{
  gsize round = GPOINTER_TO_SIZE (data);
  if (round > 1)
    assert_message_has (""); /* May be read, whatever is left of the last round's. */
  assert_status (round % 2 ? raddle_leave () : raddle_gate_get_stats (NULL),
                 round % 2 ? RADDLE_STATUS_WRONG_ORDER : RADDLE_STATUS_NULL);
  last_words[round - 1] = g_strdup (raddle_last_error_message ());
  if (round < G_N_ELEMENTS (last_words))
    pthread_setspecific (key, GSIZE_TO_POINTER (round + 1));
}

static gpointer
fail_to_the_end (gpointer data)
{
  if (data)
    assert_status (raddle_leave (), RADDLE_STATUS_WRONG_ORDER);
  pthread_setspecific (key, GSIZE_TO_POINTER (1));
  return NULL;
}

static void
a_message_can_be_set_while_the_thread_ends (void)
{
  g_assert_cmpint (pthread_key_create (&key, fail_again), ==, 0);
  for (int before = 0; before < 2; before++)
    {
      on_a_thread (fail_to_the_end, GINT_TO_POINTER (before));
      for (gsize i = 0; i < G_N_ELEMENTS (last_words); i++)
        {
          g_assert_nonnull (strstr (last_words[i], i % 2 ? "NULL" : "no entry to leave"));
          g_clear_pointer (&last_words[i], g_free);
        }
    }
  pthread_key_delete (key);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/status/name/is-the-header-s", every_number_has_the_header_s_name);
  g_test_add_func ("/status/message/belongs-to-its-thread", a_message_belongs_to_its_thread);
  g_test_add_func ("/status/message/a-success-leaves-it-alone", a_success_leaves_the_message_alone);
  g_test_add_func ("/status/message/can-be-set-while-the-thread-ends",
                   a_message_can_be_set_while_the_thread_ends);
  return run_with_python ();
}
