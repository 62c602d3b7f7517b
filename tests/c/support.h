/* support.h: what the C tests share: a runtime, Python code, threads, children and deadlines. */
#ifndef RADDLE_TESTS_SUPPORT_H
#define RADDLE_TESTS_SUPPORT_H

#include <Python.h>

#include <glib-object.h>
#include <raddle/raddle.h>

/* Checks a status and says both names, and raddle's message, if it is another. */
#define assert_status(call, expected) \
  support_assert_status (G_STRFUNC, __LINE__, #call, (call), (expected))
#define assert_ok(call) assert_status (call, RADDLE_STATUS_OK)
/* Checks that the last message of this thread has a text in it. */
#define assert_message_has(text) support_assert_has (G_STRFUNC, __LINE__, raddle_last_error_message (), (text))

void           support_assert_status (const char   *function,
                                      int           line,
                                      const char   *call,
                                      RaddleStatus  got,
                                      RaddleStatus  expected);
void           support_assert_has    (const char   *function,
                                      int           line,
                                      const char   *text,
                                      const char   *part);

/* For main() of a test program: runs its tests with a runtime that starts before them and stops after
 * them. A test that runs in a child starts its own. */
int            run_with_python       (void);
/* The same, with Python code that is run before the tests, and not in their children. */
int            run_with_definitions  (const char *code);
RaddleRuntime *start_python          (void);
RaddleRuntime *start_with_signal_handlers (void);
void           stop_python           (RaddleRuntime *runtime);

/* All of these need Python held. */
void           run                   (const char *code);
gint64         evaluate              (const char *expression);
PyObject      *make                  (const char *expression);
char          *evaluate_text         (const char *expression);
void           give                  (const char *name,
                                      PyObject   *object);
void           give_address          (const char *name,
                                      gpointer    address);
GObject       *object_named          (const char *name);
PyObject      *named                 (const char *name);

/* run() and evaluate() for a thread that may hold Python or not. */
void           in_python             (const char *code);
gint64         look                  (const char *expression);
gboolean       have_gi               (void);

/* Callables that note what they were called with, on which threads, and on which threads they ended. A result
 * that is an exception's type is raised. */
#define CALL_CODE                                     \
  "import sys, threading\n"                           \
  "class Call:\n"                                     \
  "    def __init__(self, result=None, body=None):\n" \
  "        self.result, self.body = result, body\n"   \
  "    def __call__(self, *given):\n"                 \
  "        calls.append(given)\n"                     \
  "        threads.append(threading.get_ident())\n"   \
  "        if self.body: self.body(*given)\n"         \
  "        if isinstance(self.result, type): raise self.result('from Python')\n" \
  "        return self.result\n"                      \
  "    def __del__(self): ends.append(threading.get_ident())\n"
/* With CALL_CODE, notes what is reported: the exception's name and who is to blame. */
#define REPORTS_CODE                                  \
  "def hook(about):\n"                                \
  "    reports.append((about.exc_type.__name__, str(about.object)))\n" \
  "sys.unraisablehook = hook\n"
/* Empties the lists `calls`, `threads`, `ends` and `reports`. */
void           begin_notes           (void);

/* Runs @func on a new thread and waits for its end, without Python if this thread holds it. */
gpointer       on_a_thread           (GThreadFunc func,
                                      gpointer    data);

RaddleGateStats figures              (void);

/* From here on, `seen` has the records of Python's logger of a name, which is `logger`, and of those below. */
void           collect_log           (const char *name);
/* Checks what an expression is when everything was handed over to Python's logging. */
void           assert_seen           (const char *expression,
                                      const char *expected);

/* Waits until @check says yes; the test fails if it does not in 20 seconds. */
void           wait_until            (gboolean (*check) (gpointer data),
                                      gpointer   data);

/* Lets a number of threads meet. */
typedef struct {
  GMutex mutex;
  GCond  cond;
  guint  awaited;
} Meeting;
void           meeting_init          (Meeting *meeting,
                                      guint    threads);
void           meet                  (Meeting *meeting);

/* A thread that enters, gives Python up, meets, and stays inside for ever. */
gpointer       stay_inside_for_ever  (gpointer meeting);

/* Runs @child in a child that was forked, which has 30 seconds, and expects it to end well: by a plain
 * fork(), or by Python's os.fork(), which needs Python held. */
void           in_a_fork             (void   (*child) (gpointer data),
                                      gpointer data);
void           in_a_fork_of_python_s (void   (*child) (gpointer data),
                                      gpointer data);

/* In front of a test that may crash, hang or end its process: runs it in a child with a deadline, where
 * Python is not started yet. */
#define IN_A_CHILD() \
  do { if (!support_is_child ()) return; } while (0)
gboolean       support_is_child      (void);

#endif /* RADDLE_TESTS_SUPPORT_H */
