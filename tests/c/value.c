/* value.c: GValues to Python and back: every type both ways, with bounds, and what is refused. */
#include "support.h"

#include <gio/gio.h>
#include <raddle/raddle-glib.h>
#include <string.h>

/* What Python gets for a value that GLib's own constructor made; @value is unset. */
static void
give_value (GValue *value)
{
  PyObject *object = NULL;
  assert_ok (raddle_value_to_python (value, &object));
  give ("got", object);
  g_value_unset (value);
}

static void
expect (const char *expression)
{
  if (evaluate (expression) != 1)
    {
      run ("print('got', repr(got))");
      g_error ("not so: %s", expression);
    }
}

/* Puts what @expression makes into a value of type @type. */
static void
take (GValue     *value,
      GType       type,
      const char *expression)
{
  g_autofree char *code = g_strdup_printf ("given = %s", expression);
  run (code);
  memset (value, 0, sizeof *value);
  g_value_init (value, type);
  assert_ok (raddle_value_from_python (value, named ("given")));
}

/* Has @expression refused for a value of type @type, which must keep its content. */
static void
refuse (GType       type,
        const char *expression,
        const char *exception,
        const char *part)
{
  g_autofree char *code = g_strdup_printf ("given = %s", expression);
  run (code);
  GValue value = G_VALUE_INIT;
  g_value_init (&value, type);
  gpointer before = g_value_fits_pointer (&value) ? g_value_peek_pointer (&value) : NULL;
  assert_status (raddle_value_from_python (&value, named ("given")), RADDLE_STATUS_PYTHON);
  assert_message_has (exception);
  assert_message_has (part);
  g_assert_nonnull (PyErr_Occurred ());
  PyErr_Clear ();
  g_assert_true (!g_value_fits_pointer (&value) || g_value_peek_pointer (&value) == before);
  g_value_unset (&value);
}

/* One integer type: its bounds come through both ways, one beyond is refused. */
#define INTEGER(type, name, get, set, least, most)                                              \
  do {                                                                                          \
    GValue value = G_VALUE_INIT;                                                                \
    g_value_init (&value, type);                                                                \
    set (&value, (least));                                                                      \
    give_value (&value);                                                                        \
    g_autofree char *low = g_strdup_printf ("%" G_GINT64_FORMAT, (gint64) (least));             \
    g_autofree char *high = g_strdup_printf ("%" G_GUINT64_FORMAT, (guint64) (most));           \
    g_autofree char *is_low = g_strdup_printf ("type(got) is int and got == %s", low);          \
    expect (is_low);                                                                            \
    g_value_init (&value, type);                                                                \
    set (&value, (most));                                                                       \
    give_value (&value);                                                                        \
    g_autofree char *is_high = g_strdup_printf ("type(got) is int and got == %s", high);        \
    expect (is_high);                                                                           \
    take (&value, type, low);                                                                   \
    g_assert_true (get (&value) == (least));                                                    \
    g_value_unset (&value);                                                                     \
    take (&value, type, high);                                                                  \
    g_assert_true (get (&value) == (most));                                                     \
    g_value_unset (&value);                                                                     \
    g_autofree char *below = g_strdup_printf ("%s - 1", low);                                   \
    g_autofree char *above = g_strdup_printf ("%s + 1", high);                                  \
    refuse (type, below, "OverflowError", name);                                                \
    refuse (type, above, "OverflowError", name);                                                \
    refuse (type, "10 ** 30", "OverflowError", name);                                           \
    refuse (type, "-10 ** 30", "OverflowError", name);                                          \
    refuse (type, "1.0", "TypeError", name);                                                    \
    refuse (type, "'1'", "TypeError", name);                                                    \
    refuse (type, "None", "TypeError", name);                                                   \
    take (&value, type, "True");                                                                \
    g_assert_true (get (&value) == 1);                                                          \
    g_value_unset (&value);                                                                     \
  } while (0)

