/* gilstate_slot.c: makes this thread's PyGILState forget a thread state, without the GIL.
 *
 * CPython remembers per thread which state PyGILState_Ensure shall use. When a dying thread hands
 * its state over, that memory must go with it: code that runs still later on the thread (a
 * GPrivate destructor in PyGObject) would attach a state that another thread is deleting. CPython
 * clears the memory only while attached, and a dying thread must not wait for that.
 *
 * 3.11 to 3.14 keep it in a TSS key inside _PyRuntime. From 3.15 on it is a thread-local variable
 * of libpython that is not exported: it is found once, by looking through libpython's thread-local
 * block of a thread whose state is known and not attached, where it is the only word that has
 * the state's address. */
#define _GNU_SOURCE
#include <patchlevel.h>
#if PY_VERSION_HEX < 0x030f0000
# define Py_BUILD_CORE 1
# include <Python.h>
# include <internal/pycore_runtime.h>
#else
# include <Python.h>
# if defined (__linux__)
#  include <dlfcn.h>
#  include <link.h>
# endif
#endif

#include "gate_shim.h"

#if PY_VERSION_HEX < 0x030c0000
/* Where 3.11 keeps the current thread state, one for all threads. Read in place: a call into
 * libpython is half of what a nested entry costs. */
PyThreadState *const *const raddle_py_current_at =
    (PyThreadState *const *) (const void *) &_PyRuntime.gilstate.tstate_current;
#endif

#if PY_VERSION_HEX < 0x030f0000

void
raddle_py_find_gilstate_slot (PyThreadState *mine)
{
  (void) mine;
}

int
raddle_py_gilstate_slot_found (void)
{
  return 1;
}

void
raddle_py_forget_gilstate (PyThreadState *stale)
{
# if PY_VERSION_HEX < 0x030c0000
  Py_tss_t *key = &_PyRuntime.gilstate.autoTSSkey;
# else
  Py_tss_t *key = &_PyRuntime.autoTSSkey;
# endif
  if (PyThread_tss_is_created (key) && PyThread_tss_get (key) == (void *) stale)
    PyThread_tss_set (key, NULL);
}

#elif defined (__linux__)

struct search
{
  const char *code;      /* an address inside libpython */
  void *wanted;          /* the state's address */
  size_t offset;         /* out: where in libpython's thread-local block it stands */
  int matches;           /* out: how often */
  void **block;          /* out: the block of this thread */
  size_t words;          /* out: its size */
};

static int
visit (struct dl_phdr_info *info, size_t size, void *data)
{
  struct search *search = data;
  int contains = 0;
  size_t words = 0;

  (void) size;
  for (int i = 0; i < info->dlpi_phnum; i++)
    {
      const ElfW (Phdr) *header = &info->dlpi_phdr[i];
      const char *start = (const char *) info->dlpi_addr + header->p_vaddr;
      if (header->p_type == PT_LOAD && search->code >= start
          && search->code < start + header->p_memsz)
        contains = 1;
      if (header->p_type == PT_TLS)
        words = header->p_memsz / sizeof (void *);
    }
  if (!contains)
    return 0;
  search->block = (void **) info->dlpi_tls_data;
  search->words = search->block != NULL ? words : 0;
  for (size_t i = 0; i < search->words; i++)
    if (search->block[i] == search->wanted)
      {
        search->offset = i;
        search->matches++;
      }
  return 1;
}

static struct search
look (void *wanted)
{
  struct search search = { .code = (const char *) (uintptr_t) &PyGILState_GetThisThreadState,
                           .wanted = wanted };
  dl_iterate_phdr (visit, &search);
  return search;
}

static size_t slot_offset;
static int slot_found;

/* `mine` is this thread's state, made and not attached. Threads that search at the same time find the
 * same. */
void
raddle_py_find_gilstate_slot (PyThreadState *mine)
{
  struct search search;

  if (__atomic_load_n (&slot_found, __ATOMIC_ACQUIRE) || PyGILState_GetThisThreadState () != mine)
    return;
  search = look (mine);
  if (search.matches != 1)
    return;
  __atomic_store_n (&slot_offset, search.offset, __ATOMIC_RELAXED);
  __atomic_store_n (&slot_found, 1, __ATOMIC_RELEASE);
}

int
raddle_py_gilstate_slot_found (void)
{
  return __atomic_load_n (&slot_found, __ATOMIC_ACQUIRE);
}

void
raddle_py_forget_gilstate (PyThreadState *stale)
{
  struct search search;

  if (!raddle_py_gilstate_slot_found () || PyGILState_GetThisThreadState () != stale)
    return;
  search = look (stale);
  size_t offset = __atomic_load_n (&slot_offset, __ATOMIC_RELAXED);
  if (offset < search.words && search.block[offset] == (void *) stale)
    search.block[offset] = NULL;
}

#else

void
raddle_py_find_gilstate_slot (PyThreadState *mine)
{
  (void) mine;
}

int
raddle_py_gilstate_slot_found (void)
{
  return 0;
}

void
raddle_py_forget_gilstate (PyThreadState *stale)
{
  (void) stale;
}

#endif
