/* weave.c: raddle-weave.h, on threads of every make. No Python is started. */
#include <dlfcn.h>
#include <glib.h>
#include <pthread.h>
#include <raddle/raddle.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a thread's functions did, in order; its owner reads it when the thread is gone. */
typedef struct {
  char   text[64];
  size_t length;
} Notes;

typedef struct {
  Notes *notes;
  char   letter;
  int    rounds;
} Note;

static void
note (void *user_data)
{
  Note *self = user_data;

  g_assert_cmpuint (self->notes->length, <, sizeof self->notes->text - 1);
  self->notes->text[self->notes->length++] = self->letter;
}

static void
note_and_register_again (void *user_data)
{
  Note *self = user_data;

  note (self);
  self->rounds++;
  g_assert_cmpint (raddle_at_thread_exit (note_and_register_again, self), ==, RADDLE_STATUS_OK);
}

static void
at_exit (Note *self)
{
  g_assert_cmpint (raddle_at_thread_exit (note, self), ==, RADDLE_STATUS_OK);
}

static void
join (pthread_t thread)
{
  g_assert_cmpint (pthread_join (thread, NULL), ==, 0);
}

static pthread_t
start (void *(*body) (void *), void *user_data)
{
  pthread_t thread;

  g_assert_cmpint (pthread_create (&thread, NULL, body, user_data), ==, 0);
  return thread;
}

static void *
registers_three (void *notes)
{
  static Note three[] = { { NULL, 'a', 0 }, { NULL, 'b', 0 }, { NULL, 'c', 0 } };

  for (size_t i = 0; i < G_N_ELEMENTS (three); i++) {
    three[i].notes = notes;
    at_exit (&three[i]);
  }
  at_exit (&three[0]);
  return NULL;
}

static void
pthread_runs_all_in_order (void)
{
  Notes notes = { 0 };

  join (start (registers_three, &notes));
  g_assert_cmpstr (notes.text, ==, "abca");
}

static void
gthread_runs_all_in_order (void)
{
  Notes notes = { 0 };

  g_thread_join (g_thread_new ("weave", registers_three, &notes));
  g_assert_cmpstr (notes.text, ==, "abca");
}

static void *
registers_and_calls_pthread_exit (void *notes)
{
  registers_three (notes);
  pthread_exit (NULL);
}

static void
pthread_exit_runs_all_in_order (void)
{
  Notes notes = { 0 };

  join (start (registers_and_calls_pthread_exit, &notes));
  g_assert_cmpstr (notes.text, ==, "abca");
}

static void *
registers_and_waits (void *notes)
{
  registers_three (notes);
  while (TRUE)
    pause ();
  return NULL;
}

static void
cancelled_thread_runs_all_in_order (void)
{
  Notes     notes = { 0 };
  pthread_t thread = start (registers_and_waits, &notes);
  void     *result;

  /* Acted upon in pause(), so after the registrations. */
  g_assert_cmpint (pthread_cancel (thread), ==, 0);
  g_assert_cmpint (pthread_join (thread, &result), ==, 0);
  g_assert_true (result == PTHREAD_CANCELED);
  g_assert_cmpstr (notes.text, ==, "abca");
}

static void
null_function_is_refused (void)
{
  g_assert_cmpint (raddle_at_thread_exit (NULL, NULL), ==, RADDLE_STATUS_NULL);
  g_assert_cmpstr (raddle_last_error_message (), !=, "");
}

static void *
registers_again_and_again (void *user_data)
{
  g_assert_cmpint (raddle_at_thread_exit (note_and_register_again, user_data), ==, RADDLE_STATUS_OK);
  return NULL;
}

static void
registering_from_inside_gives_four_rounds (void)
{
  Notes notes = { 0 };
  Note  self = { &notes, 'r', 0 };

  join (start (registers_again_and_again, &self));
  g_assert_cmpint (self.rounds, ==, sysconf (_SC_THREAD_DESTRUCTOR_ITERATIONS));
}

/* Its key is made by its first use, which is after raddle made its own. */
static GPrivate later = G_PRIVATE_INIT (note);

static void *
has_a_gprivate (void *user_data)
{
  Note *both = user_data;

  at_exit (&both[0]);
  g_private_set (&later, &both[1]);
  return NULL;
}

