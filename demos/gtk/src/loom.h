/* loom.h: a widget that shows how cloth is woven: others say what is thrown, it shows it moving. */
#ifndef WINDOW_LOOM_H
#define WINDOW_LOOM_H

#include <stdbool.h>
#include <gtk/gtk.h>

/* One pass of a shuttle. */
typedef struct {
  guint32 colour;      /* 0xRRGGBB */
  guint32 raised;      /* which of 32 warp threads lie over the weft, the first one in bit 0 */
  double  seconds;     /* how long the shuttle flies */
} Pick;

#define LOOM_TYPE (loom_get_type ())
G_DECLARE_FINAL_TYPE (Loom, loom, WINDOW, LOOM, GtkWidget)

GtkWidget *loom_new         (void);

/* Any thread, without waiting: the pick flies as soon as those before it have. Returns false if too
 * many wait already. */
bool       loom_throw       (Loom *self, const Pick *pick);

/* The main thread, in each frame. */
void       loom_advance     (Loom *self);

/* How many shuttles have arrived. */
guint64    loom_get_picks   (Loom *self);

#endif /* WINDOW_LOOM_H */
