//! Decoders of other people, kept from ending the process.

use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::bail;

/// What `decode` finds; an error where it panics.
///
/// The last resort: nobody has given those decoders every file there is. What `decode` changes is to be thrown away then.
pub(super) fn guarded<T>(decode: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| bail!("it is damaged in a way that its decoder gives up on"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoder_that_panics_has_found_damage() {
        assert_eq!(guarded(|| Ok(7)).unwrap(), 7);
        assert!(guarded::<()>(|| panic!("index out of range")).is_err());
    }
}
