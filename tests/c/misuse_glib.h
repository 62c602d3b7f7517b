/* misuse_glib.h: the rows of misuse.c that call the GLib headers: closures, values, workers, types. */
#ifndef RADDLE_TESTS_MISUSE_GLIB_H
#define RADDLE_TESTS_MISUSE_GLIB_H

#include <raddle/raddle-glib.h>

static RaddleStatus
closure_of_null (void)
{
  g_assert_null (raddle_closure_new (NULL));
  return RADDLE_STATUS_NULL;
}

static RaddleStatus
closure_of_a_type (void)
{
  /* A static of Python's, which is there before the start and after the stop. */
  GClosure *closure = raddle_closure_new ((PyObject *) &PyLong_Type);
  if (closure == NULL)
    return enter_and_leave ();
  g_closure_invoke (closure, NULL, 0, NULL, NULL);
  g_closure_unref (closure);
  return RADDLE_STATUS_OK;
}

static RaddleStatus
signal_connect_null (void)
{
  g_assert_cmpuint (raddle_signal_connect (NULL, NULL, NULL, 0), ==, 0);
  return RADDLE_STATUS_NULL;
}

static RaddleStatus
signal_connect_a_type (void)
{
  GObject *object = g_object_new (G_TYPE_OBJECT, NULL);
  gulong id = raddle_signal_connect (object, "notify", (PyObject *) &PyLong_Type, 0);
  RaddleStatus status = id > 0 ? RADDLE_STATUS_OK : enter_and_leave ();
  g_object_unref (object);
  return status;
}

static RaddleStatus
signal_wrap_and_drop (void)
{
  GClosure *closure = raddle_signal_wrap (G_CALLBACK (signal_connect_null), NULL, NULL);
  g_assert_null (raddle_signal_wrap (NULL, NULL, NULL));
  g_closure_invoke (closure, NULL, 0, NULL, NULL);
  g_closure_unref (closure);
  return RADDLE_STATUS_OK;
}

static RaddleStatus
value_to_python (void)
{
  GValue value = G_VALUE_INIT;
  PyObject *object = NULL;
  g_value_init (&value, G_TYPE_INT);
  RaddleStatus status = raddle_value_to_python (&value, &object);
  g_assert_true ((status == RADDLE_STATUS_OK) == (object != NULL));
  raddle_decref (object);
  return status;
}

static RaddleStatus
value_to_python_null (void)
{
  PyObject *object;
  return raddle_value_to_python (NULL, &object);
}

static RaddleStatus
value_from_python_null (void)
{
  return raddle_value_from_python (NULL, NULL);
}

static RaddleStatus
value_of_object (void)
{
  GValue value = G_VALUE_INIT;
  g_value_init (&value, RADDLE_TYPE_OBJECT);
  g_value_unset (&value);
  return RADDLE_STATUS_OK;
}

static RaddleStatus
call_null (void)
{
  GError *error = NULL;
  g_assert_false (raddle_call (NULL, G_TYPE_INT, NULL, &error));
  g_assert_true (error->domain == RADDLE_DOMAIN);
  RaddleStatus status = (RaddleStatus) error->code;
  g_clear_error (&error);
  return status;
}

static RaddleStatus
call_a_type (void)
{
  GError *error = NULL;
  if (raddle_call ((PyObject *) &PyLong_Type, G_TYPE_INVALID, NULL, &error))
    return RADDLE_STATUS_OK;
  RaddleStatus status = (RaddleStatus) error->code;
  g_clear_error (&error);
  return status;
}

static RaddleStatus
call_with_no_values (void)
{
  GError *error = NULL;
  g_assert_false (raddle_call_with_values (NULL, G_TYPE_INT, 3, NULL, NULL, &error));
  RaddleStatus status = (RaddleStatus) error->code;
  g_clear_error (&error);
  return status;
}

static RaddleStatus
call_a_type_with_values (void)
{
  GError *error = NULL;
  if (raddle_call_with_values ((PyObject *) &PyLong_Type, G_TYPE_INVALID, 0, NULL, NULL, &error))
    return RADDLE_STATUS_OK;
  RaddleStatus status = (RaddleStatus) error->code;
  g_clear_error (&error);
  return status;
}

static RaddleStatus
asyncio_run_null (void)
{
  return raddle_asyncio_run (NULL, NULL, NULL, G_TYPE_INVALID, NULL, NULL, NULL);
}

static RaddleStatus
asyncio_run_a_type (void)
{
  GMainContext *context = g_main_context_new ();
  RaddleStatus status = raddle_asyncio_run (context, (PyObject *) &PyLong_Type, NULL, G_TYPE_INVALID, NULL, NULL, NULL);
  g_main_context_unref (context);
  return status;
}

static RaddleStatus
pool_push (PyObject *callable)
{
  GThreadPool *pool = raddle_thread_pool_new (1, FALSE, NULL);
  RaddleStatus status = raddle_thread_pool_push (pool, callable, G_TYPE_INVALID, NULL, NULL, NULL);
  gboolean held = raddle_is_held ();
  if (held)
    assert_ok (raddle_unblock_threads ());
  g_thread_pool_free (pool, FALSE, TRUE);
  if (held)
    assert_ok (raddle_block_threads ());
  return status;
}

static RaddleStatus
pool_push_null (void)
{
  return pool_push (NULL);
}

static RaddleStatus
pool_push_a_type (void)
{
  return pool_push ((PyObject *) &PyLong_Type);
}

static RaddleStatus
pool_push_to_null (void)
{
  return raddle_thread_pool_push (NULL, NULL, G_TYPE_INVALID, NULL, NULL, NULL);
}

static RaddleStatus
types (void)
{
  g_assert_true (raddle_runtime_get_type () == RADDLE_TYPE_RUNTIME && raddle_object_get_type () == RADDLE_TYPE_OBJECT);
  g_assert_true (raddle_status_get_type () == RADDLE_TYPE_STATUS && raddle_hold_get_type () == RADDLE_TYPE_HOLD);
  g_assert_true (raddle_error_quark () == RADDLE_DOMAIN);
  GError *error = NULL;
  g_assert_true (raddle_set_error (&error, RADDLE_STATUS_OK) && error == NULL);
  g_assert_false (raddle_set_error (NULL, RADDLE_STATUS_CLOSED));
  return RADDLE_STATUS_OK;
}

static RaddleStatus
raise_error_null (void)
{
  return raddle_raise_error (NULL);
}

static RaddleStatus
raise_error (void)
{
  g_autoptr (GError) error = g_error_new_literal (RADDLE_DOMAIN, RADDLE_STATUS_BUSY, "too busy");
  RaddleStatus status = raddle_raise_error (error);
  if (status == RADDLE_STATUS_OK)
    PyErr_Clear ();
  return status;
}

static RaddleStatus
error_from_python (void)
{
  g_autoptr (GError) error = NULL;
  g_assert_true (raddle_set_error_from_python (&error) == (error == NULL));
  g_assert_true (raddle_set_error_from_python (NULL) == (error == NULL));
  return error ? error->code : RADDLE_STATUS_OK;
}

#endif /* RADDLE_TESTS_MISUSE_GLIB_H */
