/* window.c: one callback in each frame moves what others have left for the window; it takes nothing
 * but rings and counters, so it never waits for Python, the disk or a worker. */
#define RADDLE_LOG_DOMAIN "window"
#include "window.h"

#include <gio/gio.h>
#include <raddle/raddle-glib.h>

#include "files.h"
#include "frames.h"
#include "host.h"
#include "journal.h"
#include "panes.h"
#include "picture.h"
#include "watchdog.h"
#include "weaver.h"
#include "work.h"

#define SETTLE_FRAMES 20                        /* until the window has its size and its fonts */
#define QUIET_US (1500 * G_TIME_SPAN_MILLISECOND)
#define ROUND 12                                /* frames: what takes longer has one of them each */
#define BEAT_EVERY_MS 100
#define NO_PROGRESS 0.001
#define HURRY_SECONDS 0.5
#define END_WITHIN_US (4 * G_USEC_PER_SEC)
#define FLUSH_WITHIN_MS 1000

struct _Window {
  GtkApplication *application;
  const Options  *options;
  GtkWindow      *window;
  GtkLabel       *subtitle, *state, *facts, *picks, *notes_count, *recent, *phases;
  GtkProgressBar *progress;
  GtkStack       *panes;
  Frames         *frames;
  Loom           *loom;
  Notes          *notes;
  Files          *files;
  Watchdog       *watchdog;
  Weaver         *weaver;
  Plugins        *plugins;
  Work           *work;
  char           *root;
  gint64          work_from;      /* when the work is to begin */
  guint           frame;
  guint           beat;
  bool            plugins_came;   /* also if there is none */
  bool            over;           /* the work has ended */
  bool            pictured;
};

static void
set_stop_enabled (Window *self, bool enabled)
{
  GAction *stop = g_action_map_lookup_action (G_ACTION_MAP (self->application), "stop");

  g_simple_action_set_enabled (G_SIMPLE_ACTION (stop), enabled);
}

static void
set_text (GtkLabel *label, const char *format, ...) G_GNUC_PRINTF (2, 3);

static void
set_text (GtkLabel *label, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  /* Setting the same text would lay the window out again. */
  if (!g_str_equal (text, gtk_label_get_text (label)))
    gtk_label_set_text (label, text);
}

/* The work cannot begin, or not go on: said where everything else is. */
static void
give_up (Window *self, const char *why)
{
  RADDLE_ERROR ("%s", why);
  set_text (self->state, "Nothing to do");
  self->over = true;
}

/* Once, when the window is on the screen: it stays there whatever a plugin does to this thread. */
static gboolean
load_plugins (gpointer user_data)
{
  Window *self = user_data;
  g_autoptr (GPtrArray) complaints = complaints_new ();
  g_autoptr (GError) error = NULL;

  self->plugins_came = true;
  self->root = self->options->path ? g_strdup (self->options->path) : host_stdlib (&error);
  if (self->root)
    self->plugins = plugins_load (self->options->plugins, complaints, &error);
  complaints_log (complaints);
  if (!self->plugins)
    {
      give_up (self, error->message);
      return G_SOURCE_REMOVE;
    }
  panes_make (self->panes, self->plugins);
  plugins_begin (self->plugins, complaints);
  complaints_log (complaints);

  self->weaver = weaver_new ();
  frames_set_phase (self->frames, FRAMES_QUIET);
  self->work_from = g_get_monotonic_time () + QUIET_US;
  return G_SOURCE_REMOVE;
}

static void
begin_work (Window *self)
{
  const WorkOptions options = {
    .root = self->root, .workers = (guint) self->options->workers, .plugins = self->plugins,
    .files = self->files, .watchdog = self->watchdog,
  };
  g_autoptr (GError) error = NULL;
  g_autofree char *shown = g_filename_display_name (self->root);

  gtk_label_set_text (self->subtitle, shown);
  self->work_from = 0;
  self->work = work_start (&options, &error);
  if (!self->work)
    {
      give_up (self, error->message);
      return;
    }
  frames_set_phase (self->frames, FRAMES_BUSY);
  set_stop_enabled (self, true);
}

static void
label_work (Window *self)
{
  ScanProgress progress;
  const char *what = !self->over ? "Indexing" : work_was_stopped (self->work) ? "Stopped" : "Done";

  work_get_progress (self->work, &progress);
  if (!self->over && work_was_stopped (self->work))
    what = "Stopping";
  set_text (self->state, "%s: %u of %u%s files", what, progress.done, progress.found,
            progress.walking ? "+" : "");
  set_text (self->facts, "%d workers · %.1f s", self->options->workers, work_get_seconds (self->work));
  /* Never 0: GTK 4.8 warns when the bar comes back from there. */
  gtk_progress_bar_set_fraction (self->progress, progress.done
                                 ? (double) progress.done / progress.found : NO_PROGRESS);
}

