/* gate.c: what going through the gate costs a host in C, beside CPython's own ways. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "bench.h"

static PyObject *function; /* def f(): pass */

static inline void
call (void)
{
  PyObject *result = PyObject_CallNoArgs (function);
  if (result == NULL)
    abort ();
  Py_DECREF (result);
}

#define REPEAT(count, ...)                      \
  double begun = bench_now ();                  \
  for (int i = 0; i < (count); i++)             \
    {                                           \
      __VA_ARGS__;                              \
    }                                           \
  return (bench_now () - begun) / (double) (count)

/* --- entering from a native thread --- */

static PyThreadState *kept; /* of the measuring thread, for the floor */

static double
foreign_ours (int count)
{
  REPEAT (count, bench_check (raddle_enter ()); call (); raddle_leave ());
}

static double
foreign_floor (int count)
{
  REPEAT (count, PyEval_RestoreThread (kept); call (); PyEval_SaveThread ());
}

struct churn
{
  int count;
  double cost;
};

static void *
churn (void *data)
{
  struct churn *churn = data;
  double begun = bench_now ();
  for (int i = 0; i < churn->count; i++)
    {
      PyGILState_STATE token = PyGILState_Ensure ();
      call ();
      PyGILState_Release (token);
    }
  churn->cost = (bench_now () - begun) / (double) churn->count;
  return NULL;
}

/* On a thread of its own: one that raddle never saw, and so without a kept state. */
static double
foreign_peer (int count)
{
  struct churn run = { .count = count };
  pthread_t thread;
  pthread_create (&thread, NULL, churn, &run);
  pthread_join (thread, NULL);
  return run.cost;
}

/* --- nesting --- */

static double
nested_ours (int count)
{
  REPEAT (count, (void) !raddle_enter (); raddle_leave ());
}

static double
nested_peer (int count)
{
  REPEAT (count, PyGILState_Release (PyGILState_Ensure ()));
}

/* --- "wrap every single call in allow-threads would probably be quite slow" (the PyGTK seed) --- */

static _Atomic int touched;

static __attribute__ ((noinline)) void
toolkit_call (void)
{
  atomic_fetch_add_explicit (&touched, 1, memory_order_relaxed);
}

static double
wrap_ours (int count)
{
  /* raddle: the call stays bare, and a callback inside it nests. */
  REPEAT (count, toolkit_call (); (void) !raddle_enter (); raddle_leave ());
}

static double
wrap_peer (int count)
{
  /* the seed's alternative: given up round each call, and a callback takes it again. */
  REPEAT (count, PyThreadState *state = PyEval_SaveThread (); toolkit_call ();
          PyGILState_STATE token = PyGILState_Ensure (); PyGILState_Release (token);
          PyEval_RestoreThread (state));
}

static double
wrap_floor (int count)
{
  REPEAT (count, toolkit_call ());
}

/* --- one among many threads --- */

static pthread_barrier_t arrived;
static pthread_mutex_t parked = PTHREAD_MUTEX_INITIALIZER;

static void *
park (void *data)
{
  (void) data;
  bench_check (raddle_enter ());
  call ();
  raddle_leave ();
  pthread_barrier_wait (&arrived);
  pthread_mutex_lock (&parked);
  pthread_mutex_unlock (&parked);
  return NULL;
}

static void
among_threads (int live, double *median, double *floor)
{
  pthread_t *threads = calloc ((size_t) live, sizeof *threads);
  pthread_attr_t small;
  double ours[BENCH_ROUNDS], bare[BENCH_ROUNDS];

  pthread_attr_init (&small);
  pthread_attr_setstacksize (&small, 256 * 1024);
  pthread_barrier_init (&arrived, NULL, (unsigned) live + 1);
  pthread_mutex_lock (&parked);
  for (int i = 0; i < live; i++)
    if (pthread_create (&threads[i], &small, park, NULL) != 0)
      {
        fprintf (stderr, "gate.threads: the machine gives no %d threads\n", live);
        exit (1);
      }
  pthread_barrier_wait (&arrived);
  for (int round = 0; round < BENCH_ROUNDS; round++)
    {
      ours[round] = foreign_ours (2000);
      bare[round] = foreign_floor (2000);
    }
  *median = bench_quantile (ours, BENCH_ROUNDS, 0.5);
  *floor = bench_quantile (bare, BENCH_ROUNDS, 0.5);
  pthread_mutex_unlock (&parked);
  for (int i = 0; i < live; i++)
    pthread_join (threads[i], NULL);
  pthread_barrier_destroy (&arrived);
  free (threads);
}

