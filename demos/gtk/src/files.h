/* files.h: the list of results, sorted while it grows. */
#ifndef WINDOW_FILES_H
#define WINDOW_FILES_H

#include <gtk/gtk.h>

#include "totals.h"

/* A row: what was counted in one file. */
#define FILE_ROW_TYPE (file_row_get_type ())
G_DECLARE_FINAL_TYPE (FileRow, file_row, WINDOW, FILE_ROW, GObject)

typedef struct _Files Files;

/* Any thread. */
FileRow    *file_row_new    (const char *path, const Totals *totals);

/* The main thread, as the rest. */
Files      *files_new       (GtkColumnView *view, GtkScrolledWindow *around);
void        files_free      (Files *self);
void        files_add       (Files *self, GPtrArray *rows);

/* In each frame: stays at the top while rows come in there, until somebody scrolls. */
void        files_follow    (Files *self);
guint       files_get_size  (Files *self);

/* The first rows as they are sorted now: JSON objects of the path and the columns. */
void        files_append_json (Files *self, GString *json, guint count);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Files, files_free)

#endif /* WINDOW_FILES_H */