static void
integers_come_through_to_their_bounds_and_no_further (void)
{
  assert_ok (raddle_enter ());
  INTEGER (G_TYPE_CHAR, "gchar", g_value_get_schar, g_value_set_schar, G_MININT8, G_MAXINT8);
  INTEGER (G_TYPE_UCHAR, "guchar", g_value_get_uchar, g_value_set_uchar, 0, G_MAXUINT8);
  INTEGER (G_TYPE_INT, "gint", g_value_get_int, g_value_set_int, G_MININT, G_MAXINT);
  INTEGER (G_TYPE_UINT, "guint", g_value_get_uint, g_value_set_uint, 0, G_MAXUINT);
  INTEGER (G_TYPE_LONG, "glong", g_value_get_long, g_value_set_long, G_MINLONG, G_MAXLONG);
  INTEGER (G_TYPE_ULONG, "gulong", g_value_get_ulong, g_value_set_ulong, 0, G_MAXULONG);
  INTEGER (G_TYPE_INT64, "gint64", g_value_get_int64, g_value_set_int64, G_MININT64, G_MAXINT64);
  INTEGER (G_TYPE_UINT64, "guint64", g_value_get_uint64, g_value_set_uint64, 0, G_MAXUINT64);
  assert_ok (raddle_leave ());
}

static void
truth_and_floats_come_through (void)
{
  GValue value = G_VALUE_INIT;
  assert_ok (raddle_enter ());
  for (int truth = 0; truth <= 1; truth++)
    {
      g_value_init (&value, G_TYPE_BOOLEAN);
      g_value_set_boolean (&value, truth);
      give_value (&value);
      expect (truth ? "got is True" : "got is False");
      take (&value, G_TYPE_BOOLEAN, truth ? "'yes'" : "None");
      g_assert_cmpint (g_value_get_boolean (&value), ==, truth);
      g_value_unset (&value);
    }
  run ("class Torn:\n"
       "    def __bool__(self):\n"
       "        raise KeyError('torn')");
  refuse (G_TYPE_BOOLEAN, "Torn()", "KeyError", "torn");
  g_value_init (&value, G_TYPE_DOUBLE);
  g_value_set_double (&value, -0.125);
  give_value (&value);
  expect ("type(got) is float and got == -0.125");
  g_value_init (&value, G_TYPE_FLOAT);
  g_value_set_float (&value, 1.5f);
  give_value (&value);
  expect ("got == 1.5");
  take (&value, G_TYPE_DOUBLE, "1.7976931348623157e308");
  g_assert_true (g_value_get_double (&value) == G_MAXDOUBLE);
  g_value_unset (&value);
  take (&value, G_TYPE_FLOAT, "7");
  g_assert_true (g_value_get_float (&value) == 7.0f);
  g_value_unset (&value);
  take (&value, G_TYPE_FLOAT, "float('-inf')");
  g_assert_true (g_value_get_float (&value) < -G_MAXFLOAT);
  g_value_unset (&value);
  refuse (G_TYPE_FLOAT, "1e39", "OverflowError", "gfloat");
  refuse (G_TYPE_DOUBLE, "10 ** 400", "OverflowError", "float");
  refuse (G_TYPE_DOUBLE, "'1.0'", "TypeError", "str");
  assert_ok (raddle_leave ());
}

static void
text_comes_through_utf_8_or_not (void)
{
  GValue value = G_VALUE_INIT;
  assert_ok (raddle_enter ());
  g_value_init (&value, G_TYPE_STRING);
  g_value_set_string (&value, "gr\xc3\xbc\xc3\x9f\xff");
  give_value (&value);
  expect ("got == 'grüß\\udcff'");
  take (&value, G_TYPE_STRING, "got");
  g_assert_cmpstr (g_value_get_string (&value), ==, "gr\xc3\xbc\xc3\x9f\xff");
  g_value_unset (&value);
  g_value_init (&value, G_TYPE_STRING);
  give_value (&value);
  expect ("got is None");
  take (&value, G_TYPE_STRING, "None");
  g_assert_null (g_value_get_string (&value));
  g_value_unset (&value);
  take (&value, G_TYPE_STRING, "''");
  g_assert_cmpstr (g_value_get_string (&value), ==, "");
  g_value_unset (&value);
  refuse (G_TYPE_STRING, "'a\\0b'", "ValueError", "NUL");
  refuse (G_TYPE_STRING, "b'a'", "TypeError", "bytes");
  refuse (G_TYPE_STRING, "'\\ud800'", "UnicodeEncodeError", "surrogates");
  const char *const texts[] = { "one", "", "zw\xc3\xb6lf", NULL };
  g_value_init (&value, G_TYPE_STRV);
  g_value_set_boxed (&value, texts);
  give_value (&value);
  expect ("got == ['one', '', 'zwölf']");
  take (&value, G_TYPE_STRV, "('a', 'b')");
  g_assert_cmpuint (g_strv_length (g_value_get_boxed (&value)), ==, 2);
  g_assert_cmpstr (((char **) g_value_get_boxed (&value))[1], ==, "b");
  g_value_unset (&value);
  take (&value, G_TYPE_STRV, "[]");
  g_assert_cmpuint (g_strv_length (g_value_get_boxed (&value)), ==, 0);
  g_value_unset (&value);
  refuse (G_TYPE_STRV, "'ab'", "TypeError", "GStrv");
  refuse (G_TYPE_STRV, "['a', 1]", "TypeError", "int");
  refuse (G_TYPE_STRV, "7", "TypeError", "GStrv");
  assert_ok (raddle_leave ());
}

