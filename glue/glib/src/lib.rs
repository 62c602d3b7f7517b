//! Python on a GLib main loop: a poll function that never keeps Python from others, sources that
//! carry Python callables, and a `run` in which Ctrl-C works.
//!
//! ```no_run
//! use raddle_glib::{Hold, attach, idle_add, run};
//!
//! let context = glib::MainContext::default();
//! attach(&context, Hold::Callback, None)?;
//! let callable = raddle::enter(|py| py.eval(c"lambda: print('idle')", None, None).map(raddle::Ref::new))?;
//! idle_add(&context, glib::Priority::DEFAULT_IDLE, callable?)?;
//! run(&glib::MainLoop::new(Some(&context), false))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What of it has a face in Python (`raddle.asyncio`) is there after [`install`]:
//!
//! ```no_run
//! raddle_glib::install()?;
//! let runtime = raddle::Runtime::start(&raddle::Options::new())?;
//! # Ok::<(), raddle::Error>(())
//! ```
//!
//! A callable is a [`raddle::Ref`] or what becomes one, and so may be given, called and dropped on
//! any thread: there is no `_local` twin of anything here.

mod arguments;
#[doc(hidden)] // Public for the C API.
pub mod call;
mod callable;
mod cancellable;
#[doc(hidden)]
pub mod closure;
mod completion;
#[doc(hidden)]
pub mod coroutine;
mod event_loop;
mod face;
#[doc(hidden)]
pub mod failure;
mod gsource;
mod log;
mod main_context;
mod main_loop;
mod module;
mod object;
mod opaque;
mod poll;
mod pygobject;
mod scheduler;
mod scheduler_face;
#[doc(hidden)]
pub mod signal;
mod source;
mod turn;
#[doc(hidden)]
pub mod value;
mod wakeup;

pub use call::call;
pub use closure::closure;
pub use completion::{attach_completions, detach_completions};
pub use coroutine::spawn;
pub use event_loop::{event_loop, on_error, on_quit};
pub use failure::{domain as error_domain, raise_error, take_error};
pub use log::{LogWriter, install_log_writer, log_writer};
pub use main_loop::{RunError, run};
pub use module::install;
pub use poll::{Hold, PollFunc, attach, detach};
pub use scheduler::{Turns, attach_scheduler, detach_scheduler, on_scheduler_error};
pub use signal::signal_connect;
pub use source::{fd_add, idle_add, invoke, timeout_add};
