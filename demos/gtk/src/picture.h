/* picture.h: a window as a PNG file. */
#ifndef WINDOW_PICTURE_H
#define WINDOW_PICTURE_H

#include <stdbool.h>
#include <gtk/gtk.h>

/* The window must be mapped. Returns false with error set if that cannot be. */
bool picture_write (GtkWindow *window, const char *path, GError **error);

#endif /* WINDOW_PICTURE_H */
