//! Where Rust ends: no panic passes into C.
//!
//! A panic in raddle means that something raddle relies on is broken, and callers in C cannot tell
//! what. So the process ends with one line. A mistake of the caller's is never a panic but a status.
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;

/// Runs the body of a C function.
#[inline]
pub(crate) fn guard<R>(body: impl FnOnce() -> R) -> R {
    match panic::catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => result,
        // The hook has written its line.
        Err(_) => std::process::abort(),
    }
}

/// Makes a panic write one line, where Rust's own hook writes several. Whoever starts or adopts a
/// runtime calls it; the hook is that of the copy of Rust's library inside libraddle.
pub(crate) fn one_line_per_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| panic::set_hook(Box::new(report)));
}

fn report(info: &PanicHookInfo<'_>) {
    let what = info.payload_as_str().unwrap_or("no reason given").replace('\n', " ");
    let place = info.location().map_or_else(String::new, |place| format!(" ({place})"));
    // Nobody is left to tell if stderr is gone.
    let _written = writeln!(std::io::stderr(), "raddle: a fault of raddle's own: {what}{place}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const CHILD: &str = "RADDLE_TEST_BOUNDARY_CHILD";

    #[test]
    fn a_panic_behind_c_writes_one_line_and_aborts() {
        if std::env::var_os(CHILD).is_some() {
            one_line_per_panic();
            guard(|| panic::panic_any(String::from("a queue\nis broken")));
            unreachable!("the guard does not return");
        }
        let program = std::env::current_exe().expect("a test has a program");
        let name = "boundary::tests::a_panic_behind_c_writes_one_line_and_aborts";
        let mut child = Command::new(program);
        child.args([name, "--exact", "--nocapture"]).env(CHILD, "1");
        let output = child.output().expect("a test may start itself");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&output.status), Some(6));
        assert_eq!(errors.lines().count(), 1, "{errors}");
        assert!(
            errors.starts_with("raddle: a fault of raddle's own: a queue is broken"),
            "{errors}"
        );
    }

    #[test]
    fn a_body_that_returns_is_left_alone() {
        assert_eq!(guard(|| 7), 7);
    }
}
