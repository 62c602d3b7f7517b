/* journal.h: what went wrong, written by any thread and told by the main loop. */
#ifndef INDEXER_JOURNAL_H
#define INDEXER_JOURNAL_H

#include <stdbool.h>
#include <glib.h>

typedef struct _Journal Journal;

/* A line for the journal. who is a plugin's name (interned), or NULL for the indexer itself. */
typedef struct {
  const char *who;
  char       *text;
} Complaint;

/* Complaints that were gathered while Python was held, and are handed over when it is not:
 * a journal has a lock, and native locks are not for code that holds Python. */
GPtrArray *complaints_new    (void);
void       complaints_add    (GPtrArray *complaints, const char *who, const char *format, ...)
  G_GNUC_PRINTF (3, 4);

Journal   *journal_new       (void);
void       journal_free      (Journal *self);

/* Empties complaints into the journal. Any thread, without Python. */
void       journal_hand_over (Journal *self, GPtrArray *complaints);

/* The main thread's part. journal_tell takes the next line that is to be shown (transfer full),
 * or returns NULL; of each plugin, and of the indexer, only the first few are shown. */
char      *journal_tell      (Journal *self);
guint64    journal_count     (Journal *self, const char *who);
guint64    journal_by_plugins (Journal *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Journal, journal_free)

#endif /* INDEXER_JOURNAL_H */