static void
pointers_and_gtypes_come_through (void)
{
  GValue value = G_VALUE_INIT;
  assert_ok (raddle_enter ());
  g_value_init (&value, G_TYPE_POINTER);
  g_value_set_pointer (&value, &value);
  give_value (&value);
  give_address ("there", &value);
  expect ("got == there");
  take (&value, G_TYPE_POINTER, "there");
  g_assert_true (g_value_get_pointer (&value) == &value);
  g_value_unset (&value);
  take (&value, G_TYPE_POINTER, "None");
  g_assert_null (g_value_get_pointer (&value));
  give_value (&value);
  expect ("got is None");
  refuse (G_TYPE_POINTER, "-1", "OverflowError", "gpointer");
  refuse (G_TYPE_POINTER, "'x'", "TypeError", "gpointer");
  g_value_init (&value, G_TYPE_GTYPE);
  g_value_set_gtype (&value, G_TYPE_STRV);
  give_value (&value);
  expect ("got == 'GStrv'");
  take (&value, G_TYPE_GTYPE, "'GObject'");
  g_assert_cmpuint (g_value_get_gtype (&value), ==, G_TYPE_OBJECT);
  g_value_unset (&value);
  refuse (G_TYPE_GTYPE, "'NoSuchType'", "ValueError", "NoSuchType");
  refuse (G_TYPE_GTYPE, "20", "TypeError", "GType");
  assert_ok (raddle_leave ());
}

static void
enums_and_flags_have_names (void)
{
  GValue value = G_VALUE_INIT;
  assert_ok (raddle_enter ());
  g_value_init (&value, G_TYPE_BUS_TYPE);
  g_value_set_enum (&value, G_BUS_TYPE_SESSION);
  give_value (&value);
  expect ("got == 2 and got.name == 'SESSION' and type(got).__name__ == 'GBusType'");
  run ("first = type(got)");
  g_value_init (&value, G_TYPE_BUS_TYPE);
  g_value_set_enum (&value, 4711);
  give_value (&value);
  expect ("got == 4711 and type(got) is int");
  const char *ways[] = { "2", "'session'", "'G_BUS_TYPE_SESSION'", "first.SESSION" };
  for (guint i = 0; i < G_N_ELEMENTS (ways); i++)
    {
      take (&value, G_TYPE_BUS_TYPE, ways[i]);
      g_assert_cmpint (g_value_get_enum (&value), ==, G_BUS_TYPE_SESSION);
      give_value (&value);
      expect ("type(got) is first");
    }
  refuse (G_TYPE_BUS_TYPE, "4711", "ValueError", "GBusType");
  refuse (G_TYPE_BUS_TYPE, "2 ** 40", "OverflowError", "GBusType");
  refuse (G_TYPE_BUS_TYPE, "'sessions'", "ValueError", "sessions");
  refuse (G_TYPE_BUS_TYPE, "None", "TypeError", "GBusType");
  g_value_init (&value, G_TYPE_APPLICATION_FLAGS);
  g_value_set_flags (&value, G_APPLICATION_IS_SERVICE | G_APPLICATION_HANDLES_OPEN);
  give_value (&value);
  expect ("got == 5 and type(got).HANDLES_OPEN in got and type(got).IS_LAUNCHER not in got");
  take (&value, G_TYPE_APPLICATION_FLAGS, "'is-service | handles-open'");
  g_assert_cmpuint (g_value_get_flags (&value), ==, 5);
  g_value_unset (&value);
  take (&value, G_TYPE_APPLICATION_FLAGS, "got");
  g_assert_cmpuint (g_value_get_flags (&value), ==, 5);
  g_value_unset (&value);
  take (&value, G_TYPE_APPLICATION_FLAGS, "''");
  g_assert_cmpuint (g_value_get_flags (&value), ==, 0);
  g_value_unset (&value);
  refuse (G_TYPE_APPLICATION_FLAGS, "1 << 30", "ValueError", "GApplicationFlags");
  refuse (G_TYPE_APPLICATION_FLAGS, "-1", "OverflowError", "GApplicationFlags");
  refuse (G_TYPE_APPLICATION_FLAGS, "'is-service|x'", "ValueError", "'x'");
  assert_ok (raddle_leave ());
}

