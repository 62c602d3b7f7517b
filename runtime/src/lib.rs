//! raddle keeps native threads and Python apart: any thread may enter Python, nest, release and leave.

mod exit;
pub mod primitive;
