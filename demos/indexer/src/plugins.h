/* plugins.h: plain .py files that the indexer calls for every file.
 *
 * A plugin is a module with a function
 *
 *   index(path: str, data: bytes) -> dict[str, int] | None
 *
 * called by many threads at once; the numbers it returns are summed by name. It may also have
 * begin() and finish() -> dict | None, called once by the main thread before and after. What a
 * plugin raises is a complaint in its name, and counts for nothing else.
 */
#ifndef INDEXER_PLUGINS_H
#define INDEXER_PLUGINS_H

#include "python.h"

#include <stdbool.h>

#include "content.h"
#include "totals.h"

typedef struct _Plugins Plugins;

/* What a plugin's finish() had to say (both transfer full). */
typedef struct {
  char *text;    /* for a person: "tallies 4, files 670" */
  char *json;    /* an object */
} PluginNote;

/* Loads every *.py in folder, in the order of their names, but none that starts with "_" or ".".
 * One that cannot be loaded is a complaint and is left out. Returns NULL with error set if the
 * folder cannot be listed or nothing in it can be used, or (G_IO_ERROR_CANCELLED) after Ctrl-C.
 * Enters Python, on the main thread. */
Plugins    *plugins_load      (const char *folder, GPtrArray *complaints, GError **error);

/* Any thread, holding Python or not, but before the runtime stops. */
void        plugins_free      (Plugins *self);

/* All that were found, those that could not be loaded included. */
guint       plugins_get_size  (Plugins *self);
const char *plugins_get_name  (Plugins *self, guint i);

/* For hooks that only a host of another kind knows; needs Python held. An attribute of a plugin's
 * module (a new reference), or NULL if it has none, and no exception then. */
PyObject   *plugins_find      (Plugins *self, guint i, const char *attribute);
/* Makes a complaint of the exception that is set: what a plugin's hook raised. */
void        plugins_complain  (Plugins *self, guint i, const char *during, GPtrArray *complaints);

/* Each enters Python by itself, so the caller may be inside or not. */
void        plugins_begin     (Plugins *self, GPtrArray *complaints);
void        plugins_index     (Plugins *self, const char *path, const Content *content,
                               Totals *totals, GPtrArray *complaints);
PluginNote *plugins_finish    (Plugins *self, guint i, GPtrArray *complaints);

void        plugin_note_free  (PluginNote *note);     /* NULL is allowed */

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Plugins, plugins_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PluginNote, plugin_note_free)

#endif /* INDEXER_PLUGINS_H */