static void
bytes_and_errors_come_through (void)
{
  GValue value = G_VALUE_INIT;
  assert_ok (raddle_enter ());
  g_value_init (&value, G_TYPE_BYTES);
  g_value_take_boxed (&value, g_bytes_new ("a\0b", 3));
  give_value (&value);
  expect ("got == b'a\\0b'");
  take (&value, G_TYPE_BYTES, "memoryview(b'xyz')[1:]");
  g_assert_cmpmem (g_bytes_get_data (g_value_get_boxed (&value), NULL), 2, "yz", 2);
  g_value_unset (&value);
  take (&value, G_TYPE_BYTES, "None");
  g_assert_null (g_value_get_boxed (&value));
  give_value (&value);
  expect ("got is None");
  refuse (G_TYPE_BYTES, "'text'", "TypeError", "GBytes");
  g_value_init (&value, G_TYPE_ERROR);
  g_value_take_boxed (&value, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_BUSY, "too busy"));
  give_value (&value);
  expect ("isinstance(got, RuntimeError) and type(got).__module__ == 'raddle'");
  expect ("(got.domain, got.code, got.message) == ('g-io-error-quark', 26, 'too busy')");
  take (&value, G_TYPE_ERROR, "got");
  g_assert_error ((GError *) g_value_get_boxed (&value), G_IO_ERROR, G_IO_ERROR_BUSY);
  g_value_unset (&value);
  refuse (G_TYPE_ERROR, "ValueError('x')", "TypeError", "GError");
  assert_ok (raddle_leave ());
}

