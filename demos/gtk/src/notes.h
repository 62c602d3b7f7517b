/* notes.h: the log pane: lines from any thread, shown by the main one. */
#ifndef WINDOW_NOTES_H
#define WINDOW_NOTES_H

#include <stdbool.h>
#include <gtk/gtk.h>

typedef struct _Notes Notes;

Notes  *notes_new       (void);
void    notes_free      (Notes *self);

/* Where they are shown from now on. */
void    notes_set_view  (Notes *self, GtkTextView *view);

/* Any thread, without waiting: adds a line. level is a number of Python's logging, clock the seconds
 * since 1970. If too many wait, the line is dropped and counted. */
void    notes_add       (Notes *self, int level, double clock, const char *thread, const char *text);

/* The main thread, a few times a second: shows what has come, the first of it if that is much. Returns
 * how many lines that were. */
guint   notes_show      (Notes *self);

guint64 notes_get_count (Notes *self);
guint64 notes_get_lost  (Notes *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Notes, notes_free)

#endif /* WINDOW_NOTES_H */
