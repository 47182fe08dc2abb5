//! The one source of randomness.
//!
//! Every random draw (initialization, shuffling, crops, masks, drop-path, mixup) comes from a stream
//! addressed by what it is for, never from a global generator. A run resumed after a crash therefore
//! draws the same numbers as one that was never interrupted, and the same masks meet every method.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a stream of random numbers is for. The numbers are part of the run format: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Initial weights; `a` is a hash of the parameter's path.
    Init = 1,
    /// Order of the training images; `a` is the epoch.
    Shuffle = 2,
    /// Crop and flip of one image; `a` is the epoch, `b` the image and the view.
    Augment = 3,
    /// Which patches are masked; `a` is the step, `b` the place in the batch.
    Mask = 4,
    /// Which residual branches are dropped; `a` is the step, `b` the block.
    DropPath = 5,
    /// Mixup and cutmix; `a` is the step.
    Mix = 6,
    /// Splitting one folder into train and val, and choosing subsets.
    Split = 7,
    /// The procedural images; `a` is the split, `b` the image.
    Builtin = 8,
    /// Masks of an evaluation, the same for every method; `a` is the image, `b` the draw where there are several.
    EvalMask = 9,
    /// Tokens that stand for all others in a contrastive loss; `a` is the step.
    Negatives = 10,
    /// What happens to one image after crop and flip; `a` is the epoch, `b` the image and the view.
    Color = 11,
    /// Rectangles of other images pasted into what an encoder sees; `a` is the step, `b` the view.
    Paste = 12,
    /// What a tokenizer draws while it learns; `a` says for what, `b` is the step or the image.
    Tokenizer = 20,
}

/// The generator for one purpose at one place. Equal arguments give equal numbers, for ever.
pub fn stream(seed: u64, purpose: Purpose, a: u64, b: u64) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    for (slot, word) in key.chunks_exact_mut(8).zip([seed, purpose as u64, a, b]) {
        slot.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// A stable 64-bit number for a name, for use as the place of a stream.
pub fn place(name: &str) -> u64 {
    // FNV-1a: tiny, stable across versions, and only has to spread names.
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn a_stream_depends_on_every_part_of_its_address_and_on_nothing_else() {
        let draw = |s, p, a, b| stream(s, p, a, b).next_u64();
        let here = draw(1, Purpose::Mask, 2, 3);
        assert_eq!(here, draw(1, Purpose::Mask, 2, 3));
        for other in [
            draw(2, Purpose::Mask, 2, 3),
            draw(1, Purpose::Mix, 2, 3),
            draw(1, Purpose::Mask, 3, 3),
            draw(1, Purpose::Mask, 2, 4),
        ] {
            assert_ne!(here, other);
        }
    }

    #[test]
    fn names_have_places_of_their_own() {
        assert_ne!(place("blocks.1.attn.qkv.weight"), place("blocks.11.attn.qkv.weight"));
    }
}