static void
variants_come_as_plain_values (void)
{
  static const struct { const char *text, *python; } cases[] = {
    { "true", "got is True" },
    { "byte 255", "got == 255" },
    { "int16 -32768", "got == -32768" },
    { "uint16 65535", "got == 65535" },
    { "-2147483648", "got == -2147483648" },
    { "uint32 4294967295", "got == 4294967295" },
    { "int64 -9223372036854775808", "got == -9223372036854775808" },
    { "uint64 18446744073709551615", "got == 18446744073709551615" },
    { "handle 3", "got == 3" },
    { "0.5", "got == 0.5" },
    { "'text'", "got == 'text'" },
    { "objectpath '/a'", "got == '/a'" },
    { "signature 'ai'", "got == 'ai'" },
    { "b'bytes'", "got == b'bytes\\0'" },
    { "@ay []", "got == b''" },
    { "[1, 2]", "got == [1, 2]" },
    { "(1, 'a', <2>)", "got == (1, 'a', 2)" },
    { "()", "got == ()" },
    { "{'a': <1>, 'b': <[true]>}", "got == {'a': 1, 'b': [True]}" },
    { "{1: 'x'}", "got == {1: 'x'}" },
    { "@mi 3", "got == 3" },
    { "@mi nothing", "got is None" },
    { "<<1>>", "got == 1" },
  };
  static const struct { const char *python, *text; } back[] = {
    { "True", "true" },
    { "7", "int64 7" },
    { "2 ** 63", "uint64 9223372036854775808" },
    { "0.25", "0.25" },
    { "'ü'", "'ü'" },
    { "b'ab'", "[byte 0x61, 0x62]" },
    { "[1, 'a']", "[<int64 1>, <'a'>]" },
    { "(1, ('a',))", "(int64 1, ('a',))" },
    { "{'k': [2.0]}", "{'k': <[<2.0>]>}" },
  };
  assert_ok (raddle_enter ());
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      GValue value = G_VALUE_INIT;
      g_value_init (&value, G_TYPE_VARIANT);
      g_value_take_variant (&value, g_variant_ref_sink (g_variant_new_parsed (cases[i].text)));
      give_value (&value);
      expect (cases[i].python);
    }
  for (guint i = 0; i < G_N_ELEMENTS (back); i++)
    {
      GValue value;
      take (&value, G_TYPE_VARIANT, back[i].python);
      g_autofree char *text = g_variant_print (g_value_get_variant (&value), TRUE);
      g_assert_cmpstr (text, ==, back[i].text);
      g_assert_false (g_variant_is_floating (g_value_get_variant (&value)));
      g_value_unset (&value);
    }
  refuse (G_TYPE_VARIANT, "object()", "TypeError", "GVariant");
  refuse (G_TYPE_VARIANT, "{1: 2}", "TypeError", "str");
  refuse (G_TYPE_VARIANT, "[1, {2}]", "TypeError", "set");
  refuse (G_TYPE_VARIANT, "2 ** 64", "OverflowError", "guint64");
  refuse (G_TYPE_VARIANT, "'a\\0'", "ValueError", "NUL");
  refuse (G_TYPE_VARIANT, "'\\udcff'", "ValueError", "UTF-8");
  run ("deep = []\n"
       "for _ in range(100): deep = [deep]");
  refuse (G_TYPE_VARIANT, "deep", "ValueError", "deep");
  assert_ok (raddle_leave ());
}

static void
what_has_no_plain_form_comes_as_a_copy (void)
{
  GValue value = G_VALUE_INIT;
  GDateTime *moment = g_date_time_new_utc (2026, 1, 2, 3, 4, 5);
  assert_ok (raddle_enter ());
  g_value_init (&value, G_TYPE_DATE_TIME);
  g_value_set_boxed (&value, moment);
  give_value (&value);
  expect ("type(got).__name__ == 'GValue' and got.type_name == 'GDateTime' and got.address != 0");
  expect ("'GDateTime' in repr(got)");
  take (&value, G_TYPE_DATE_TIME, "got");
  g_assert_true (g_date_time_equal (g_value_get_boxed (&value), moment));
  g_value_unset (&value);
  take (&value, G_TYPE_DATE_TIME, "None");
  g_assert_null (g_value_get_boxed (&value));
  g_value_unset (&value);
  refuse (G_TYPE_DATE_TIME, "'2026'", "TypeError", "GDateTime");
  refuse (G_TYPE_BYTES, "got", "TypeError", "GDateTime");
  run ("try:\n"
       "    type(got)()\n"
       "    made = True\n"
       "except TypeError:\n"
       "    made = False");
  expect ("not made");
  GParamSpec *spec = g_param_spec_int ("some-name", NULL, NULL, 0, 9, 0, G_PARAM_READWRITE);
  g_param_spec_ref_sink (spec);
  g_value_init (&value, G_TYPE_PARAM);
  g_value_set_param (&value, spec);
  give_value (&value);
  expect ("got.name == 'some-name' and got.type_name == 'GParam'");
  take (&value, G_TYPE_PARAM, "got");
  g_assert_true (g_value_get_param (&value) == spec);
  g_value_unset (&value);
  run ("del got, given");
  g_assert_cmpint (spec->ref_count, ==, 1);
  g_param_spec_unref (spec);
  g_date_time_unref (moment);
  assert_ok (raddle_leave ());
}

