/* panes.h: what plugins show: widgets that they make with PyGObject. */
#ifndef WINDOW_PANES_H
#define WINDOW_PANES_H

#include <gtk/gtk.h>

#include "plugins.h"

/* Calls each plugin's pane() -> Gtk.Widget, if it has one, and adds what it returns to the stack,
 * under the plugin's name or its TITLE. What goes wrong is a complaint. Enters Python, on the main
 * thread. */
void panes_make     (GtkStack *stack, Plugins *plugins);

/* Says complaints in Python's log, as records of the plugins' own loggers. Any thread. */
void complaints_log (GPtrArray *complaints);

#endif /* WINDOW_PANES_H */
