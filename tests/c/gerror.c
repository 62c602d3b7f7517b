/* gerror.c: GError and exceptions, each made of the other, without PyGObject and with it. */
#include "support.h"

#include <raddle/raddle-gio.h>

/* The functions that fail in Python's way and in GLib's are called from the other side. */
#define DEFINITIONS                                            \
  "import asyncio, copy, pickle, raddle, sys\n"                \
  "reports = []\n"                                             \
  "def hook(about):\n"                                         \
  "    reports.append((about.exc_type.__name__, str(about.object)))\n" \
  "sys.unraisablehook = hook\n"                                \
  "def fail(what): raise what\n"                               \
  "IO = 'g-io-error-quark'\n"

/* Enters, with `Error` as the class that a GError comes as: raddle's, or PyGObject's from its import on. */
static gboolean
begin (gconstpointer with_gi)
{
  if (with_gi && !have_gi ())
    return FALSE;
  assert_ok (raddle_enter ());
  run (DEFINITIONS);
  run (with_gi ? "from gi.repository import GLib, GObject\nError = GLib.Error" : "Error = raddle.GError");
  return TRUE;
}

static void
end (void)
{
  g_assert_cmpint (evaluate ("reports == [] or print(reports)"), ==, TRUE);
  assert_ok (raddle_leave ());
}

/* --- a function that Python calls fails as GLib does --- */

static PyObject *
load (PyObject *self G_GNUC_UNUSED,
      PyObject *path)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *content = NULL;
  if (g_file_get_contents (PyUnicode_AsUTF8 (path), &content, NULL, &error))
    return PyUnicode_FromString (content);
  assert_ok (raddle_raise_error (error));
  return NULL;
}

static void
what_glib_reports_is_raised_in_python (gconstpointer with_gi)
{
  static PyMethodDef definition = { "load", load, METH_O, NULL };
  if (!begin (with_gi))
    return;
  give ("load", PyCFunction_New (&definition, NULL));
  run ("try:\n"
       "    load('/no/such/file')\n"
       "except Error as error:\n"
       "    caught = error");
  g_assert_cmpint (evaluate ("type(caught) is Error and isinstance(caught, RuntimeError)"), ==, TRUE);
  g_assert_cmpint (evaluate ("(caught.domain, caught.code) == ('g-file-error-quark', 4)"), ==, TRUE);
  g_assert_cmpint (evaluate ("'/no/such/file' in caught.message"), ==, TRUE);
  g_assert_cmpint (evaluate ("str(caught) == f'g-file-error-quark: {caught.message} (4)'"), ==, TRUE);
  end ();
}

/* --- a function that GLib calls fails as Python does --- */

/* Runs @code, which raises, and gives the error that it comes to. */
static GError *
raised_by (const char *code)
{
  GError *error = NULL;
  PyObject *names = PyModule_GetDict (PyImport_AddModule ("__main__"));
  g_assert_null (PyRun_String (code, Py_file_input, names, names));
  g_assert_nonnull (PyErr_Occurred ());
  g_assert_false (raddle_set_error_from_python (&error));
  g_assert_null (PyErr_Occurred ());
  return error;
}

static void
assert_raises (const char *code,
               GQuark      domain,
               int         number,
               const char *message)
{
  g_autoptr (GError) error = raised_by (code);
  g_assert_error (error, domain, number);
  g_assert_cmpstr (error->message, ==, message);
}

static void
what_python_raises_is_set_for_glib (gconstpointer with_gi)
{
  GError *error = NULL;
  if (!begin (with_gi))
    return;
  g_assert_true (raddle_set_error_from_python (&error));
  g_assert_no_error (error);
  g_assert_true (raddle_set_error_from_python (NULL));
  assert_raises ("raise Error('too busy', IO, 26)", G_IO_ERROR, G_IO_ERROR_BUSY, "too busy");
  assert_raises ("raise Error('', 'own-quark', -7)", g_quark_from_string ("own-quark"), -7, "");
  assert_raises ("raise Error('gr\303\274\303\237', IO, 0)", G_IO_ERROR, G_IO_ERROR_FAILED, "gr\303\274\303\237");
  /* raddle's own are taken where PyGObject is, too; and whatever else has the three. */
  assert_raises ("raise raddle.GError('mine', IO, 1)", G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "mine");
  assert_raises ("class Other(ValueError):\n"
                 "    domain, code, message = IO, 2, 'other'\n"
                 "raise Other('unseen')",
                 G_IO_ERROR, G_IO_ERROR_EXISTS, "other");
  assert_raises ("raise ValueError('no such page')", RADDLE_DOMAIN, RADDLE_STATUS_PYTHON, "ValueError: no such page");
  assert_raises ("raise raddle.GError('no domain')", RADDLE_DOMAIN, RADDLE_STATUS_PYTHON, "GError: no domain");
  assert_raises ("raise asyncio.CancelledError", G_IO_ERROR, G_IO_ERROR_CANCELLED, "Operation was cancelled");
  /* Three that are none. */
  assert_raises ("class Torn(Exception):\n"
                 "    domain, code, message = 1, 2, 3\n"
                 "raise Torn('torn')",
                 RADDLE_DOMAIN, RADDLE_STATUS_PYTHON, "Torn: torn");
  assert_raises ("class Torn(Exception):\n"
                 "    domain, code, message = IO, 2 ** 40, 'far'\n"
                 "raise Torn('torn')",
                 RADDLE_DOMAIN, RADDLE_STATUS_PYTHON, "Torn: torn");
  /* Nobody asks for it: it is gone all the same. */
  PyErr_SetString (PyExc_KeyError, "x");
  g_assert_false (raddle_set_error_from_python (NULL));
  g_assert_null (PyErr_Occurred ());
  end ();
}

