//! raddle keeps native threads and Python apart: any thread may enter Python, nest, release and leave.

pub mod primitive;