static void
gprivate_of_a_later_key_runs_after (void)
{
  Notes notes = { 0 };
  Note  both[] = { { &notes, 'w', 0 }, { &notes, 'p', 0 } };

  join (start (has_a_gprivate, both));
  g_assert_cmpstr (notes.text, ==, "wp");
}

static void
register_from_gprivate (void *user_data)
{
  at_exit (user_data);
}

static GPrivate registering = G_PRIVATE_INIT (register_from_gprivate);

static void *
registers_from_a_gprivate (void *user_data)
{
  g_private_set (&registering, user_data);
  return NULL;
}

static void
gprivate_may_register_too (void)
{
  Notes notes = { 0 };
  Note  self = { &notes, 'l', 0 };

  join (start (registers_from_a_gprivate, &self));
  g_assert_cmpstr (notes.text, ==, "l");
}

static void
say_it_ran (void *user_data G_GNUC_UNUSED)
{
  static const char text[] = "the main thread's function ran\n";

  g_assert_cmpint (write (STDOUT_FILENO, text, strlen (text)), >, 0);
}

static void
nothing_runs_when_main_returns (void)
{
  if (g_test_subprocess ()) {
    g_assert_cmpint (raddle_at_thread_exit (say_it_ran, NULL), ==, RADDLE_STATUS_OK);
    exit (0); /* what returning from main does */
  }
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_passed ();
  g_test_trap_assert_stdout_unmatched ("*function ran*");
}

static void *
ends_the_process_after_main (void *main_thread)
{
  join (*(pthread_t *) main_thread);
  _exit (0);
}

static void
pthread_exit_of_main_runs_all (void)
{
  static pthread_t main_thread;

  if (g_test_subprocess ()) {
    main_thread = pthread_self ();
    g_assert_cmpint (raddle_at_thread_exit (say_it_ran, NULL), ==, RADDLE_STATUS_OK);
    start (ends_the_process_after_main, &main_thread);
    pthread_exit (NULL);
  }
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_passed ();
  g_test_trap_assert_stdout ("*the main thread's function ran*");
}

static int fork_pipe[2];

static void
write_letter (void *letter)
{
  g_assert_cmpint (write (fork_pipe[1], letter, 1), ==, 1);
}

static void *
forks (void *parents_view)
{
  pid_t child;
  int   status;

  g_assert_cmpint (raddle_at_thread_exit (write_letter, (void *) "f"), ==, RADDLE_STATUS_OK);
  child = fork ();
  if (child == 0)
    pthread_exit (NULL); /* the child's only thread: the process ends with 0 */
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  *(int *) parents_view = status;
  return NULL;
}

static void *
registers_and_waits_for_a_byte (void *other_end)
{
  char byte;

  g_assert_cmpint (raddle_at_thread_exit (write_letter, (void *) "o"), ==, RADDLE_STATUS_OK);
  g_assert_cmpint (write (((int *) other_end)[1], "r", 1), ==, 1);
  g_assert_cmpint (read (((int *) other_end)[2], &byte, 1), ==, 1);
  return NULL;
}

static void
forked_child_runs_the_forking_threads_only (void)
{
  char      letters[8] = { 0 };
  int       status = -1, ready[2], done[2], ends[3];
  char      byte;
  pthread_t other;

  g_assert_cmpint (pipe (fork_pipe), ==, 0);
  g_assert_cmpint (pipe (ready), ==, 0);
  g_assert_cmpint (pipe (done), ==, 0);
  ends[1] = ready[1];
  ends[2] = done[0];
  other = start (registers_and_waits_for_a_byte, ends);
  g_assert_cmpint (read (ready[0], &byte, 1), ==, 1);

  join (start (forks, &status));
  g_assert_cmpint (status, ==, 0);
  /* Once in the child and once here; the other thread's has not run in either. */
  g_assert_cmpint (read (fork_pipe[0], letters, sizeof letters - 1), ==, 2);
  g_assert_cmpstr (letters, ==, "ff");

  g_assert_cmpint (write (done[1], "d", 1), ==, 1);
  join (other);
  g_assert_cmpint (read (fork_pipe[0], letters, sizeof letters - 1), ==, 1);
  g_assert_cmpint (letters[0], ==, 'o');
  for (int i = 0; i < 2; i++) {
    close (fork_pipe[i]);
    close (ready[i]);
    close (done[i]);
  }
}

