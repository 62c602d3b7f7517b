/* report.c: the figures as a few lines, or as one JSON object. */
#include "report.h"

#include <stdio.h>

static const char *const phases[FRAMES_PHASES] = { NULL, "quiet", "busy", "after" };

void
report_append_text (GString *json, const char *text)
{
  g_string_append_c (json, '"');
  for (; *text; text++)
    if (*text == '"' || *text == '\\')
      g_string_append_printf (json, "\\%c", *text);
    else if ((guchar) *text < 0x20)
      g_string_append_printf (json, "\\u%04x", *text);
    else
      g_string_append_c (json, *text);
  g_string_append_c (json, '"');
}

void
report_print (const Report *self)
{
  printf ("%u of %u files%s, %u workers, %.2f s\n", self->done, self->found,
          self->stopped ? " (stopped)" : "", self->workers, self->seconds);
  for (guint i = FRAMES_QUIET; i < FRAMES_PHASES; i++)
    if (self->frames[i].frames > 0)
      printf ("%-6s %5.1f frames a second; gaps: median %.1f ms, 99 %% under %.1f ms, worst %.1f ms;"
              " late: %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT "\n",
              phases[i], self->frames[i].per_second, self->frames[i].median_ms,
              self->frames[i].p99_ms, self->frames[i].worst_ms, self->frames[i].late,
              self->frames[i].frames);
}

/* JSON has a dot in its numbers whatever the locale has. */
static void
append_number (GString *json, const char *name, double value)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE];

  g_ascii_formatd (text, sizeof text, "%.3f", value);
  g_string_append_printf (json, "\"%s\": %s, ", name, text);
}

static void
append_count (GString *json, const char *name, guint64 value)
{
  g_string_append_printf (json, "\"%s\": %" G_GUINT64_FORMAT ", ", name, value);
}

static void
append_frames (GString *json, const FrameFigures *figures)
{
  g_string_append_c (json, '{');
  append_number (json, "seconds", figures->seconds);
  append_number (json, "per_second", figures->per_second);
  append_number (json, "median_ms", figures->median_ms);
  append_number (json, "p99_ms", figures->p99_ms);
  append_number (json, "worst_ms", figures->worst_ms);
  append_number (json, "delayed", figures->delayed);
  append_count (json, "late", figures->late);
  g_string_append_printf (json, "\"frames\": %" G_GUINT64_FORMAT "}", figures->frames);
}

void
report_print_json (const Report *self)
{
  g_autoptr (GString) json = g_string_new ("{");

  append_count (json, "found", self->found);
  append_count (json, "done", self->done);
  append_count (json, "rows", self->rows);
  append_count (json, "workers", self->workers);
  append_number (json, "seconds", self->seconds);
  append_number (json, "native_seconds", self->native_seconds);
  append_number (json, "plugin_seconds", self->plugin_seconds);
  append_count (json, "picks", self->picks);
  append_count (json, "notes", self->notes);
  append_count (json, "notes_lost", self->notes_lost);
  append_count (json, "entries", self->gate.entries);
  append_count (json, "threads", self->gate.threads);
  g_string_append (json, "\"frames\": {");
  for (guint i = FRAMES_QUIET; i < FRAMES_PHASES; i++)
    {
      g_string_append_printf (json, "%s\"%s\": ", i > FRAMES_QUIET ? ", " : "", phases[i]);
      append_frames (json, &self->frames[i]);
    }
  g_string_append_printf (json, "}, \"first\": %s, \"stopped\": %s}", self->first,
                          self->stopped ? "true" : "false");
  puts (json->str);
}

void
report_clear (Report *self)
{
  g_clear_pointer (&self->first, g_free);
}