static void
an_error_comes_back_as_it_was (gconstpointer with_gi)
{
  static const struct { const char *domain; int code; const char *message; } cases[] = {
    { "g-io-error-quark", G_IO_ERROR_BUSY, "too busy" },
    { "a-domain-of-nobody", G_MAXINT, "" },
    { "a-domain-of-nobody", G_MININT, "one\ntwo: (3)" },
    { "raddle-error-quark", RADDLE_STATUS_CLOSED, "gr\303\274\303\237" },
  };
  if (!begin (with_gi))
    return;
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      GQuark domain = g_quark_from_string (cases[i].domain);
      g_autoptr (GError) error = g_error_new_literal (domain, cases[i].code, cases[i].message);
      g_autoptr (GError) back = NULL;
      assert_ok (raddle_raise_error (error));
      g_assert_false (raddle_set_error_from_python (&back));
      g_assert_error (back, domain, cases[i].code);
      g_assert_cmpstr (back->message, ==, cases[i].message);
    }
  end ();
}

static void
a_thread_without_python_is_refused (void)
{
  g_autoptr (GError) error = g_error_new_literal (G_IO_ERROR, 0, "x"), refused = NULL;
  assert_status (raddle_raise_error (error), RADDLE_STATUS_WRONG_ORDER);
  g_assert_false (raddle_set_error_from_python (&refused));
  g_assert_error (refused, RADDLE_DOMAIN, RADDLE_STATUS_WRONG_ORDER);
  g_assert_cmpstr (refused->message, ==, "objects are made and looked at on a thread that holds Python: enter first");
}

/* --- signals --- */

static GObject *
new_thing (void)
{
  static GType type;
  if (!type)
    {
      type = g_type_register_static_simple (G_TYPE_OBJECT, "ErrorThing", sizeof (GObjectClass), NULL,
                                            sizeof (GObject), NULL, 0);
      g_signal_new ("checks", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_ERROR, 1, G_TYPE_ERROR);
    }
  return g_object_new (type, NULL);
}

/* What a handler that is @expression, given an error, makes of a signal that returns one. */
static GError *
checked_by (const char *expression)
{
  g_autoptr (GObject) thing = new_thing ();
  g_autoptr (GError) given = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_BUSY, "too busy");
  g_autofree char *code = g_strdup_printf ("handler = %s", expression);
  GError *error = NULL;

  run (code);
  g_assert_cmpuint (raddle_signal_connect (thing, "checks", named ("handler"), 0), !=, 0);
  g_signal_emit_by_name (thing, "checks", given, &error);
  g_assert_null (PyErr_Occurred ());
  return error;
}

static void
assert_checked (const char *expression,
                GQuark      domain,
                int         code,
                const char *message)
{
  g_autoptr (GError) error = checked_by (expression);
  g_assert_error (error, domain, code);
  g_assert_cmpstr (error->message, ==, message);
}

static void
a_signal_that_returns_an_error_returns_what_was_raised (gconstpointer with_gi)
{
  if (!begin (with_gi))
    return;
  run ("seen = []");
  g_assert_null (checked_by ("lambda thing, error: seen.append(error)"));
  g_assert_cmpint (evaluate ("[(type(e), e.domain, e.code, e.message) for e in seen] == [(Error, IO, 26, 'too busy')]"),
                   ==, TRUE);
  assert_checked ("lambda thing, error: error", G_IO_ERROR, G_IO_ERROR_BUSY, "too busy");
  assert_checked ("lambda thing, error: fail(error)", G_IO_ERROR, G_IO_ERROR_BUSY, "too busy");
  assert_checked ("lambda thing, error: fail(Error('later', IO, 33))", G_IO_ERROR, 33, "later");
  assert_checked ("lambda thing, error: fail(ValueError('no'))", RADDLE_DOMAIN, RADDLE_STATUS_PYTHON, "ValueError: no");
  g_autoptr (GError) wrong = checked_by ("lambda thing, error: 7");
  g_assert_error (wrong, RADDLE_DOMAIN, RADDLE_STATUS_PYTHON);
  support_assert_has (G_STRFUNC, __LINE__, wrong->message, "TypeError");
  /* An end that is asked for is not kept from whoever runs the loop: here nobody does. */
  g_assert_cmpint (evaluate ("reports == []"), ==, TRUE);
  g_assert_null (checked_by ("lambda thing, error: fail(SystemExit(3))"));
  g_assert_cmpint (evaluate ("[name for name, _ in reports] == ['SystemExit']"), ==, TRUE);
  run ("reports.clear()");
  end ();
}

