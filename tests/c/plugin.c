/* plugin.c: a host that knows nothing of Python opens a plugin (plugin_inside.c) which brings Python along,
 * and keeps its symbols to itself, as plugin loaders do. Python's own extension modules must be importable. */
#include <dlfcn.h>
#include <glib.h>
#include <stdlib.h>

static void
modules_of_python_find_its_symbols (void)
{
  void *plugin = dlopen (g_getenv ("RADDLE_TEST_PLUGIN"), RTLD_NOW | RTLD_LOCAL);
  const char *(*use_python) (void);
  const char *complaint;

  if (plugin == NULL)
    g_error ("%s", dlerror ());
  g_assert_null (dlsym (RTLD_DEFAULT, "Py_IsInitialized"));
  use_python = (const char *(*) (void)) dlsym (plugin, "plugin_use_python");
  g_assert_nonnull (use_python);
  complaint = use_python ();
  g_assert_cmpstr (complaint, ==, NULL);
  g_assert_nonnull (dlsym (RTLD_DEFAULT, "Py_IsInitialized"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/plugin/modules-of-python-find-its-symbols", modules_of_python_find_its_symbols);
  return g_test_run ();
}
