/* walk.c: a stack of folders still to list, so that depth costs neither C stack nor descriptors. */
#include "walk.h"

#include <errno.h>

#include <glib/gstdio.h>

static void
list_folder (const char *folder, GPtrArray *pending, const gint *cancelled,
             const WalkFuncs *funcs, gpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDir) dir = g_dir_open (folder, 0, &error);
  const char *name;

  if (!dir)
    {
      funcs->failed (error->message, user_data);
      return;
    }
  while (!g_atomic_int_get (cancelled) && (name = g_dir_read_name (dir)))
    {
      g_autofree char *path = g_build_filename (folder, name, NULL);
      GStatBuf facts;

      if (g_lstat (path, &facts) < 0)
        {
          /* What went away since it was listed is no longer there to be counted. */
          int code = errno;
          g_autofree char *shown = g_filename_display_name (path);
          g_autofree char *why = g_strdup_printf ("%s: %s", shown, g_strerror (code));

          if (code != ENOENT)
            funcs->failed (why, user_data);
        }
      else if (S_ISDIR (facts.st_mode))
        g_ptr_array_add (pending, g_steal_pointer (&path));
      else if (S_ISREG (facts.st_mode) && g_str_has_suffix (name, ".py"))
        funcs->found (g_steal_pointer (&path), user_data);
    }
}

void
walk_tree (const char *root, const gint *cancelled, const WalkFuncs *funcs, gpointer user_data)
{
  g_autoptr (GPtrArray) pending = g_ptr_array_new_with_free_func (g_free);

  g_ptr_array_add (pending, g_strdup (root));
  while (pending->len > 0 && !g_atomic_int_get (cancelled))
    {
      g_autofree char *folder = g_ptr_array_steal_index_fast (pending, pending->len - 1);

      list_folder (folder, pending, cancelled, funcs, user_data);
    }
}
