/* completion.c: the native threads of relay_completion.py, which loads it: they post to a loop, by raddle's
 * queue or by CPython's own ways. */
#define _GNU_SOURCE
#include <Python.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <raddle/raddle.h>

static int64_t
now (void)
{
  struct timespec time;
  clock_gettime (CLOCK_MONOTONIC, &time);
  return (int64_t) time.tv_sec * 1000000000 + time.tv_nsec;
}

static PyObject *
make_number (void *user_data)
{
  return PyLong_FromSsize_t ((intptr_t) user_data);
}

/* One thread's work: @count calls of @callable, the last of them of @last. */
struct burst
{
  RaddleCompletions *queue;
  PyObject *call_soon_threadsafe;
  PyObject *callable;
  PyObject *last;
  int count;
  int64_t begun;
  int64_t posted;
  pthread_t thread;
};

static void *
burst_by_queue (void *data)
{
  struct burst *burst = data;
  burst->begun = now ();
  for (int i = 0; i < burst->count; i++)
    {
      PyObject *callable = i + 1 < burst->count ? burst->callable : burst->last;
      if (raddle_completions_post_call (burst->queue, callable, make_number, (void *) (intptr_t) i, NULL))
        abort ();
    }
  burst->posted = now ();
  return NULL;
}

static void *
burst_by_python (void *data)
{
  struct burst *burst = data;
  burst->begun = now ();
  for (int i = 0; i < burst->count; i++)
    {
      PyGILState_STATE token = PyGILState_Ensure ();
      PyObject *number = PyLong_FromLong (i);
      PyObject *callable = i + 1 < burst->count ? burst->callable : burst->last;
      PyObject *handle = PyObject_CallFunctionObjArgs (burst->call_soon_threadsafe, callable, number, NULL);
      if (handle == NULL)
        abort ();
      Py_DECREF (handle);
      Py_DECREF (number);
      PyGILState_Release (token);
    }
  burst->posted = now ();
  return NULL;
}

/* Called with Python held, on the loop's thread; the objects stay alive until burst_end(). */
void *
burst_begin (RaddleCompletions *queue, PyObject *call_soon_threadsafe, PyObject *callable, PyObject *last, int count)
{
  struct burst *burst = calloc (1, sizeof *burst);
  *burst = (struct burst){ queue, call_soon_threadsafe, callable, last, count, 0, 0, 0 };
  if (pthread_create (&burst->thread, NULL, queue ? burst_by_queue : burst_by_python, burst))
    abort ();
  return burst;
}

/* Without Python. Gives how long the whole took and how long the posting alone, per call, in nanoseconds. */
void
burst_end (void *data, int64_t ended, double *whole, double *posting)
{
  struct burst *burst = data;
  pthread_join (burst->thread, NULL);
  *whole = (double) (ended - burst->begun) / burst->count;
  *posting = (double) (burst->posted - burst->begun) / burst->count;
  free (burst);
}

int64_t
clock_now (void)
{
  return now ();
}

/* One at a time: posted when the one before has run and the loop sleeps again. */
struct single
{
  RaddleCompletions *queue;
  PyObject *call_soon_threadsafe;
  PyObject *stamp;
  int64_t *latencies;
  int count;
  pthread_t thread;
};

static sem_t stamped;
static int64_t stamped_at;

static PyObject *
stamp (PyObject *self, PyObject *unused)
{
  (void) self;
  (void) unused;
  stamped_at = now ();
  sem_post (&stamped);
  Py_RETURN_NONE;
}

static PyMethodDef stamp_method = { "stamp", stamp, METH_NOARGS, NULL };

static void *
post_singles (void *data)
{
  struct single *single = data;
  for (int i = 0; i < single->count; i++)
    {
      /* A time that shares no rhythm with the loop: completions come when the hardware likes. */
      struct timespec pause = { 0, 100000 + (i * 7919) % 200000 };
      nanosleep (&pause, NULL);
      int64_t begun = now ();
      if (single->queue)
        {
          if (raddle_completions_post_call (single->queue, single->stamp, NULL, NULL, NULL))
            abort ();
        }
      else
        {
          PyGILState_STATE token = PyGILState_Ensure ();
          PyObject *handle = PyObject_CallFunctionObjArgs (single->call_soon_threadsafe, single->stamp, NULL);
          if (handle == NULL)
            abort ();
          Py_DECREF (handle);
          PyGILState_Release (token);
        }
      while (sem_wait (&stamped))
        ;
      single->latencies[i] = stamped_at - begun;
    }
  return NULL;
}

/* With Python held. */
PyObject *
singles_stamp (void)
{
  sem_init (&stamped, 0, 0);
  return PyCFunction_New (&stamp_method, NULL);
}

void *
singles_begin (RaddleCompletions *queue, PyObject *call_soon_threadsafe, PyObject *stamp_function, int64_t *latencies,
               int count)
{
  struct single *single = calloc (1, sizeof *single);
  *single = (struct single){ queue, call_soon_threadsafe, stamp_function, latencies, count, 0 };
  if (pthread_create (&single->thread, NULL, post_singles, single))
    abort ();
  return single;
}

/* Whether the thread has ended; then @data is gone. */
int
singles_ended (void *data)
{
  struct single *single = data;
  if (pthread_tryjoin_np (single->thread, NULL))
    return 0;
  free (single);
  return 1;
}
