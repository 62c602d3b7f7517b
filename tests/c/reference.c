/* reference.c: dropping references from anywhere, and handles that own nothing. */
#include "support.h"

#include <glib/gatomic.h>

/* Makes an object whose finalizer notes the thread, and gives its one reference to C. */
static PyObject *
make_finalized (void)
{
  run ("import threading\n"
       "if 'finalized' not in globals(): finalized = []\n"
       "class Finalized:\n"
       "    def __del__(self):\n"
       "        finalized.append(threading.get_ident())");
  PyObject *object = PyObject_CallNoArgs (named ("Finalized"));
  g_assert_nonnull (object);
  return object;
}

static gint64
number_finalized (void)
{
  assert_ok (raddle_enter ());
  gint64 number = evaluate ("len(finalized)");
  assert_ok (raddle_leave ());
  return number;
}

static gpointer
drop (gpointer object)
{
  raddle_decref (object);
  return NULL;
}

static void
a_holder_finalizes_at_once (void)
{
  assert_ok (raddle_enter ());
  PyObject *object = make_finalized ();
  run ("finalized.clear()");
  raddle_decref (object);
  g_assert_cmpint (evaluate ("finalized == [threading.get_ident()]"), ==, 1);
  assert_ok (raddle_leave ());
}

static void
others_leave_it_to_the_next_entry (void)
{
  assert_ok (raddle_enter ());
  PyObject *here = make_finalized ();
  PyObject *elsewhere = make_finalized ();
  run ("finalized.clear()");
  guint64 before = figures ().decrefs;
  /* Dropped by a thread that cannot have Python: it is held here until the thread has ended. */
  GThread *thread = g_thread_new ("dropper", drop, elsewhere);
  g_thread_join (thread);
  assert_ok (raddle_leave ());
  raddle_decref (here);
  g_assert_cmpint (number_finalized (), ==, 2);
  g_assert_cmpuint (figures ().decrefs, ==, before + 2);
}

static PyObject *pending_drop;

static int
drop_from_another_thread (void)
{
  GThread *thread = g_thread_new ("dropper", drop, pending_drop);
  g_thread_join (thread);
  return 0;
}

static void
a_busy_main_thread_finalizes_between_two_bytecodes (void)
{
  assert_ok (raddle_enter ());
  pending_drop = make_finalized ();
  give_address ("drop", (gpointer) drop_from_another_thread);
  /* Nobody enters or leaves while this loop runs. */
  run ("import ctypes, time\n"
       "finalized.clear()\n"
       "ctypes.PYFUNCTYPE(ctypes.c_int)(drop)()\n"
       "deadline = time.monotonic() + 20\n"
       "while not finalized and time.monotonic() < deadline:\n"
       "    pass");
  g_assert_cmpint (evaluate ("finalized == [threading.main_thread().ident]"), ==, 1);
  assert_ok (raddle_leave ());
}

static gpointer
drop_many (gpointer data)
{
  PyObject **objects = data;
  for (int i = 0; i < 250; i++)
    {
      raddle_decref (objects[i]);
      if (i % 50 == 0)
        {
          assert_ok (raddle_enter ());
          assert_ok (raddle_leave ());
        }
    }
  return NULL;
}

static void
many_threads_drop_many (void)
{
  enum { THREADS = 4, EACH = 250 };
  static PyObject *objects[THREADS][EACH];
  GThread *threads[THREADS];
  assert_ok (raddle_enter ());
  for (int i = 0; i < THREADS; i++)
    for (int j = 0; j < EACH; j++)
      objects[i][j] = make_finalized ();
  run ("finalized.clear()");
  assert_ok (raddle_leave ());
  for (int i = 0; i < THREADS; i++)
    threads[i] = g_thread_new ("dropper", drop_many, objects[i]);
  for (int i = 0; i < THREADS; i++)
    g_thread_join (threads[i]);
  g_assert_cmpint (number_finalized (), ==, THREADS * EACH);
}

static void
a_finalizer_may_drop_more (void)
{
  assert_ok (raddle_enter ());
  PyObject *object = make_finalized ();
  PyObject *list = PyList_New (0);
  g_assert_cmpint (PyList_Append (list, object), ==, 0);
  run ("finalized.clear()");
  assert_ok (raddle_leave ());
  raddle_decref (object);
  raddle_decref (list);
  raddle_decref (NULL);
  g_assert_cmpint (number_finalized (), ==, 1);
}

static void
after_the_end_it_is_leaked_and_counted (void)
{
  IN_A_CHILD ();
  guint64 leaked = figures ().leaked;
  int nothing_of_python_s;
  raddle_decref ((PyObject *) &nothing_of_python_s); /* Before the start: there are no objects. */
  g_assert_cmpuint (figures ().leaked, ==, leaked + 1);
  RaddleRuntime *runtime = start_python ();
  assert_ok (raddle_enter ());
  PyObject *object = make_finalized ();
  assert_ok (raddle_leave ());
  stop_python (runtime);
  leaked = figures ().leaked;
  raddle_decref (object);
  on_a_thread (drop, object);
  g_assert_cmpuint (figures ().leaked, ==, leaked + 2);
  /* What was dropped before a stop is dropped by it. */
  runtime = start_python ();
  guint64 decrefs = figures ().decrefs;
  assert_ok (raddle_enter ());
  object = make_finalized ();
  assert_ok (raddle_leave ());
  raddle_decref (object);
  stop_python (runtime);
  g_assert_cmpuint (figures ().decrefs, ==, decrefs + 1);
}

static gpointer
look_at_a_handle (gpointer data)
{
  RaddleHandle *handle = data;
  RaddleHandle copy = *handle;
  g_assert_null (raddle_handle_get (copy));
  assert_message_has ("does not hold Python");
  assert_ok (raddle_enter ());
  g_assert_true (raddle_handle_get (copy) == raddle_handle_get (*handle));
  assert_ok (raddle_unblock_threads ());
  g_assert_null (raddle_handle_get (copy));
  assert_ok (raddle_block_threads ());
  assert_ok (raddle_leave ());
  return NULL;
}

static void
a_handle_counts_nothing (void)
{
  assert_ok (raddle_enter ());
  PyObject *object = PyList_New (0);
  RaddleHandle handle = raddle_handle (object);
  on_a_thread (look_at_a_handle, &handle);
  g_assert_true (raddle_handle_get (handle) == object);
  g_assert_cmpint (Py_REFCNT (object), ==, 1);
  Py_DECREF (object);
  g_assert_null (raddle_handle_get (raddle_handle (NULL)));
  assert_ok (raddle_leave ());
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/reference/decref/a-holder-finalizes-at-once", a_holder_finalizes_at_once);
  g_test_add_func ("/reference/decref/others-leave-it-to-the-next-entry", others_leave_it_to_the_next_entry);
  g_test_add_func ("/reference/decref/a-busy-main-thread-finalizes-between-two-bytecodes",
                   a_busy_main_thread_finalizes_between_two_bytecodes);
  g_test_add_func ("/reference/decref/many-threads-drop-many", many_threads_drop_many);
  g_test_add_func ("/reference/decref/a-finalizer-may-drop-more", a_finalizer_may_drop_more);
  g_test_add_func ("/reference/decref/after-the-end-leaks-and-counts", after_the_end_it_is_leaked_and_counted);
  g_test_add_func ("/reference/handle/counts-nothing", a_handle_counts_nothing);
  return run_with_python ();
}
