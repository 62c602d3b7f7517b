/* window.h: the window and what goes on in it, from its opening to its closing. */
#ifndef WINDOW_WINDOW_H
#define WINDOW_WINDOW_H

#include "python.h"

#include <gtk/gtk.h>

#include "loom.h"
#include "notes.h"
#include "options.h"
#include "report.h"

typedef struct _Window Window;

/* Opens the window. Work begins when it has been shown for a moment. Python is not needed for it, but
 * must have been started with this loom and these notes before the loop runs again. */
Window *window_open   (GtkApplication *application, const Options *options, Loom *loom, Notes *notes);

/* The loop is over: ends the work, plugins and tasklets that still run, within a few seconds, and
 * fills in the report. Returns false if something does not end: it is left behind. */
bool    window_close  (Window *self, Report *out);

#endif /* WINDOW_WINDOW_H */
