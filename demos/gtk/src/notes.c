/* notes.c: a ring towards the main thread, and a text view that keeps the last lines of it. */
#include "notes.h"

#include <raddle/raddle-glib.h>

#define WAITING 4096
#define KEPT 1000                /* lines in the view */
#define AT_ONCE 80               /* laying out text takes time, and a frame has 16 ms */
#define LONGEST_THREAD 15
#define THREAD_COLUMN 10

typedef struct {
  int    level;
  double clock;
  char  *thread;
  char  *text;
} Note;

struct _Notes {
  GtkTextView   *view;
  GtkTextBuffer *buffer;         /* the view's */
  GtkTextMark   *last;           /* the beginning of the last line */
  RaddleRing    *waiting;        /* of Note */
  guint64        count;
  gint           lost;           /* atomic */
};

static void
note_free (void *item)
{
  Note *note = item;

  g_free (note->thread);
  g_free (note->text);
  g_free (note);
}

Notes *
notes_new (void)
{
  Notes *self = g_new0 (Notes, 1);

  if (raddle_ring_new (WAITING, note_free, &self->waiting) != RADDLE_STATUS_OK)
    g_error ("no ring for the log pane: %s", raddle_last_error_message ());
  return self;
}

void
notes_set_view (Notes *self, GtkTextView *view)
{
  GtkTextIter end;

  self->view = view;
  self->buffer = gtk_text_view_get_buffer (view);
  gtk_text_buffer_get_end_iter (self->buffer, &end);
  self->last = gtk_text_buffer_create_mark (self->buffer, NULL, &end, TRUE);
  gtk_text_buffer_create_tag (self->buffer, "plain", NULL);
  gtk_text_buffer_create_tag (self->buffer, "faint", "foreground", "#77767b", NULL);
  gtk_text_buffer_create_tag (self->buffer, "warning", "foreground", "#9a5b00", NULL);
  gtk_text_buffer_create_tag (self->buffer, "error", "foreground", "#c01c28", "weight",
                              PANGO_WEIGHT_BOLD, NULL);
}

void
notes_free (Notes *self)
{
  raddle_ring_unref (self->waiting);
  g_free (self);
}

void
notes_add (Notes *self, int level, double clock, const char *thread, const char *text)
{
  Note *note = g_new (Note, 1);

  *note = (Note) { level, clock, g_strdup (thread), g_strdup (text) };
  if (raddle_ring_try_push (self->waiting, note) != RADDLE_STATUS_OK)
    {
      note_free (note);
      g_atomic_int_inc (&self->lost);
    }
}

static void
append (Notes *self, const Note *note)
{
  static const char *const names[] = { "trace", "debug", "info", "warning", "error", "critical" };
  g_autoptr (GDateTime) time = g_date_time_new_from_unix_local ((gint64) note->clock);
  g_autofree char *clock = time ? g_date_time_format (time, "%H:%M:%S") : g_strdup ("");
  g_autofree char *thread = g_utf8_substring (note->thread, 0,
                                              MIN (g_utf8_strlen (note->thread, -1), LONGEST_THREAD));
  int millisecond = (int) ((note->clock - (double) (gint64) note->clock) * 1000);
  int level = CLAMP (note->level / 10, 0, (int) G_N_ELEMENTS (names) - 1);
  g_autofree char *head = g_strdup_printf ("%s%s.%03d  %-8s  %-*s  ", self->count ? "\n" : "", clock,
                                           millisecond, names[level], THREAD_COLUMN, thread);
  const char *tag = level >= 4 ? "error" : level == 3 ? "warning" : "plain";
  GtkTextIter end;

  gtk_text_buffer_get_end_iter (self->buffer, &end);
  gtk_text_buffer_insert_with_tags_by_name (self->buffer, &end, head, -1, "faint", NULL);
  gtk_text_buffer_insert_with_tags_by_name (self->buffer, &end, note->text, -1, tag, NULL);
  self->count++;
}

static void
forget_old_lines (Notes *self)
{
  int more = gtk_text_buffer_get_line_count (self->buffer) - KEPT;
  GtkTextIter start, end;

  if (more < AT_ONCE)
    return;
  gtk_text_buffer_get_start_iter (self->buffer, &start);
  gtk_text_buffer_get_iter_at_line (self->buffer, &end, more);
  gtk_text_buffer_delete (self->buffer, &start, &end);
}

guint
notes_show (Notes *self)
{
  gpointer note;
  guint shown = 0;

  while (shown < AT_ONCE && raddle_ring_try_pop (self->waiting, &note) == RADDLE_STATUS_OK)
    {
      append (self, note);
      note_free (note);
      shown++;
    }
  if (shown > 0)
    {
      GtkTextIter last;

      forget_old_lines (self);
      gtk_text_buffer_get_end_iter (self->buffer, &last);
      gtk_text_iter_set_line_offset (&last, 0);
      gtk_text_buffer_move_mark (self->buffer, self->last, &last);
      gtk_text_view_scroll_to_mark (self->view, self->last, 0, TRUE, 0, 1);
    }
  return shown;
}

guint64
notes_get_count (Notes *self)
{
  return self->count;
}

guint64
notes_get_lost (Notes *self)
{
  return (guint64) g_atomic_int_get (&self->lost);
}
