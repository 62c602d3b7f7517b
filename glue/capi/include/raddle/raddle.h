/* raddle.h: Python in a native host, from any thread. No GLib in it: see raddle-glib.h. */
#ifndef RADDLE_H
#define RADDLE_H

#define RADDLE_MAJOR_VERSION 0
#define RADDLE_MINOR_VERSION 1
#define RADDLE_MICRO_VERSION 0

#include <raddle/raddle-macros.h>
#include <raddle/raddle-status.h>
#include <raddle/raddle-runtime.h>
#include <raddle/raddle-gate.h>
#include <raddle/raddle-lock.h>
#include <raddle/raddle-reference.h>
#include <raddle/raddle-relay.h>
#include <raddle/raddle-weave.h>

#endif /* RADDLE_H */
