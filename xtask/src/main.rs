//! The one door to every check of raddle.
fn main() {}
