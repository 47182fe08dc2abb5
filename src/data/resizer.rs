//! One resizer for each thread: it keeps its buffers from image to image.

use std::cell::RefCell;

use fast_image_resize::Resizer;

/// Calls `work` with the thread's resizer.
pub(super) fn with_resizer<T>(work: impl FnOnce(&mut Resizer) -> T) -> T {
    thread_local!(static RESIZER: RefCell<Resizer> = RefCell::new(Resizer::new()));
    RESIZER.with_borrow_mut(work)
}
