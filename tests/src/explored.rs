//! Runs a model through its interleavings, and refuses one that has only one: it would show nothing.
//!
//! loom 0.7 keeps the last access to a word only, and asks whether the next one might have come before
//! it. A thread that looks at a word and then exchanges it hides by its own look that others had looked
//! before: if loom begins with those, it never tries the exchange first. A model in which that matters
//! lets the exchanging thread begin, by a `yield_now`; and its mutants say whether it does.
#![forbid(unsafe_code)]

use std::cell::Cell;

use loom::model::Builder;

thread_local! {
    static WAYS: Cell<u64> = const { Cell::new(0) };
}

/// `loom::model`.
///
/// # Panics
///
/// If the model fails, or has one way only.
pub fn model(body: impl Fn() + Sync + Send + 'static) {
    check(Builder::new(), body);
}

/// `builder.check`.
///
/// # Panics
///
/// As [`model`].
pub fn check(builder: Builder, body: impl Fn() + Sync + Send + 'static) {
    WAYS.set(0);
    builder.check(move || {
        // loom's threads are generators of this one.
        WAYS.set(WAYS.get() + 1);
        body();
    });
    assert!(WAYS.get() > 1, "loom has tried one way only: nothing is shown by that");
}
