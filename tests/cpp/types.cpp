// types.cpp: raddle.hpp by itself: what the types are, and what their lifetimes do.
#include <raddle/raddle.hpp>

#include <Python.h>
#include <glib.h>

#include <thread>
#include <type_traits>
#include <vector>

namespace {

// A handle owns nothing and cannot touch reference counts: there is no member to do it with.
template <typename T, typename = void>
struct can_count : std::false_type {};
template <typename T>
struct can_count<T, std::void_t<decltype(std::declval<T>().inc_ref())>> : std::true_type {};
template <typename T, typename = void>
struct can_uncount : std::false_type {};
template <typename T>
struct can_uncount<T, std::void_t<decltype(std::declval<T>().dec_ref())>> : std::true_type {};

static_assert(!can_count<raddle::handle>::value && !can_uncount<raddle::handle>::value);
static_assert(std::is_trivially_copyable_v<raddle::handle>);
static_assert(std::is_trivially_destructible_v<raddle::handle>);
static_assert(sizeof(raddle::handle) == sizeof(void *));
static_assert(!std::is_convertible_v<PyObject *, raddle::handle>);
static_assert(!std::is_convertible_v<raddle::handle, PyObject *>);

// An owner moves and is not copied, since copying needs Python.
static_assert(!std::is_copy_constructible_v<raddle::object_ref>);
static_assert(!std::is_copy_assignable_v<raddle::object_ref>);
static_assert(std::is_nothrow_move_constructible_v<raddle::object_ref>);
static_assert(std::is_nothrow_move_assignable_v<raddle::object_ref>);
static_assert(!can_count<raddle::object_ref>::value && !can_uncount<raddle::object_ref>::value);

// What stands for this thread stays where it is.
template <typename T>
constexpr bool stays = !std::is_copy_constructible_v<T> && !std::is_move_constructible_v<T>
                       && !std::is_copy_assignable_v<T> && !std::is_move_assignable_v<T>;
static_assert(stays<raddle::entry> && stays<raddle::released>);
static_assert(stays<raddle::gil_scoped_acquire> && stays<raddle::gil_scoped_release>);
static_assert(!std::is_convertible_v<raddle::entry, bool>, "ask it in a condition");
static_assert(std::is_nothrow_default_constructible_v<raddle::entry>);

RaddleRuntime *start()
{
  RaddleRuntime *runtime = nullptr;
  if (raddle_runtime_new(nullptr, &runtime) != RADDLE_STATUS_OK)
    g_error("%s", raddle_last_error_message());
  return runtime;
}

void stop(RaddleRuntime *runtime)
{
  if (raddle_runtime_stop(runtime, 20 * 1000) != RADDLE_STATUS_OK)
    g_error("%s", raddle_last_error_message());
  raddle_runtime_unref(runtime);
}

PyObject *names()
{
  return PyModule_GetDict(PyImport_AddModule("__main__"));
}

long evaluate(const char *expression)
{
  PyObject *result = PyRun_String(expression, Py_eval_input, names(), names());
  if (result == nullptr) {
    PyErr_Print();
    g_error("%s", expression);
  }
  const long number = PyLong_AsLong(result);
  Py_DECREF(result);
  return number;
}

void an_entry_ends_with_its_block()
{
  {
    raddle::entry entry;
    g_assert_true(static_cast<bool>(entry));
    g_assert_cmpint(entry.status(), ==, RADDLE_STATUS_OK);
    g_assert_cmpint(evaluate("6 * 7"), ==, 42);
    {
      raddle::entry nested;
      g_assert_true(raddle_is_held());
    }
    g_assert_true(raddle_is_held());
  }
  g_assert_false(raddle_is_held());
  try {
    raddle::entry entry;
    throw 7;
  } catch (int) {
    g_assert_false(raddle_is_held());
  }
}

void a_fresh_entry_has_its_own_context()
{
  raddle::entry entry;
  PyRun_SimpleString("import contextvars\n"
                     "var = contextvars.ContextVar('var', default=0)\n"
                     "var.set(1)");
  {
    raddle::entry own(raddle::fresh);
    g_assert_cmpint(evaluate("var.get()"), ==, 0);
    PyRun_SimpleString("var.set(2)");
  }
  g_assert_cmpint(evaluate("var.get()"), ==, 1);
}

void released_works_at_any_depth_and_without_holding()
{
  raddle::released nothing;
  g_assert_false(raddle_is_held());
  raddle::entry outer;
  raddle::entry inner;
  {
    raddle::released released;
    g_assert_false(raddle_is_held());
    std::thread([] {
      raddle::entry entry;
      g_assert_true(static_cast<bool>(entry));
    }).join();
    raddle::gil_scoped_acquire again;
    g_assert_true(raddle_is_held());
    raddle::gil_scoped_release once_more;
    g_assert_false(raddle_is_held());
    once_more.disarm();
    again.disarm();
  }
  g_assert_true(raddle_is_held());
}

void a_handle_gives_its_object_to_holders_only()
{
  raddle::handle handle;
  g_assert_false(static_cast<bool>(handle));
  PyObject *object = nullptr;
  {
    raddle::entry entry;
    object = PyList_New(0);
    handle = raddle::handle(object);
    const raddle::handle copy = handle;
    g_assert_true(copy == handle);
    g_assert_true(copy.get() == object);
    g_assert_cmpint(Py_REFCNT(object), ==, 1);
  }
  g_assert_true(static_cast<bool>(handle));
  g_assert_null(handle.get());
  raddle::entry entry;
  Py_DECREF(object);
}

PyObject *finalized()
{
  PyRun_SimpleString("if 'finalized' not in globals(): finalized = []\n"
                     "class Finalized:\n"
                     "    def __del__(self):\n"
                     "        finalized.append(1)");
  PyObject *kind = PyDict_GetItemString(names(), "Finalized");
  return PyObject_CallNoArgs(kind);
}

void a_reference_may_be_dropped_anywhere()
{
  std::vector<raddle::object_ref> kept;
  {
    raddle::entry entry;
    for (int i = 0; i < 4; i++)
      kept.push_back(raddle::object_ref::steal(finalized()));
    g_assert_cmpint(Py_REFCNT(kept[0].get()), ==, 1);
    raddle::object_ref moved = std::move(kept[0]);
    g_assert_false(static_cast<bool>(kept[0]));
    g_assert_null(kept[0].get());
    g_assert_true(moved.borrow() == raddle::handle(moved.get()));
    moved = std::move(kept[1]); // Drops the first one, here and now.
    g_assert_cmpint(evaluate("len(finalized)"), ==, 1);
    PyObject *object = moved.release();
    g_assert_false(static_cast<bool>(moved));
    moved.reset(object);
  }
  {
    raddle::entry entry;
    g_assert_cmpint(evaluate("len(finalized)"), ==, 2);
  }
  g_assert_null(kept[2].get());
  std::thread([ref = std::move(kept[2])] {}).join();
  kept.clear();
  raddle::entry entry;
  g_assert_cmpint(evaluate("len(finalized)"), ==, 4);
}

void a_closed_gate_refuses_and_throws()
{
  if (!g_test_subprocess()) {
    g_test_trap_subprocess(nullptr, 60 * G_USEC_PER_SEC, G_TEST_SUBPROCESS_DEFAULT);
    g_test_trap_assert_passed();
    return;
  }
  {
    raddle::entry entry;
    g_assert_false(static_cast<bool>(entry));
    g_assert_cmpint(entry.status(), ==, RADDLE_STATUS_NOT_STARTED);
    raddle::released released;
  }
  RaddleRuntime *runtime = start();
  raddle::object_ref late;
  {
    raddle::entry entry;
    late = raddle::object_ref::steal(PyList_New(0));
  }
  stop(runtime);
  try {
    raddle::gil_scoped_acquire acquire;
    g_assert_not_reached();
  } catch (const raddle::error &error) {
    g_assert_cmpint(error.status(), ==, RADDLE_STATUS_CLOSED);
    g_assert_cmpstr(error.what(), ==, raddle_last_error_message());
  }
  g_assert_null(late.get()); // And its drop, after the end, is counted as leaked.
}

} // namespace

int main(int argc, char **argv)
{
  g_test_init(&argc, &argv, nullptr);
  g_test_add_func("/cpp/entry/ends-with-its-block", an_entry_ends_with_its_block);
  g_test_add_func("/cpp/entry/fresh-has-its-own-context", a_fresh_entry_has_its_own_context);
  g_test_add_func("/cpp/released/works-at-any-depth", released_works_at_any_depth_and_without_holding);
  g_test_add_func("/cpp/handle/gives-its-object-to-holders-only", a_handle_gives_its_object_to_holders_only);
  g_test_add_func("/cpp/object-ref/may-be-dropped-anywhere", a_reference_may_be_dropped_anywhere);
  g_test_add_func("/cpp/closed/refuses-and-throws", a_closed_gate_refuses_and_throws);
  if (g_test_subprocess())
    return g_test_run();
  RaddleRuntime *runtime = start();
  const int result = g_test_run();
  stop(runtime);
  return result;
}
