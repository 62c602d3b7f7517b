/* bench.h: how the benches in C measure and print. Rounds of ours, peer and floor take turns, so
 * that what else the machine does hits all three; the median of the rounds is what is printed. */
#ifndef RADDLE_BENCH_H
#define RADDLE_BENCH_H

#include <Python.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <raddle/raddle.h>

#define BENCH_ROUNDS 101

/* One contestant: does its thing @count times and returns what one time cost, in nanoseconds. */
typedef double (*BenchRun) (int count);

static inline double
bench_now (void)
{
  struct timespec now;
  clock_gettime (CLOCK_MONOTONIC, &now);
  return (double) now.tv_sec * 1e9 + (double) now.tv_nsec;
}

static inline int
bench_compare (const void *a, const void *b)
{
  double left = *(const double *) a, right = *(const double *) b;
  return (left > right) - (left < right);
}

static inline double
bench_quantile (double *samples, int count, double which)
{
  qsort (samples, (size_t) count, sizeof *samples, bench_compare);
  int index = (int) ((double) (count - 1) * which + 0.5);
  return samples[index];
}

static inline const char *
bench_python (void)
{
  static char text[16];
  const char *end = Py_GetVersion ();
  size_t length = strcspn (end, " ");
  snprintf (text, sizeof text, "%.*s", (int) length, end);
  return text;
}

/* Whether the command line asks for @name: no argument, or one that @name starts with. */
static inline bool
bench_wanted (int argc, char **argv, const char *name)
{
  return argc < 2 || strncmp (name, argv[1], strlen (argv[1])) == 0;
}

static inline void
bench_check (RaddleStatus status)
{
  if (status == RADDLE_STATUS_OK)
    return;
  fprintf (stderr, "%s: %s\n", raddle_status_name (status), raddle_last_error_message ());
  exit (1);
}

/* A figure that was measured elsewhere; @peer and @floor may be NULL. */
static inline void
bench_print (const char *name, double ours, const char *peer, double peer_ns, const char *floor,
             double floor_ns)
{
  printf ("{\"bench\":\"%s\",\"python\":\"%s\",\"ours_ns\":%.2f", name, bench_python (), ours);
  if (peer != NULL)
    printf (",\"peer\":\"%s\",\"peer_ns\":%.2f", peer, peer_ns);
  if (floor != NULL)
    printf (",\"floor\":\"%s\",\"floor_ns\":%.2f", floor, floor_ns);
  printf ("}\n");
  fflush (stdout);
}

/* Measures up to three contestants in turns and prints the figure. */
static inline void
bench_measure (const char *name, int count, BenchRun ours, const char *peer, BenchRun peer_run,
               int peer_count, const char *floor, BenchRun floor_run)
{
  static double times[3][BENCH_ROUNDS];

  for (int round = -2; round < BENCH_ROUNDS; round++)
    {
      int at = round < 0 ? 0 : round;
      times[0][at] = ours (count);
      times[1][at] = peer_run != NULL ? peer_run (peer_count) : 0;
      times[2][at] = floor_run != NULL ? floor_run (count) : 0;
    }
  bench_print (name, bench_quantile (times[0], BENCH_ROUNDS, 0.5), peer,
               bench_quantile (times[1], BENCH_ROUNDS, 0.5), floor,
               bench_quantile (times[2], BENCH_ROUNDS, 0.5));
}

#endif
