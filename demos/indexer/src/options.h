/* options.h: the command line. */
#ifndef INDEXER_OPTIONS_H
#define INDEXER_OPTIONS_H

#include <stdbool.h>
#include <glib.h>

typedef struct {
  char *path;        /* NULL: the standard library */
  char *plugins;
  gint  workers;
  bool  json;
  bool  compare;
} Options;

/* Returns true if there is work to do, else sets *exit_status (0 after --help and --version, 2
 * after a mistake, which has been told on stderr in one line). */
bool options_parse (int *argc, char ***argv, Options *out, int *exit_status);
void options_clear (Options *self);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Options, options_clear)

#endif /* INDEXER_OPTIONS_H */
