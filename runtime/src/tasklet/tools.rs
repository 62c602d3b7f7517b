//! What watches memory is told of stacks: sanitizers and valgrind, where the process runs under one.
//!
//! | tool | by | told |
//! |---|---|---|
//! | AddressSanitizer | the functions `__sanitizer_*_switch_fiber` | before and after each switch |
//! | ThreadSanitizer | the functions `__tsan_*_fiber` | at each beginning, switch and end |
//! | valgrind | its client requests | where a stack begins and that it is gone |
//!
//! The functions are looked for by name when a thread first has tasklets, so nothing has to be compiled
//! for them; a program without any pays one test of a flag per switch. A client request is a sequence of
//! instructions that does nothing, and that valgrind alone gives a meaning: its encoding is part of what
//! valgrind promises.

use core::ffi::{CStr, c_uint, c_void};
use core::ptr;
use std::sync::OnceLock;

use super::state::Body;
use crate::primitive::{AtomicBool, Ordering};

type Start = unsafe extern "C" fn(*mut *mut c_void, *const c_void, usize);
type Finish = unsafe extern "C" fn(*mut c_void, *mut *const c_void, *mut usize);
type Create = unsafe extern "C" fn(c_uint) -> *mut c_void;
type Current = unsafe extern "C" fn() -> *mut c_void;
type Enter = unsafe extern "C" fn(*mut c_void, c_uint);
type Destroy = unsafe extern "C" fn(*mut c_void);

struct Tools {
    address: Option<(Start, Finish)>,
    thread: Option<(Create, Current, Enter, Destroy)>,
    valgrind: bool,
}

/// What the tools know a stack by.
#[derive(Debug)]
pub(super) struct Marks {
    /// AddressSanitizer's: where it keeps the locals of the suspended frames.
    fake: core::cell::Cell<*mut c_void>,
    /// ThreadSanitizer's; null for none.
    fiber: core::cell::Cell<*mut c_void>,
    /// valgrind's number of the stack.
    number: core::cell::Cell<usize>,
}

impl Marks {
    pub(super) const fn none() -> Self {
        Self {
            fake: core::cell::Cell::new(ptr::null_mut()),
            fiber: core::cell::Cell::new(ptr::null_mut()),
            number: core::cell::Cell::new(0),
        }
    }
}

static TOOLS: OnceLock<Tools> = OnceLock::new();
/// Whether there is one.
static WATCHED: AtomicBool = AtomicBool::new(false);

/// Looks what watches this process. Before the first switch.
pub(super) fn look() {
    let tools = TOOLS.get_or_init(find);
    let watched = tools.address.is_some() || tools.thread.is_some() || tools.valgrind;
    // Relaxed: the threads that read it have looked themselves.
    WATCHED.store(watched, Ordering::Relaxed);
}

/// Whether the functions below have anything to do.
#[inline]
pub(super) fn is_watched() -> bool {
    WATCHED.load(Ordering::Relaxed)
}

fn find() -> Tools {
    let start = symbol(c"__sanitizer_start_switch_fiber");
    let finish = symbol(c"__sanitizer_finish_switch_fiber");
    let address = start.zip(finish).map(|(start, finish)| {
        // SAFETY: that is what the sanitizers' common_interface_defs.h declares.
        let start = unsafe { core::mem::transmute::<*mut c_void, Start>(start) };
        // SAFETY: as above.
        let finish = unsafe { core::mem::transmute::<*mut c_void, Finish>(finish) };
        (start, finish)
    });
    Tools { address, thread: find_thread(), valgrind: request([0x1001, 0, 0, 0, 0, 0], 0) != 0 }
}

fn find_thread() -> Option<(Create, Current, Enter, Destroy)> {
    let create = symbol(c"__tsan_create_fiber")?;
    let current = symbol(c"__tsan_get_current_fiber")?;
    let enter = symbol(c"__tsan_switch_to_fiber")?;
    let destroy = symbol(c"__tsan_destroy_fiber")?;
    // SAFETY: that is what the sanitizers' tsan_interface.h declares.
    let create = unsafe { core::mem::transmute::<*mut c_void, Create>(create) };
    // SAFETY: as above.
    let current = unsafe { core::mem::transmute::<*mut c_void, Current>(current) };
    // SAFETY: as above.
    let enter = unsafe { core::mem::transmute::<*mut c_void, Enter>(enter) };
    // SAFETY: as above.
    let destroy = unsafe { core::mem::transmute::<*mut c_void, Destroy>(destroy) };
    Some((create, current, enter, destroy))
}

