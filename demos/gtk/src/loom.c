/* loom.c: the shuttle's place is computed for each frame, so it moves smoothly whatever its thrower
 * waits for; picks come through a ring, which neither side waits at. The cloth is one texture, made
 * anew for each row. */
#include "loom.h"

#include <raddle/raddle-glib.h>

#define WARPS 32
#define ROWS 36
#define CELL_WIDTH 10            /* of the texture, as are these; its width is scaled */
#define WARP_WIDTH 6
#define ROW_HEIGHT 7
#define CLOTH_WIDTH (WARPS * CELL_WIDTH)
#define CLOTH_HEIGHT (ROWS * ROW_HEIGHT)
#define WARP_COLOUR 0xf3ece0
#define GROUND 0x2c2a33
#define WAITING 64
#define MARGIN 26
#define BEAT_SECONDS 0.07

struct _Loom {
  GtkWidget   parent;
  RaddleRing *thrown;          /* of Pick */
  Pick        flying;
  gint64      since;           /* when it was thrown; 0 if none flies */
  double      progress;        /* of the flight, 0 to 1 */
  double      beat;            /* how far the new row is beaten up, 0 to 1 */
  guint32    *cells;           /* of the texture: 0xAARRGGBB, the newest row first */
  GdkTexture *cloth;
  guint64     picks;
};

G_DEFINE_FINAL_TYPE (Loom, loom, GTK_TYPE_WIDGET)

static GdkRGBA
rgb (guint32 colour, float alpha)
{
  return (GdkRGBA) { (float) (colour >> 16 & 0xff) / 255, (float) (colour >> 8 & 0xff) / 255,
                     (float) (colour & 0xff) / 255, alpha };
}

static void
fill (GtkSnapshot *snapshot, guint32 colour, double x, double y, double width, double height)
{
  GdkRGBA filled = rgb (colour, 1);

  gtk_snapshot_append_color (snapshot, &filled,
                             &GRAPHENE_RECT_INIT ((float) x, (float) y, (float) width, (float) height));
}

static void
fill_round (GtkSnapshot *snapshot, guint32 colour, double x, double y, double width, double height)
{
  GskRoundedRect round;

  gsk_rounded_rect_init_from_rect (&round, &GRAPHENE_RECT_INIT ((float) x, (float) y, (float) width,
                                                                (float) height), (float) height / 2);
  gtk_snapshot_push_rounded_clip (snapshot, &round);
  fill (snapshot, colour, x, y, width, height);
  gtk_snapshot_pop (snapshot);
}

/* Moves the cloth on by a row, and weaves a new one in front. */
static void
weave (Loom *self, const Pick *pick)
{
  g_autoptr (GBytes) bytes = NULL;

  memmove (self->cells + ROW_HEIGHT * CLOTH_WIDTH, self->cells,
           (CLOTH_HEIGHT - ROW_HEIGHT) * CLOTH_WIDTH * sizeof *self->cells);
  for (guint y = 0; y < ROW_HEIGHT; y++)
    for (guint x = 0; x < CLOTH_WIDTH; x++)
      {
        guint inside = x % CELL_WIDTH - (CELL_WIDTH - WARP_WIDTH) / 2;
        gboolean warp = inside < WARP_WIDTH && (pick->raised >> x / CELL_WIDTH & 1);

        self->cells[y * CLOTH_WIDTH + x] =
          0xff000000 | (warp ? WARP_COLOUR : y == ROW_HEIGHT - 1 ? GROUND : pick->colour);
      }
  bytes = g_bytes_new (self->cells, CLOTH_HEIGHT * CLOTH_WIDTH * sizeof *self->cells);
  g_clear_object (&self->cloth);
  self->cloth = gdk_memory_texture_new (CLOTH_WIDTH, CLOTH_HEIGHT, GDK_MEMORY_DEFAULT, bytes,
                                        CLOTH_WIDTH * sizeof *self->cells);
}

static void
draw_warps (GtkSnapshot *snapshot, const Pick *open, double width, double fell)
{
  double pitch = (width - 2 * MARGIN) / WARPS;

  for (guint i = 0; i < WARPS; i++)
    {
      gboolean up = open && (open->raised >> i & 1);

      fill (snapshot, up ? WARP_COLOUR : 0x8d8577, MARGIN + (i + 0.5) * pitch - 0.75, 0, 1.5, fell);
    }
}