static void
threads (void)
{
  static const int populations[] = { 1, 100, 10000 };
  double alone = 0;

  for (size_t i = 0; i < sizeof populations / sizeof *populations; i++)
    {
      char name[32];
      double ours, floor;
      among_threads (populations[i], &ours, &floor);
      if (i == 0)
        alone = ours;
      snprintf (name, sizeof name, "gate.threads_%d", populations[i]);
      /* The peer is ourselves among one thread: the claim is that the line is flat. */
      bench_print (name, ours, "the same among 1 thread", alone, "RestoreThread", floor);
    }
}

/* --- references dropped without Python --- */

static PyObject *victim;

static void
give (int count)
{
  bench_check (raddle_enter ());
  for (int i = 0; i < count; i++)
    Py_INCREF (victim);
  raddle_leave ();
}

static double
decref_ours (int count)
{
  give (count);
  double begun = bench_now ();
  for (int i = 0; i < count; i++)
    raddle_decref (victim);
  double cost = (bench_now () - begun) / (double) count;
  give (0); /* drains */
  return cost;
}

static void *
decref_churn (void *data)
{
  struct churn *churn = data;
  double begun = bench_now ();
  for (int i = 0; i < churn->count; i++)
    {
      PyGILState_STATE token = PyGILState_Ensure ();
      Py_DECREF (victim);
      PyGILState_Release (token);
    }
  churn->cost = (bench_now () - begun) / (double) churn->count;
  return NULL;
}

static double
decref_peer (int count)
{
  struct churn run = { .count = count };
  pthread_t thread;
  give (count);
  pthread_create (&thread, NULL, decref_churn, &run);
  pthread_join (thread, NULL);
  return run.cost;
}

/* --- a thread's end while somebody holds Python for 100 ms --- */

static atomic_bool held, let_go;

/* Holds Python in C, as a long call of an extension does. */
static void *
hold (void *data)
{
  (void) data;
  bench_check (raddle_enter ());
  atomic_store (&held, true);
  double until = bench_now () + 100e6;
  while (bench_now () < until && !atomic_load (&let_go))
    ;
  raddle_leave ();
  return NULL;
}

/* The thread does what it shall, waits for the word, and its end is timed by who joins it. */
struct dying
{
  bool enters;
  pthread_barrier_t ready;
  atomic_bool go;
};

static void *
die_on_word (void *data)
{
  struct dying *dying = data;
  if (dying->enters)
    {
      bench_check (raddle_enter ());
      call ();
      raddle_leave ();
    }
  pthread_barrier_wait (&dying->ready);
  while (!atomic_load (&dying->go))
    ;
  return NULL;
}

static double
one_end (bool enters)
{
  struct dying dying = { .enters = enters, .go = false };
  pthread_t thread, holder;

  pthread_barrier_init (&dying.ready, NULL, 2);
  pthread_create (&thread, NULL, die_on_word, &dying);
  pthread_barrier_wait (&dying.ready);
  atomic_store (&held, false);
  atomic_store (&let_go, false);
  pthread_create (&holder, NULL, hold, NULL);
  while (!atomic_load (&held))
    ;
  double begun = bench_now ();
  atomic_store (&dying.go, true);
  pthread_join (thread, NULL);
  double cost = bench_now () - begun;
  atomic_store (&let_go, true);
  pthread_join (holder, NULL);
  pthread_barrier_destroy (&dying.ready);
  return cost;
}

static void
thread_exit (void)
{
  enum { ENDS = 500 };
  static double ours[ENDS], bare[ENDS];

  for (int i = 0; i < ENDS; i++)
    {
      ours[i] = one_end (true);
      bare[i] = one_end (false);
    }
  bench_print ("gate.thread_exit", bench_quantile (ours, ENDS, 0.99), NULL, 0,
               "p99 too, a thread that never entered", bench_quantile (bare, ENDS, 0.99));
}

/* --- the latency setting --- */

static atomic_bool spinning;
static _Atomic long spins;

static void *
spin (void *data)
{
  (void) data;
  bench_check (raddle_enter ());
  PyObject *globals = PyDict_New ();
  PyObject *code = Py_CompileString ("for i in range(1000): pass\n", "<spin>", Py_file_input);
  PyDict_SetItemString (globals, "__builtins__", PyEval_GetBuiltins ());
  while (atomic_load (&spinning))
    {
      Py_XDECREF (PyEval_EvalCode (code, globals, globals));
      atomic_fetch_add (&spins, 1);
    }
  Py_DECREF (code);
  Py_DECREF (globals);
  raddle_leave ();
  return NULL;
}

static double
cost_of_a_spin (void)
{
  double begun = bench_now ();
  long before = atomic_load (&spins);
  while (bench_now () - begun < 200e6)
    usleep (1000);
  return (bench_now () - begun) / (double) (atomic_load (&spins) - before);
}

