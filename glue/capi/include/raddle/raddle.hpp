// raddle.hpp: the gate for C++17, as types whose lifetime is what they stand for.
#ifndef RADDLE_HPP
#define RADDLE_HPP

#include <raddle/raddle.h>

#include <stdexcept>
#include <utility>

// To put raddle under pybind11, define RADDLE_PYBIND11 and include this header before any of
// pybind11's, in every file of the module alike:
//
//   #define RADDLE_PYBIND11
//   #include <raddle/raddle.hpp>
//   #include <pybind11/pybind11.h>
//
// It sets PYBIND11_SIMPLE_GIL_MANAGEMENT, pybind11's own switch for a gate with nothing cached in it,
// and makes pybind11::gil_scoped_acquire and pybind11::gil_scoped_release names for the two classes
// below, for pybind11's own use too (std::function arguments, call_guard, virtual functions).
#if defined(RADDLE_PYBIND11)
# if defined(PYBIND11_VERSION_MAJOR)
#  error "RADDLE_PYBIND11: include <raddle/raddle.hpp> before any header of pybind11's"
# endif
# if !defined(PYBIND11_SIMPLE_GIL_MANAGEMENT)
#  define PYBIND11_SIMPLE_GIL_MANAGEMENT
# endif
// pybind11's own two classes step aside under another name; nothing uses them.
# define gil_scoped_acquire raddle_replaced_gil_scoped_acquire
# define gil_scoped_release raddle_replaced_gil_scoped_release
# include <pybind11/gil.h>
# undef gil_scoped_acquire
# undef gil_scoped_release
#endif

namespace raddle {

/// What a constructor throws that was refused. Its text is raddle_last_error_message().
///
/// Since: 0.1
class error : public std::runtime_error {
public:
  explicit error(RaddleStatus status)
    : std::runtime_error(raddle_last_error_message()), status_(status) {}

  /// The status that a C caller would have seen.
  RaddleStatus status() const noexcept { return status_; }

private:
  RaddleStatus status_;
};

/// Asks for an entry in a context of its own: raddle::entry entry(raddle::fresh);
///
/// Since: 0.1
struct fresh_t {
  explicit fresh_t() = default;
};
inline constexpr fresh_t fresh{};

/// An entry into Python that ends with its block. Does not throw: it may be refused, so ask it.
///
///   raddle::entry entry;
///   if (!entry)
///     return;
///
/// Thread: any; it stays on the thread that made it.
///
/// Since: 0.1
class [[nodiscard]] entry {
public:
  /// raddle_enter()
  entry() noexcept : status_(raddle_enter()) {}
  /// raddle_enter_fresh()
  explicit entry(fresh_t) noexcept : status_(raddle_enter_fresh()) {}
  entry(const entry &) = delete;
  entry &operator=(const entry &) = delete;
  ~entry()
  {
    if (status_ == RADDLE_STATUS_OK)
      raddle_leave();
  }

  /// Whether Python was entered.
  explicit operator bool() const noexcept { return status_ == RADDLE_STATUS_OK; }
  /// Why not: RADDLE_STATUS_CLOSED, RADDLE_STATUS_NOT_STARTED or RADDLE_STATUS_NO_MEMORY.
  RaddleStatus status() const noexcept { return status_; }

private:
  RaddleStatus status_;
};

/// Python given up until the end of the block, whatever the depth; nothing if it was not held.
///
/// Thread: any; it stays on the thread that made it.
///
/// Since: 0.1
class [[nodiscard]] released {
public:
  /// raddle_unblock_threads()
  released() noexcept : open_(raddle_unblock_threads() == RADDLE_STATUS_OK) {}
  released(const released &) = delete;
  released &operator=(const released &) = delete;
  ~released()
  {
    if (open_)
      raddle_block_threads();
  }

private:
  bool open_;
};

/// raddle::entry with the shape of pybind11::gil_scoped_acquire under PYBIND11_SIMPLE_GIL_MANAGEMENT.
///
/// Code that expects it goes on to run Python whatever happened, so a refusal is thrown. pybind11
/// also makes one in destructors (that of a std::function made from a Python callable, for one):
/// thrown there it ends the process, so such values must be gone before the runtime is stopped.
///
/// Thread: any; it stays on the thread that made it.
///
/// Since: 0.1
class [[nodiscard]] gil_scoped_acquire {
public:
  /// Throws raddle::error if the gate is closed.
  gil_scoped_acquire()
  {
    const RaddleStatus status = raddle_enter();
    if (status != RADDLE_STATUS_OK)
      throw error(status);
  }
  gil_scoped_acquire(const gil_scoped_acquire &) = delete;
  gil_scoped_acquire &operator=(const gil_scoped_acquire &) = delete;
  ~gil_scoped_acquire() { raddle_leave(); }

