/* plugins.c: loading Python modules by path and calling them, from whichever thread. */
#include "python.h"

#include "plugins.h"

#include <gio/gio.h>
#include <raddle/raddle.h>

#include "journal.h"

typedef struct {
  const char *name;      /* interned */
  PyObject   *module;    /* NULL if the plugin could not be loaded, as is index */
  PyObject   *index;
  PyObject   *begin;     /* NULL if it has none */
  PyObject   *finish;
} Plugin;

struct _Plugins {
  GArray *list;          /* of Plugin; fixed once loaded, so all threads may read it */
};

static void
plugin_clear (gpointer data)
{
  Plugin *plugin = data;

  /* These never wait and may be called anywhere: whoever enters next drops the objects. */
  raddle_decref (plugin->module);
  raddle_decref (plugin->index);
  raddle_decref (plugin->begin);
  raddle_decref (plugin->finish);
}

static void
complain_of_exception (GPtrArray *complaints, const Plugin *plugin, const char *during)
{
  int line;
  g_autofree char *what = python_take_exception (&line);

  if (line)
    complaints_add (complaints, plugin->name, "%s (line %d) %s", what, line, during);
  else
    complaints_add (complaints, plugin->name, "%s %s", what, during);
}

/* The steps of importlib's recipe for a source file, since a plugin may be called like a module
 * of the standard library. Returns a module, or NULL with an exception set. */
static PyObject *
import_file (const char *name, const char *path)
{
  g_autofree char *full_name = g_strdup_printf ("indexer_plugin_%s", name);
  g_autoptr (PyObject) util = PyImport_ImportModule ("importlib.util");
  g_autoptr (PyObject) py_path = PyUnicode_DecodeFSDefault (path);
  g_autoptr (PyObject) spec = NULL;
  g_autoptr (PyObject) module = NULL;
  g_autoptr (PyObject) loader = NULL;
  g_autoptr (PyObject) done = NULL;

  if (!util || !py_path)
    return NULL;
  spec = PyObject_CallMethod (util, "spec_from_file_location", "sO", full_name, py_path);
  if (spec)
    module = PyObject_CallMethod (util, "module_from_spec", "O", spec);
  if (module && PyDict_SetItemString (PyImport_GetModuleDict (), full_name, module) == 0)
    loader = PyObject_GetAttrString (spec, "loader");
  if (loader)
    done = PyObject_CallMethod (loader, "exec_module", "O", module);
  return done ? g_steal_pointer (&module) : NULL;
}

/* A hook of the module, or NULL if it has none. */
static PyObject *
find_hook (PyObject *module, const char *name)
{
  PyObject *hook = PyObject_GetAttrString (module, name);

  if (!hook)
    PyErr_Clear ();
  return hook;
}

/* Returns false, with error set, only if Ctrl-C struck. */
static bool
load_one (Plugins *self, const char *folder, const char *file, GPtrArray *complaints,
          GError **error)
{
  g_autofree char *path = g_build_filename (folder, file, NULL);
  g_autofree char *name = g_strndup (file, strlen (file) - strlen (".py"));
  Plugin plugin = { .name = g_intern_string (name) };
  g_autoptr (PyObject) module = import_file (name, path);

  if (!module && PyErr_ExceptionMatches (PyExc_KeyboardInterrupt))
    {
      PyErr_Clear ();
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "interrupted while loading %s", path);
      return false;
    }
  if (!module)
    {
      g_autofree char *advice = g_strdup_printf ("while loading; mend or remove %s", path);

      complain_of_exception (complaints, &plugin, advice);
    }
  else if (!(plugin.index = find_hook (module, "index")))
    {
      complaints_add (complaints, plugin.name,
                      "no function index(path, data): not loaded; add one to %s", path);
    }
  else
    {
      plugin.module = g_steal_pointer (&module);
      plugin.begin = find_hook (plugin.module, "begin");
      plugin.finish = find_hook (plugin.module, "finish");
    }
  g_array_append_val (self->list, plugin);
  return true;
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

