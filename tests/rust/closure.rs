//! Python callables as closures, handlers and work, from Rust with gtk-rs types. Each test is a process of its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, helpers of tests too")]

use std::thread;

use glib::prelude::*;
use glib::translate::{ToGlibPtr, ToGlibPtrMut};
use glib::{Closure, ParamSpec, ParamSpecInt, Type, Value, gobject_ffi};
use raddle::{Closed, Options, Ref, Runtime, Status, enter};
use raddle_glib::{call, closure, error_domain, raise_error, signal_connect, spawn, take_error};
use raddle_tests::in_child;
use raddle_tests::python::{look, made, names};

const CODE: &core::ffi::CStr = c"
import sys
calls, ends, reports = [], [], []
class Call:
    def __init__(self, result=None):
        self.result = result
    def __call__(self, *given):
        calls.append(given)
        if isinstance(self.result, type):
            raise self.result('x')
        return self.result
    def __del__(self):
        ends.append(1)
sys.unraisablehook = lambda about: reports.append((about.exc_type.__name__, str(about.object)))
";

fn start() -> Runtime {
    raddle_glib::install().unwrap();
    let runtime = Runtime::start(&Options::new()).unwrap();
    enter(|py| py.run(CODE, Some(&names(py)), None).unwrap()).unwrap();
    runtime
}

/// Invokes a closure with two values.
fn invoke(closure: &Closure, kind: Type, values: [Value; 2]) -> Value {
    let mut result = Value::from_type(kind);
    // Bits, which are only read while the values themselves live.
    let raw = values.each_ref().map(|value| {
        let place: *const gobject_ffi::GValue = value.to_glib_none().0;
        // SAFETY: a value that is alive.
        unsafe { place.read() }
    });
    let (closure, place) = (closure.to_glib_none().0, result.to_glib_none_mut().0);
    let hint = core::ptr::null_mut();
    // SAFETY: a closure, a value for its result, and two values.
    unsafe { gobject_ffi::g_closure_invoke(closure, place, 2, raw.as_ptr(), hint) };
    result
}

fn number() -> ParamSpec {
    ParamSpecInt::builder("number").build()
}

#[test]
fn a_closure_is_invoked_and_dropped_on_any_thread() {
    in_child("a_closure_is_invoked_and_dropped_on_any_thread", || {
        let runtime = start();
        let adds = closure(made("lambda a, b: a + b")).unwrap();
        let sum = || invoke(&adds, Type::I32, [1.to_value(), 2.to_value()]).get::<i32>().unwrap();
        assert_eq!(sum(), 3);
        let elsewhere = closure(made("Call('text')")).unwrap();
        let spawned = thread::Builder::new().spawn(move || {
            invoke(&elsewhere, Type::STRING, [true.to_value(), "".to_value()])
                .get::<String>()
                .unwrap()
        });
        assert_eq!(spawned.unwrap().join().unwrap(), "text");
        assert_eq!(look("calls == [(True, '')] and len(ends) == 1"), 1);
        assert_eq!(runtime.stop(None), Ok(()));
        // Deaf from here on: the result keeps its default.
        assert_eq!(sum(), 0);
        let refused = closure(made_nothing()).map(drop);
        assert_eq!(refused.map_err(|error| error.status()), Err(Status::Invalid));
    });
}

/// A callable of a Python that is started and ended here.
fn made_nothing() -> Ref {
    let runtime = start();
    let old = made("Call()");
    assert_eq!(runtime.stop(None), Ok(()));
    let _next = start();
    old
}

#[test]
fn a_handler_gets_the_object_and_goes_with_it() {
    in_child("a_handler_gets_the_object_and_goes_with_it", || {
        let runtime = start();
        let object: glib::Object = glib::Object::new();
        let id = signal_connect(&object, "notify::number", made("Call()"), false).unwrap();
        let _stays = signal_connect(&object, "notify", made("Call(ValueError)"), true).unwrap();
        object.emit_by_name_with_details::<()>(
            "notify",
            glib::Quark::from_str("number"),
            &[&number()],
        );
        assert_eq!(look("len(calls) == 2 and calls[0][0].type_name == 'GObject'"), 1);
        assert_eq!(look("calls[0][1].name == 'number' and reports[0][0] == 'ValueError'"), 1);
        assert_eq!(look("'notify::number of GObject' in reports[0][1]"), 1);
        object.disconnect(id);
        assert_eq!(look("len(ends)"), 1);
        assert_eq!(look("calls.clear() or 0"), 0);
        drop(object);
        assert_eq!(look("len(ends)"), 2);
        assert_eq!(runtime.stop(None), Ok(()));
    });
}

