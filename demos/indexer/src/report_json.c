/* report_json.c: the report as one line of JSON; demos/README.md describes the fields. */
#include "report.h"

#include <stdio.h>

/* Any bytes; what is not UTF-8 becomes U+FFFD. */
static void
append_text (GString *json, const char *bytes)
{
  g_autofree char *text = g_utf8_make_valid (bytes, -1);

  g_string_append_c (json, '"');
  for (const char *at = text; *at; at++)
    if (*at == '"' || *at == '\\')
      g_string_append_printf (json, "\\%c", *at);
    else if ((guchar) *at < 0x20)
      g_string_append_printf (json, "\\u%04x", (guint) *at);
    else
      g_string_append_c (json, *at);
  g_string_append_c (json, '"');
}

static void
put_key (GString *json, const char *name)
{
  if (json->str[json->len - 1] != '{')
    g_string_append (json, ", ");
  append_text (json, name);
  g_string_append (json, ": ");
}

static void
put_int (GString *json, const char *name, gint64 value)
{
  put_key (json, name);
  g_string_append_printf (json, "%" G_GINT64_FORMAT, value);
}

static void
put_real (GString *json, const char *name, double value)
{
  char digits[G_ASCII_DTOSTR_BUF_SIZE];

  put_key (json, name);
  g_string_append (json, g_ascii_formatd (digits, sizeof digits, "%.6f", value));
}

static void
put_bool (GString *json, const char *name, bool value)
{
  put_key (json, name);
  g_string_append (json, value ? "true" : "false");
}

static void
put_text (GString *json, const char *name, const char *value)
{
  put_key (json, name);
  append_text (json, value);
}

static void
open_object (GString *json, const char *name)
{
  put_key (json, name);
  g_string_append_c (json, '{');
}

static void
put_totals (GString *json, const Report *self)
{
  Totals *totals = self->result->totals;
  GHashTableIter iter;
  gpointer name, count;

  put_int (json, "files", (gint64) totals->files);
  put_int (json, "words", totals_get_count (totals, "words"));
  put_int (json, "functions", totals_get_count (totals, "functions"));
  put_int (json, "imports", totals_get_count (totals, "imports"));
  put_int (json, "errors", totals_get_count (totals, "errors"));
  put_int (json, "plugin_errors", (gint64) journal_by_plugins (self->journal));
  put_int (json, "bytes", (gint64) totals->bytes);
  put_int (json, "lines", (gint64) totals->lines);
  put_int (json, "duplicates", (gint64) totals_duplicates (totals));
  put_int (json, "unreadable", (gint64) totals->unreadable);
  put_int (json, "unlisted", self->result->unlisted);

  open_object (json, "counters");
  g_hash_table_iter_init (&iter, totals->counters);
  while (g_hash_table_iter_next (&iter, &name, &count))
    put_int (json, name, *(gint64 *) count);
  g_string_append_c (json, '}');
}

static void
put_plugins (GString *json, const Report *self)
{
  open_object (json, "plugins");
  for (guint i = 0; i < plugins_get_size (self->plugins); i++)
    {
      const char *name = plugins_get_name (self->plugins, i);
      const PluginNote *note = self->notes->pdata[i];

      open_object (json, name);
      put_int (json, "errors", (gint64) journal_count (self->journal, name));
      put_key (json, "note");
      g_string_append (json, note ? note->json : "null");
      g_string_append_c (json, '}');
    }
  g_string_append_c (json, '}');
}

static void
put_gate (GString *json, const RaddleGateStats *gate)
{
  put_int (json, "entries", (gint64) gate->entries);
  put_int (json, "nested", (gint64) gate->nested);
  put_int (json, "threads", (gint64) gate->threads);
  put_real (json, "mean_wait_us",
            gate->waits ? (double) gate->wait_ns / 1e3 / (double) gate->waits : 0);
}

static void
put_comparison (GString *json, const Comparison *times)
{
  open_object (json, "comparison");
  put_bool (json, "complete", times->complete);
  if (times->complete)
    {
      put_real (json, "native_one_s", times->native_one);
      put_real (json, "native_many_s", times->native_many);
      put_real (json, "native_speedup", times->native_one / times->native_many);
      put_real (json, "whole_one_s", times->whole_one);
      put_real (json, "whole_many_s", times->whole_many);
      put_real (json, "whole_speedup", times->whole_one / times->whole_many);
    }
  g_string_append_c (json, '}');
}

void
report_print_json (const Report *self)
{
  g_autoptr (GString) json = g_string_new ("{");
  const Totals *totals = self->result->totals;

  put_totals (json, self);
  put_gate (json, &self->gate);
  put_int (json, "workers", self->workers);
  put_bool (json, "interrupted", self->result->interrupted);
  put_real (json, "seconds", self->result->seconds);
  put_real (json, "native_seconds", (double) totals->native_us / G_USEC_PER_SEC);
  put_real (json, "plugin_seconds", (double) totals->python_us / G_USEC_PER_SEC);
  put_plugins (json, self);
  if (self->comparison)
    put_comparison (json, self->comparison);
  put_text (json, "root", self->root);
  put_text (json, "python", self->python->version);
  put_text (json, "executable", self->python->executable);
  g_string_append_c (json, '}');
  puts (json->str);
  fflush (stdout);
}
