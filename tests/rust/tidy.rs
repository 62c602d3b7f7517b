//! The rules of the house, as tests. Each failure says which file to open and what to write there.
#![forbid(unsafe_code)]

#[path = "tidy/api.rs"]
mod api;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/manners.rs"]
mod manners;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/wiring.rs"]
mod wiring;

/// Fails with every fault at once.
fn expect_none(faults: Vec<String>) {
    assert!(faults.is_empty(), "{} to mend:\n{}", faults.len(), faults.join("\n"));
}