/// A function of the process, if there is one of this name.
fn symbol(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: a name that ends with a NUL.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}

/// A stack has been made ready for a tasklet.
#[cold]
pub(super) fn begins(body: &Body) {
    let (Some(tools), Some(place)) = (TOOLS.get(), body.place) else { return };
    let (base, size) = place.calls();
    if tools.valgrind {
        let end = base.addr() + size - 1;
        body.marks.number.set(request([0x1501, base.addr(), end, 0, 0, 0], 0));
    }
    if let Some((create, ..)) = tools.thread {
        // SAFETY: makes a record.
        body.marks.fiber.set(unsafe { create(0) });
    }
}

/// The stack that runs is about to be left for another; for good if `ends`.
#[cold]
pub(super) fn leaves(from: &Body, to: &Body, ends: bool) {
    let Some(tools) = TOOLS.get() else { return };
    if let Some((start, _)) = tools.address {
        let (base, size) = to.place.map_or_else(own_stack, super::stack::Place::calls);
        let keep = if ends { ptr::null_mut() } else { from.marks.fake.as_ptr() };
        // SAFETY: a place for its pointer, or null for a stack that ends; the bounds of the other one.
        unsafe { start(keep, base.cast(), size) };
    }
    if let Some((_, current, enter, _)) = tools.thread {
        if from.place.is_none() {
            // SAFETY: asks for the record of this thread.
            from.marks.fiber.set(unsafe { current() });
        }
        // SAFETY: the record of the stack that runs next: made in `begins`, or noted when it was left.
        unsafe { enter(to.marks.fiber.get(), 0) };
    }
}

/// This stack runs, for the first time or again.
#[cold]
pub(super) fn arrives(here: &Body) {
    if let Some((_, finish)) = TOOLS.get().and_then(|tools| tools.address) {
        // SAFETY: what it gave when this stack was left, or null for a fresh one.
        unsafe { finish(here.marks.fake.get(), ptr::null_mut(), ptr::null_mut()) };
    }
}

/// A stack is given back; nobody runs on it.
#[cold]
pub(super) fn is_gone(body: &Body) {
    let Some(tools) = TOOLS.get() else { return };
    if tools.valgrind {
        request([0x1502, body.marks.number.get(), 0, 0, 0, 0], 0);
    }
    if let Some((.., destroy)) = tools.thread {
        // SAFETY: made in `begins`, and not the one that runs.
        unsafe { destroy(body.marks.fiber.get()) };
    }
}

/// The stack that this thread was made with.
fn own_stack() -> (*mut u8, usize) {
    let mut attributes = core::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
    // SAFETY: names this thread.
    let here = unsafe { libc::pthread_self() };
    // SAFETY: this thread, and a place for its attributes.
    if unsafe { libc::pthread_getattr_np(here, attributes.as_mut_ptr()) } != 0 {
        return (ptr::null_mut(), 0);
    }
    let (mut base, mut size) = (ptr::null_mut(), 0);
    // SAFETY: attributes that were filled above, and two places.
    unsafe {
        libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut base, &raw mut size);
    }
    // SAFETY: filled above, and not used any more.
    unsafe { libc::pthread_attr_destroy(attributes.as_mut_ptr()) };
    (base.cast(), size)
}

/// Asks valgrind; `otherwise` where there is none.
#[cfg(target_arch = "x86_64")]
fn request(words: [usize; 6], otherwise: usize) -> usize {
    let mut answer = otherwise;
    // SAFETY: four rotations that come to a whole turn, and an exchange of a register with itself: only
    // valgrind, which reads the words, does anything.
    unsafe {
        core::arch::asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") words.as_ptr(),
            inout("rdx") answer,
            options(nostack),
        );
    }
    answer
}

/// Asks valgrind; `otherwise` where there is none.
#[cfg(target_arch = "aarch64")]
fn request(words: [usize; 6], otherwise: usize) -> usize {
    let mut answer = otherwise;
    // SAFETY: as on x86-64.
    unsafe {
        core::arch::asm!(
            "ror x12, x12, #3",
            "ror x12, x12, #13",
            "ror x12, x12, #51",
            "ror x12, x12, #61",
            "orr x10, x10, x10",
            in("x4") words.as_ptr(),
            inout("x3") answer,
            options(nostack),
        );
    }
    answer
}
