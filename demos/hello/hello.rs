//! hello.rs: Python from a thread of Rust's.
#![forbid(unsafe_code)]

use pyo3::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = raddle::Runtime::start(&raddle::Options::new())?;

    let answer = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            raddle::enter(|py| -> PyResult<u32> {
                raddle::release(|| println!("others may run Python here"));
                py.eval(c"6 * 7", None, None)?.extract()
            })
        });
        thread.join().expect("the thread does not panic")
    });
    println!("Hello from Rust: {}", answer??);

    runtime.stop(Some(std::time::Duration::from_secs(5)))?;
    Ok(())
}
