/* content.c: the native part of the work: read, count newlines, SHA-256. */
#include "content.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gio/gio.h>

#define SMALLEST_BUFFER 4096

static bool
fail (GError **error, int code)
{
  g_set_error_literal (error, G_IO_ERROR, g_io_error_from_errno (code), g_strerror (code));
  return false;
}

/* Reads to the end, also of a file that grows meanwhile. A signal handler of Python's may run on
 * any thread and does not restart what it interrupts: EINTR means "again". */
static bool
read_all (int fd, gsize expected, Content *out, GError **error)
{
  gsize room = MAX (expected + 1, SMALLEST_BUFFER);

  out->data = g_try_malloc (room);
  while (out->data)
    {
      gssize got = read (fd, out->data + out->length, room - out->length);

      if (got == 0)
        return true;
      if (got < 0 && errno == EINTR)
        continue;
      if (got < 0)
        return fail (error, errno);
      out->length += (gsize) got;
      if (out->length == room)
        {
          char *larger = room <= G_MAXSSIZE / 2 ? g_try_realloc (out->data, room * 2) : NULL;

          if (!larger)
            break;
          out->data = larger;
          room *= 2;
        }
    }
  return fail (error, ENOMEM);
}

static guint64
count_lines (const char *data, gsize length)
{
  const char *end = data + length;
  guint64 lines = 0;

  while (data < end && (data = memchr (data, '\n', (gsize) (end - data))))
    {
      lines++;
      data++;
    }
  return lines;
}

static void
measure (Content *self)
{
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  gsize length = sizeof self->digest;

  self->lines = count_lines (self->data, self->length);
  g_checksum_update (checksum, (const guchar *) self->data, (gssize) self->length);
  g_checksum_get_digest (checksum, self->digest, &length);
}

bool
content_read (const char *path, Content *out, GError **error)
{
  Content content = { 0 };
  struct stat facts;
  bool done = false;
  int fd;

  do
    /* O_NONBLOCK: something that is no file by now must not keep us waiting. */
    fd = open (path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  while (fd < 0 && errno == EINTR);
  if (fd < 0)
    return fail (error, errno);

  if (fstat (fd, &facts) < 0)
    fail (error, errno);
  else if (!S_ISREG (facts.st_mode))
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_REGULAR_FILE, "no longer a regular file");
  else
    done = read_all (fd, (gsize) facts.st_size, &content, error);
  close (fd);

  if (!done)
    {
      content_clear (&content);
      return false;
    }
  measure (&content);
  *out = content;
  return true;
}

void
content_clear (Content *self)
{
  g_clear_pointer (&self->data, g_free);
  self->length = 0;
}
