/* progress.c: one line of a terminal, or a few of a log. */
#include "progress.h"

#include <stdio.h>
#include <unistd.h>

#define BAR_WIDTH 32
#define LOG_EVERY_US (3 * G_USEC_PER_SEC)

struct _Progress {
  bool   terminal;
  bool   drawn;        /* whether a line is on the terminal now */
  gint64 next_log;     /* when to log again; 0 until the first file is done */
};

Progress *
progress_new (void)
{
  Progress *self = g_new0 (Progress, 1);

  self->terminal = isatty (STDERR_FILENO) && g_strcmp0 (g_getenv ("TERM"), "dumb") != 0;
  return self;
}

void
progress_free (Progress *self)
{
  progress_clear (self);
  g_free (self);
}

static void
draw_bar (const char *label, guint done, guint found, bool walking)
{
  guint filled = found ? (guint) ((guint64) BAR_WIDTH * done / found) : 0;
  char bar[BAR_WIDTH + 1];

  for (guint i = 0; i < BAR_WIDTH; i++)
    bar[i] = i < filled ? '#' : '.';
  bar[BAR_WIDTH] = '\0';
  fprintf (stderr, "\r%s [%s] %u of %u%s files\033[K", label, bar, done, found, walking ? "+" : "");
  fflush (stderr);
}

void
progress_draw (Progress *self, const char *label, guint done, guint found, bool walking)
{
  gint64 now = g_get_monotonic_time ();

  if (self->terminal)
    {
      draw_bar (label, done, found, walking);
      self->drawn = true;
    }
  else if (done > 0 && now >= self->next_log)
    {
      fprintf (stderr, "indexer: %s: %u of %u%s files\n", label, done, found, walking ? "+" : "");
      self->next_log = now + LOG_EVERY_US;
    }
}

void
progress_say (Progress *self, const char *line)
{
  progress_clear (self);
  fprintf (stderr, "%s\n", line);
}

void
progress_clear (Progress *self)
{
  if (self->drawn)
    fputs ("\r\033[K", stderr);
  self->drawn = false;
}
