//! What the refusals of tasklets say: programs for Stackless read some of these, and Rust's face tells
//! them apart by them.
#![forbid(unsafe_code)]

/// The last tasklet of a thread wants to wait, and nobody could wake it.
pub(super) const DEADLOCK: &str = "Deadlock: the last runnable tasklet cannot be blocked.";
/// The last other tasklet has ended while the main one waits to receive.
pub(super) const RECEIVING: &str = "the main tasklet is receiving without a sender available.";
/// The last other tasklet has ended while the main one waits to send.
pub(super) const SENDING: &str = "the main tasklet is sending without a receiver available.";
/// `block_trap`.
pub(super) const BLOCK_TRAP: &str = "this tasklet does not like to be blocked.";
/// `switch_trap`.
pub(super) const SWITCH_TRAP: &str = "switch_trap";
/// A closed channel, at which nobody waits who could be met.
pub(super) const CLOSED: &str = "Send/receive operation on a closed channel";
