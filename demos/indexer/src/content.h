/* content.h: one file, read and measured without Python. */
#ifndef INDEXER_CONTENT_H
#define INDEXER_CONTENT_H

#include <stdbool.h>
#include <glib.h>

#define DIGEST_LENGTH 32

typedef struct {
  char   *data;
  gsize   length;
  guint64 lines;                   /* newline bytes */
  guint8  digest[DIGEST_LENGTH];   /* SHA-256 */
} Content;

/* Reads the regular file at path, counts its lines and hashes it. A link is not followed.
 * Returns false with error set (its message is the reason alone) if it cannot be read.
 * Any thread, and never while Python is held: it waits for the disk. */
bool content_read  (const char *path, Content *out, GError **error);
void content_clear (Content *self);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Content, content_clear)

#endif /* INDEXER_CONTENT_H */
