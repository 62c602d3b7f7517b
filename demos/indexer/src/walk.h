/* walk.h: the *.py files under a folder, links not followed. */
#ifndef INDEXER_WALK_H
#define INDEXER_WALK_H

#include <glib.h>

/* What a walk tells, on the thread that walks. */
typedef struct {
  void (*found)  (char *path, gpointer user_data);         /* path: transfer full */
  void (*failed) (const char *why, gpointer user_data);    /* why: names the path too */
} WalkFuncs;

/* Calls found for every regular file whose name ends in ".py", dotted names included, and failed
 * for every folder that cannot be listed. Stops early once *cancelled (atomic) is not 0.
 * Any thread, without Python. */
void walk_tree (const char      *root,
                const gint      *cancelled,
                const WalkFuncs *funcs,
                gpointer         user_data);

#endif /* INDEXER_WALK_H */
