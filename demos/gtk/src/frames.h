/* frames.h: how regularly a window's frame clock ticks, told apart by what is going on. */
#ifndef WINDOW_FRAMES_H
#define WINDOW_FRAMES_H

#include <gtk/gtk.h>

typedef enum {
  FRAMES_STARTING,     /* not counted: the window is being made */
  FRAMES_QUIET,        /* before there is work */
  FRAMES_BUSY,         /* while native workers and plugins work */
  FRAMES_AFTER,
  FRAMES_PHASES
} FramesPhase;

typedef struct {
  double  seconds;
  guint64 frames;
  double  per_second;
  double  median_ms;   /* gaps between frames: a frame and the one before it */
  double  p99_ms;
  double  worst_ms;
  guint64 late;        /* gaps of more than one and a half frames of 1/60 s */
  double  delayed;     /* seconds in which the thread could have run, but others had the processors;
                        * 0 where the kernel does not say */
} FrameFigures;

typedef struct _Frames Frames;

/* Watches the frame clock of a widget that is realized, and keeps it ticking. tick is called in each
 * frame, before it is laid out. The main thread, like everything here. */
Frames     *frames_new        (GtkWidget *widget, GFunc tick, gpointer user_data);
void        frames_free       (Frames *self);

void        frames_set_phase  (Frames *self, FramesPhase phase);
void        frames_get        (const Frames *self, FramesPhase phase, FrameFigures *out);

/* Of the last second. */
void        frames_get_recent (const Frames *self, double *per_second, double *worst_ms);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Frames, frames_free)

#endif /* WINDOW_FRAMES_H */
