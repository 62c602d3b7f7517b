/* files.c: a store, a sorted model over it, and a column view over that. */
#include "files.h"

#include "report.h"

enum { LINES, FUNCTIONS, IMPORTS, NAMES, BYTES, FIGURES };

struct _FileRow {
  GObject parent;
  char   *path;
  gint64  figures[FIGURES];
};

G_DEFINE_FINAL_TYPE (FileRow, file_row, G_TYPE_OBJECT)

static const struct {
  const char *title;
  const char *counter;    /* as a plugin calls it; NULL for what the native part counts */
} columns[FIGURES] = {
  [LINES] = { "Lines", NULL },
  [FUNCTIONS] = { "Functions", "functions" },
  [IMPORTS] = { "Imports", "imports" },
  [NAMES] = { "Names", "names" },
  [BYTES] = { "Bytes", NULL },
};

struct _Files {
  GtkColumnView    *view;
  GListStore       *store;
  GtkSortListModel *sorted;
  GtkAdjustment    *place;
  gboolean          follows;    /* the view keeps its first row where it is; this, the top */
};

static void
file_row_finalize (GObject *object)
{
  g_free (WINDOW_FILE_ROW (object)->path);
  G_OBJECT_CLASS (file_row_parent_class)->finalize (object);
}

static void
file_row_class_init (FileRowClass *class)
{
  G_OBJECT_CLASS (class)->finalize = file_row_finalize;
}

static void
file_row_init (FileRow *self)
{
  (void) self;
}

FileRow *
file_row_new (const char *path, const Totals *totals)
{
  FileRow *self = g_object_new (FILE_ROW_TYPE, NULL);

  self->path = g_filename_display_name (path);
  for (guint i = 0; i < FIGURES; i++)
    if (columns[i].counter)
      self->figures[i] = totals_get_count (totals, columns[i].counter);
  self->figures[LINES] = (gint64) totals->lines;
  self->figures[BYTES] = (gint64) totals->bytes;
  return self;
}

static int
compare_figures (gconstpointer a, gconstpointer b, gpointer column)
{
  gint64 left = ((const FileRow *) a)->figures[GPOINTER_TO_INT (column)];
  gint64 right = ((const FileRow *) b)->figures[GPOINTER_TO_INT (column)];

  return left < right ? GTK_ORDERING_SMALLER : left > right ? GTK_ORDERING_LARGER : GTK_ORDERING_EQUAL;
}

static int
compare_paths (gconstpointer a, gconstpointer b, gpointer user_data)
{
  (void) user_data;
  return gtk_ordering_from_cmpfunc (strcmp (((const FileRow *) a)->path, ((const FileRow *) b)->path));
}

static void
set_up_path (GtkSignalListItemFactory *factory, GtkListItem *item)
{
  (void) factory;
  gtk_list_item_set_child (item, g_object_new (GTK_TYPE_LABEL, "xalign", 0.0, "ellipsize",
                                               PANGO_ELLIPSIZE_START, NULL));
}

static void
bind_path (GtkSignalListItemFactory *factory, GtkListItem *item)
{
  FileRow *row = gtk_list_item_get_item (item);

  (void) factory;
  gtk_label_set_text (GTK_LABEL (gtk_list_item_get_child (item)), row->path);
}

static void
set_up_figure (GtkSignalListItemFactory *factory, GtkListItem *item)
{
  GtkWidget *label = g_object_new (GTK_TYPE_LABEL, "xalign", 1.0, NULL);

  (void) factory;
  gtk_widget_add_css_class (label, "numeric");
  gtk_list_item_set_child (item, label);
}

static void
bind_figure (GtkSignalListItemFactory *factory, GtkListItem *item, gpointer column)
{
  FileRow *row = gtk_list_item_get_item (item);
  g_autofree char *text = g_strdup_printf ("%" G_GINT64_FORMAT,
                                           row->figures[GPOINTER_TO_INT (column)]);

  (void) factory;
  gtk_label_set_text (GTK_LABEL (gtk_list_item_get_child (item)), text);
}

static GtkColumnViewColumn *
add_column (Files *self, const char *title, GtkListItemFactory *factory, GtkCustomSorter *sorter)
{
  GtkColumnViewColumn *column = gtk_column_view_column_new (title, factory);

  gtk_column_view_column_set_sorter (column, GTK_SORTER (sorter));
  gtk_column_view_column_set_resizable (column, TRUE);
  gtk_column_view_append_column (self->view, column);
  g_object_unref (sorter);
  g_object_unref (column);
  return column;
}

