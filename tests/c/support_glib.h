/* support_glib.h: what the C tests of main loops share: their sources, their turns, and how often they sleep. */
#ifndef RADDLE_TESTS_SUPPORT_GLIB_H
#define RADDLE_TESTS_SUPPORT_GLIB_H

#include "support.h"

/* Adds a source that the caller has made, and keeps no reference to it. */
void          add_source        (GMainContext *context,
                                 GSource      *source,
                                 GSourceFunc   func,
                                 gpointer      data);
/* For a source that ends a loop. */
gboolean      quit_loop         (gpointer      loop);
/* Turns a context until nothing is ready. */
void          iterate           (GMainContext *context);

/* A poll function that counts how often a loop was about to sleep, all contexts together. */
gint          noting_poll       (GPollFD      *fds,
                                 guint         count,
                                 gint          timeout);
void          count_sleeps_from (gint          number);
/* For wait_until(): whether there were so many (GINT_TO_POINTER), or more. */
gboolean      has_slept         (gpointer      times);
/* A new context that polls through noting_poll(), counted from 0. */
GMainContext *noting_context    (void);

#endif /* RADDLE_TESTS_SUPPORT_GLIB_H */
