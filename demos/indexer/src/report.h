/* report.h: what is printed at the end, for people and for programs. */
#ifndef INDEXER_REPORT_H
#define INDEXER_REPORT_H

#include <stdbool.h>
#include <glib.h>
#include <raddle/raddle.h>

#include "host.h"
#include "journal.h"
#include "pass.h"
#include "plugins.h"

/* Clock times in seconds, each of a pass over the same tree with its files in the page cache. */
typedef struct {
  bool   complete;        /* whether all four were measured */
  double native_one;      /* reading, hashing, counting lines: one worker, the best pass of a few */
  double native_many;
  double whole_one;       /* the plugins too */
  double whole_many;
} Comparison;

typedef struct {
  const char       *root;
  guint             workers;
  const HostFacts  *python;
  const PassResult *result;
  RaddleGateStats   gate;
  Plugins          *plugins;
  GPtrArray        *notes;         /* of PluginNote, NULL for a plugin that has none */
  Journal          *journal;
  const Comparison *comparison;    /* NULL if none was asked for */
} Report;

/* Both write to stdout and need no Python. */
void report_print      (const Report *self);
void report_print_json (const Report *self);

#endif /* INDEXER_REPORT_H */
