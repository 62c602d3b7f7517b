/* frames.c: gaps between frames by the clock on the wall, in a histogram for each phase. */
#include "frames.h"

#include <stdio.h>

#define STEP_US 250
#define STEPS 4000                     /* up to a second; longer gaps are in the last one */
#define LATE_US (G_USEC_PER_SEC / 40)
#define RECENT 128

typedef struct {
  guint32 gaps[STEPS];
  guint64 frames;
  guint64 late;
  gint64  sum_us;
  gint64  worst_us;
  guint64 delayed_ns;
} Phase;

struct _Frames {
  GtkWidget     *widget;
  GdkFrameClock *clock;
  gulong         after_paint;
  guint          ticker;
  GFunc          tick;
  gpointer       user_data;
  FramesPhase    now;
  gint64         last;                 /* the end of the last frame */
  Phase          phases[FRAMES_PHASES];
  guint64        delayed_ns;           /* of this thread, when the phase began */
  gint64         recent[RECENT];       /* the ends of the last frames, in a circle */
  guint          at;
};

/* How long this thread has waited for a processor since it began, in nanoseconds. */
static guint64
read_delay (void)
{
  FILE *file = fopen ("/proc/thread-self/schedstat", "re");
  unsigned long long run, delayed = 0;

  if (!file)
    return 0;
  if (fscanf (file, "%llu %llu", &run, &delayed) != 2)
    delayed = 0;
  fclose (file);
  return delayed;
}

static void
on_after_paint (GdkFrameClock *clock, gpointer user_data)
{
  Frames *self = user_data;
  Phase *phase = &self->phases[self->now];
  gint64 now = g_get_monotonic_time ();
  gint64 gap = now - self->last;

  (void) clock;
  if (self->last)
    {
      phase->gaps[MIN (gap / STEP_US, STEPS - 1)]++;
      phase->frames++;
      phase->late += gap > LATE_US;
      phase->sum_us += gap;
      phase->worst_us = MAX (phase->worst_us, gap);
    }
  self->last = now;
  self->recent[self->at] = now;
  self->at = (self->at + 1) % RECENT;
}

static gboolean
on_tick (GtkWidget *widget, GdkFrameClock *clock, gpointer user_data)
{
  Frames *self = user_data;

  (void) widget;
  (void) clock;
  self->tick (self, self->user_data);
  return G_SOURCE_CONTINUE;
}

Frames *
frames_new (GtkWidget *widget, GFunc tick, gpointer user_data)
{
  Frames *self = g_new0 (Frames, 1);

  self->widget = widget;
  self->tick = tick;
  self->user_data = user_data;
  self->clock = g_object_ref (gtk_widget_get_frame_clock (widget));
  self->after_paint = g_signal_connect (self->clock, "after-paint", G_CALLBACK (on_after_paint), self);
  self->ticker = gtk_widget_add_tick_callback (widget, on_tick, self, NULL);
  return self;
}

void
frames_free (Frames *self)
{
  gtk_widget_remove_tick_callback (self->widget, self->ticker);
  g_signal_handler_disconnect (self->clock, self->after_paint);
  g_object_unref (self->clock);
  g_free (self);
}

void
frames_set_phase (Frames *self, FramesPhase phase)
{
  guint64 delayed = read_delay ();

  self->phases[self->now].delayed_ns += delayed - self->delayed_ns;
  self->delayed_ns = delayed;
  /* What was done to make the window is no gap of the next phase. */
  if (self->now == FRAMES_STARTING)
    self->last = 0;
  self->now = phase;
}

/* The gap that a share of all gaps is not longer than, in milliseconds. */
static double
quantile (const Phase *phase, double share)
{
  guint64 wanted = (guint64) ((double) phase->frames * share);
  guint64 seen = 0;
  guint step = 0;

  while (step < STEPS - 1 && (seen += phase->gaps[step]) <= wanted)
    step++;
  return (step + 0.5) * STEP_US / 1000.0;
}

void
frames_get (const Frames *self, FramesPhase which, FrameFigures *out)
{
  const Phase *phase = &self->phases[which];
  guint64 delayed = phase->delayed_ns + (which == self->now ? read_delay () - self->delayed_ns : 0);

  *out = (FrameFigures) { .frames = phase->frames, .late = phase->late };
  if (phase->frames == 0)
    return;
  out->seconds = (double) phase->sum_us / G_USEC_PER_SEC;
  out->per_second = (double) phase->frames / out->seconds;
  out->median_ms = quantile (phase, 0.5);
  out->p99_ms = quantile (phase, 0.99);
  out->worst_ms = (double) phase->worst_us / 1000;
  out->delayed = (double) delayed / 1e9;
}

void
frames_get_recent (const Frames *self, double *per_second, double *worst_ms)
{
  gint64 now = g_get_monotonic_time ();
  gint64 oldest = now, worst = 0;
  guint frames = 0;

  for (guint back = 1; back < RECENT; back++)
    {
      gint64 later = self->recent[(self->at + RECENT - back) % RECENT];
      gint64 earlier = self->recent[(self->at + RECENT - back - 1) % RECENT];

      if (earlier == 0 || now - earlier > G_USEC_PER_SEC)
        break;
      worst = MAX (worst, later - earlier);
      oldest = earlier;
      frames++;
    }
  *per_second = oldest < now ? frames / ((double) (now - oldest) / G_USEC_PER_SEC) : 0;
  *worst_ms = (double) worst / 1000;
}