typedef struct {
  RaddleStatus (*at_thread_exit) (void (*func) (void *user_data), void *user_data);
  Note         self;
  int          registered[2];
  int          closed[2];
} Unloading;

static void *
outlives_the_library (void *user_data)
{
  Unloading *self = user_data;
  char       byte;

  g_assert_cmpint (self->at_thread_exit (note, &self->self), ==, RADDLE_STATUS_OK);
  g_assert_cmpint (write (self->registered[1], "r", 1), ==, 1);
  g_assert_cmpint (read (self->closed[0], &byte, 1), ==, 1);
  return NULL;
}

/* A plugin that carries a copy of raddle, unlike libraddle.so, is not linked to stay. */
static void
closed_library_stays_for_its_threads (void)
{
  Notes     notes = { 0 };
  Unloading self = { NULL, { &notes, 'u', 0 }, { 0, 0 }, { 0, 0 } };
  void     *library = dlopen (g_getenv ("RADDLE_TEST_UNLOADABLE"), RTLD_NOW | RTLD_LOCAL);
  pthread_t thread;
  char      byte;

  if (library == NULL)
    g_error ("%s", dlerror ());
  *(void **) &self.at_thread_exit = dlsym (library, "raddle_at_thread_exit");
  g_assert_true (self.at_thread_exit != NULL && self.at_thread_exit != raddle_at_thread_exit);
  g_assert_cmpint (pipe (self.registered), ==, 0);
  g_assert_cmpint (pipe (self.closed), ==, 0);
  thread = start (outlives_the_library, &self);
  g_assert_cmpint (read (self.registered[0], &byte, 1), ==, 1);
  g_assert_cmpint (dlclose (library), ==, 0);
  g_assert_cmpint (write (self.closed[1], "c", 1), ==, 1);
  join (thread);
  g_assert_cmpstr (notes.text, ==, "u");
  for (int i = 0; i < 2; i++) {
    close (self.registered[i]);
    close (self.closed[i]);
  }
}

static gint storm_calls;

static void
count (void *user_data G_GNUC_UNUSED)
{
  g_atomic_int_inc (&storm_calls);
}

static void *
registers_ten (void *user_data G_GNUC_UNUSED)
{
  for (int i = 0; i < 10; i++)
    g_assert_cmpint (raddle_at_thread_exit (count, NULL), ==, RADDLE_STATUS_OK);
  return NULL;
}

static void
thousand_threads_run_all_once (void)
{
  pthread_t threads[50];

  for (int batch = 0; batch < 20; batch++) {
    for (size_t i = 0; i < G_N_ELEMENTS (threads); i++)
      threads[i] = start (registers_ten, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS (threads); i++)
      join (threads[i]);
  }
  g_assert_cmpint (g_atomic_int_get (&storm_calls), ==, 10 * 20 * (int) G_N_ELEMENTS (threads));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/weave/pthread-runs-all-in-order", pthread_runs_all_in_order);
  g_test_add_func ("/weave/gthread-runs-all-in-order", gthread_runs_all_in_order);
  g_test_add_func ("/weave/pthread-exit-runs-all-in-order", pthread_exit_runs_all_in_order);
  g_test_add_func ("/weave/cancelled-thread-runs-all-in-order", cancelled_thread_runs_all_in_order);
  g_test_add_func ("/weave/null-function-is-refused", null_function_is_refused);
  g_test_add_func ("/weave/registering-from-inside-gives-four-rounds", registering_from_inside_gives_four_rounds);
  g_test_add_func ("/weave/gprivate-of-a-later-key-runs-after", gprivate_of_a_later_key_runs_after);
  g_test_add_func ("/weave/gprivate-may-register-too", gprivate_may_register_too);
  g_test_add_func ("/weave/nothing-runs-when-main-returns", nothing_runs_when_main_returns);
  g_test_add_func ("/weave/pthread-exit-of-main-runs-all", pthread_exit_of_main_runs_all);
  g_test_add_func ("/weave/forked-child-runs-the-forking-threads-only", forked_child_runs_the_forking_threads_only);
  g_test_add_func ("/weave/closed-library-stays-for-its-threads", closed_library_stays_for_its_threads);
  g_test_add_func ("/weave/thousand-threads-run-all-once", thousand_threads_run_all_once);
  return g_test_run ();
}
