/* options.c: a mistake is answered in one line that says what to write instead. */
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <raddle/raddle.h>

#define MOST_WORKERS 256

static bool
complain (int *exit_status, const char *format, ...) G_GNUC_PRINTF (2, 3);

static bool
complain (int *exit_status, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  fprintf (stderr, "indexer: %s\n", text);
  *exit_status = 2;
  return false;
}

static bool
check_folder (const char *folder, const char *what, int *exit_status)
{
  g_autofree char *shown = g_filename_display_name (folder);
  GDir *dir;

  if (!g_file_test (folder, G_FILE_TEST_EXISTS))
    return complain (exit_status, "%s does not exist: %s", shown, what);
  if (!g_file_test (folder, G_FILE_TEST_IS_DIR))
    return complain (exit_status, "%s is not a folder: %s", shown, what);
  dir = g_dir_open (folder, 0, NULL);
  if (!dir)
    return complain (exit_status, "%s cannot be listed (%s): %s", shown, g_strerror (errno), what);
  g_dir_close (dir);
  return true;
}

static bool
check (const Options *options, int *exit_status)
{
  if (options->workers < 1 || options->workers > MOST_WORKERS)
    return complain (exit_status, "--workers takes a number from 1 to %d, not %d", MOST_WORKERS,
                     options->workers);
  if (options->path && !check_folder (options->path, "give a folder to index", exit_status))
    return false;
  return check_folder (options->plugins, "give a folder of plugins with --plugins", exit_status);
}

bool
options_parse (int *argc, char ***argv, Options *out, int *exit_status)
{
  g_auto (Options) options = { .workers = CLAMP ((gint) g_get_num_processors (), 1, MOST_WORKERS) };
  g_auto (GStrv) paths = NULL;
  g_autoptr (GError) error = NULL;
  gboolean json = FALSE, compare = FALSE, version = FALSE;
  const GOptionEntry entries[] = {
    { "workers", 'w', 0, G_OPTION_ARG_INT, &options.workers,
      "Native threads that read files and enter Python (default: one for each processor)", "N" },
    { "plugins", 'p', 0, G_OPTION_ARG_FILENAME, &options.plugins,
      "Folder with the plugins, plain .py files (default: " INDEXER_PLUGINS ")", "DIR" },
    { "json", 'j', 0, G_OPTION_ARG_NONE, &json,
      "Print one JSON object as the last line", NULL },
    { "compare", 'c', 0, G_OPTION_ARG_NONE, &compare,
      "Measure how much faster N workers are than one", NULL },
    { "version", 0, 0, G_OPTION_ARG_NONE, &version, "Print the version and end", NULL },
    { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &paths, NULL, "[PATH]" },
    G_OPTION_ENTRY_NULL
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);

  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_set_summary (context,
    "Indexes the Python files under PATH (default: the standard library) with plugins in Python.");
  g_option_context_set_description (context,
    "Exit status: 0 when done, also if files or plugins had errors; 130 after Ctrl-C, with what was\n"
    "done so far; 2 for a mistake in the command line; 1 if the work could not be done.\n");
  if (!g_option_context_parse (context, argc, argv, &error))
    return complain (exit_status, "%s (see --help)", error->message);
  if (version)
    {
      printf ("indexer with raddle %d.%d.%d for Python %s\n", RADDLE_MAJOR_VERSION,
              RADDLE_MINOR_VERSION, RADDLE_MICRO_VERSION, raddle_python_abi ());
      *exit_status = 0;
      return false;
    }
  if (paths && paths[0] && paths[1])
    return complain (exit_status, "one PATH only, not also %s (see --help)", paths[1]);

  options.path = paths ? g_strdup (paths[0]) : NULL;
  options.json = json;
  options.compare = compare;
  if (!options.plugins)
    options.plugins = g_strdup (INDEXER_PLUGINS);
  if (!check (&options, exit_status))
    return false;
  *out = options;
  options = (Options) { 0 };
  return true;
}

void
options_clear (Options *self)
{
  g_clear_pointer (&self->path, g_free);
  g_clear_pointer (&self->plugins, g_free);
}
