// pybind11.cpp: a real pybind11 module whose gate is raddle, called by C++ threads that Python never made.
#define RADDLE_PYBIND11
#include <raddle/raddle.hpp>

#include <pybind11/embed.h>
#include <pybind11/functional.h>
#include <pybind11/pybind11.h>

#include <glib.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

namespace py = pybind11;

static_assert(std::is_same_v<py::gil_scoped_acquire, raddle::gil_scoped_acquire>);
static_assert(std::is_same_v<py::gil_scoped_release, raddle::gil_scoped_release>);
#ifndef PYBIND11_SIMPLE_GIL_MANAGEMENT
# error "RADDLE_PYBIND11 sets pybind11's switch"
#endif

namespace {

struct Shape {
  virtual ~Shape() = default;
  virtual int corners() = 0;
};

struct PyShape : Shape {
  using Shape::Shape;
  int corners() override { PYBIND11_OVERRIDE_PURE(int, Shape, corners); }
};

/// Calls `work` on a thread of C++'s, which starts without Python.
template <typename Work>
void on_a_thread(Work work)
{
  std::thread thread([&work] {
    g_assert_false(raddle_is_held());
    work();
    g_assert_false(raddle_is_held());
  });
  thread.join();
}

int call_twice_elsewhere(const std::function<int(int)> &function)
{
  int sum = 0;
  on_a_thread([&] { sum = function(20) + function(22); });
  return sum;
}

int corners_elsewhere(Shape &shape)
{
  int corners = 0;
  on_a_thread([&] { corners = shape.corners(); });
  return corners;
}

std::string error_elsewhere(const std::function<int(int)> &function)
{
  std::string text;
  on_a_thread([&] {
    try {
      function(0);
      g_assert_not_reached();
    } catch (py::error_already_set &error) {
      py::gil_scoped_acquire acquire;
      text = py::str(error.value()).cast<std::string>();
    }
  });
  return text;
}

} // namespace

PYBIND11_EMBEDDED_MODULE(shapes, module)
{
  py::class_<Shape, PyShape>(module, "Shape")
    .def(py::init<>())
    .def("corners", &Shape::corners);
  module.def("call_twice_elsewhere", &call_twice_elsewhere, py::call_guard<py::gil_scoped_release>());
  module.def("corners_elsewhere", &corners_elsewhere, py::call_guard<py::gil_scoped_release>());
  module.def("error_elsewhere", &error_elsewhere, py::call_guard<py::gil_scoped_release>());
  module.def("held", [] { return raddle_is_held(); });
}

namespace {

void expect(const char *code)
{
  py::gil_scoped_acquire acquire;
  try {
    py::exec(code);
  } catch (py::error_already_set &error) {
    g_error("%s", error.what());
  }
}

void a_function_is_called_on_a_thread_of_c_s()
{
  expect("import shapes, threading\n"
         "local = threading.local()\n"
         "threads = []\n"
         "def work(n):\n"
         "    assert shapes.held()\n"
         "    threads.append(threading.get_ident())\n"
         "    local.calls = getattr(local, 'calls', 0) + 1\n"
         "    return n * local.calls\n"
         // The second call finds what the first one kept: 20 * 1 + 22 * 2.
         "assert shapes.call_twice_elsewhere(work) == 64\n"
         "assert shapes.held()\n"
         "assert threads[0] == threads[1] != threading.get_ident()");
}

void a_virtual_function_is_overridden_in_python()
{
  expect("import shapes\n"
         "class Square(shapes.Shape):\n"
         "    def corners(self):\n"
         "        assert shapes.held()\n"
         "        return 4\n"
         "assert shapes.corners_elsewhere(Square()) == 4\n"
         "assert Square().corners() == 4");
}

void an_exception_crosses_the_thread()
{
  expect("import shapes\n"
         "def work(n):\n"
         "    raise ValueError('no such shape')\n"
         "assert shapes.error_elsewhere(work) == 'no such shape'");
}

void many_threads_share_one_function()
{
  std::function<int(int)> function;
  {
    py::gil_scoped_acquire acquire;
    function = py::eval("lambda n: n + 1").cast<std::function<int(int)>>();
  }
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; i++)
    threads.emplace_back([&function] {
      for (int n = 0; n < 200; n++)
        g_assert_cmpint(function(n), ==, n + 1);
    });
  for (std::thread &thread : threads)
    thread.join();
}

void an_object_may_leave_pybind11_for_a_thread()
{
  raddle::object_ref ref;
  {
    py::gil_scoped_acquire acquire;
    ref = raddle::object_ref::steal(py::list().release().ptr());
    py::list list = py::reinterpret_borrow<py::list>(ref.get());
    list.append(7);
    g_assert_cmpint(list[0].cast<int>(), ==, 7);
  }
  on_a_thread([&ref] { raddle::object_ref dropped = std::move(ref); });
  g_assert_false(static_cast<bool>(ref));
}

} // namespace

int main(int argc, char **argv)
{
  g_test_init(&argc, &argv, nullptr);
  g_test_add_func("/pybind11/function/is-called-on-a-thread-of-cpp-s", a_function_is_called_on_a_thread_of_c_s);
  g_test_add_func("/pybind11/function/is-shared-by-many-threads", many_threads_share_one_function);
  g_test_add_func("/pybind11/virtual/is-overridden-in-python", a_virtual_function_is_overridden_in_python);
  g_test_add_func("/pybind11/exception/crosses-the-thread", an_exception_crosses_the_thread);
  g_test_add_func("/pybind11/object/may-leave-for-a-thread", an_object_may_leave_pybind11_for_a_thread);
  RaddleRuntime *runtime = nullptr;
  if (raddle_runtime_new(nullptr, &runtime) != RADDLE_STATUS_OK)
    g_error("%s", raddle_last_error_message());
  const int result = g_test_run();
  if (raddle_runtime_stop(runtime, 20 * 1000) != RADDLE_STATUS_OK)
    g_error("%s", raddle_last_error_message());
  raddle_runtime_unref(runtime);
  return result;
}