/* The shuttle comes from the side that the last one went to. */
static void
draw_flight (GtkSnapshot *snapshot, Loom *self, double width, double fell)
{
  gboolean rightwards = self->picks % 2 == 0;
  double eased = self->progress * self->progress * (3 - 2 * self->progress);
  double far = width - 2 * MARGIN + 2;
  double x = MARGIN - 1 + far * (rightwards ? eased : 1 - eased);
  double start = rightwards ? MARGIN : width - MARGIN;
  double y = fell - 17;

  fill (snapshot, self->flying.colour, MIN (start, x), y + 4, ABS (x - start), 2);
  fill_round (snapshot, 0x6b4a2b, x - 21, y, 42, 10);
  fill_round (snapshot, self->flying.colour, x - 11, y + 3, 22, 4);
}

static void
loom_snapshot (GtkWidget *widget, GtkSnapshot *snapshot)
{
  Loom *self = WINDOW_LOOM (widget);
  double width = gtk_widget_get_width (widget);
  double height = gtk_widget_get_height (widget);
  double fell = MIN (48, height / 3);
  double y = fell - ROW_HEIGHT * (1 - self->beat);

  gtk_snapshot_push_clip (snapshot, &GRAPHENE_RECT_INIT (0, 0, (float) width, (float) height));
  fill (snapshot, GROUND, 0, 0, width, height);
  draw_warps (snapshot, self->since ? &self->flying : NULL, width, fell);
  if (self->cloth)
    gtk_snapshot_append_texture (snapshot, self->cloth,
                                 &GRAPHENE_RECT_INIT (MARGIN, (float) y, (float) width - 2 * MARGIN,
                                                      CLOTH_HEIGHT));
  if (self->since)
    draw_flight (snapshot, self, width, fell);
  gtk_snapshot_pop (snapshot);
}

static void
arrive (Loom *self)
{
  weave (self, &self->flying);
  self->picks++;
  self->since = 0;
  self->beat = 0;
}

void
loom_advance (Loom *self)
{
  gint64 now = g_get_monotonic_time ();
  gpointer pick;

  if (self->since)
    self->progress = (double) (now - self->since) / G_USEC_PER_SEC / self->flying.seconds;
  if (self->since && self->progress >= 1)
    arrive (self);
  if (self->beat < 1)
    self->beat = MIN (1, self->beat + 1 / (60 * BEAT_SECONDS));
  if (!self->since && raddle_ring_try_pop (self->thrown, &pick) == RADDLE_STATUS_OK)
    {
      self->flying = *(Pick *) pick;
      self->since = now;
      self->progress = 0;
      self->beat = 1;
      g_free (pick);
    }
  gtk_widget_queue_draw (GTK_WIDGET (self));
}

bool
loom_throw (Loom *self, const Pick *pick)
{
  Pick *copy = g_memdup2 (pick, sizeof *pick);

  if (raddle_ring_try_push (self->thrown, copy) == RADDLE_STATUS_OK)
    return true;
  g_free (copy);
  return false;
}

guint64
loom_get_picks (Loom *self)
{
  return self->picks;
}

static void
loom_measure (GtkWidget *widget, GtkOrientation orientation, int for_size, int *minimum, int *natural,
              int *minimum_baseline, int *natural_baseline)
{
  (void) widget;
  (void) for_size;
  *minimum = orientation == GTK_ORIENTATION_HORIZONTAL ? 240 : 100;
  *natural = orientation == GTK_ORIENTATION_HORIZONTAL ? 360 : 136;
  *minimum_baseline = *natural_baseline = -1;
}

static void
loom_finalize (GObject *object)
{
  Loom *self = WINDOW_LOOM (object);

  raddle_ring_unref (self->thrown);
  g_clear_object (&self->cloth);
  g_free (self->cells);
  G_OBJECT_CLASS (loom_parent_class)->finalize (object);
}

static void
loom_class_init (LoomClass *class)
{
  G_OBJECT_CLASS (class)->finalize = loom_finalize;
  GTK_WIDGET_CLASS (class)->snapshot = loom_snapshot;
  GTK_WIDGET_CLASS (class)->measure = loom_measure;
  gtk_widget_class_set_css_name (GTK_WIDGET_CLASS (class), "loom");
  gtk_widget_class_set_accessible_role (GTK_WIDGET_CLASS (class), GTK_ACCESSIBLE_ROLE_IMG);
}

static void
loom_init (Loom *self)
{
  if (raddle_ring_new (WAITING, g_free, &self->thrown) != RADDLE_STATUS_OK)
    g_error ("no ring for the loom: %s", raddle_last_error_message ());
  self->cells = g_new0 (guint32, CLOTH_HEIGHT * CLOTH_WIDTH);
  self->beat = 1;
}

GtkWidget *
loom_new (void)
{
  return g_object_new (LOOM_TYPE, NULL);
}
