// gate_pybind11.cpp: a foreign call through pybind11's gil_scoped_acquire, beside raddle's.
#include <pthread.h>
#include <pybind11/embed.h>

extern "C" {
#include "bench.h"
}

namespace py = pybind11;

namespace
{

PyObject *function;

double
ours (int count)
{
  double begun = bench_now ();
  for (int i = 0; i < count; i++)
    {
      bench_check (raddle_enter ());
      Py_DECREF (PyObject_CallNoArgs (function));
      raddle_leave ();
    }
  return (bench_now () - begun) / count;
}

// On a thread of its own: one without a kept state, which is what pybind11 meets in a host.
double
theirs (int count)
{
  struct Run
  {
    int count;
    double cost;
  } run = { count, 0 };
  pthread_t thread;
  pthread_create (
      &thread, nullptr,
      [] (void *data) -> void * {
        auto *run = static_cast<Run *> (data);
        double begun = bench_now ();
        for (int i = 0; i < run->count; i++)
          {
            py::gil_scoped_acquire held;
            Py_DECREF (PyObject_CallNoArgs (function));
          }
        run->cost = (bench_now () - begun) / run->count;
        return nullptr;
      },
      &run);
  pthread_join (thread, nullptr);
  return run.cost;
}

} // namespace

int
main (int argc, char **argv)
{
  if (!bench_wanted (argc, argv, "gate.pybind11_acquire"))
    return 0;
  RaddleRuntime *runtime = nullptr;
  bench_check (raddle_runtime_new (nullptr, &runtime));
  bench_check (raddle_enter ());
  PyObject *globals = PyDict_New ();
  PyDict_SetItemString (globals, "__builtins__", PyEval_GetBuiltins ());
  Py_XDECREF (PyRun_String ("def f(): pass", Py_file_input, globals, globals));
  function = Py_NewRef (PyDict_GetItemString (globals, "f"));
  Py_DECREF (globals);
  py::detail::get_internals ();
  (void) raddle_leave ();

  // Measured on a native thread, as the others are.
  pthread_t thread;
  pthread_create (
      &thread, nullptr,
      [] (void *) -> void * {
        bench_measure ("gate.pybind11_acquire", 4000, ours,
                       "pybind11 gil_scoped_acquire, no kept state", theirs, 500, nullptr, nullptr);
        return nullptr;
      },
      nullptr);
  pthread_join (thread, nullptr);

  raddle_decref (function);
  bench_check (raddle_runtime_stop (runtime, 10000));
  raddle_runtime_unref (runtime);
  return 0;
}
