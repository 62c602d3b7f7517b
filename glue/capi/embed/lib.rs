//! Makes one static library of `raddle-capi`; libraddle.so is linked from it.
#![forbid(unsafe_code)]

extern crate raddle_capi as _;