static void
add_columns (Files *self)
{
  GtkListItemFactory *factory = gtk_signal_list_item_factory_new ();
  GtkColumnViewColumn *column;

  g_signal_connect (factory, "setup", G_CALLBACK (set_up_path), NULL);
  g_signal_connect (factory, "bind", G_CALLBACK (bind_path), NULL);
  column = add_column (self, "File", factory, gtk_custom_sorter_new (compare_paths, NULL, NULL));
  gtk_column_view_column_set_expand (column, TRUE);
  for (int i = 0; i < FIGURES; i++)
    {
      factory = gtk_signal_list_item_factory_new ();
      g_signal_connect (factory, "setup", G_CALLBACK (set_up_figure), NULL);
      g_signal_connect (factory, "bind", G_CALLBACK (bind_figure), GINT_TO_POINTER (i));
      column = add_column (self, columns[i].title, factory,
                           gtk_custom_sorter_new (compare_figures, GINT_TO_POINTER (i), NULL));
      gtk_column_view_column_set_fixed_width (column, 96);
      if (i == LINES)
        gtk_column_view_sort_by_column (self->view, column, GTK_SORT_DESCENDING);
    }
}

/* Whatever scrolls begins with one of these. */
static gboolean
on_event (GtkEventController *controller, GdkEvent *event, gpointer user_data)
{
  Files *self = user_data;

  (void) controller;
  switch (gdk_event_get_event_type (event))
    {
    case GDK_SCROLL:
    case GDK_BUTTON_PRESS:
    case GDK_KEY_PRESS:
    case GDK_TOUCH_BEGIN:
      self->follows = FALSE;
      break;
    default:
      break;
    }
  return GDK_EVENT_PROPAGATE;
}

void
files_follow (Files *self)
{
  if (self->follows)
    gtk_adjustment_set_value (self->place, 0);
  else
    self->follows = gtk_adjustment_get_value (self->place) <= 0;
}

Files *
files_new (GtkColumnView *view, GtkScrolledWindow *around)
{
  Files *self = g_new0 (Files, 1);
  GtkSorter *sorter = gtk_column_view_get_sorter (view);
  GtkEventController *events = gtk_event_controller_legacy_new ();
  GtkSelectionModel *selection;

  self->place = g_object_ref (gtk_scrolled_window_get_vadjustment (around));
  self->follows = TRUE;
  gtk_event_controller_set_propagation_phase (events, GTK_PHASE_CAPTURE);
  g_signal_connect (events, "event", G_CALLBACK (on_event), self);
  gtk_widget_add_controller (GTK_WIDGET (around), events);
  self->view = g_object_ref (view);
  self->store = g_list_store_new (FILE_ROW_TYPE);
  self->sorted = gtk_sort_list_model_new (G_LIST_MODEL (g_object_ref (self->store)),
                                          g_object_ref (sorter));
  /* In slices, between frames. */
  gtk_sort_list_model_set_incremental (self->sorted, TRUE);
  selection = GTK_SELECTION_MODEL (
    gtk_single_selection_new (G_LIST_MODEL (g_object_ref (self->sorted))));
  gtk_single_selection_set_autoselect (GTK_SINGLE_SELECTION (selection), FALSE);
  gtk_single_selection_set_can_unselect (GTK_SINGLE_SELECTION (selection), TRUE);
  gtk_column_view_set_model (view, selection);
  g_object_unref (selection);
  add_columns (self);
  return self;
}

void
files_free (Files *self)
{
  g_object_unref (self->place);
  g_object_unref (self->sorted);
  g_object_unref (self->store);
  g_object_unref (self->view);
  g_free (self);
}

void
files_add (Files *self, GPtrArray *rows)
{
  g_list_store_splice (self->store, g_list_model_get_n_items (G_LIST_MODEL (self->store)), 0,
                       rows->pdata, rows->len);
}

guint
files_get_size (Files *self)
{
  return g_list_model_get_n_items (G_LIST_MODEL (self->store));
}

void
files_append_json (Files *self, GString *json, guint count)
{
  GListModel *model = G_LIST_MODEL (self->sorted);

  /* What is not in its place yet goes there now. */
  gtk_sort_list_model_set_incremental (self->sorted, FALSE);
  g_string_append_c (json, '[');
  for (guint i = 0; i < MIN (count, g_list_model_get_n_items (model)); i++)
    {
      g_autoptr (FileRow) row = g_list_model_get_item (model, i);

      g_string_append (json, i ? ", {\"file\": " : "{\"file\": ");
      report_append_text (json, row->path);
      for (guint column = 0; column < FIGURES; column++)
        g_string_append_printf (json, ", \"%s\": %" G_GINT64_FORMAT, columns[column].title,
                                row->figures[column]);
      g_string_append_c (json, '}');
    }
  g_string_append_c (json, ']');
}