static void
any_object_of_python_fits_its_own_type (void)
{
  GValue value = G_VALUE_INIT, copy = G_VALUE_INIT;
  assert_ok (raddle_enter ());
  run ("import sys\n"
       "thing = object()\n"
       "before = sys.getrefcount(thing)");
  take (&value, RADDLE_TYPE_OBJECT, "thing");
  run ("del given");
  g_value_init (&copy, RADDLE_TYPE_OBJECT);
  g_value_copy (&value, &copy);
  expect ("sys.getrefcount(thing) == before + 2");
  g_value_unset (&value);
  give_value (&copy);
  expect ("got is thing");
  run ("del got");
  expect ("sys.getrefcount(thing) == before");
  g_value_init (&copy, RADDLE_TYPE_OBJECT);
  give_value (&copy);
  expect ("got is None");
  assert_ok (raddle_leave ());
}

static void
a_value_in_a_value_has_the_type_that_fits (void)
{
  static const struct { const char *python; GType type; } cases[] = {
    { "True", G_TYPE_BOOLEAN }, { "-5", G_TYPE_INT }, { "2 ** 40", G_TYPE_INT64 },
    { "2 ** 63", G_TYPE_UINT64 }, { "1.5", G_TYPE_DOUBLE }, { "'a'", G_TYPE_STRING },
  };
  GValue value = G_VALUE_INIT;
  assert_ok (raddle_enter ());
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      take (&value, G_TYPE_VALUE, cases[i].python);
      g_assert_cmpstr (G_VALUE_TYPE_NAME (g_value_get_boxed (&value)), ==, g_type_name (cases[i].type));
      give_value (&value);
      expect ("got == given and type(got) is type(given)");
    }
  take (&value, G_TYPE_VALUE, "{1, 2}");
  g_assert_true (G_VALUE_HOLDS ((GValue *) g_value_get_boxed (&value), RADDLE_TYPE_OBJECT));
  give_value (&value);
  expect ("got is given");
  refuse (G_TYPE_VALUE, "2 ** 64", "OverflowError", "guint64");
  refuse (G_TYPE_VALUE, "-2 ** 64", "OverflowError", "gint64");
  assert_ok (raddle_leave ());
}

static void
objects_come_as_handles_that_own_one_reference (void)
{
  GValue value = G_VALUE_INIT;
  GObject *object = g_object_new (G_TYPE_SIMPLE_ACTION, "name", "act", NULL);
  gpointer gone = object;
  g_object_add_weak_pointer (object, &gone);
  assert_ok (raddle_enter ());
  for (int as_interface = 0; as_interface <= 1; as_interface++)
    {
      GType type = as_interface ? G_TYPE_ACTION : G_TYPE_OBJECT;
      g_value_init (&value, type);
      g_value_set_object (&value, object);
      give_value (&value);
      g_assert_cmpuint (object->ref_count, ==, 2);
      expect ("got.type_name == 'GSimpleAction' and got.ref_count == 2 and 'GSimpleAction' in repr(got)");
      take (&value, type, "got");
      g_assert_true (g_value_get_object (&value) == object);
      g_value_unset (&value);
      run ("del given");
    }
  g_value_init (&value, G_TYPE_OBJECT);
  g_value_set_object (&value, object);
  run ("import weakref\n"
       "first = got\n"
       "noted = weakref.ref(first)");
  give_value (&value);
  expect ("got is not first and got == first and not got != first and hash(got) == hash(first)");
  expect ("got != 7 and {first: 1}[got] == 1 and got.address == first.address and noted() is first");
  g_assert_cmpuint (object->ref_count, ==, 3);
  expect ("got.get_property('name') == 'act' and got.get_property('enabled') is True");
  run ("got.set_property('enabled', False)");
  g_assert_false (g_action_get_enabled (G_ACTION (object)));
  refuse (G_TYPE_APPLICATION, "got", "TypeError", "GSimpleAction");
  refuse (G_TYPE_OBJECT, "7", "TypeError", "GObject");
  run ("errors = []\n"
       "for call in (lambda: got.set_property('enabled', None and 1, 2), lambda: got.get_property('x'),\n"
       "             lambda: got.set_property('x', 1), lambda: got.set_property('name', 'new'),\n"
       "             lambda: got.get_property(7), lambda: got < first, lambda: got.emit('activate'),\n"
       "             lambda: got.emit('nothing'), lambda: got.connect('nothing', print),\n"
       "             lambda: got.connect('activate', 7), lambda: got.disconnect(99)):\n"
       "    try:\n"
       "        call()\n"
       "    except Exception as error:\n"
       "        errors.append(type(error).__name__)");
  expect ("errors == ['TypeError', 'ValueError', 'ValueError', 'ValueError', 'TypeError', 'TypeError', 'TypeError',"
          " 'ValueError', 'ValueError', 'TypeError', 'ValueError'] or print(errors)");
  run ("del first");
  expect ("noted() is None");
  g_assert_cmpuint (object->ref_count, ==, 2);
  g_object_unref (object);
  g_assert_nonnull (gone);
  run ("del got");
  g_assert_null (gone);
  take (&value, G_TYPE_OBJECT, "None");
  g_assert_null (g_value_get_object (&value));
  give_value (&value);
  expect ("got is None");
  assert_ok (raddle_leave ());
}

