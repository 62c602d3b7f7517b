/* report.c: the table for people. report_json.c has the object for programs. */
#include "report.h"

#include <stdio.h>

static const char *const counted[] = { "words", "functions", "imports", "errors" };

static void
row (const char *name, guint64 value, const char *remark)
{
  printf ("  %-14s %12" G_GUINT64_FORMAT "%s%s\n", name, value, *remark ? "  " : "", remark);
}

static bool
is_counted_always (const char *name)
{
  for (gsize i = 0; i < G_N_ELEMENTS (counted); i++)
    if (g_str_equal (name, counted[i]))
      return true;
  return false;
}

static void
print_counts (const Report *self)
{
  Totals *totals = self->result->totals;
  g_autofree gpointer *names = g_hash_table_get_keys_as_array (totals->counters, NULL);

  row ("files", totals->files, "");
  for (gsize i = 0; i < G_N_ELEMENTS (counted); i++)
    row (counted[i], (guint64) totals_get_count (totals, counted[i]),
         g_str_equal (counted[i], "errors") ? "files that cannot be decoded or parsed" : "");
  for (gsize i = 0; names[i]; i++)
    if (!is_counted_always (names[i]))
      printf ("  %-14s %12" G_GINT64_FORMAT "  counted by a plugin\n", (char *) names[i],
              totals_get_count (totals, names[i]));
  row ("bytes", totals->bytes, "");
  row ("lines", totals->lines, "");
  row ("duplicates", totals_duplicates (totals), "files equal to another, by SHA-256");
  if (totals->unreadable > 0)
    row ("unreadable", totals->unreadable, "files that could not be read; among the errors");
  if (self->result->unlisted > 0)
    row ("unlisted", self->result->unlisted, "folders that could not be listed");
}

static void
print_plugins (const Report *self)
{
  printf ("plugins\n");
  for (guint i = 0; i < plugins_get_size (self->plugins); i++)
    {
      const char *name = plugins_get_name (self->plugins, i);
      const PluginNote *note = self->notes->pdata[i];
      g_autofree char *remark = g_strdup_printf ("raised%s%s", note ? "; " : "",
                                                 note ? note->text : "");

      row (name, journal_count (self->journal, name), remark);
    }
}

static void
print_gate (const RaddleGateStats *gate)
{
  double mean_us = gate->waits ? (double) gate->wait_ns / 1e3 / (double) gate->waits : 0;

  printf ("gate\n");
  row ("entries", gate->entries, "that took Python");
  row ("nested", gate->nested, "that found it held");
  row ("threads", gate->threads, "that entered");
  printf ("  %-14s %12.1f  microseconds for Python\n", "mean wait", mean_us);
}

static void
print_times (const Report *self)
{
  const Totals *totals = self->result->totals;
  double native = (double) totals->native_us / G_USEC_PER_SEC;
  double python = (double) totals->python_us / G_USEC_PER_SEC;
  double waited = (double) self->gate.wait_ns / 1e9;

  printf ("time\n");
  printf ("  %-14s %12.2f  seconds, with %u worker%s\n", "all", self->result->seconds,
          self->workers, self->workers == 1 ? "" : "s");
  printf ("  %-14s %12.2f  seconds of the workers' own, %.0f %% of the time of all\n", "native part",
          native, self->result->seconds > 0 ? 100 * native / self->result->seconds : 0);
  printf ("  %-14s %12.2f  seconds of theirs, %.2f of it waiting to enter\n", "plugins", python,
          waited);
}

static void
print_comparison (const Report *self)
{
  const Comparison *times = self->comparison;
  g_autofree char *many = g_strdup_printf ("%u workers", self->workers);

  if (!times->complete)
    {
      printf ("comparison\n  interrupted\n");
      return;
    }
  printf ("comparison       %12s %12s\n", "1 worker", many);
  printf ("  %-14s %10.3f s %10.3f s  %.2f times as fast\n", "native part", times->native_one,
          times->native_many, times->native_one / times->native_many);
  printf ("  %-14s %10.3f s %10.3f s  %.2f times as fast\n", "with plugins", times->whole_one,
          times->whole_many, times->whole_one / times->whole_many);
}

void
report_print (const Report *self)
{
  g_autofree char *shown = g_filename_display_name (self->root);

  printf ("%s, Python %s%s\n", shown, self->python->version,
          self->result->interrupted ? ": interrupted, so this is only what was done so far" : "");
  print_counts (self);
  print_plugins (self);
  print_gate (&self->gate);
  print_times (self);
  if (self->comparison)
    print_comparison (self);
  fflush (stdout);
}
