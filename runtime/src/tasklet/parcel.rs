//! A Rust value as a Python object: how values and closures travel with tasklets.
//!
//! Whoever drops the object drops the value, with Python held. A value that is not `Send` and is dropped
//! on another thread goes home by mail, and is leaked on purpose if its thread is gone.

use core::any::{Any, TypeId};
use core::cell::Cell;
use core::ffi::CStr;
use core::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pyo3_ffi as ffi;

use super::bell::{Bell, Letter};
use super::ops::{self, Raw};
use super::scheduler::Scheduler;
use crate::object::Pending;
use crate::primitive::{AtomicU64, Mutex, Ordering, lock};

const NAME: &CStr = c"raddle.tasklet value";

/// What a capsule points to.
struct Parcel {
    kind: TypeId,
    value: Option<Box<dyn Any>>,
    /// Where the value has to be dropped; `None`: anywhere.
    home: Option<Home>,
}

struct Home {
    thread: u64,
    bell: Arc<Bell>,
}

/// A number for this thread that no other thread ever has; `None` while its data is being destroyed.
fn thread_number() -> Option<u64> {
    static LAST: AtomicU64 = AtomicU64::new(0);
    std::thread_local! {
        static NUMBER: Cell<u64> = const { Cell::new(0) };
    }
    let number = |place: &Cell<u64>| {
        if place.get() == 0 {
            // Relaxed: a number alone.
            place.set(LAST.fetch_add(1, Ordering::Relaxed) + 1);
        }
        place.get()
    };
    NUMBER.try_with(number).ok()
}

/// A new object that owns a value which may be dropped on any thread.
pub(super) fn anywhere<T: Send + 'static>(_s: Scheduler, value: T) -> Result<Raw, Pending> {
    make(value, None)
}

/// A new object that owns a value of this thread.
pub(super) fn here<T: 'static>(s: Scheduler, value: T) -> Result<Raw, Pending> {
    let thread = thread_number().unwrap_or(0);
    make(value, Some(Home { thread, bell: Arc::clone(&s.waiting.bell) }))
}

fn make<T: 'static>(value: T, home: Option<Home>) -> Result<Raw, Pending> {
    let parcel = Parcel { kind: TypeId::of::<T>(), value: Some(Box::new(value)), home };
    let place = Box::into_raw(Box::new(parcel));
    // SAFETY: a pointer that is not null, a name that lives for ever, and its destructor.
    let capsule = unsafe { ffi::PyCapsule_New(place.cast(), NAME.as_ptr(), Some(destroy)) };
    if capsule.is_null() {
        // SAFETY: leaked a few lines ago, and nobody has it.
        drop(unsafe { Box::from_raw(place) });
    }
    ops::check(capsule)
}

/// Takes the value out of an object; `None` if it is no parcel, of another type, or empty.
pub(super) fn take<T: 'static>(object: Raw) -> Option<T> {
    // SAFETY: an object, alive.
    if unsafe { ffi::PyCapsule_IsValid(object, NAME.as_ptr()) } == 0 {
        return None;
    }
    // SAFETY: a capsule of that name, made above.
    let place = unsafe { ffi::PyCapsule_GetPointer(object, NAME.as_ptr()) };
    // SAFETY: of `new`, alive as long as the capsule; Python is held, and this does not call anybody.
    let parcel = unsafe { &mut *place.cast::<Parcel>() };
    if parcel.kind != TypeId::of::<T>() {
        return None;
    }
    let value = parcel.value.take()?.downcast::<T>().ok()?;
    Some(*value)
}

/// The object is destroyed, on whichever thread.
unsafe extern "C" fn destroy(capsule: Raw) {
    // SAFETY: the capsule made in `new`.
    let place = unsafe { ffi::PyCapsule_GetPointer(capsule, NAME.as_ptr()) };
    // SAFETY: leaked by `new`, and its only owner is the capsule.
    let Parcel { value, home, .. } = *unsafe { Box::from_raw(place.cast::<Parcel>()) };
    let Some(value) = value else { return };
    match home {
        Some(home) if thread_number() != Some(home.thread) => {
            let parcel = Mutex::new(Some(Stranded(ManuallyDrop::new(value))));
            home.bell.post(Arc::new(Returned(parcel)));
        }
        _ => drop_here(value),
    }
}

/// Drops a value of a user's, and no panic of it leaves.
fn drop_here(value: Box<dyn Any>) {
    // The hook has told of the panic.
    let _told = catch_unwind(AssertUnwindSafe(|| drop(value)));
}

/// A value on the wrong thread: leaked unless it comes home.
struct Stranded(ManuallyDrop<Box<dyn Any>>);

// SAFETY: only touched on its home thread, by `Returned::open`.
unsafe impl Send for Stranded {}

struct Returned(Mutex<Option<Stranded>>);

impl Letter for Returned {
    fn open(&self) {
        let stranded = lock(&self.0).take();
        if let Some(Stranded(value)) = stranded {
            drop_here(ManuallyDrop::into_inner(value));
        }
    }
}
