/* panes.c: from a Python object to a GtkWidget is one call; all else is what may go wrong. */
#include "python.h"

#include "panes.h"

#include <raddle/raddle-glib.h>

#include "journal.h"

void
complaints_log (GPtrArray *complaints)
{
  for (guint i = 0; i < complaints->len; i++)
    {
      const Complaint *complaint = complaints->pdata[i];
      g_autofree char *domain = complaint->who ? g_strconcat ("plugin.", complaint->who, NULL) : NULL;

      raddle_log (RADDLE_LOG_WARNING, domain ? domain : "window", __FILE__, __LINE__, __func__, "%s",
                  complaint->text);
    }
  g_ptr_array_set_size (complaints, 0);
}

/* The widget that pane() returns (transfer full), or NULL with an exception set. */
static GtkWidget *
make_widget (PyObject *pane)
{
  g_autoptr (PyObject) made = PyObject_CallNoArgs (pane);
  g_auto (GValue) value = G_VALUE_INIT;

  g_value_init (&value, GTK_TYPE_WIDGET);
  if (!made || raddle_value_from_python (&value, made) != RADDLE_STATUS_OK)
    return NULL;
  if (!g_value_get_object (&value))
    {
      PyErr_SetString (PyExc_TypeError, "None is no widget");
      return NULL;
    }
  if (GTK_IS_ROOT (g_value_get_object (&value)) || gtk_widget_get_parent (g_value_get_object (&value)))
    {
      PyErr_SetString (PyExc_ValueError, "the widget is a window, or has a parent already");
      return NULL;
    }
  return g_value_dup_object (&value);
}

static char *
find_title (Plugins *plugins, guint i)
{
  g_autoptr (PyObject) title = plugins_find (plugins, i, "TITLE");
  const char *text = title && PyUnicode_Check (title) ? PyUnicode_AsUTF8 (title) : NULL;

  PyErr_Clear ();
  return g_strdup (text ? text : plugins_get_name (plugins, i));
}

void
panes_make (GtkStack *stack, Plugins *plugins)
{
  g_autoptr (GPtrArray) complaints = complaints_new ();

  {
    RADDLE_ENTER_SCOPE (scope);

    for (guint i = 0; scope.entered && i < plugins_get_size (plugins); i++)
      {
        g_autoptr (PyObject) pane = plugins_find (plugins, i, "pane");
        g_autoptr (GtkWidget) widget = pane ? make_widget (pane) : NULL;

        if (widget)
          {
            g_autofree char *title = find_title (plugins, i);

            gtk_stack_add_titled (stack, widget, plugins_get_name (plugins, i), title);
          }
        else if (pane)
          {
            plugins_complain (plugins, i, "in pane()", complaints);
          }
      }
  }
  complaints_log (complaints);
}
