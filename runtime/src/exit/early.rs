//! The early phase: hooks that run on a dying thread while Python still knows it.
#![forbid(unsafe_code)]

use core::{cell::Cell, cell::RefCell, mem::ManuallyDrop};

use super::{Duty, Phase, late};

/// Runs the early phase when the thread's `thread_local!` values are dropped.
struct Bell;

impl Drop for Bell {
    fn drop(&mut self) {
        run(Phase::Early);
    }
}

type Hooks = ManuallyDrop<Vec<fn(Phase)>>;

thread_local! {
    static BELL: Bell = const { Bell };
    // Without a destructor, so that the late phase can still read them.
    static PASSED: Cell<bool> = const { Cell::new(false) };
    static HOOKS: RefCell<Hooks> = const { RefCell::new(ManuallyDrop::new(Vec::new())) };
}

/// Calls `hook` once on this thread when it ends, newest hook first.
///
/// The hook is given [`Phase::Early`], or [`Phase::Late`] on a thread that has no early phase ahead.
/// A hook must not panic: it runs inside the C library.
///
/// Returns `false`, and keeps nothing, if this thread's hooks have begun to run already.
pub(crate) fn at_early_exit(hook: fn(Phase)) -> bool {
    if early_passed() || BELL.try_with(|_| ()).is_err() {
        return false;
    }
    HOOKS.with_borrow_mut(|hooks| {
        if hooks.is_empty() {
            // The net below a bell that no longer rings. Without memory for it the bell still is
            // there, which is enough for every thread but the two kinds in the head of `exit`.
            late::at_late_exit(Duty::EarlyHooks);
        }
        hooks.push(hook);
    });
    true
}

/// Whether this thread's hooks have begun to run: a new one would be refused.
pub(crate) fn early_passed() -> bool {
    PASSED.get()
}

/// Runs what is registered; nothing if that was done before.
pub(super) fn run(phase: Phase) {
    PASSED.set(true);
    // One at a time, since a hook may call anything that asks for the list.
    while let Some(hook) = HOOKS.with_borrow_mut(|hooks| hooks.pop()) {
        hook(phase);
    }
    HOOKS.with_borrow_mut(|hooks| **hooks = Vec::new());
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, thread};

    use super::*;

    thread_local! {
        static SEEN: RefCell<ManuallyDrop<Vec<&'static str>>> =
            const { RefCell::new(ManuallyDrop::new(Vec::new())) };
    }

    fn note(what: &'static str) {
        SEEN.with_borrow_mut(|seen| seen.push(what));
    }

    /// What a thread noted by the time its late phase had run.
    fn seen_by(body: fn()) -> Vec<&'static str> {
        let (sender, receiver) = std::sync::mpsc::channel();
        let body = move || {
            body();
            let report = move || {
                sender.send(SEEN.with_borrow(|seen| seen.to_vec())).expect("the test waits");
            };
            assert!(late::at_late_exit(Duty::Closure(Box::new(report))));
        };
        thread::scope(|scope| {
            scope.spawn(body);
        });
        receiver.recv().expect("the late phase reports")
    }

    #[test]
    fn hooks_run_newest_first_in_the_early_phase() {
        let seen = seen_by(|| {
            assert!(at_early_exit(|phase| note(if phase == Phase::Early {
                "old"
            } else {
                "late"
            })));
            assert!(at_early_exit(|phase| note(if phase == Phase::Early {
                "new"
            } else {
                "late"
            })));
        });
        assert_eq!(seen, ["new", "old"]);
    }

    #[test]
    fn a_hook_that_comes_while_hooks_run_is_refused() {
        let seen = seen_by(|| {
            assert!(!early_passed());
            assert!(at_early_exit(|_| {
                assert!(early_passed());
                note(if at_early_exit(|_| note("again")) { "kept" } else { "refused" });
            }));
        });
        assert_eq!(seen, ["refused"]);
    }

    #[test]
    fn the_early_phase_is_over_when_the_late_one_runs() {
        let (sender, receiver) = std::sync::mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(move || {
                assert!(at_early_exit(|_| ()));
                let report = move || sender.send(early_passed()).expect("the test waits");
                assert!(late::at_late_exit(Duty::Closure(Box::new(report))));
            });
        });
        assert_eq!(receiver.recv(), Ok(true));
    }

    #[test]
    fn a_first_hook_from_the_late_phase_runs_late_and_is_told() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let report = move || {
            sender.send(SEEN.with_borrow(|seen| seen.to_vec())).expect("the test waits");
        };
        let register = || {
            let hook = |phase| note(if phase == Phase::Late { "late" } else { "early" });
            assert!(at_early_exit(hook));
            // Stands behind the hook in the second round.
            assert!(late::at_late_exit(Duty::Closure(Box::new(report))));
        };
        thread::scope(|scope| {
            scope.spawn(|| assert!(late::at_late_exit(Duty::Closure(Box::new(register)))));
        });
        assert_eq!(receiver.recv(), Ok(vec!["late"]));
    }
}
