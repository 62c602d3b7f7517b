/* main.c: the indexer in a GTK window: native workers, plugins in Python, tasklets that weave.
 *
 *   main       what is done, in order
 *   host       starts and stops Python, and offers it the module _window
 *   window     the window, and the one callback in each frame that moves everything
 *   work       the scan, whose threads are the indexer's, and its results
 *   panes      widgets that plugins make with PyGObject
 *   weaver     the thread that tasklets run on
 *   watchdog   ends plugins that do not come back
 *   files, notes, loom, frames, picture        (no Python at all)
 *   options, report                            (the command line, stdout)
 */
#include "window.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>

#include <glib-unix.h>

#include "host.h"

#define STOP_WITHIN_MS 5000

enum { DONE = 0, FAILED = 1, MISTAKE = 2 };

typedef struct {
  const Options *options;
  Loom          *loom;
  Notes         *notes;
  RaddleRuntime *runtime;
  Window        *window;
  int            status;
} Program;

static gboolean
on_signal (gpointer application)
{
  g_application_quit (application);
  return G_SOURCE_CONTINUE;
}

static void
on_activate (GtkApplication *application, gpointer user_data)
{
  Program *self = user_data;
  g_autoptr (GError) error = NULL;

  if (self->window)
    return;
  self->loom = WINDOW_LOOM (g_object_ref_sink (loom_new ()));
  if (!host_start (self->options->plugins, self->notes, self->loom, &self->runtime, &error))
    {
      fprintf (stderr, "indexer-window: %s\n", error->message);
      self->status = FAILED;
      return;
    }
  self->window = window_open (application, self->options, self->loom, self->notes);
}

/* Everything ends in its order: what uses Python, Python, what Python uses. */
static int
wind_up (Program *self)
{
  g_auto (Report) report = { 0 };
  bool ended;

  if (!self->runtime)
    return self->status;
  ended = window_close (self->window, &report);
  /* Short, if somebody is known to stay. */
  if (host_stop (self->runtime, ended ? STOP_WITHIN_MS : 500))
    {
      notes_free (self->notes);
      g_object_unref (self->loom);
    }
  if (self->options->json)
    report_print_json (&report);
  else
    report_print (&report);
  return DONE;
}

int
main (int argc, char **argv)
{
  g_auto (Options) options = { 0 };
  g_autoptr (GtkApplication) application = NULL;
  Program program = { .options = &options };
  int status = MISTAKE;

  setlocale (LC_ALL, "");
  if (!options_parse (&argc, &argv, &options, &status))
    return status;
  if (!gtk_init_check ())
    {
      fprintf (stderr, "indexer-window: there is no display to open a window on\n");
      return FAILED;
    }
  program.notes = notes_new ();
  /* Not unique: several may run, and a session bus is not needed. */
  application = gtk_application_new ("org.raddle.Indexer", G_APPLICATION_NON_UNIQUE);
  g_signal_connect (application, "activate", G_CALLBACK (on_activate), &program);
  g_unix_signal_add (SIGINT, on_signal, application);
  g_unix_signal_add (SIGTERM, on_signal, application);
  (void) g_application_run (G_APPLICATION (application), 0, NULL);
  return wind_up (&program);
}
