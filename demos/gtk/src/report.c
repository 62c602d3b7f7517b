/* report.c: the figures as a few lines, or as one JSON object. */
#include "report.h"

#include <stddef.h>
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

/* A figure of a record, by its name and its place there. */
typedef struct {
  const char *name;
  enum { UINT, UINT64, DOUBLE } kind;
  size_t      place;
} Figure;

static const Figure figures_of_frames[] = {
  { "seconds", DOUBLE, offsetof (FrameFigures, seconds) },
  { "per_second", DOUBLE, offsetof (FrameFigures, per_second) },
  { "median_ms", DOUBLE, offsetof (FrameFigures, median_ms) },
  { "p99_ms", DOUBLE, offsetof (FrameFigures, p99_ms) },
  { "worst_ms", DOUBLE, offsetof (FrameFigures, worst_ms) },
  { "delayed", DOUBLE, offsetof (FrameFigures, delayed) },
  { "late", UINT64, offsetof (FrameFigures, late) },
  { "frames", UINT64, offsetof (FrameFigures, frames) },
};

static const Figure figures_of_report[] = {
  { "found", UINT, offsetof (Report, found) },
  { "done", UINT, offsetof (Report, done) },
  { "rows", UINT, offsetof (Report, rows) },
  { "workers", UINT, offsetof (Report, workers) },
  { "seconds", DOUBLE, offsetof (Report, seconds) },
  { "native_seconds", DOUBLE, offsetof (Report, native_seconds) },
  { "plugin_seconds", DOUBLE, offsetof (Report, plugin_seconds) },
  { "picks", UINT64, offsetof (Report, picks) },
  { "notes", UINT64, offsetof (Report, notes) },
  { "notes_lost", UINT64, offsetof (Report, notes_lost) },
  { "entries", UINT64, offsetof (Report, gate.entries) },
  { "threads", UINT64, offsetof (Report, gate.threads) },
};

/* JSON has a dot in its numbers whatever the locale has. */
static void
append_number (GString *json, double value)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE];

  g_string_append (json, g_ascii_formatd (text, sizeof text, "%.3f", value));
}

static void
append_figures (GString *json, const Figure *figures, gsize n_figures, const void *record)
{
  for (gsize i = 0; i < n_figures; i++)
    {
      const void *place = (const char *) record + figures[i].place;

      g_string_append_printf (json, "%s\"%s\": ", i > 0 ? ", " : "", figures[i].name);
      switch (figures[i].kind)
        {
        case UINT: g_string_append_printf (json, "%u", *(const guint *) place); break;
        case UINT64:
          g_string_append_printf (json, "%" G_GUINT64_FORMAT, *(const guint64 *) place);
          break;
        case DOUBLE: append_number (json, *(const double *) place); break;
        }
    }
}

void
report_print_json (const Report *self)
{
  g_autoptr (GString) json = g_string_new ("{");

  append_figures (json, figures_of_report, G_N_ELEMENTS (figures_of_report), self);
  g_string_append (json, ", \"frames\": {");
  for (guint i = FRAMES_QUIET; i < FRAMES_PHASES; i++)
    {
      g_string_append_printf (json, "%s\"%s\": {", i > FRAMES_QUIET ? ", " : "", phases[i]);
      append_figures (json, figures_of_frames, G_N_ELEMENTS (figures_of_frames), &self->frames[i]);
      g_string_append_c (json, '}');
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
