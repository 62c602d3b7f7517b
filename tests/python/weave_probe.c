/* weave_probe.c: native destructors that write down their calls, for test_weave.py. */
#include <pthread.h>

enum { ROOM = 1024 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t  changed = PTHREAD_COND_INITIALIZER;
static int             closed;
static int             waiting;
static long            used;
static int             who[ROOM];
static void           *value[ROOM];

static void
note (int destructor, void *its_value)
{
  pthread_mutex_lock (&lock);
  if (used < ROOM) {
    who[used] = destructor;
    value[used] = its_value;
    used++;
  }
  pthread_mutex_unlock (&lock);
}

void
first (void *its_value)
{
  note (1, its_value);
}

void
second (void *its_value)
{
  note (2, its_value);
}

/* Writes its call down only when the door is open. */
void
patient (void *its_value)
{
  pthread_mutex_lock (&lock);
  waiting++;
  pthread_cond_broadcast (&changed);
  while (closed)
    pthread_cond_wait (&changed, &lock);
  waiting--;
  pthread_mutex_unlock (&lock);
  note (3, its_value);
}

void
set_closed (int now)
{
  pthread_mutex_lock (&lock);
  closed = now;
  pthread_cond_broadcast (&changed);
  pthread_mutex_unlock (&lock);
}

/* Returns once a thread waits at the door. */
void
await_waiting (void)
{
  pthread_mutex_lock (&lock);
  while (waiting == 0)
    pthread_cond_wait (&changed, &lock);
  pthread_mutex_unlock (&lock);
}

/* How many calls were written down. */
long
calls (void)
{
  long count;

  pthread_mutex_lock (&lock);
  count = used;
  pthread_mutex_unlock (&lock);
  return count;
}

/* Which destructor the call of that number was, and with what value. */
int
call_destructor (long number)
{
  return who[number];
}

void *
call_value (long number)
{
  return value[number];
}

void
forget_calls (void)
{
  pthread_mutex_lock (&lock);
  used = 0;
  pthread_mutex_unlock (&lock);
}
