//! The pure-Python part of raddle, carried inside the library.
//!
//! `_boot.py` serves it by a finder that comes first on `sys.meta_path`, so a host needs no package
//! installed, and gets the one that belongs to its library whatever else is on `sys.path`.
#![forbid(unsafe_code)]

use super::extension::Carried;

/// Ties an interpreter to raddle; run at start.
pub(super) const BOOT: Carried =
    ("raddle._boot", false, include_str!("../../../glue/python/raddle/_boot.py"));

/// Everything that `import raddle` may ask for.
pub(super) const CARRIED: [Carried; 11] = [
    ("raddle", true, include_str!("../../../glue/python/raddle/__init__.py")),
    ("raddle._ft_utils", false, include_str!("../../../glue/python/raddle/_ft_utils.py")),
    ("raddle._log", false, include_str!("../../../glue/python/raddle/_log.py")),
    ("raddle._readable", false, include_str!("../../../glue/python/raddle/_readable.py")),
    ("raddle._ring", false, include_str!("../../../glue/python/raddle/_ring.py")),
    ("raddle._semaphore", false, include_str!("../../../glue/python/raddle/_semaphore.py")),
    ("raddle._stopper", false, include_str!("../../../glue/python/raddle/_stopper.py")),
    ("raddle.coroutine", false, include_str!("../../../glue/python/raddle/coroutine.py")),
    ("raddle.log", false, include_str!("../../../glue/python/raddle/log.py")),
    ("raddle.stackless", false, include_str!("../../../glue/python/raddle/stackless.py")),
    ("raddle.weave", false, include_str!("../../../glue/python/raddle/weave.py")),
];
