/* totals.c: counters by name, since a plugin may count what it likes. */
#include "totals.h"

#include <string.h>

Totals *
totals_new (void)
{
  Totals *self = g_new0 (Totals, 1);

  self->counters = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  self->digests = g_array_new (FALSE, FALSE, DIGEST_LENGTH);
  return self;
}

void
totals_free (Totals *self)
{
  g_hash_table_unref (self->counters);
  g_array_unref (self->digests);
  g_free (self);
}

void
totals_add_file (Totals *self, const Content *content)
{
  self->files++;
  self->bytes += content->length;
  self->lines += content->lines;
  g_array_append_vals (self->digests, content->digest, 1);
}

/* A file that cannot be read cannot be decoded either: it is an error like those. */
void
totals_add_unreadable (Totals *self)
{
  self->files++;
  self->unreadable++;
  totals_add_count (self, "errors", 1);
}

void
totals_add_count (Totals *self, const char *name, gint64 value)
{
  gint64 *count = g_hash_table_lookup (self->counters, name);

  if (!count)
    {
      count = g_new0 (gint64, 1);
      g_hash_table_insert (self->counters, g_strdup (name), count);
    }
  if (__builtin_add_overflow (*count, value, count))
    *count = value > 0 ? G_MAXINT64 : G_MININT64;
}

gint64
totals_get_count (const Totals *self, const char *name)
{
  const gint64 *count = g_hash_table_lookup (self->counters, name);

  return count ? *count : 0;
}

void
totals_merge (Totals *self, const Totals *other)
{
  GHashTableIter iter;
  gpointer name, count;

  self->files += other->files;
  self->unreadable += other->unreadable;
  self->bytes += other->bytes;
  self->lines += other->lines;
  self->native_us += other->native_us;
  self->python_us += other->python_us;
  g_array_append_vals (self->digests, other->digests->data, other->digests->len);
  g_hash_table_iter_init (&iter, other->counters);
  while (g_hash_table_iter_next (&iter, &name, &count))
    totals_add_count (self, name, *(gint64 *) count);
}

static int
compare_digests (const void *a, const void *b)
{
  return memcmp (a, b, DIGEST_LENGTH);
}

guint64
totals_duplicates (Totals *self)
{
  guint64 duplicates = 0;

  g_array_sort (self->digests, compare_digests);
  for (guint i = 1; i < self->digests->len; i++)
    {
      const guint8 *digest = (const guint8 *) self->digests->data + (gsize) i * DIGEST_LENGTH;

      if (compare_digests (digest - DIGEST_LENGTH, digest) == 0)
        duplicates++;
    }
  return duplicates;
}
