/* totals.h: what was counted; one record for each worker, merged at the end. */
#ifndef INDEXER_TOTALS_H
#define INDEXER_TOTALS_H

#include <glib.h>
#include "content.h"

typedef struct {
  guint64     files;
  guint64     unreadable;    /* of these files, how many could not be read */
  guint64     bytes;
  guint64     lines;
  gint64      native_us;     /* clock time of the native part, summed over files */
  gint64      python_us;     /* and of the plugins, waiting for Python included */
  GHashTable *counters;      /* name -> gint64 *, as the plugins return them */
  GArray     *digests;       /* DIGEST_LENGTH bytes for each file that could be read */
} Totals;

Totals *totals_new        (void);
void    totals_free       (Totals *self);

/* A record is used by one thread at a time; none of these takes a lock. */
void    totals_add_file   (Totals *self, const Content *content);
void    totals_add_unreadable (Totals *self);
void    totals_add_count  (Totals *self, const char *name, gint64 value);
gint64  totals_get_count  (const Totals *self, const char *name);
void    totals_merge      (Totals *self, const Totals *other);

/* How many files hold exactly what another file holds too: of three equal ones, two. */
guint64 totals_duplicates (Totals *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Totals, totals_free)

#endif /* INDEXER_TOTALS_H */
