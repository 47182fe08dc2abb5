//! What the allocator does with memory that training frees.

/// Tells the allocator to keep freed memory instead of giving it back to the system.
///
/// Every step takes the same buffers again, and each page would have to be cleared anew. The peak of memory does not
/// change. Call once at the start of a process that trains; without mimalloc as the allocator it does nothing.
pub fn keep_freed_memory() {
    /// `mi_option_purge_delay` in mimalloc's list of options.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    /// Milliseconds until freed memory is given back; negative is never.
    const NEVER: std::ffi::c_long = -1;
    #[expect(unsafe_code, reason = "options of the allocator are set through its C interface")]
    // SAFETY: the option exists in every version since 2.1, and the value is in its range; setting an option races with
    // nothing but other calls like this one.
    unsafe {
        libmimalloc_sys::mi_option_set(PURGE_DELAY, NEVER);
    }
}
