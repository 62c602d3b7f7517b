/* log.c: the printf-like functions of raddle-log.h; C-variadic functions are written in C. */
#include <raddle/raddle-log.h>

#include <stdio.h>
#include <stdlib.h>

/* What most messages fit into; a longer one is allocated for. */
#define MESSAGE_BYTES 512

void
raddle_log_va (int         level,
               const char *domain,
               const char *file,
               int         line,
               const char *func,
               const char *format,
               va_list     arguments)
{
  char inline_message[MESSAGE_BYTES];
  char *message = inline_message;
  va_list again;
  int length;

  if (!format || !raddle_log_enabled (level, domain))
    return;
  va_copy (again, arguments);
  length = vsnprintf (inline_message, sizeof inline_message, format, arguments);
  if (length < 0)
    message = (char *) format; /* what cannot be formatted is logged as it is */
  else if ((size_t) length >= sizeof inline_message)
    {
      char *whole = malloc ((size_t) length + 1);
      if (whole)
        {
          vsnprintf (whole, (size_t) length + 1, format, again);
          message = whole;
        }
    }
  va_end (again);
  raddle_log_message (level, domain, file, line, func, message, NULL, 0);
  if (message != inline_message && message != format)
    free (message);
}

void
raddle_log (int         level,
            const char *domain,
            const char *file,
            int         line,
            const char *func,
            const char *format,
            ...)
{
  va_list arguments;

  va_start (arguments, format);
  raddle_log_va (level, domain, file, line, func, format, arguments);
  va_end (arguments);
}