static void
python_makes_objects_with_properties (void)
{
  assert_ok (raddle_enter ());
  g_type_ensure (G_TYPE_SIMPLE_ACTION);
  run ("import raddle\n"
       "from raddle import GObject\n"
       "action = GObject('GSimpleAction', name='made', enabled=False)\n"
       "wrong = []\n"
       "for arguments, keywords in ((('NoType',), {}), (('gint',), {}), (('GApplication', 1), {}), ((), {}),\n"
       "                            (('GSimpleAction',), {'nothing': 1}), (('GSimpleAction',), {'enabled': 'x', 'name': 7})):\n"
       "    try:\n"
       "        GObject(*arguments, **keywords)\n"
       "    except Exception as error:\n"
       "        wrong.append(type(error).__name__)");
  expect ("action.ref_count == 1 and action.get_property('name') == 'made' and not action.get_property('enabled')");
  expect ("wrong == ['ValueError', 'ValueError', 'TypeError', 'TypeError', 'ValueError', 'TypeError'] or print(wrong)");
  run ("del action");
  assert_ok (raddle_leave ());
}

static void
mistakes_are_answered_with_a_status (void)
{
  GValue value = G_VALUE_INIT, empty = G_VALUE_INIT;
  PyObject *object = NULL;
  g_value_init (&value, G_TYPE_INT);
  assert_status (raddle_value_to_python (&value, &object), RADDLE_STATUS_WRONG_ORDER);
  assert_ok (raddle_enter ());
  assert_status (raddle_value_to_python (NULL, &object), RADDLE_STATUS_NULL);
  assert_status (raddle_value_to_python (&value, NULL), RADDLE_STATUS_NULL);
  assert_status (raddle_value_to_python (&empty, &object), RADDLE_STATUS_INVALID);
  assert_status (raddle_value_from_python (NULL, Py_None), RADDLE_STATUS_NULL);
  assert_status (raddle_value_from_python (&value, NULL), RADDLE_STATUS_NULL);
  assert_status (raddle_value_from_python (&empty, Py_None), RADDLE_STATUS_INVALID);
  g_assert_null (object);
  assert_ok (raddle_leave ());
  assert_status (raddle_value_from_python (&value, Py_None), RADDLE_STATUS_WRONG_ORDER);
  g_value_unset (&value);
}

