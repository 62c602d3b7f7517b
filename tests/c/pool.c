/* pool.c: a GThreadPool that computes for asyncio. docs/relay.md shows what is between the marks. */
#include "support.h"

static RaddleCompletions *queue;
static GThreadPool *pool;

/* docs/relay.md: from here */
typedef struct {
  RaddleOperation *operation;
  gint64           numbers;
} Task;

static void
compute (gpointer data, gpointer unused)
{
  Task *task = data; /* on a thread of the pool: nothing here waits for Python */
  gint64 sum = 0;

  (void) unused;
  for (gint64 number = 0; number < task->numbers; number++)
    sum += number * number;
  (void) raddle_operation_finish_int64 (task->operation, sum);
  raddle_operation_unref (task->operation);
  g_free (task);
}

/* square_sum(numbers): starts a computation, and gives Python a future for its result. */
static PyObject *
square_sum (PyObject *module, PyObject *numbers)
{
  Task *task = g_new0 (Task, 1);
  PyObject *future = NULL;

  (void) module;
  task->numbers = PyLong_AsLongLong (numbers);
  if (raddle_operation_new (queue, NULL, NULL, NULL, &task->operation, &future) != RADDLE_STATUS_OK)
    {
      g_free (task);
      return PyErr_Format (PyExc_RuntimeError, "%s", raddle_last_error_message ());
    }
  g_thread_pool_push (pool, task, NULL);
  return future;
}

static RaddleStatus
stop_pool (void *user_data)
{
  g_thread_pool_free (user_data, FALSE, TRUE); /* what was pushed is computed first */
  return RADDLE_STATUS_OK;
}

static void
start_pool (void)
{
  pool = g_thread_pool_new (compute, NULL, 2, FALSE, NULL);
  if (raddle_stopper_new ("pool", RADDLE_STAGE_POOLS, 5000, stop_pool, pool, NULL, NULL) != RADDLE_STATUS_OK)
    g_error ("%s", raddle_last_error_message ());
}
/* docs/relay.md: to here */

static PyMethodDef square_sum_method = { "square_sum", square_sum, METH_O, NULL };

/* Makes the pool and its queue known to Python. */
static RaddleRuntime *
start (void)
{
  PyObject *object = NULL;
  RaddleRuntime *runtime = start_python ();

  assert_ok (raddle_completions_new (0, &queue));
  start_pool ();
  assert_ok (raddle_enter ());
  assert_ok (raddle_completions_get_object (queue, &object));
  give ("queue", object);
  give ("square_sum", PyCFunction_New (&square_sum_method, NULL));
  assert_ok (raddle_leave ());
  return runtime;
}

static void
a_pool_finishes_futures_of_asyncio (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start ();

  assert_ok (raddle_enter ());
  run ("import asyncio\n"
       "async def main():\n"
       "    queue.attach()\n"
       "    return await asyncio.gather(*(square_sum(numbers) for numbers in range(200)))\n"
       "sums = asyncio.run(main())");
  g_assert_cmpint (evaluate ("sums == [sum(n * n for n in range(numbers)) for numbers in range(200)]"), ==, 1);
  assert_ok (raddle_leave ());
  stop_python (runtime);
  raddle_completions_unref (queue);
}

static void
it_is_ended_before_python_with_work_under_way (void)
{
  IN_A_CHILD ();
  RaddleRuntime *runtime = start ();

  assert_ok (raddle_enter ());
  run ("import asyncio\n"
       "async def main():\n"
       "    queue.attach()\n"
       "    for _ in range(50): square_sum(1_000_000)\n"
       "asyncio.run(main())");
  assert_ok (raddle_leave ());
  stop_python (runtime);
  raddle_completions_unref (queue);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/pool/finishes-futures-of-asyncio", a_pool_finishes_futures_of_asyncio);
  g_test_add_func ("/pool/is-ended-before-python-with-work-under-way", it_is_ended_before_python_with_work_under_way);
  return g_test_run ();
}