static GPtrArray *
list_files (const char *folder, GError **error)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, error);
  GPtrArray *files;
  const char *file;

  if (!dir)
    return NULL;
  files = g_ptr_array_new_with_free_func (g_free);
  while ((file = g_dir_read_name (dir)))
    if (g_str_has_suffix (file, ".py") && *file != '_' && *file != '.')
      g_ptr_array_add (files, g_strdup (file));
  g_ptr_array_sort (files, compare_names);
  return files;
}

Plugins *
plugins_load (const char *folder, GPtrArray *complaints, GError **error)
{
  g_autoptr (GPtrArray) files = list_files (folder, error);
  g_autoptr (Plugins) self = NULL;
  guint usable = 0;

  if (!files)
    return NULL;

  self = g_new (Plugins, 1);
  self->list = g_array_new (FALSE, FALSE, sizeof (Plugin));
  g_array_set_clear_func (self->list, plugin_clear);
  {
    RADDLE_ENTER_SCOPE (scope);

    if (!scope.entered)
      {
        g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CLOSED, raddle_last_error_message ());
        return NULL;
      }
    for (guint i = 0; i < files->len; i++)
      if (!load_one (self, folder, files->pdata[i], complaints, error))
        return NULL;
  }

  for (guint i = 0; i < self->list->len; i++)
    usable += g_array_index (self->list, Plugin, i).index != NULL;
  if (usable == 0)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                   "%s in %s: name a folder with plugins by --plugins",
                   files->len ? "no plugin that can be loaded" : "no plugin (*.py)", folder);
      return NULL;
    }
  return g_steal_pointer (&self);
}

void
plugins_free (Plugins *self)
{
  g_array_unref (self->list);
  g_free (self);
}

guint
plugins_get_size (Plugins *self)
{
  return self->list->len;
}

const char *
plugins_get_name (Plugins *self, guint i)
{
  return g_array_index (self->list, Plugin, i).name;
}

PyObject *
plugins_find (Plugins *self, guint i, const char *attribute)
{
  PyObject *module = g_array_index (self->list, Plugin, i).module;

  return module ? find_hook (module, attribute) : NULL;
}

void
plugins_complain (Plugins *self, guint i, const char *during, GPtrArray *complaints)
{
  complain_of_exception (complaints, &g_array_index (self->list, Plugin, i), during);
}

void
plugins_begin (Plugins *self, GPtrArray *complaints)
{
  RADDLE_ENTER_SCOPE (scope);

  if (!scope.entered)
    return;
  for (guint i = 0; i < self->list->len; i++)
    {
      const Plugin *plugin = &g_array_index (self->list, Plugin, i);
      g_autoptr (PyObject) result = NULL;

      if (!plugin->index || !plugin->begin)
        continue;
      result = PyObject_CallNoArgs (plugin->begin);
      if (!result && PyErr_ExceptionMatches (PyExc_KeyboardInterrupt))
        {
          /* Ctrl-C in the middle of a plugin's code. The main loop gets it again, to end by it. */
          PyErr_Clear ();
          PyErr_SetInterrupt ();
          return;
        }
      if (!result)
        complain_of_exception (complaints, plugin, "in begin()");
    }
}

/* Adds the numbers of a returned dict, all of them or none. */
static bool
add_counts (PyObject *counts, Totals *totals)
{
  PyObject *name, *value;
  Py_ssize_t at = 0;

  if (counts == Py_None)
    return true;
  if (!PyDict_Check (counts))
    {
      PyErr_Format (PyExc_TypeError, "index() returned %s, not a dict or None",
                    Py_TYPE (counts)->tp_name);
      return false;
    }
  while (PyDict_Next (counts, &at, &name, &value))
    if (!PyUnicode_Check (name) || !PyLong_Check (value))
      {
        PyErr_SetString (PyExc_TypeError, "index() returned a dict that is not of str to int");
        return false;
      }
    else if (!PyUnicode_AsUTF8 (name) || (PyLong_AsLongLong (value) == -1 && PyErr_Occurred ()))
      return false;

  at = 0;
  while (PyDict_Next (counts, &at, &name, &value))
    totals_add_count (totals, PyUnicode_AsUTF8 (name), PyLong_AsLongLong (value));
  return true;
}