/* --- workers --- */

static void
on_task (GObject      *source G_GNUC_UNUSED,
         GAsyncResult *result,
         gpointer      out)
{
  g_autoptr (GError) error = NULL;
  g_assert_false (g_task_propagate_boolean (G_TASK (result), &error));
  *(GError **) out = g_steal_pointer (&error);
}

static gboolean
has_error (gpointer out)
{
  g_main_context_iteration (NULL, FALSE);
  return *(GError **) out != NULL;
}

typedef RaddleStatus (*Start) (GTask *task, PyObject *callable, GType type);

static void
work_that_fails_as_glib_does_keeps_its_error (gconstpointer with_gi)
{
  static const Start starts[] = { raddle_task_run_in_thread, raddle_task_run_in_loop };
  static const char *const works[] = { "lambda *_: fail(Error('busy', IO, 26))", "fails" };
  g_autoptr (GError) error = NULL;
  if (!begin (with_gi))
    return;
  run ("async def fails():\n"
       "    await asyncio.sleep(0.001)\n"
       "    fail(Error('busy', IO, 26))\n"
       "call = lambda: fail(Error('busy', IO, 26))");
  g_assert_false (raddle_call (named ("call"), G_TYPE_BOOLEAN, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_BUSY);
  for (guint i = 0; i < G_N_ELEMENTS (starts); i++)
    {
      GError *propagated = NULL;
      g_autoptr (GTask) task = g_task_new (NULL, NULL, on_task, &propagated);
      g_autofree char *code = g_strdup_printf ("work = %s", works[i]);
      run (code);
      assert_ok (starts[i] (task, named ("work"), G_TYPE_BOOLEAN));
      assert_ok (raddle_unblock_threads ());
      wait_until (has_error, &propagated);
      assert_ok (raddle_block_threads ());
      g_assert_error (propagated, G_IO_ERROR, G_IO_ERROR_BUSY);
      g_assert_cmpstr (propagated->message, ==, "busy");
      g_error_free (propagated);
    }
  end ();
}

/* --- raddle's own class --- */

static void
raddle_s_class_is_an_exception_like_others (void)
{
  assert_ok (raddle_enter ());
  run (DEFINITIONS "one = raddle.GError('too busy', IO, 26)\n"
       "bare = raddle.GError('no domain')\n"
       "copies = [copy.copy(one), pickle.loads(pickle.dumps(one))]\n"
       "class Mine(raddle.GError): pass\n"
       "mine = Mine(code=3, domain='d')");
  g_assert_cmpint (evaluate ("str(one) == 'g-io-error-quark: too busy (26)' and one.args == ('too busy',)"), ==, TRUE);
  g_assert_cmpint (evaluate ("repr(one) == \"GError('too busy', 'g-io-error-quark', 26)\""), ==, TRUE);
  g_assert_cmpint (evaluate ("all(repr(each) == repr(one) and type(each) is raddle.GError for each in copies)"), ==, TRUE);
  g_assert_cmpint (evaluate ("str(bare) == 'no domain' and (bare.domain, bare.code) == (None, 0)"), ==, TRUE);
  g_assert_cmpint (evaluate ("str(mine) == 'd:  (3)' and repr(mine).startswith('Mine(')"), ==, TRUE);
  g_assert_cmpint (evaluate ("raddle.GError.__module__ == 'raddle' and 'GError' in raddle.__all__"), ==, TRUE);
  assert_ok (raddle_leave ());
}

int
main (int    argc,
      char **argv)
{
  static const struct { const char *name; GTestDataFunc func; } both[] = {
    { "raised-in-python", what_glib_reports_is_raised_in_python },
    { "set-for-glib", what_python_raises_is_set_for_glib },
    { "there-and-back", an_error_comes_back_as_it_was },
    { "signal", a_signal_that_returns_an_error_returns_what_was_raised },
    { "worker", work_that_fails_as_glib_does_keeps_its_error },
  };
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/gerror/class", raddle_s_class_is_an_exception_like_others);
  g_test_add_func ("/gerror/without-python", a_thread_without_python_is_refused);
  /* Once PyGObject is imported it stays: those with it come last. */
  for (guint with_gi = 0; with_gi < 2; with_gi++)
    for (guint i = 0; i < G_N_ELEMENTS (both); i++)
      {
        g_autofree char *path = g_strdup_printf ("/gerror/%s/%s", with_gi ? "with-pygobject" : "alone", both[i].name);
        g_test_add_data_func (path, GUINT_TO_POINTER (with_gi), both[i].func);
      }
  return run_with_python ();
}
