/* journal.c: a queue towards the main thread, and a count for each who. */
#include "journal.h"

#define SHOWN_OF_EACH 4
#define INDEXER "indexer"

struct _Journal {
  GAsyncQueue *queue;      /* of Complaint; any thread pushes */
  GHashTable  *counts;     /* who -> guint64 *; the main thread's */
};

static void
complaint_free (gpointer data)
{
  Complaint *complaint = data;

  g_free (complaint->text);
  g_free (complaint);
}

GPtrArray *
complaints_new (void)
{
  return g_ptr_array_new_with_free_func (complaint_free);
}

void
complaints_add (GPtrArray *complaints, const char *who, const char *format, ...)
{
  Complaint *complaint = g_new (Complaint, 1);
  va_list args;

  va_start (args, format);
  complaint->who = who;
  complaint->text = g_strdup_vprintf (format, args);
  va_end (args);
  g_ptr_array_add (complaints, complaint);
}

Journal *
journal_new (void)
{
  Journal *self = g_new (Journal, 1);

  self->queue = g_async_queue_new_full (complaint_free);
  self->counts = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, g_free);
  return self;
}

void
journal_free (Journal *self)
{
  g_async_queue_unref (self->queue);
  g_hash_table_unref (self->counts);
  g_free (self);
}

void
journal_hand_over (Journal *self, GPtrArray *complaints)
{
  while (complaints->len > 0)
    g_async_queue_push (self->queue, g_ptr_array_steal_index (complaints, 0));
}

static guint64
count_one (Journal *self, const char *who)
{
  guint64 *count = g_hash_table_lookup (self->counts, who);

  if (!count)
    {
      count = g_new0 (guint64, 1);
      g_hash_table_insert (self->counts, (gpointer) who, count);
    }
  return ++*count;
}

char *
journal_tell (Journal *self)
{
  Complaint *complaint;

  while ((complaint = g_async_queue_try_pop (self->queue)))
    {
      const char *who = complaint->who ? complaint->who : INDEXER;
      const char *plugin = complaint->who ? "plugin " : "";
      guint64 count = count_one (self, who);
      char *line = NULL;

      if (count <= SHOWN_OF_EACH)
        line = g_strdup_printf ("%s%s: %s", plugin, who, complaint->text);
      else if (count == SHOWN_OF_EACH + 1)
        line = g_strdup_printf ("%s%s: more of the kind; they are counted, not shown", plugin, who);
      complaint_free (complaint);
      if (line)
        return line;
    }
  return NULL;
}

guint64
journal_count (Journal *self, const char *who)
{
  const guint64 *count = g_hash_table_lookup (self->counts, who);

  return count ? *count : 0;
}

guint64
journal_by_plugins (Journal *self)
{
  GHashTableIter iter;
  gpointer who, count;
  guint64 sum = 0;

  g_hash_table_iter_init (&iter, self->counts);
  while (g_hash_table_iter_next (&iter, &who, &count))
    if (!g_str_equal (who, INDEXER))
      sum += *(guint64 *) count;
  return sum;
}