static void
label_frames (Window *self)
{
  double per_second, worst_ms;
  FrameFigures quiet, busy;

  frames_get_recent (self->frames, &per_second, &worst_ms);
  frames_get (self->frames, FRAMES_QUIET, &quiet);
  frames_get (self->frames, FRAMES_BUSY, &busy);
  set_text (self->recent, "%.1f frames a second, longest gap %.0f ms", per_second, worst_ms);
  if (busy.frames > 0)
    set_text (self->phases, "before work %.1f · at work %.1f, 99 %% of gaps under %.1f ms",
              quiet.per_second, busy.per_second, busy.p99_ms);
}

/* Between frames: in one the window has no layout yet. */
static gboolean
take_picture (gpointer user_data)
{
  Window *self = user_data;
  g_autoptr (GError) error = NULL;

  if (!picture_write (self->window, self->options->picture, &error))
    RADDLE_ERROR ("no picture: %s", error->message);
  return G_SOURCE_REMOVE;
}

static void
take_picture_when_due (Window *self)
{
  ScanProgress progress;

  if (self->pictured || !self->options->picture)
    return;
  work_get_progress (self->work, &progress);
  if (!self->over && (progress.walking || progress.done * 3 < progress.found * 2))
    return;
  self->pictured = true;
  g_idle_add_full (G_PRIORITY_DEFAULT, take_picture, self, NULL);
}

static gboolean
quit_at_last (gpointer application)
{
  g_application_quit (application);
  return G_SOURCE_REMOVE;
}

/* The work has ended: by itself, or because it was stopped. */
static void
end_work (Window *self)
{
  g_autoptr (GPtrArray) complaints = complaints_new ();

  self->over = true;
  frames_set_phase (self->frames, FRAMES_AFTER);
  set_stop_enabled (self, false);
  label_work (self);
  take_picture_when_due (self);
  for (guint i = 0; i < plugins_get_size (self->plugins); i++)
    plugin_note_free (plugins_finish (self->plugins, i, complaints));
  complaints_log (complaints);
  if (self->options->quit)
    g_idle_add (quit_at_last, self->application);
}

static void
label_all (Window *self)
{
  if (self->work && !self->over)
    label_work (self);
  label_frames (self);
  set_text (self->picks, "%" G_GUINT64_FORMAT " picks", loom_get_picks (self->loom));
  set_text (self->notes_count, "%" G_GUINT64_FORMAT " lines", notes_get_count (self->notes));
}

static void
on_frame (gpointer frames, gpointer user_data)
{
  Window *self = user_data;

  (void) frames;
  if (++self->frame == SETTLE_FRAMES)
    g_idle_add (load_plugins, self);
  if (self->work_from && g_get_monotonic_time () >= self->work_from)
    begin_work (self);
  loom_advance (self->loom);
  files_follow (self->files);
  switch (self->frame % ROUND)
    {
    case 0:
      (void) notes_show (self->notes);
      break;
    case 4:
      if (self->work && !self->over && work_show (self->work))
        end_work (self);
      break;
    case 8:
      label_all (self);
      if (self->work)
        take_picture_when_due (self);
      break;
    default:
      break;
    }
}

static gboolean
beat (gpointer user_data)
{
  Window *self = user_data;

  watchdog_beat (self->watchdog);
  return G_SOURCE_CONTINUE;
}

static void
on_stop (GSimpleAction *action, GVariant *parameter, gpointer user_data)
{
  Window *self = user_data;

  (void) parameter;
  g_simple_action_set_enabled (action, FALSE);
  if (self->work)
    {
      work_stop (self->work);
      label_work (self);
    }
}

static void
on_quit (GSimpleAction *action, GVariant *parameter, gpointer user_data)
{
  Window *self = user_data;

  (void) action;
  (void) parameter;
  g_application_quit (G_APPLICATION (self->application));
}

static gboolean
on_close_request (GtkWindow *window, gpointer user_data)
{
  (void) window;
  on_quit (NULL, NULL, user_data);
  return TRUE;      /* window_close is to destroy it, when nothing uses it any more */
}

static void
add_actions (Window *self)
{
  const GActionEntry entries[] = {
    { .name = "stop", .activate = on_stop }, { .name = "quit", .activate = on_quit },
  };
  const char *const quit_keys[] = { "Escape", "<Control>q", "<Control>w", NULL };
  const char *const stop_keys[] = { "<Control>period", NULL };

  g_action_map_add_action_entries (G_ACTION_MAP (self->application), entries, G_N_ELEMENTS (entries),
                                   self);
  gtk_application_set_accels_for_action (self->application, "app.quit", quit_keys);
  gtk_application_set_accels_for_action (self->application, "app.stop", stop_keys);
  set_stop_enabled (self, false);
}

static void
use_style (GtkWidget *widget)
{
  g_autoptr (GtkCssProvider) provider = gtk_css_provider_new ();

  gtk_css_provider_load_from_resource (provider, "/raddle/indexer/window.css");
  gtk_style_context_add_provider_for_display (gtk_widget_get_display (widget),
                                              GTK_STYLE_PROVIDER (provider),
                                              GTK_STYLE_PROVIDER_PRIORITY_APPLICATION);
}

