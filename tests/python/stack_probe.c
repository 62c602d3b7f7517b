/* stack_probe.c: a host whose tasklets do on their stacks what a sanitizer or valgrind looks at: they jump out of nested
 * calls, leave locals that were lent, and end with calls open. */
#include <Python.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <raddle/raddle.h>

static PyObject *rest;

/* A switch with locals on both sides of it. */
static int
sleep_with_locals (int depth)
{
  volatile char locals[200];
  memset ((char *) locals, depth, sizeof locals);
  if (depth > 0)
    return sleep_with_locals (depth - 1) + locals[depth];
  PyObject *result = PyObject_CallNoArgs (rest);
  Py_XDECREF (result);
  return locals[0];
}

static void
jump_out (jmp_buf *back, int depth)
{
  volatile char locals[100];
  locals[depth] = (char) depth;
  if (depth == 0)
    longjmp (*back, 1);
  jump_out (back, depth - 1);
  locals[0] = 0;
}

static PyObject *
work (PyObject *module, PyObject *unused)
{
  jmp_buf back;
  (void) module, (void) unused;
  for (volatile int round = 0; round < 3; round++)
    {
      if (setjmp (back) == 0)
        jump_out (&back, 20);
      (void) sleep_with_locals (20);
    }
  Py_RETURN_NONE;
}

/* Where a debugger stops, with the registers of a suspended tasklet. */
__attribute__ ((noinline)) void
look_at (unsigned long pointer)
{
  printf ("looked at %d\n", pointer != 0);
  fflush (stdout);
}

static PyObject *
look (PyObject *module, PyObject *pointer)
{
  (void) module;
  look_at (PyLong_AsUnsignedLong (pointer));
  Py_RETURN_NONE;
}

static PyMethodDef methods[] = { { "work", work, METH_NOARGS, NULL }, { "look", look, METH_O, NULL } };

int
main (void)
{
  RaddleRuntime *runtime = NULL;
  int failed = 1;

  if (raddle_runtime_new (NULL, &runtime) != RADDLE_STATUS_OK || raddle_enter () != RADDLE_STATUS_OK)
    {
      fprintf (stderr, "%s\n", raddle_last_error_message ());
      return 1;
    }
  PyObject *main_module = PyImport_AddModule ("__main__");
  for (int i = 0; i < 2; i++)
    {
      PyObject *callable = PyCFunction_New (&methods[i], NULL);
      PyObject_SetAttrString (main_module, methods[i].ml_name, callable);
      Py_DECREF (callable);
    }
  if (PyRun_SimpleString ("from raddle import stackless") == 0)
    {
      rest = PyObject_GetAttrString (PyImport_AddModule ("raddle.stackless"), "schedule");
      failed = PyRun_SimpleString (
          "stackless.set_stack_size(256 << 10)  # so close together that one might be taken for a part of the other\n"
          "def body():\n"
          "    work()\n"
          "for _ in range(200):\n"
          "    for _ in range(5):\n"
          "        stackless.tasklet(body)()\n"
          "    stackless.run()\n"
          "def sleeper():\n"
          "    stackless.schedule_remove()\n"
          "kept = stackless.tasklet(sleeper)()\n"
          "stackless.run()\n"
          "kept.kill()\n"
          "asleep = stackless.tasklet(work)()\n"
          "asleep.run()\n"
          "stackless.tasklet(lambda: look(asleep.stack_pointer))().run()\n"
          "stackless.run()\n"
          "print('done', stackless.getruncount())\n");
      Py_CLEAR (rest);
    }
  if (raddle_leave () != RADDLE_STATUS_OK || raddle_runtime_stop (runtime, 20 * 1000) != RADDLE_STATUS_OK)
    failed = 1;
  raddle_runtime_unref (runtime);
  return failed;
}
