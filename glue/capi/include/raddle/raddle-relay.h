/* raddle-relay.h: all of the relay, by which native threads hand things to Python. Include <raddle/raddle.h>. */
#ifndef RADDLE_RELAY_H
#define RADDLE_RELAY_H

#include <raddle/raddle-completion.h>
#include <raddle/raddle-log.h>
#include <raddle/raddle-ring.h>
#include <raddle/raddle-semaphore.h>
#include <raddle/raddle-stopper.h>

#endif /* RADDLE_RELAY_H */
