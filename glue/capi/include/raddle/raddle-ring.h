/* raddle-ring.h: handing pointers from thread to thread, bounded and stoppable. Include <raddle/raddle.h>. */
#ifndef RADDLE_RING_H
#define RADDLE_RING_H

#include <stdbool.h>
#include <stdint.h>
#include <raddle/raddle-macros.h>
#include <raddle/raddle-semaphore.h>
#include <raddle/raddle-status.h>

RADDLE_BEGIN_DECLS

/**
 * RaddleRing:
 *
 * A bounded queue of pointers for any number of producers and consumers. It
 * needs no Python: it works before the start and after the stop. Reference
 * counted.
 *
 * In the child of a fork it is stopped, and what is inside is left alone: a push
 * of another thread may have been under way, which nobody will finish.
 *
 * Since: 0.1
 */
RADDLE_DECLARE_SHARED (RaddleRing, raddle_ring)

/**
 * RaddleRingStats:
 * @length: how many items are inside now
 * @capacity: how many fit
 * @max_length: the most that were inside at once
 * @pushes: how many were pushed
 * @pops: how many were popped
 * @push_waits: how often a push had to wait for room
 * @pop_waits: how often a pop had to wait for an item
 *
 * What went through a ring.
 *
 * Since: 0.1
 */
typedef struct {
  uint64_t length;
  uint64_t capacity;
  uint64_t max_length;
  uint64_t pushes;
  uint64_t pops;
  uint64_t push_waits;
  uint64_t pop_waits;
} RaddleRingStats;

/**
 * raddle_ring_new:
 * @capacity: how many items fit, 1 to 16777216; memory for them is taken now
 * @notify: (nullable): called once with each item that is left when the ring
 *   goes, on the thread that drops the last reference
 * @out: (out) (transfer full): where to put it; written only on success
 *
 * Returns: %RADDLE_STATUS_OK; %RADDLE_STATUS_NULL; %RADDLE_STATUS_INVALID for a
 *   @capacity out of range; %RADDLE_STATUS_NO_MEMORY if the process may open no
 *   more descriptors
 *
 * Thread: any.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1 RADDLE_MUST_CHECK
RaddleStatus   raddle_ring_new              (uint32_t     capacity,
                                             void       (*notify) (void *item),
                                             RaddleRing **out);

/**
 * raddle_ring_try_push:
 * @self: a ring
 * @item: (transfer full): what to add; not %NULL
 *
 * Adds an item if there is room. Never waits.
 *
 * Returns: %RADDLE_STATUS_OK; %RADDLE_STATUS_TIMED_OUT if it is full;
 *   %RADDLE_STATUS_STOPPED; %RADDLE_STATUS_NULL. Unless it is OK, @item is
 *   still the caller's.
 *
 * Thread: any.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1 RADDLE_MUST_CHECK
RaddleStatus   raddle_ring_try_push         (RaddleRing *self,
                                             void       *item);

/**
 * raddle_ring_push:
 * @self: a ring
 * @item: (transfer full): what to add; not %NULL
 * @timeout_ms: how long to wait for room, or -1 for as long as it takes
 * @wait: whose business that is
 *
 * Adds an item, waiting for room.
 *
 * Returns: as raddle_semaphore_get(); %RADDLE_STATUS_STOPPED though there may
 *   be room. Unless it is OK, @item is still the caller's.
 *
 * Thread: any, holding Python or not.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1 RADDLE_MUST_CHECK
RaddleStatus   raddle_ring_push             (RaddleRing *self,
                                             void       *item,
                                             int64_t     timeout_ms,
                                             RaddleWait  wait);

/**
 * raddle_ring_try_pop:
 * @self: a ring
 * @out: (out) (transfer full): where to put the item; written only on success
 *
 * Takes the oldest item out if there is one. Never waits.
 *
 * Returns: %RADDLE_STATUS_OK; %RADDLE_STATUS_TIMED_OUT if it is empty;
 *   %RADDLE_STATUS_STOPPED if it will stay so; %RADDLE_STATUS_NULL
 *
 * Thread: any.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1 RADDLE_MUST_CHECK
RaddleStatus   raddle_ring_try_pop          (RaddleRing  *self,
                                             void       **out);

/**
 * raddle_ring_pop:
 * @self: a ring
 * @timeout_ms: how long to wait for an item, or -1 for as long as it takes
 * @wait: whose business that is
 * @out: (out) (transfer full): where to put the item; written only on success
 *
 * Takes the oldest item out, waiting for one.
 *
 * Returns: as raddle_semaphore_get(); an item is taken only if it is OK
 *
 * Thread: any, holding Python or not.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1 RADDLE_MUST_CHECK
RaddleStatus   raddle_ring_pop              (RaddleRing  *self,
                                             int64_t      timeout_ms,
                                             RaddleWait   wait,
                                             void       **out);

/**
 * raddle_ring_stop:
 * @self: a ring
 *
 * Refuses pushes from now on, and wakes everybody who waits. What is inside may
 * still be popped; after that pops are told %RADDLE_STATUS_STOPPED, and no
 * earlier than that a push which had begun before the stop has come through.
 *
 * Returns: %RADDLE_STATUS_OK or %RADDLE_STATUS_NULL
 *
 * Thread: any.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus   raddle_ring_stop             (RaddleRing *self);

/** raddle_ring_is_stopped: @self: (nullable): a ring. Returns: whether it was stopped. Thread: any. Since: 0.1 */
RADDLE_AVAILABLE_IN_0_1
bool           raddle_ring_is_stopped       (RaddleRing *self);

/** raddle_ring_add_producer: @self: a ring. Counts one who will push. Returns: %RADDLE_STATUS_OK or %RADDLE_STATUS_NULL. Thread: any. Since: 0.1 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus   raddle_ring_add_producer     (RaddleRing *self);

/**
 * raddle_ring_remove_producer:
 * @self: a ring
 *
 * Counts one off who pushes no more. The last one to go stops the ring.
 *
 * Returns: %RADDLE_STATUS_OK; %RADDLE_STATUS_NULL; %RADDLE_STATUS_WRONG_ORDER if
 *   there is none
 *
 * Thread: any.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus   raddle_ring_remove_producer  (RaddleRing *self);

/**
 * raddle_ring_get_stats:
 * @self: a ring
 * @out: (out): where to put the figures; written only on success
 *
 * Returns: %RADDLE_STATUS_OK or %RADDLE_STATUS_NULL
 *
 * Thread: any.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus   raddle_ring_get_stats        (RaddleRing      *self,
                                             RaddleRingStats *out);

/** raddle_ring_get_fd: @self: (nullable): a ring. Returns: (transfer none): as raddle_semaphore_get_fd(), for who pops by raddle_ring_try_pop(). Thread: any. Since: 0.1 */
RADDLE_AVAILABLE_IN_0_1
int            raddle_ring_get_fd           (RaddleRing *self);

/** raddle_ring_get_room_fd: @self: (nullable): a ring. Returns: (transfer none): the same for who pushes by raddle_ring_try_push(). Thread: any. Since: 0.1 */
RADDLE_AVAILABLE_IN_0_1
int            raddle_ring_get_room_fd      (RaddleRing *self);

RADDLE_END_DECLS

#endif /* RADDLE_RING_H */