static void
call_index (const Plugin *plugin, const char *path, PyObject *py_path, PyObject *data,
            Totals *totals, GPtrArray *complaints)
{
  /* Nested: plugins_index is inside already. It costs a few nanoseconds and lets this be called
   * from anywhere. */
  RADDLE_ENTER_SCOPE (scope);
  g_autoptr (PyObject) counts = NULL;

  if (!scope.entered)
    return;
  counts = PyObject_CallFunctionObjArgs (plugin->index, py_path, data, NULL);
  if (!counts || !add_counts (counts, totals))
    {
      g_autofree char *shown = g_filename_display_name (path);
      g_autofree char *during = g_strdup_printf ("on %s", shown);

      complain_of_exception (complaints, plugin, during);
    }
}

void
plugins_index (Plugins *self, const char *path, const Content *content,
               Totals *totals, GPtrArray *complaints)
{
  RADDLE_ENTER_SCOPE (scope);
  g_autoptr (PyObject) py_path = NULL;
  g_autoptr (PyObject) data = NULL;

  if (!scope.entered)
    {
      complaints_add (complaints, NULL, "%s", raddle_last_error_message ());
      return;
    }
  py_path = PyUnicode_DecodeFSDefault (path);
  if (py_path)
    data = PyBytes_FromStringAndSize (content->data, (Py_ssize_t) content->length);
  if (!data)
    {
      g_autofree char *what = python_take_exception (NULL);

      complaints_add (complaints, NULL, "no plugin saw %s: %s", path, what);
      return;
    }
  for (guint i = 0; i < self->list->len; i++)
    {
      const Plugin *plugin = &g_array_index (self->list, Plugin, i);

      if (plugin->index)
        call_index (plugin, path, py_path, data, totals, complaints);
    }
}

/* "key value, key value" for a person. */
static char *
note_text (PyObject *dict)
{
  g_autoptr (GString) text = g_string_new (NULL);
  PyObject *key, *value;
  Py_ssize_t at = 0;

  while (PyDict_Next (dict, &at, &key, &value))
    {
      g_autoptr (PyObject) pair = PyUnicode_FromFormat ("%S %S", key, value);
      const char *utf8 = pair ? PyUnicode_AsUTF8 (pair) : NULL;

      if (!utf8)
        return NULL;
      g_string_append_printf (text, "%s%s", text->len ? ", " : "", utf8);
    }
  return g_string_free (g_steal_pointer (&text), FALSE);
}

static char *
note_json (PyObject *dict)
{
  g_autoptr (PyObject) json = PyImport_ImportModule ("json");
  g_autoptr (PyObject) text = json ? PyObject_CallMethod (json, "dumps", "O", dict) : NULL;

  return text ? g_strdup (PyUnicode_AsUTF8 (text)) : NULL;
}

PluginNote *
plugins_finish (Plugins *self, guint i, GPtrArray *complaints)
{
  const Plugin *plugin = &g_array_index (self->list, Plugin, i);
  g_autoptr (PluginNote) note = NULL;

  if (!plugin->index || !plugin->finish)
    return NULL;
  {
    RADDLE_ENTER_SCOPE (scope);
    g_autoptr (PyObject) dict = NULL;

    if (!scope.entered)
      return NULL;
    dict = PyObject_CallNoArgs (plugin->finish);
    if (dict == Py_None)
      return NULL;
    if (dict && !PyDict_Check (dict))
      PyErr_SetString (PyExc_TypeError, "not a dict or None was returned");
    else if (dict)
      {
        note = g_new0 (PluginNote, 1);
        note->text = note_text (dict);
        note->json = note->text ? note_json (dict) : NULL;
      }
    if (PyErr_Occurred ())
      {
        complain_of_exception (complaints, plugin, "in finish()");
        return NULL;
      }
  }
  return g_steal_pointer (&note);
}

void
plugin_note_free (PluginNote *note)
{
  if (!note)
    return;
  g_free (note->text);
  g_free (note->json);
  g_free (note);
}
