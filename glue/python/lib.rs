//! Makes the extension module `_raddle` of the runtime, whose `PyInit__raddle` it exports.
#![forbid(unsafe_code)]

extern crate raddle as _;
