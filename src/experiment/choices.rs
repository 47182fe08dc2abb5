//! What settings choose between, an enum each. Those that only one method has stand in its file.

use crate::choice;

choice! {
    /// How tokens know their place.
    Position {
        /// A fixed 2-D sine-cosine table, in MAE's order: the column's half first.
        SinCos = "sincos",
        /// A learned table.
        Learned = "learned",
        /// No table, but a learned bias on the attention for every distance, shared by all blocks, as in BEiT.
        Relative = "relative",
    }
}

choice! {
    /// Which part of an image a view shows.
    CropKind {
        /// A random area, resized to the model's size.
        Resized = "resized",
        /// All of it, shifted by up to an eighth of its side over a black border.
        Pad = "pad",
        /// The middle, as in evaluation.
        None = "none",
    }
}

choice! {
    /// Operands of matrix products on a GPU.
    Precision {
        /// As they are.
        Float32 = "float32",
        /// Rounded to 16 bits; sums stay in float32.
        F16 = "f16",
    }
}

choice! {
    /// How some of the training images are chosen.
    Selection {
        /// As evenly over the classes as their numbers allow.
        OnePerClass = "one_per_class",
        /// At random from all.
        Random = "random",
        /// At random from one class.
        OneClass = "one_class",
        /// Named by a list.
        List = "list",
    }
}

choice! {
    /// The schedule of a training that stops before its end.
    StoppedSchedule {
        /// That of all of `train.epochs`, broken off.
        Stopped = "stopped",
        /// It ends where training does.
        Rescaled = "rescaled",
    }
}

choice! {
    /// Whether other views of the same image are left out among negatives.
    SameImageNegatives {
        /// They are left out where `subset` has fewer images than a batch.
        Auto = "auto",
        /// They are left out.
        On = "on",
        /// They are negatives like any other.
        Off = "off",
    }
}

choice! {
    /// The feature of an image that is read of an encoder.
    Feature {
        /// The class token after the final norm.
        Cls = "cls",
        /// The mean of the patch tokens.
        MeanPatch = "mean_patch",
    }
}

choice! {
    /// The optimizer of a linear head.
    ProbeOptimizer {
        /// Every parameter's step in proportion to its norm.
        Lars = "lars",
        /// Stochastic gradient descent with momentum.
        Sgd = "sgd",
    }
}

choice! {
    /// What makes a token of a patch.
    TokenizerKind {
        /// The nearest of clusters of raw patches.
        KMeans = "kmeans",
        /// A VQ-VAE.
        Vq = "vq",
        /// A discrete VAE with BEiT's loss.
        Dvae = "dvae",
    }
}

choice! {
    /// Whose mean and deviation turn the normalized prediction of a masked patch into pixels.
    PatchStatistics {
        /// Those of the true patch, as in MAE's own demonstration: they leak brightness and contrast.
        Oracle = "oracle",
        /// The means of those of the visible patches: nothing leaks.
        VisibleStats = "visible_stats",
    }
}

choice! {
    /// What of an image's tokens is compared with those of the masked image.
    Tokens {
        /// The mean of the patches that are there.
        MeanPatch = "mean_patch",
        /// The class token.
        Cls = "cls",
        /// With one mask for a whole batch, the patches that both images have, side by side.
        MatchedFlat = "matched_flat",
        /// With one mask for a whole batch, the mean of the patches that both images have.
        MatchedMean = "matched_mean",
    }
}

choice! {
    /// How patches are masked.
    Masking {
        /// They are left out of the sequence.
        Drop = "drop",
        /// The token that the method learned for them stands in their place.
        MaskToken = "mask_token",
    }
}

impl Tokens {
    /// Whether the features of the full image depend on what is hidden from the other.
    pub fn are_matched(self) -> bool {
        match self {
            Tokens::MatchedFlat | Tokens::MatchedMean => true,
            Tokens::MeanPatch | Tokens::Cls => false,
        }
    }
}

impl From<Feature> for Tokens {
    fn from(feature: Feature) -> Tokens {
        match feature {
            Feature::Cls => Tokens::Cls,
            Feature::MeanPatch => Tokens::MeanPatch,
        }
    }
}
