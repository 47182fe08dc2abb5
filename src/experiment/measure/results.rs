//! The results of runs: numbers for tables, matrices, and images.

use super::measures;

measures! {
    /// Results of pretraining.
    PRETRAIN:
    /// Mean training loss of the last epoch. Losses of different methods do not compare.
    PRETRAIN_LOSS = "pretrain.loss", "Pretraining loss", None, Lower;
    /// Accuracy on the validation split of a vote among the nearest training images, by features of the encoder.
    KNN_TOP1 = "knn.top1", "k-NN top-1", Percent, Higher;
    /// Training images in the pretraining subset.
    SUBSET_IMAGES = "subset.images", "Images in the subset", Count, Neither;
    /// Classes that the pretraining subset covers.
    SUBSET_CLASSES = "subset.classes", "Classes in the subset", Count, Neither;
    /// Images that pretraining went through, each repetition counted.
    SUBSET_IMAGES_SEEN = "subset.images_seen", "Images seen", Count, Neither;
}

measures! {
    /// Results of fine-tuning.
    FINETUNE:
    /// Accuracy on the validation split after the last epoch.
    FINETUNE_TOP1 = "finetune.top1", "Fine-tuned top-1", Percent, Higher;
    /// Best accuracy on the validation split of any evaluation: chosen on that split, for comparison with reports that do so.
    FINETUNE_TOP1_BEST = "finetune.top1_best", "Fine-tuned top-1, best epoch", Percent, Higher;
    /// Labeled training images, where `labels.fraction` leaves a part.
    FINETUNE_LABELS = "finetune.labels", "Labeled images", Count, Neither;
}

measures! {
    /// Results of the linear probe.
    PROBE:
    /// Accuracy on the validation split of a linear head on frozen features, after the last epoch.
    PROBE_TOP1 = "probe.top1", "Linear probe top-1", Percent, Higher;
    /// Best accuracy on the validation split of any evaluation: chosen on that split, for comparison with reports that do so.
    PROBE_TOP1_BEST = "probe.top1_best", "Linear probe top-1, best epoch", Percent, Higher;
}

measures! {
    /// Results of the linear probe on cached features.
    PROBE_CACHED:
    /// Accuracy on the validation split of a linear head on features that were computed once, without augmentation.
    PROBE_CACHED_TOP1 = "probe_cached.top1", "Linear probe top-1, cached features", Percent, Higher;
    /// Learning rate that was best on the held-out training images.
    PROBE_CACHED_RATE = "probe_cached.rate", "Selected learning rate", None, Neither;
    /// Weight decay that was best on the held-out training images.
    PROBE_CACHED_WEIGHT_DECAY = "probe_cached.weight_decay", "Selected weight decay", None, Neither;
    /// Accuracy on the held-out training images that selected learning rate and weight decay.
    PROBE_CACHED_HELD_OUT_TOP1 = "probe_cached.held_out_top1", "Held-out top-1", Percent, Higher;
}

measures! {
    /// Results of scoring reconstructions, at `psnr.mask_ratio`.
    PSNR:
    /// Mean PSNR over images of predicted masked patches and true visible patches together.
    PSNR_COMPOSITE = "psnr.composite", "PSNR", Decibels, Higher;
    /// Mean PSNR over images of the masked patches alone.
    PSNR_MASKED = "psnr.masked", "PSNR, masked patches", Decibels, Higher;
    /// Mean PSNR over images of the full image as predicted, visible patches included.
    PSNR_FULL = "psnr.full", "PSNR, full image", Decibels, Higher;
    /// As `psnr.composite`, of the baseline that predicts zero.
    PSNR_COMPOSITE_ZERO = "psnr.composite_zero", "PSNR, predict-zero baseline", Decibels, Higher;
    /// As `psnr.masked`, of the baseline that predicts zero.
    PSNR_MASKED_ZERO = "psnr.masked_zero", "PSNR, masked patches, predict-zero baseline", Decibels, Higher;
    /// As `psnr.composite`, of the baseline that predicts the mean color of the visible patches.
    PSNR_COMPOSITE_VISIBLE_MEAN = "psnr.composite_visible_mean", "PSNR, visible-mean baseline", Decibels, Higher;
    /// As `psnr.masked`, of the baseline that predicts the mean color of the visible patches.
    PSNR_MASKED_VISIBLE_MEAN = "psnr.masked_visible_mean", "PSNR, masked patches, visible-mean baseline", Decibels, Higher;
    /// `psnr.composite` less `psnr.composite_zero`.
    PSNR_GAIN = "psnr.gain", "PSNR above predict-zero", Decibels, Higher;
    /// As `psnr.composite`, but of the mean squared error over all images.
    PSNR_COMPOSITE_POOLED = "psnr.composite_pooled", "PSNR, pooled error", Decibels, Higher;
    /// As `psnr.masked`, but of the mean squared error over all images.
    PSNR_MASKED_POOLED = "psnr.masked_pooled", "PSNR, masked patches, pooled error", Decibels, Higher;
}