  /// Nothing, as in pybind11's simple class. It is for interpreters that may end while this is
  /// alive; raddle's stop waits for those inside instead.
  void disarm() noexcept {}
};

/// raddle::released with the shape of pybind11::gil_scoped_release under
/// PYBIND11_SIMPLE_GIL_MANAGEMENT. Unlike pybind11's it may be made without Python held.
///
/// Thread: any; it stays on the thread that made it.
///
/// Since: 0.1
class [[nodiscard]] gil_scoped_release {
public:
  gil_scoped_release() noexcept {}
  gil_scoped_release(const gil_scoped_release &) = delete;
  gil_scoped_release &operator=(const gil_scoped_release &) = delete;
  ~gil_scoped_release() = default;

  /// Nothing, as in pybind11's simple class.
  void disarm() noexcept {}

private:
  released released_;
};

/// A Python object that somebody else keeps alive.
///
/// It owns nothing and has no way to count: copying, moving and forgetting one never touches a
/// reference count, so it may be stored and passed on any thread.
///
/// Since: 0.1
class handle {
public:
  handle() noexcept : handle_(raddle_handle(nullptr)) {}
  explicit handle(PyObject *object) noexcept : handle_(raddle_handle(object)) {}

  /// The object, borrowed; nullptr on a thread that does not hold Python.
  PyObject *get() const noexcept { return raddle_handle_get(handle_); }
  /// Whether it was made from an object. Asks nothing of Python.
  explicit operator bool() const noexcept { return handle_.raddle_private != nullptr; }

  friend bool operator==(handle a, handle b) noexcept
  {
    return a.handle_.raddle_private == b.handle_.raddle_private;
  }
  friend bool operator!=(handle a, handle b) noexcept { return !(a == b); }

private:
  RaddleHandle handle_;
};

/// One reference to a Python object, which may be moved to and dropped on any thread, holding Python
/// or not, during a stop and after it: raddle_decref() says where the finalizer runs. Never waits.
///
/// There is no copying, for that needs Python: hold it and make another one with Py_NewRef().
///
/// Since: 0.1
class object_ref {
public:
  object_ref() noexcept = default;
  object_ref(object_ref &&other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  object_ref &operator=(object_ref &&other) noexcept
  {
    if (this != &other)
      reset(std::exchange(other.object_, nullptr));
    return *this;
  }
  ~object_ref() { raddle_decref(object_); }

  /// Takes over a reference that the caller owns, such as a result of PyObject_Call() or of
  /// pybind11's object::release(). nullptr is allowed.
  static object_ref steal(PyObject *object) noexcept { return object_ref(object); }

  /// The object, borrowed; nullptr if there is none or this thread does not hold Python.
  PyObject *get() const noexcept { return raddle_handle_get(raddle_handle(object_)); }
  /// Gives the reference to the caller.
  PyObject *release() noexcept { return std::exchange(object_, nullptr); }
  /// Drops the reference, and takes over another one.
  void reset(PyObject *object = nullptr) noexcept { raddle_decref(std::exchange(object_, object)); }
  /// A handle that is good while this reference lives.
  handle borrow() const noexcept { return handle(object_); }
  /// Whether there is a reference. Asks nothing of Python.
  explicit operator bool() const noexcept { return object_ != nullptr; }

private:
  explicit object_ref(PyObject *object) noexcept : object_(object) {}
  PyObject *object_ = nullptr;
};

} // namespace raddle

#if defined(RADDLE_PYBIND11)
PYBIND11_NAMESPACE_BEGIN(PYBIND11_NAMESPACE)
using gil_scoped_acquire = raddle::gil_scoped_acquire;
using gil_scoped_release = raddle::gil_scoped_release;
PYBIND11_NAMESPACE_END(PYBIND11_NAMESPACE)
#endif

#endif // RADDLE_HPP
