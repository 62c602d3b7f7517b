/* options.c: a mistake is answered in one line that says what to write instead. */
#include "options.h"

#include <stdio.h>

#define MOST_WORKERS 256

static bool complain (int *exit_status, const char *format, ...) G_GNUC_PRINTF (2, 3);

static bool
complain (int *exit_status, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  fprintf (stderr, "indexer-window: %s\n", text);
  *exit_status = 2;
  return false;
}

static bool
check (const Options *options, int *exit_status)
{
  const char *const folders[] = { options->plugins, options->path };

  if (options->workers < 1 || options->workers > MOST_WORKERS)
    return complain (exit_status, "--workers takes a number from 1 to %d, not %d", MOST_WORKERS,
                     options->workers);
  if (!(options->patience > 0))
    return complain (exit_status, "--patience takes seconds, more than 0");
  for (guint i = 0; i < G_N_ELEMENTS (folders); i++)
    if (folders[i] && !g_file_test (folders[i], G_FILE_TEST_IS_DIR))
      return complain (exit_status, "%s is not a folder (see --help)", folders[i]);
  return true;
}

bool
options_parse (int *argc, char ***argv, Options *out, int *exit_status)
{
  g_auto (Options) options = { .workers = CLAMP ((gint) g_get_num_processors (), 1, MOST_WORKERS),
                               .patience = 10 };
  g_auto (GStrv) paths = NULL;
  g_autoptr (GError) error = NULL;
  gboolean json = FALSE, quit = FALSE;
  const GOptionEntry entries[] = {
    { "workers", 'w', 0, G_OPTION_ARG_INT, &options.workers,
      "Native threads that read files and enter Python (default: one for each processor)", "N" },
    { "plugins", 'p', 0, G_OPTION_ARG_FILENAME, &options.plugins,
      "Folder with the plugins, plain .py files (default: " WINDOW_PLUGINS ")", "DIR" },
    { "patience", 0, 0, G_OPTION_ARG_DOUBLE, &options.patience,
      "How long a plugin may take for one file, or in the window's thread (default: 10)", "SECONDS" },
    { "quit", 'q', 0, G_OPTION_ARG_NONE, &quit, "Close the window when the work is done", NULL },
    { "json", 'j', 0, G_OPTION_ARG_NONE, &json, "Print one JSON object as the last line", NULL },
    { "picture", 0, 0, G_OPTION_ARG_FILENAME, &options.picture,
      "Write a picture of the window when two thirds of the files are done", "FILE.png" },
    { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &paths, NULL, "[PATH]" },
    G_OPTION_ENTRY_NULL
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);

  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_set_summary (context,
    "Indexes the Python files under PATH (default: the standard library) in a window.");
  if (!g_option_context_parse (context, argc, argv, &error))
    return complain (exit_status, "%s (see --help)", error->message);
  if (paths && paths[0] && paths[1])
    return complain (exit_status, "one PATH only, not also %s (see --help)", paths[1]);

  options.path = paths ? g_strdup (paths[0]) : NULL;
  options.json = json;
  options.quit = quit;
  if (!options.plugins)
    options.plugins = g_strdup (WINDOW_PLUGINS);
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
  g_clear_pointer (&self->picture, g_free);
}