/* The last one: from its import on PyGObject is in the process. */
static void
with_pygobject_its_wrappers_come (void)
{
  if (!have_gi ())
    return;
  GValue value = G_VALUE_INIT;
  GObject *object = g_object_new (G_TYPE_SIMPLE_ACTION, "name", "act", NULL);
  assert_ok (raddle_enter ());
  run ("from gi.repository import Gio, GLib, GObject as GO");
  g_value_init (&value, G_TYPE_OBJECT);
  g_value_set_object (&value, object);
  give_value (&value);
  expect ("isinstance(got, Gio.SimpleAction) and got.props.name == 'act'");
  take (&value, G_TYPE_ACTION, "got");
  g_assert_true (g_value_get_object (&value) == object);
  g_value_unset (&value);
  refuse (G_TYPE_APPLICATION, "got", "TypeError", "GSimpleAction");
  run ("del got, given");
  g_assert_cmpuint (object->ref_count, ==, 1);
  g_value_init (&value, G_TYPE_VARIANT);
  g_value_take_variant (&value, g_variant_ref_sink (g_variant_new_int32 (5)));
  give_value (&value);
  expect ("isinstance(got, GLib.Variant) and got.unpack() == 5");
  take (&value, G_TYPE_VARIANT, "GLib.Variant('(si)', ('a', 1))");
  g_assert_cmpstr (g_variant_get_type_string (g_value_get_variant (&value)), ==, "(si)");
  g_value_unset (&value);
  take (&value, G_TYPE_VARIANT, "5");
  g_assert_cmpstr (g_variant_get_type_string (g_value_get_variant (&value)), ==, "x");
  g_value_unset (&value);
  g_value_init (&value, G_TYPE_BUS_TYPE);
  g_value_set_enum (&value, G_BUS_TYPE_SESSION);
  give_value (&value);
  expect ("got == Gio.BusType.SESSION");
  take (&value, G_TYPE_BUS_TYPE, "Gio.BusType.SESSION");
  g_assert_cmpint (g_value_get_enum (&value), ==, G_BUS_TYPE_SESSION);
  g_value_unset (&value);
  take (&value, G_TYPE_BYTES, "GLib.Bytes.new(b'xy')");
  g_assert_cmpuint (g_bytes_get_size (g_value_get_boxed (&value)), ==, 2);
  give_value (&value);
  expect ("isinstance(got, GLib.Bytes) and got.get_data() == b'xy'");
  take (&value, G_TYPE_ERROR, "GLib.Error('msg', 'g-io-error-quark', 3)");
  g_assert_error ((GError *) g_value_get_boxed (&value), G_IO_ERROR, 3);
  give_value (&value);
  expect ("isinstance(got, GLib.Error) and got.code == 3");
  take (&value, G_TYPE_GTYPE, "Gio.SimpleAction.__gtype__");
  g_assert_cmpuint (g_value_get_gtype (&value), ==, G_TYPE_SIMPLE_ACTION);
  give_value (&value);
  expect ("got.name == 'GSimpleAction'");
  take (&value, G_TYPE_DATE_TIME, "GLib.DateTime.new_now_utc()");
  give_value (&value);
  expect ("isinstance(got, GLib.DateTime)");
  g_value_init (&value, G_TYPE_STRV);
  const char *const texts[] = { "a", NULL };
  g_value_set_boxed (&value, texts);
  give_value (&value);
  expect ("got == ['a']");
  take (&value, G_TYPE_PARAM, "Gio.SimpleAction.find_property('name') if hasattr(Gio.SimpleAction, 'find_property') else None");
  give_value (&value);
  expect ("got is None or got.name == 'name'");
  assert_ok (raddle_leave ());
  g_object_unref (object);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/value/integers-come-through-to-their-bounds-and-no-further",
                   integers_come_through_to_their_bounds_and_no_further);
  g_test_add_func ("/value/truth-and-floats-come-through",
                   truth_and_floats_come_through);
  g_test_add_func ("/value/text-comes-through-utf-8-or-not",
                   text_comes_through_utf_8_or_not);
  g_test_add_func ("/value/pointers-and-gtypes-come-through",
                   pointers_and_gtypes_come_through);
  g_test_add_func ("/value/enums-and-flags-have-names",
                   enums_and_flags_have_names);
  g_test_add_func ("/value/bytes-and-errors-come-through",
                   bytes_and_errors_come_through);
  g_test_add_func ("/value/variants-come-as-plain-values",
                   variants_come_as_plain_values);
  g_test_add_func ("/value/what-has-no-plain-form-comes-as-a-copy",
                   what_has_no_plain_form_comes_as_a_copy);
  g_test_add_func ("/value/any-object-of-python-fits-its-own-type",
                   any_object_of_python_fits_its_own_type);
  g_test_add_func ("/value/a-value-in-a-value-has-the-type-that-fits",
                   a_value_in_a_value_has_the_type_that_fits);
  g_test_add_func ("/value/objects-come-as-handles-that-own-one-reference",
                   objects_come_as_handles_that_own_one_reference);
  g_test_add_func ("/value/python-makes-objects-with-properties",
                   python_makes_objects_with_properties);
  g_test_add_func ("/value/mistakes-are-answered-with-a-status",
                   mistakes_are_answered_with_a_status);
  g_test_add_func ("/value/with-pygobject-its-wrappers-come",
                   with_pygobject_its_wrappers_come);
  return run_with_python ();
}
