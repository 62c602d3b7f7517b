/* bell.h: a GObject of the host's own, with one signal, "ring". Needs libgobject and nothing above it. */
#ifndef RADDLE_TESTS_BELL_H
#define RADDLE_TESTS_BELL_H

#include <glib-object.h>

typedef struct {
  GObject parent;
} RaddleBell;

typedef struct {
  GObjectClass parent_class;
} RaddleBellClass;

G_DEFINE_TYPE (RaddleBell, raddle_bell, G_TYPE_OBJECT)

static void
raddle_bell_init (RaddleBell *self)
{
  (void) self;
}

static void
raddle_bell_class_init (RaddleBellClass *klass)
{
  g_signal_new ("ring", G_TYPE_FROM_CLASS (klass), G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                G_TYPE_NONE, 0);
}

#endif /* RADDLE_TESTS_BELL_H */
