/* raddle-macros.h: linkage, availability and scope guards. Include <raddle/raddle.h>. */
#ifndef RADDLE_MACROS_H
#define RADDLE_MACROS_H

#ifdef __cplusplus
# define RADDLE_BEGIN_DECLS extern "C" {
# define RADDLE_END_DECLS }
#else
# define RADDLE_BEGIN_DECLS
# define RADDLE_END_DECLS
#endif

/* Marks a function of the ABI node RADDLE_0 that came with version 0.1. */
#define RADDLE_AVAILABLE_IN_0_1 __attribute__ ((visibility ("default")))

/* Asks the compiler to complain when a status is thrown away. */
#define RADDLE_MUST_CHECK __attribute__ ((warn_unused_result))

/* Declares an opaque, reference-counted type and its scope guard: with
 * raddle_auto (raddle_runtime) RaddleRuntime *runtime = NULL; the reference is
 * dropped when the variable goes out of scope. GLib's g_autoptr works as well
 * when <raddle/raddle-glib.h> is included. */
#define RADDLE_DECLARE_SHARED(TypeName, type_name)                    \
  typedef struct _##TypeName TypeName;                                \
  RADDLE_AVAILABLE_IN_0_1 TypeName *type_name##_ref (TypeName *self); \
  RADDLE_AVAILABLE_IN_0_1 void type_name##_unref (TypeName *self);    \
  static inline void type_name##_cleanup (TypeName **where)           \
  {                                                                   \
    if (*where)                                                       \
      type_name##_unref (*where);                                     \
  }

#define raddle_auto(type_name) __attribute__ ((cleanup (type_name##_cleanup)))

/* What CPython calls PyObject, without including its headers. */
#ifndef Py_PYTHON_H
typedef struct _object PyObject;
#endif

#endif /* RADDLE_MACROS_H */