#[test]
fn what_cannot_be_connected_is_refused() {
    in_child("what_cannot_be_connected_is_refused", || {
        let object: glib::Object = glib::Object::new();
        let runtime = start();
        for (signal, callable) in [("nothing", "Call()"), ("notify", "7"), ("a\0b", "Call()")] {
            let refused = signal_connect(&object, signal, made(callable), false).map(drop);
            assert_eq!(refused.map_err(|error| error.status()), Err(Status::Invalid), "{signal}");
        }
        assert_eq!(look("len(ends)"), 2);
        let kept = made("Call()");
        assert_eq!(runtime.stop(None), Ok(()));
        let refused = signal_connect(&object, "notify", kept, false).map(drop);
        assert_eq!(
            refused.map_err(|error| error.status()),
            Err(raddle::Error::from(Closed::Stopped).status())
        );
    });
}

#[test]
fn a_call_gives_a_value_or_an_error() {
    in_child("a_call_gives_a_value_or_an_error", || {
        let runtime = start();
        let seven = made("Call(7)");
        assert_eq!(call(&seven, Type::I64).unwrap().get::<i64>().unwrap(), 7);
        assert_eq!(call(&seven, Type::INVALID).unwrap().get::<i32>().unwrap(), 7);
        let error = call(&made("Call(KeyError)"), Type::I32).unwrap_err();
        assert_eq!(error.domain().as_str(), "raddle-error-quark");
        assert_eq!(error.message(), "KeyError: 'x'");
        assert_eq!(glib::translate::IntoGlib::into_glib(error.domain()), error_domain());
        assert_eq!(runtime.stop(None), Ok(()));
        let error = call(&seven, Type::I32).unwrap_err();
        assert_eq!(error.domain().as_str(), "raddle-error-quark");
    });
}

/// What a coroutine on the default context's event loop comes to.
#[test]
fn an_error_is_raised_in_python_and_taken_from_it() {
    in_child("an_error_is_raised_in_python_and_taken_from_it", || {
        let runtime = start();
        enter(|py| {
            let busy = glib::Error::new(glib::FileError::Exist, "there already");
            assert!(take_error(py).is_ok());
            raise_error(py, &busy);
            let raised = pyo3::PyErr::take(py).unwrap();
            assert_eq!(raised.to_string(), "GError: g-file-error-quark: there already (0)");
            raised.restore(py);
            let taken = take_error(py).unwrap_err();
            assert!(taken.matches(glib::FileError::Exist));
            assert_eq!(taken.message(), "there already");
            pyo3::exceptions::PyValueError::new_err("no such page").restore(py);
            let taken = take_error(py).unwrap_err();
            assert_eq!(glib::translate::IntoGlib::into_glib(taken.domain()), error_domain());
            assert_eq!(taken.message(), "ValueError: no such page");
            assert!(!pyo3::PyErr::occurred(py));
        })
        .unwrap();
        runtime.stop(None).unwrap();
    });
}

fn awaited(expression: &str, cancellable: Option<&glib::Object>) -> Result<String, glib::Error> {
    let (send, receive) = std::sync::mpsc::channel();
    let context = glib::MainContext::default();
    spawn(&context, made(expression), Type::INVALID, cancellable, move |result| {
        send.send(result.map(|value| value.get().unwrap())).unwrap();
    })
    .unwrap();
    loop {
        match receive.try_recv() {
            Ok(result) => return result,
            Err(_) => context.iteration(true),
        };
    }
}

#[test]
fn a_coroutine_gives_a_value_or_an_error() {
    in_child("a_coroutine_gives_a_value_or_an_error", || {
        let runtime = start();
        enter(|py| {
            let code = c"
import asyncio, raddle
async def answer():
    await asyncio.sleep(0.001)
    return 'done'
async def fail():
    raise KeyError('x')
cancelled = raddle.new_cancellable()
raddle.cancel(cancelled)
";
            py.run(code, Some(&names(py)), None).unwrap();
        })
        .unwrap();
        assert_eq!(awaited("answer", None).unwrap(), "done");
        assert_eq!(awaited("fail", None).unwrap_err().message(), "KeyError: 'x'");
        let address = usize::try_from(look("cancelled.address")).unwrap();
        let pointer: *mut gobject_ffi::GObject = std::ptr::with_exposed_provenance_mut(address);
        // SAFETY: the address of an object that a name in Python keeps alive.
        let cancellable: glib::Object = unsafe { glib::translate::from_glib_none(pointer) };
        let error = awaited("answer", Some(&cancellable)).unwrap_err();
        assert_eq!(error.domain().as_str(), "g-io-error-quark");
        let context = glib::MainContext::default();
        let other = glib::Object::new::<glib::Object>();
        for (callable, cancellable) in [("7", None), ("answer", Some(&other))] {
            let refused = spawn(&context, made(callable), Type::I32, cancellable, |_| ());
            assert_eq!(refused.map_err(|error| error.status()), Err(Status::Invalid));
        }
        assert_eq!(runtime.stop(None), Ok(()));
    });
}