measures! {
    /// PSNR by region and mask ratio: of the model, and of the two baselines.
    PSNR_MATRICES:
    /// PSNR of the model's reconstructions, by region and mask ratio.
    PSNR_MODEL = "psnr", "model", Decibels, Higher;
    /// PSNR of predicting zero everywhere, by region and mask ratio.
    PSNR_ZERO = "psnr_zero", "predict-zero baseline", Decibels, Higher;
    /// PSNR of predicting the mean color of the visible patches, by region and mask ratio.
    PSNR_VISIBLE_MEAN = "psnr_visible_mean", "visible-mean baseline", Decibels, Higher;
}

measures! {
    /// Results of comparing features of full and of masked images.
    CKA:
    /// Mean CKA between features of full and of masked images, over all blocks and ratios.
    CKA_MEAN = "cka.mean", "CKA, mean over ratios", None, Neither;
    /// Mean CKA of the last block, over all ratios.
    CKA_LAST_BLOCK = "cka.last_block", "CKA, last block", None, Neither;
    /// CKA with nothing masked, lowest over the blocks: 1 but for rounding.
    CKA_CONTROL = "cka.control", "CKA, nothing masked", None, Neither;
    /// Images that were compared.
    CKA_IMAGES = "cka.images", "Images compared", Count, Neither;
    /// Mean CKA over all blocks at one ratio of `cka.ratios`.
    CKA_AT = "cka.at_{ratio}", "CKA, mask ratio {ratio}", None, Neither;
}

measures! {
    /// Results of comparing features of two encoders.
    COMPARE:
    /// Mean CKA between all pairs of blocks.
    COMPARE_MEAN = "compare.mean", "CKA, all pairs of blocks", None, Neither;
    /// CKA between the two last blocks.
    COMPARE_LAST_BLOCKS = "compare.last_blocks", "CKA, last blocks", None, Neither;
    /// Mean CKA between blocks at the same depth.
    COMPARE_SAME_BLOCK = "compare.same_block", "CKA, same block", None, Neither;
    /// Images that were compared.
    COMPARE_IMAGES = "compare.images", "Images compared", Count, Neither;
}

measures! {
    /// The matrix of both kinds of comparison.
    CKA_MATRICES:
    /// CKA by block and mask ratio, or by the blocks of two encoders.
    CKA_MATRIX = "cka", "CKA", None, Neither;
}

measures! {
    /// Results of learning a tokenizer.
    TOKENIZER:
    /// Fraction of the vocabulary that patches of the validation split use.
    TOKENIZER_USAGE = "tokenizer.usage", "Vocabulary used", None, Higher;
    /// Exponential of the entropy of the tokens of the validation split: how many are in effective use.
    TOKENIZER_PERPLEXITY = "tokenizer.perplexity", "Token perplexity", None, Higher;
    /// Mean PSNR of validation images restored from their tokens.
    TOKENIZER_PSNR = "tokenizer.psnr", "Tokenizer PSNR", Decibels, Higher;
}

measures! {
    /// The sheet of reconstructions.
    RECONSTRUCTIONS:
    /// Validation images as original, masked, prediction and composite.
    RECONSTRUCTION = "reconstruction", "Reconstructions", None, Neither;
}

measures! {
    /// Images, and the matrix of their PSNR, that are shown beside those of other runs.
    SIDE_BY_SIDE:
    /// Validation images to show beside the same of other runs, and their PSNR.
    EXAMPLES = "examples", "Examples", Decibels, Higher;
}

measures! {
    /// The sheet of tokenized images.
    TOKENIZED:
    /// Validation images beside what their tokens restore.
    TOKENS = "tokens", "Tokenized images", None, Neither;
}
