//! Processes that end while the relay is at work, by a host's stop and as `python3` does: a few of each
//! here, two hundred in tests/stress.
#![forbid(unsafe_code)]

use raddle_tests::shutdown::{End, live};
use raddle_tests::situations::ALL;

/// How often each situation ends each way: in a child once.
fn times() -> usize {
    if std::env::var_os("RADDLE_TEST_SITUATION").is_some() { 1 } else { 2 }
}

fn each(name: &str, which: &str) {
    let situation = ALL.iter().find(|(name, _)| *name == which).expect("a situation");
    for end in [End::Host, End::Python] {
        for _ in 0..times() {
            live(name, end, situation);
        }
    }
}

#[test]
fn a_pool_that_is_stopped_is_joined_before_python_ends() {
    each("a_pool_that_is_stopped_is_joined_before_python_ends", "pool");
}

#[test]
fn a_pool_that_nobody_stops_is_refused() {
    each("a_pool_that_nobody_stops_is_refused", "careless_pool");
}

#[test]
fn threads_that_wait_are_woken_before_they_are_joined() {
    each("threads_that_wait_are_woken_before_they_are_joined", "waiters");
}

#[test]
fn threads_that_wait_for_a_ring_s_items_and_for_its_room_are_woken() {
    each("threads_that_wait_for_a_ring_s_items_and_for_its_room_are_woken", "ring_waiters");
}

#[test]
fn threads_that_wait_for_a_place_in_a_full_queue_are_woken() {
    each("threads_that_wait_for_a_place_in_a_full_queue_are_woken", "full_queue");
}

#[test]
fn daemon_threads_that_wait_do_not_crash_the_end() {
    each("daemon_threads_that_wait_do_not_crash_the_end", "daemon_waits");
}

#[test]
fn a_main_thread_that_waits_is_interrupted_and_ends() {
    each("a_main_thread_that_waits_is_interrupted_and_ends", "main_waits");
}

#[test]
fn twenty_thousand_log_records_are_written_or_counted_before_the_end() {
    each("twenty_thousand_log_records_are_written_or_counted_before_the_end", "log_flood");
}

#[test]
fn a_flood_that_goes_on_is_written_counted_or_told_on_stderr() {
    each("a_flood_that_goes_on_is_written_counted_or_told_on_stderr", "log_flood_goes_on");
}

#[test]
fn a_worker_that_starts_too_late_has_told_its_records_by_the_end() {
    each("a_worker_that_starts_too_late_has_told_its_records_by_the_end", "log_flood_at_exit");
}

#[test]
fn a_live_stream_is_cut_off_with_every_completion_gone_once() {
    each("a_live_stream_is_cut_off_with_every_completion_gone_once", "stream");
}

#[test]
fn a_live_stream_to_a_daemon_s_loop_is_cut_off_too() {
    each("a_live_stream_to_a_daemon_s_loop_is_cut_off_too", "stream_in_a_daemon");
}
