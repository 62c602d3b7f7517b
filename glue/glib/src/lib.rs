//! The glib face of raddle.