static void
place_loom (Window *self, GtkBuilder *builder)
{
  GtkWidget *widget = GTK_WIDGET (self->loom);

  gtk_accessible_update_property (GTK_ACCESSIBLE (widget), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                  "A loom, woven by tasklets", -1);
  gtk_widget_set_overflow (widget, GTK_OVERFLOW_HIDDEN);
  gtk_box_append (GTK_BOX (gtk_builder_get_object (builder, "loom_card")), widget);
}

Window *
window_open (GtkApplication *application, const Options *options, Loom *loom, Notes *notes)
{
  g_autoptr (GtkBuilder) builder = gtk_builder_new_from_resource ("/raddle/indexer/window.ui");
  Window *self = g_new0 (Window, 1);

  self->application = application;
  self->options = options;
  self->loom = loom;
  self->notes = notes;
  self->window = GTK_WINDOW (gtk_builder_get_object (builder, "window"));
  self->subtitle = GTK_LABEL (gtk_builder_get_object (builder, "root"));
  self->state = GTK_LABEL (gtk_builder_get_object (builder, "state"));
  self->facts = GTK_LABEL (gtk_builder_get_object (builder, "facts"));
  self->picks = GTK_LABEL (gtk_builder_get_object (builder, "picks"));
  self->notes_count = GTK_LABEL (gtk_builder_get_object (builder, "notes_count"));
  self->recent = GTK_LABEL (gtk_builder_get_object (builder, "frames"));
  self->phases = GTK_LABEL (gtk_builder_get_object (builder, "phases"));
  self->progress = GTK_PROGRESS_BAR (gtk_builder_get_object (builder, "progress"));
  self->panes = GTK_STACK (gtk_builder_get_object (builder, "panes"));
  self->files = files_new (GTK_COLUMN_VIEW (gtk_builder_get_object (builder, "files")),
                           GTK_SCROLLED_WINDOW (gtk_builder_get_object (builder, "files_around")));
  notes_set_view (notes, GTK_TEXT_VIEW (gtk_builder_get_object (builder, "notes")));
  place_loom (self, builder);
  use_style (GTK_WIDGET (self->window));
  add_actions (self);

  gtk_window_set_application (self->window, application);
  g_signal_connect (self->window, "close-request", G_CALLBACK (on_close_request), self);
  self->watchdog = watchdog_new (options->patience);
  self->beat = g_timeout_add (BEAT_EVERY_MS, beat, self);
  watchdog_beat (self->watchdog);
  gtk_window_present (self->window);
  self->frames = frames_new (GTK_WIDGET (self->window), on_frame, self);
  return self;
}

static void
fill_report (Window *self, bool ended, Report *out)
{
  g_autoptr (GString) first = g_string_new (NULL);
  ScanProgress progress;

  for (FramesPhase phase = FRAMES_QUIET; phase < FRAMES_PHASES; phase++)
    frames_get (self->frames, phase, &out->frames[phase]);
  files_append_json (self->files, first, 10);
  out->first = g_strdup (first->str);
  out->rows = files_get_size (self->files);
  out->workers = (guint) self->options->workers;
  out->picks = loom_get_picks (self->loom);
  out->notes = notes_get_count (self->notes);
  out->notes_lost = notes_get_lost (self->notes);
  (void) raddle_gate_get_stats (&out->gate);
  if (!self->work)
    return;
  work_get_progress (self->work, &progress);
  out->found = progress.found;
  out->done = progress.done;
  out->stopped = work_was_stopped (self->work);
  out->seconds = work_get_seconds (self->work);
  if (ended)
    {
      const Totals *totals = work_get_totals (self->work);

      out->native_seconds = (double) totals->native_us / G_USEC_PER_SEC;
      out->plugin_seconds = (double) totals->python_us / G_USEC_PER_SEC;
    }
}

bool
window_close (Window *self, Report *out)
{
  bool ended = true;

  gtk_widget_set_visible (GTK_WIDGET (self->window), FALSE);
  watchdog_hurry (self->watchdog, HURRY_SECONDS);
  if (self->work)
    {
      work_stop (self->work);
      ended = work_wait (self->work, END_WITHIN_US);
    }
  if (self->weaver)
    ended = weaver_end (self->weaver, END_WITHIN_US) && ended;
  /* What has been logged belongs to the report; who keeps Python keeps it from that. */
  (void) raddle_log_flush (FLUSH_WITHIN_MS);
  while (notes_show (self->notes) > 0)
    continue;
  fill_report (self, ended, out);
  g_source_remove (self->beat);
  frames_free (self->frames);
  files_free (self->files);
  /* The widgets of plugins go here, while their Python is still there to let go of them. */
  gtk_window_destroy (self->window);
  if (!ended)
    return false;

  watchdog_free (self->watchdog);
  g_clear_pointer (&self->work, work_free);
  g_clear_pointer (&self->plugins, plugins_free);
  g_free (self->root);
  g_free (self);
  return true;
}
