//! What stands in for the bell when the models run: a flag, and a wait for it.
#![forbid(unsafe_code)]

use std::io;

use crate::primitive::{Condvar, Mutex, lock};

/// A bell without a descriptor.
#[derive(Debug)]
pub struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Bell {
    /// A bell that has not rung.
    ///
    /// # Errors
    ///
    /// None: it is the real one's that may fail.
    pub fn new() -> io::Result<Self> {
        Ok(Self { rung: Mutex::new(false), heard: Condvar::new() })
    }

    /// Makes it readable.
    pub fn ring(&self) {
        *lock(&self.rung) = true;
        self.heard.notify_all();
    }

    /// Makes it unreadable, until it rings again.
    pub fn hush(&self) {
        *lock(&self.rung) = false;
    }

    /// Whether it is readable.
    pub fn has_rung(&self) -> bool {
        *lock(&self.rung)
    }

    /// Waits until it is readable, as a poll would.
    pub fn wait(&self) {
        let mut rung = lock(&self.rung);
        while !*rung {
            rung = self.heard.wait(rung).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }
}
