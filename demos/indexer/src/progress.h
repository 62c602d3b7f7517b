/* progress.h: what the main loop shows on stderr while the workers work. */
#ifndef INDEXER_PROGRESS_H
#define INDEXER_PROGRESS_H

#include <stdbool.h>
#include <glib.h>

typedef struct _Progress Progress;

/* On a terminal a line is drawn again and again; elsewhere there is one line at the first file
 * and one every few seconds. All on the main thread. */
Progress *progress_new   (void);
void      progress_free  (Progress *self);

/* label: what is being done; walking: whether found may still grow. */
void      progress_draw  (Progress *self, const char *label, guint done, guint found, bool walking);

/* A line of its own, with the drawn one out of the way. */
void      progress_say   (Progress *self, const char *line);
void      progress_clear (Progress *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Progress, progress_free)

#endif /* INDEXER_PROGRESS_H */
