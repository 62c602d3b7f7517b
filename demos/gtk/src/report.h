/* report.h: what is printed at the end, for people and for programs. */
#ifndef WINDOW_REPORT_H
#define WINDOW_REPORT_H

#include "python.h"

#include <stdbool.h>
#include <raddle/raddle.h>

#include "frames.h"

typedef struct {
  FrameFigures    frames[FRAMES_PHASES];
  guint           found;            /* files */
  guint           done;
  guint           rows;             /* in the list */
  char           *first;            /* JSON: the first rows of the list */
  bool            stopped;          /* before everything was done */
  guint           workers;
  double          seconds;          /* how long the work took */
  double          native_seconds;   /* clock time in each part, summed over workers */
  double          plugin_seconds;
  guint64         picks;            /* of the loom */
  guint64         notes;            /* lines of the log pane, and lines it lost */
  guint64         notes_lost;
  RaddleGateStats gate;
} Report;

/* To stdout, without Python. */
void report_print       (const Report *self);
void report_print_json  (const Report *self);
void report_clear       (Report *self);

/* A string as JSON has it, with its quotes. */
void report_append_text (GString *json, const char *text);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Report, report_clear)

#endif /* WINDOW_REPORT_H */
