//! The capi face of raddle.
