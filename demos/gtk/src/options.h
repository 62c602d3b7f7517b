/* options.h: the command line. */
#ifndef WINDOW_OPTIONS_H
#define WINDOW_OPTIONS_H

#include <stdbool.h>
#include <glib.h>

typedef struct {
  char  *path;          /* NULL: the standard library */
  char  *plugins;
  char  *picture;       /* NULL: none */
  gint   workers;
  double patience;      /* seconds that a plugin may take for one file or in one callback */
  bool   quit;          /* whether the window closes when the work is done */
  bool   json;
} Options;

/* Returns true if there is a window to show, else sets *exit_status (0 after --help, 2 after a
 * mistake, which has been told on stderr in one line). */
bool options_parse (int *argc, char ***argv, Options *out, int *exit_status);
void options_clear (Options *self);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Options, options_clear)

#endif /* WINDOW_OPTIONS_H */