static void
latency (RaddleRuntime *runtime)
{
  static const int64_t settings[] = { 5000, 1000, 200 };
  double default_wait = 0, undisturbed = 0;

  for (size_t s = 0; s < sizeof settings / sizeof *settings; s++)
    {
      enum { WAITS = 60 };
      double waits[WAITS];
      char name[40];
      pthread_t thread;

      bench_check (raddle_runtime_set_latency (runtime, settings[s]));
      atomic_store (&spinning, true);
      atomic_store (&spins, 0);
      pthread_create (&thread, NULL, spin, NULL);
      while (atomic_load (&spins) == 0)
        ;
      if (s == 0)
        undisturbed = cost_of_a_spin ();
      double begun = bench_now ();
      long before = atomic_load (&spins);
      for (int i = 0; i < WAITS; i++)
        {
          /* Not before the busy thread has Python again, or there is nobody to wait for. */
          long seen = atomic_load (&spins);
          while (atomic_load (&spins) < seen + 2)
            ;
          double asked = bench_now ();
          bench_check (raddle_enter ());
          waits[i] = bench_now () - asked;
          raddle_leave ();
        }
      double spin_cost = (bench_now () - begun) / (double) (atomic_load (&spins) - before);
      atomic_store (&spinning, false);
      pthread_join (thread, NULL);
      double wait = bench_quantile (waits, WAITS, 0.5);
      if (s == 0)
        default_wait = wait;
      snprintf (name, sizeof name, "gate.latency_%ld_us", (long) settings[s]);
      bench_print (name, wait, "at Python's default, 5000 us", default_wait, NULL, 0);
      snprintf (name, sizeof name, "gate.latency_%ld_us_busy", (long) settings[s]);
      bench_print (name, spin_cost, NULL, 0, "the busy thread's 1000 loops, nobody waiting",
                   undisturbed);
    }
  bench_check (raddle_runtime_set_latency (runtime, 5000));
}

struct host
{
  int argc;
  char **argv;
};

/* All entering is measured on this thread, which Python did not make. */
static void *
measure (void *data)
{
  struct host *host = data;
  int argc = host->argc;
  char **argv = host->argv;

  bench_check (raddle_enter ());
  kept = PyThreadState_Get ();
  raddle_leave ();
  if (bench_wanted (argc, argv, "gate.foreign_call"))
    bench_measure ("gate.foreign_call", 4000, foreign_ours, "PyGILState_Ensure, no kept state",
                   foreign_peer, 500, "RestoreThread + call + SaveThread", foreign_floor);
  if (bench_wanted (argc, argv, "gate.nested"))
    {
      bench_check (raddle_enter ());
      bench_measure ("gate.nested", 50000, nested_ours, "nested PyGILState_Ensure", nested_peer,
                     50000, NULL, NULL);
      raddle_leave ();
    }
  if (bench_wanted (argc, argv, "gate.wrap_call"))
    {
      bench_check (raddle_enter ());
      bench_measure ("gate.wrap_call", 100000, wrap_ours, "allow-threads round each call",
                     wrap_peer, 20000, "the bare call", wrap_floor);
      raddle_leave ();
    }
  if (bench_wanted (argc, argv, "gate.threads"))
    threads ();
  if (bench_wanted (argc, argv, "gate.decref_off_thread"))
    bench_measure ("gate.decref_off_thread", 10000, decref_ours, "PyGILState_Ensure + Py_DECREF",
                   decref_peer, 2000, NULL, NULL);
  return NULL;
}

int
main (int argc, char **argv)
{
  struct host host = { argc, argv };
  RaddleRuntime *runtime = NULL;
  pthread_t thread;

  bench_check (raddle_runtime_new (NULL, &runtime));
  bench_check (raddle_enter ());
  PyObject *globals = PyDict_New ();
  PyDict_SetItemString (globals, "__builtins__", PyEval_GetBuiltins ());
  Py_XDECREF (PyRun_String ("def f(): pass", Py_file_input, globals, globals));
  function = Py_NewRef (PyDict_GetItemString (globals, "f"));
  victim = PyList_New (0);
  Py_DECREF (globals);
  raddle_leave ();

  pthread_create (&thread, NULL, measure, &host);
  pthread_join (thread, NULL);
  if (bench_wanted (argc, argv, "gate.thread_exit"))
    thread_exit ();
  if (bench_wanted (argc, argv, "gate.latency"))
    latency (runtime);

  raddle_decref (function);
  raddle_decref (victim);
  bench_check (raddle_runtime_stop (runtime, 10000));
  raddle_runtime_unref (runtime);
  return 0;
}
