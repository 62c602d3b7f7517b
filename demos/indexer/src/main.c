/* main.c: indexes Python files: native threads read, plugins in Python count, a main loop shows.
 *
 *   main       what is done, in order
 *   host       starts and stops Python               (the raddle calls a host needs)
 *   pass       the main loop around a scan
 *   scan       walker and workers                    (threads that enter Python)
 *   plugins    loads .py files and calls them        (CPython's API inside entries)
 *   content, walk, totals, journal                   (no Python at all)
 *   options, progress, report                        (the command line, stderr, stdout)
 */
#include "python.h"

#include <locale.h>
#include <stdio.h>

#include <gio/gio.h>

#include "host.h"
#include "options.h"
#include "pass.h"
#include "report.h"

#define NATIVE_PASSES 7
#define NATIVE_WITHIN_US (2 * G_USEC_PER_SEC)

enum { DONE = 0, FAILED = 1, MISTAKE = 2, INTERRUPTED = 130 };

typedef struct {
  const Options *options;
  const char    *root;
  Plugins       *plugins;
  Journal       *journal;      /* of the pass that is reported */
  Progress      *progress;
} Work;

static int
tell_failure (const GError *error)
{
  fprintf (stderr, "indexer: %s\n", error->message);
  return g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED) ? INTERRUPTED : FAILED;
}

/* A pass that is run for its time only: what plugins complain of has been told already. */
static bool
measure_once (const Work *work, guint workers, bool whole, double *out_seconds, GError **error)
{
  g_autoptr (Journal) unread = journal_new ();
  g_autoptr (GPtrArray) ignored = complaints_new ();
  g_autofree char *label = g_strdup_printf ("%s, %u worker%s", whole ? "all" : "native part", workers,
                                            workers == 1 ? "" : "s");
  g_auto (PassResult) result = { 0 };
  const PassOptions options = {
    .root = work->root, .workers = workers, .plugins = whole ? work->plugins : NULL,
    .journal = unread, .quiet = true, .progress = work->progress, .label = label,
  };

  if (whole)
    plugins_begin (work->plugins, ignored);
  if (!pass_run (&options, &result, error))
    return false;
  *out_seconds = result.seconds;
  return !result.interrupted;
}

/* The native part is over soon: the best of a few passes, so that what else the machine does is
 * not measured too. */
static bool
measure_native (const Work *work, guint workers, double *out_seconds, GError **error)
{
  gint64 enough = g_get_monotonic_time () + NATIVE_WITHIN_US;

  *out_seconds = G_MAXDOUBLE;
  for (int i = 0; i < NATIVE_PASSES && (i == 0 || g_get_monotonic_time () < enough); i++)
    {
      double seconds;

      if (!measure_once (work, workers, false, &seconds, error))
        return false;
      *out_seconds = MIN (*out_seconds, seconds);
    }
  return true;
}

/* The main pass came first and has warmed the page cache. *error is set only if a pass failed;
 * after Ctrl-C the comparison just stays incomplete. */
static void
compare (const Work *work, const PassResult *main_pass, Comparison *out, GError **error)
{
  guint many = (guint) work->options->workers;

  if (main_pass->interrupted)
    return;
  out->whole_many = main_pass->seconds;
  out->complete = measure_native (work, 1, &out->native_one, error) &&
                  measure_native (work, many, &out->native_many, error) &&
                  measure_once (work, 1, true, &out->whole_one, error);
}

static GPtrArray *
finish_plugins (const Work *work)
{
  GPtrArray *notes = g_ptr_array_new_with_free_func ((GDestroyNotify) plugin_note_free);
  g_autoptr (GPtrArray) complaints = complaints_new ();
  char *line;

  for (guint i = 0; i < plugins_get_size (work->plugins); i++)
    g_ptr_array_add (notes, plugins_finish (work->plugins, i, complaints));
  journal_hand_over (work->journal, complaints);
  while ((line = journal_tell (work->journal)))
    {
      progress_say (work->progress, line);
      g_free (line);
    }
  return notes;
}

static int
index_tree (const Work *work, const HostFacts *facts)
{
  const Options *options = work->options;
  g_autoptr (GPtrArray) complaints = complaints_new ();
  g_autoptr (GPtrArray) notes = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (PassResult) result = { 0 };
  Comparison comparison = { 0 };
  const PassOptions pass = {
    .root = work->root, .workers = (guint) options->workers, .plugins = work->plugins,
    .journal = work->journal, .progress = work->progress, .label = "indexing",
  };
  Report report = {
    .root = work->root, .workers = pass.workers, .python = facts, .result = &result,
    .plugins = work->plugins, .journal = work->journal,
    .comparison = options->compare ? &comparison : NULL,
  };

  plugins_begin (work->plugins, complaints);
  journal_hand_over (work->journal, complaints);
  if (!pass_run (&pass, &result, &error))
    return tell_failure (error);
  report.notes = notes = finish_plugins (work);
  (void) raddle_gate_get_stats (&report.gate);
  if (options->compare)
    compare (work, &result, &comparison, &error);
  if (error)
    return tell_failure (error);

  host_forget_interrupts ();
  report_print (&report);
  if (options->json)
    report_print_json (&report);
  return result.interrupted || (options->compare && !comparison.complete) ? INTERRUPTED : DONE;
}

static int
run (const Options *options)
{
  g_autoptr (GPtrArray) complaints = complaints_new ();
  g_autoptr (Journal) journal = journal_new ();
  g_autoptr (Progress) progress = progress_new ();
  g_autoptr (Plugins) plugins = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (HostFacts) facts = { 0 };
  Work work = { .options = options, .journal = journal, .progress = progress };
  char *line;

  if (!host_ask (&facts, &error))
    return tell_failure (error);
  plugins = plugins_load (options->plugins, complaints, &error);
  journal_hand_over (journal, complaints);
  if (!plugins)
    {
      for (; (line = journal_tell (journal)); g_free (line))
        progress_say (progress, line);
      return tell_failure (error);
    }
  work.root = options->path ? options->path : facts.stdlib;
  work.plugins = plugins;
  return index_tree (&work, &facts);
}

int
main (int argc, char **argv)
{
  g_auto (Options) options = { 0 };
  g_autoptr (GError) error = NULL;
  RaddleRuntime *runtime = NULL;
  int exit_status = MISTAKE;

  setlocale (LC_ALL, "");
  if (!options_parse (&argc, &argv, &options, &exit_status))
    return exit_status;
  if (!host_start (options.plugins, &runtime, &error))
    return tell_failure (error);
  exit_status = run (&options);
  if (!host_stop (runtime) && exit_status == DONE)
    exit_status = FAILED;
  return exit_status;
}
