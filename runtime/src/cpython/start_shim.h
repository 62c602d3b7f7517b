/* start_shim.h: how Python is to be started. start.rs mirrors the record. Not installed. */
#ifndef RADDLE_START_SHIM_H
#define RADDLE_START_SHIM_H

#include <stddef.h>

struct raddle_start
{
  const char *program_name;  /* UTF-8, or NULL */
  const char *home;          /* UTF-8, or NULL: Python looks for it */
  const char *executable;    /* UTF-8, or NULL: none is known */
  char *const *argv;         /* UTF-8 */
  size_t argc;
  int signal_handlers;
};

int raddle_py_start (const struct raddle_start *how, char *message, size_t size);

#endif /* RADDLE_START_SHIM_H */
