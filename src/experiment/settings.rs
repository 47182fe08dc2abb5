//! The settings every run is made of, section by section. A method's own options stand in its file.
//!
//! "Paper" is arXiv 2208.04164, "MAE" is arXiv 2111.06377 and its repository, "ours" a choice of Umbra.

use super::choices::{
    CropKind, Feature, Masking, PatchStatistics, Position, Precision, ProbeOptimizer, SameImageNegatives, Selection, StoppedSchedule,
    TokenizerKind, Tokens,
};
use super::schema::{Setting, Value, numbers};
use crate::section;

section! {
    /// Which images.
    DataSettings = "data" {
        /// `builtin`, a folder of class folders, a .tar/.tar.gz of the same, or a folder of CIFAR or IDX files.
        source: String = Literal::Text("builtin"), Kind::Text, "ours";
        /// Side of the square images the model sees, in pixels.
        image_size: usize = Literal::Int(32), Kind::Int { min: 8, max: 1024 }, "ours";
        /// Training images used, chosen evenly over the classes by the data's own seed; 0 is all.
        train_images: usize = Literal::Int(0), Kind::Int { min: 0, max: i64::MAX }, "ours";
        /// Validation images used; 0 is all.
        val_images: usize = Literal::Int(0), Kind::Int { min: 0, max: i64::MAX }, "ours";
        /// Share of a single, unsplit folder that becomes the validation split.
        val_fraction: f64 = Literal::Float(0.2), Kind::Between { min: 0.0, max: 1.0 }, "ours";
        /// Share of unreadable images that is skipped with a warning; above it the data is refused.
        max_broken: f64 = Literal::Float(0.01), Kind::Float { min: 0.0, max: 1.0 }, "ours";
        /// Column of a table or a Parquet file that holds the labels; empty where only one can be meant.
        label_column: String = Literal::Text(""), Kind::Text, "ours" before Literal::Text("");
    }
}

impl DataSettings {
    /// All images of a source, with every other setting as it is by default.
    ///
    /// # Panics
    /// Never: the defaults of a section are what its struct is read from.
    pub fn of_source(source: &str) -> DataSettings {
        let setting = |setting: &Setting| (setting.key.to_owned(), Value::from(setting.default));
        let mut values: std::collections::BTreeMap<String, Value> = DataSettings::SECTION.settings.iter().map(setting).collect();
        values.insert("source".to_owned(), Value::Text(source.to_owned()));
        let table = serde_json::to_value(values).expect("settings are plain values");
        serde_json::from_value(table).expect("a section's defaults are a section")
    }
}

section! {
    /// The Vision Transformer, and the decoder of the methods that reconstruct.
    ModelSettings = "model" {
        /// Side of a square patch, in pixels; must divide `data.image_size`.
        patch_size: usize = Literal::Int(4), Kind::Int { min: 1, max: 64 }, "ours";
        /// Width of the encoder.
        dim: usize = Literal::Int(192), Kind::Int { min: 8, max: 4096 }, "ViT-Ti";
        /// Blocks of the encoder.
        depth: usize = Literal::Int(12), Kind::Int { min: 1, max: 64 }, "ViT-Ti";
        /// Attention heads of the encoder; must divide `dim`.
        heads: usize = Literal::Int(3), Kind::Int { min: 1, max: 64 }, "ViT-Ti";
        /// Hidden width of the MLP as a multiple of the width.
        mlp_ratio: f64 = Literal::Float(4.0), Kind::Float { min: 0.5, max: 16.0 }, "ViT";
        /// How tokens know their place.
        position in Position = SinCos, "MAE; BEiT is relative";
        /// What the learned factors on every branch of a block start at (LayerScale); 0 is without.
        layer_scale: f64 = Literal::Float(0.0), Kind::Float { min: 0.0, max: 1.0 }, "MAE; BEiT and CAE use 0.1";
        /// Width of the decoder.
        decoder_dim: usize = Literal::Int(192), Kind::Int { min: 8, max: 4096 }, "public CIFAR MAE";
        /// Blocks of the decoder.
        decoder_depth: usize = Literal::Int(4), Kind::Int { min: 1, max: 64 }, "public CIFAR MAE";
        /// Attention heads of the decoder; must divide `decoder_dim`.
        decoder_heads: usize = Literal::Int(3), Kind::Int { min: 1, max: 64 }, "public CIFAR MAE";
    }
}

section! {
    /// How images are varied before the model sees them.
    AugmentSettings = "augment" {
        /// Which part of the image is seen.
        crop in CropKind = Resized, "MAE";
        /// Smallest area of a resized crop, as a share of the image.
        crop_scale_min: f64 = Literal::Float(0.2), Kind::Float { min: 0.01, max: 1.0 }, "MAE pretraining";
        /// Largest area of a resized crop, as a share of the image.
        crop_scale_max: f64 = Literal::Float(1.0), Kind::Float { min: 0.01, max: 1.0 }, "MAE";
        /// Chance of a left-right flip.
        hflip: f64 = Literal::Float(0.5), Kind::Float { min: 0.0, max: 1.0 }, "MAE";
        /// Chance of color jitter.
        color_jitter: f64 = Literal::Float(0.0), Kind::Float { min: 0.0, max: 1.0 }, "SimSiam uses 0.8";
        /// How far the jitter moves the saturation, at strength 1.
        color_jitter_saturation: f64 = Literal::Float(0.4), Kind::Float { min: 0.0, max: 1.0 }, "SimSiam; BYOL, MoCo v3 and DINO use 0.2";
        /// Strength of the color jitter: a factor on brightness 0.4, contrast 0.4, the saturation and hue 0.1.
        color_jitter_strength: f64 = Literal::Float(1.0), Kind::Float { min: 0.0, max: 5.0 }, "SimSiam; SimCLR uses 2 on ImageNet";
        /// Chance of turning gray.
        grayscale: f64 = Literal::Float(0.0), Kind::Float { min: 0.0, max: 1.0 }, "SimSiam uses 0.2";
        /// Chance of a Gaussian blur, sigma 0.1 to 2.
        blur: f64 = Literal::Float(0.0), Kind::Float { min: 0.0, max: 1.0 }, "SimSiam uses 0.5";
        /// Chance of solarizing at 128.
        solarize: f64 = Literal::Float(0.0), Kind::Float { min: 0.0, max: 1.0 }, "BYOL uses 0.2 on one view";
        /// Magnitude of RandAugment (2 operations, each with chance 0.5); 0 is off.
        rand_augment: f64 = Literal::Float(0.0), Kind::Float { min: 0.0, max: 10.0 }, "MAE fine-tuning uses 9";
        /// Chance of erasing a random rectangle with noise.
        random_erasing: f64 = Literal::Float(0.0), Kind::Float { min: 0.0, max: 1.0 }, "MAE fine-tuning uses 0.25";
    }
}

section! {
    /// The training loop.
    TrainSettings = "train" {
        /// Passes over the training split.
        epochs: u64 = Literal::Int(100), Kind::Int { min: 0, max: 100_000 }, "paper section 5";
        /// Epochs of linear warm-up.
        warmup_epochs: f64 = Literal::Float(20.0), Kind::Float { min: 0.0, max: 100_000.0 }, "paper section 5";
        /// Images in one step of one pass, before gradient accumulation.
        batch_size: usize = Literal::Int(1024), Kind::Int { min: 1, max: 65_536 }, "paper section 5";
        /// Passes whose averaged gradients make one step.
        gradient_accumulation: usize = Literal::Int(1), Kind::Int { min: 1, max: 4096 }, "ours";
        /// Whether blocks are worked out again for their gradients: far less memory for about a third more time.
        activation_checkpointing: bool = Literal::Bool(false), Kind::Bool, "ours";
        /// Operands of matrix products on a GPU; the CPU computes in float32 always.
        precision in Precision = Float32, "ours";
        /// Learning rate at 256 images; the peak is this times images a step / 256.
        base_lr: f64 = Literal::Float(1.5e-4), Kind::Between { min: 0.0, max: 100.0 }, "paper section 5";
        /// Learning rate that the cosine ends at.
        min_lr: f64 = Literal::Float(0.0), Kind::Float { min: 0.0, max: 1.0 }, "MAE";
        /// Decoupled weight decay on tensors of two or more dimensions.
        weight_decay: f64 = Literal::Float(0.05), Kind::Float { min: 0.0, max: 10.0 }, "MAE";
        /// Weight decay at the end, reached on half a cosine; -1 keeps `weight_decay` throughout.
        weight_decay_end: f64 = Literal::Float(-1.0), Kind::Float { min: -1.0, max: 1000.0 }, "MAE; DINO uses 0.4";
        /// AdamW's first moment.
        beta1: f64 = Literal::Float(0.9), Kind::Float { min: 0.0, max: 0.9999 }, "MAE";
        /// AdamW's second moment.
        beta2: f64 = Literal::Float(0.95), Kind::Float { min: 0.0, max: 0.99999 }, "MAE pretraining";
        /// Largest global norm of the gradients; 0 is no limit.
        clip_grad_norm: f64 = Literal::Float(0.0), Kind::Float { min: 0.0, max: 1e6 }, "MAE";
        /// Largest norm of each parameter's own gradient; 0 is no limit.
        clip_grad_norm_per_parameter: f64 = Literal::Float(0.0), Kind::Float { min: 0.0, max: 1e6 }, "MAE; DINO uses 3";
        /// Learning rate of a block relative to the one above it.
        layer_decay: f64 = Literal::Float(1.0), Kind::Float { min: 0.01, max: 1.0 }, "MAE fine-tuning uses 0.75";
        /// Chance of dropping a residual branch in the last block, rising linearly from 0 in the first.
        drop_path: f64 = Literal::Float(0.0), Kind::Float { min: 0.0, max: 0.9 }, "MAE fine-tuning uses 0.1";
    }
}

section! {
    /// Pretraining on few of the training images: which. What follows, fine-tuning and probing, uses them all.
    SubsetSettings = "subset" {
        /// Training images that pretraining sees; 0 is all.
        images: usize = Literal::Int(0), Kind::Int { min: 0, max: i64::MAX }, "paper tables 6 to 8" before Literal::Int(0);
        /// How they are chosen.
        selection in Selection = OnePerClass, "paper table 7" before OnePerClass;
        /// The class of `one_class`; empty is one by chance that has as many images.
        class: String = Literal::Text(""), Kind::Text, "ours" before Literal::Text("");
        /// File of the selection `list`: an image's name on each line, as in the list that every such run keeps.
        list: String = Literal::Text(""), Kind::Text, "ours" before Literal::Text("");
        /// Seed of the choice, which is the same for every seed of the run.
        seed: u64 = Literal::Int(0), Kind::Int { min: 0, max: i64::MAX }, "ours" before Literal::Int(0);
    }
}

section! {
    /// How long pretraining sees the same images again, and what that means for a loss.
    RepeatSettings = "repeat" {
        /// Images in an epoch, which begins them again as often as that takes; 0 is all training images there are, also
        /// where `subset.images` chooses some.
        epoch_samples: usize = Literal::Int(0), Kind::Int { min: 0, max: i64::MAX }, "open in the paper" before Literal::Int(0);
        /// Share of `train.epochs` after which training stops: 5 of 100 epochs are 0.05.
        stop: f64 = Literal::Float(1.0), Kind::Float { min: 1e-6, max: 1.0 }, "paper table 6" before Literal::Float(1.0);
        /// Which schedule a training that stops before its end has.
        schedule in StoppedSchedule = Stopped, "open in the paper" before Stopped;
        /// Whether other views of the same image are left out where a loss takes the batch for negatives.
        mask_same_image_negatives in SameImageNegatives = Auto, "ours" before Auto;
    }
}

section! {
    /// Fine-tuning with few labels: which images have one.
    LabelsSettings = "labels" {
        /// Fraction of the training images that is used, chosen evenly over the classes.
        fraction: f64 = Literal::Float(1.0), Kind::Float { min: 1e-6, max: 1.0 }, "paper table 4 has 0.1" before Literal::Float(1.0);
        /// A file that names the images instead: one on each line, such as SimCLR's 10percent.txt.
        list: String = Literal::Text(""), Kind::Text, "ours" before Literal::Text("");
        /// Seed of the choice, which is the same for every seed of the run.
        seed: u64 = Literal::Int(0), Kind::Int { min: 0, max: i64::MAX }, "ours" before Literal::Int(0);
    }
}

section! {
    /// A k-nearest-neighbor classifier on the way, as a cheap probe of the features.
    KnnSettings = "knn" {
        /// Epochs between two looks; 0 is without.
        every: u64 = Literal::Int(0), Kind::Int { min: 0, max: 100_000 }, "ours" before Literal::Int(0);
        /// Neighbors that vote.
        k: usize = Literal::Int(20), Kind::Int { min: 1, max: 100_000 }, "DINO" before Literal::Int(20);
        /// Temperature of a vote's weight, `exp(cosine / temperature)`.
        temperature: f64 = Literal::Float(0.07), Kind::Between { min: 0.0, max: 100.0 }, "DINO, after arXiv 1805.01978" before Literal::Float(0.07);
        /// What is compared.
        feature in Feature = Cls, "DINO" before Cls;
        /// Images of either split, at most, chosen evenly over the classes of all there are.
        images: usize = Literal::Int(2000), Kind::Int { min: 2, max: i64::MAX }, "ours" before Literal::Int(2000);
    }
}

section! {
    /// What fine-tuning and supervised training add to the loop.
    ClassifySettings = "classify" {
        /// What the head reads; the mean of the patch tokens goes through a new norm.
        pooling in Feature = MeanPatch, "MAE finetuning";
        /// Share of the target spread over all classes.
        label_smoothing: f64 = Literal::Float(0.1), Kind::Float { min: 0.0, max: 0.9 }, "MAE finetuning";
        /// Mixup's Beta parameter; 0 is off.
        mixup: f64 = Literal::Float(0.8), Kind::Float { min: 0.0, max: 10.0 }, "MAE finetuning";
        /// Cutmix's Beta parameter; 0 is off.
        cutmix: f64 = Literal::Float(1.0), Kind::Float { min: 0.0, max: 10.0 }, "MAE finetuning";
        /// Chance that a batch is mixed at all.
        mix_prob: f64 = Literal::Float(1.0), Kind::Float { min: 0.0, max: 1.0 }, "MAE finetuning";
        /// Standard deviation of the head's first weights.
        head_init: f64 = Literal::Float(2e-5), Kind::Float { min: 0.0, max: 1.0 }, "MAE repository";
        /// Epochs between evaluations on the validation split; the last epoch is always evaluated.
        eval_every: u64 = Literal::Int(1), Kind::Int { min: 1, max: 100_000 }, "ours";
    }
}

section! {
    /// Linear probing.
    ProbeSettings = "probe" {
        /// What the linear head reads.
        feature in Feature = Cls, "MAE repository's command";
        /// Optimizer of the head.
        optimizer in ProbeOptimizer = Lars, "MAE";
        /// Momentum of the head's optimizer.
        momentum: f64 = Literal::Float(0.9), Kind::Float { min: 0.0, max: 0.999 }, "MAE";
        /// Epochs between evaluations on the validation split; the last epoch is always evaluated.
        eval_every: u64 = Literal::Int(5), Kind::Int { min: 1, max: 100_000 }, "ours";
    }
}

section! {
    /// Linear probing of features that are read once, without augmentation: not MAE's protocol.
    ///
    /// Every pair of a learning rate and a weight decay learns from a part of the training images, and the one that is best
    /// on the rest of them then learns from all.
    CachedSettings = "cached" {
        /// What the linear head reads.
        feature in Feature = Cls, "MAE repository's command";
        /// Passes over the features.
        epochs: u64 = Literal::Int(100), Kind::Int { min: 1, max: 100_000 }, "ours";
        /// Images in one step, at most.
        batch_size: usize = Literal::Int(512), Kind::Int { min: 1, max: 1_000_000 }, "ours";
        /// Momentum of the head's optimizer.
        momentum: f64 = Literal::Float(0.9), Kind::Float { min: 0.0, max: 0.999 }, "MAE";
        /// Learning rates that are tried.
        learning_rates: String = Literal::Text("0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1"), Kind::Numbers { min: 1e-9, max: 1e6 }, "ours";
        /// Weight decays that are tried.
        weight_decays: String = Literal::Text("0, 0.00001, 0.0001, 0.001"), Kind::Numbers { min: 0.0, max: 1e6 }, "ours";
        /// Fraction of the training images on which the pairs are compared.
        held_out: f64 = Literal::Float(0.1), Kind::Between { min: 0.0, max: 1.0 }, "ours";
    }
}

section! {
    /// The tokenizer whose tokens a method predicts, trained on the run's own training images as they are. It makes one
    /// token of each patch; runs that ask for the same tokenizer share it.
    TokenizerSettings = "tokenizer" {
        /// What makes a token of a patch; each kind sees one patch at a time.
        kind in TokenizerKind = KMeans, "ours; BEiT's has 250 million images behind it";
        /// Tokens that there are.
        vocabulary: usize = Literal::Int(256), Kind::Int { min: 2, max: 65_536 }, "ours; BEiT has 8192";
        /// Whether `kmeans` clusters patches less their mean and divided by their deviation.
        normalize: bool = Literal::Bool(false), Kind::Bool, "ours";
        /// Patches that `kmeans` clusters, at most, drawn evenly over the images.
        sample: usize = Literal::Int(50_000), Kind::Int { min: 100, max: 10_000_000 }, "ours";
        /// Rounds of `kmeans`, at most; it ends when no patch changes its cluster.
        rounds: u64 = Literal::Int(25), Kind::Int { min: 1, max: 10_000 }, "ours";
        /// Passes of `vq` and `dvae` over the training split.
        epochs: u64 = Literal::Int(5), Kind::Int { min: 1, max: 100_000 }, "ours";
        /// Images in one step of `vq` and `dvae`.
        batch_size: usize = Literal::Int(64), Kind::Int { min: 1, max: 65_536 }, "ours";
        /// Peak learning rate of `vq` and `dvae`.
        lr: f64 = Literal::Float(1e-3), Kind::Between { min: 0.0, max: 1.0 }, "ours";
        /// Hidden width of what reads and writes a patch in `vq` and `dvae`.
        width: usize = Literal::Int(256), Kind::Int { min: 8, max: 4096 }, "ours";
        /// Numbers of a code of `vq` and `dvae`.
        code_dim: usize = Literal::Int(32), Kind::Int { min: 1, max: 4096 }, "ours";
        /// Weight of `vq`'s pull of vectors to their codes.
        commitment: f64 = Literal::Float(0.25), Kind::Float { min: 0.0, max: 100.0 }, "VQ-VAE section 3.2";
        /// How much of a code of `vq` a step keeps.
        decay: f64 = Literal::Float(0.99), Kind::Float { min: 0.0, max: 0.99999 }, "VQ-VAE appendix A.1";
        /// Below this share of what an even use would be, a code of `vq` begins anew.
        restart: f64 = Literal::Float(0.1), Kind::Float { min: 0.0, max: 1.0 }, "ours, after Jukebox";
        /// The temperature that the softmax of `dvae` ends at, beginning at 1.
        temperature: f64 = Literal::Float(0.0625), Kind::Between { min: 0.0, max: 1.0 }, "DALL-E section 2.1";
        /// Weight of the divergence of `dvae`'s codes from even use.
        divergence: f64 = Literal::Float(0.0), Kind::Float { min: 0.0, max: 100.0 }, "BEiT's tokenizer; DALL-E ends at 6.6";
    }
}

section! {
    /// Quality of reconstructions.
    PsnrSettings = "psnr" {
        /// Ratio of the patches masked.
        mask_ratio: f64 = Literal::Float(0.75), Kind::Between { min: 0.0, max: 1.0 }, "MAE";
        /// Shares of the patches masked for the table and the chart of quality by share; `mask_ratio` is always among them.
        ratios: String = Literal::Text("0.25, 0.5, 0.75, 0.9"), Kind::Numbers { min: 0.01, max: 0.99 }, "ours" before Literal::Text("0.75");
        /// Whose mean and deviation turn normalized predictions into pixels; a model that predicts pixels needs none.
        denorm in PatchStatistics = Oracle, "open in the paper";
        /// Images scored at a time.
        batch_size: usize = Literal::Int(100), Kind::Int { min: 1, max: 65_536 }, "ours";
    }
}

section! {
    /// How alike an encoder's features of full images and of the same images with patches masked are.
    CkaSettings = "cka" {
        /// Shares of the patches masked, each larger than the one before; at 0 nothing is, and the result is 1.
        ratios: String = Literal::Text("0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9"), Kind::Numbers { min: 0.0, max: 0.999 }, "paper figure 1";
        /// What of the tokens is compared.
        tokens in Tokens = MeanPatch, "open in the paper";
        /// How patches are masked.
        masking in Masking = Drop, "paper figure 1; C-MAE is pretrained with a token";
        /// Masks of every image. The result is the mean over them, with its range.
        mask_seeds: u64 = Literal::Int(3), Kind::Int { min: 1, max: 1000 }, "ours";
        /// Validation images compared, chosen evenly over the split; 0 is all.
        images: usize = Literal::Int(2000), Kind::Int { min: 0, max: i64::MAX }, "ours";
        /// Images whose features are compared with each other at a time.
        batch_size: usize = Literal::Int(256), Kind::Int { min: 4, max: 65_536 }, "ours";
    }
}

section! {
    /// How alike the features of two encoders, or of one at two times, are: every block of one with every block of the other.
    CompareSettings = "compare" {
        /// Id of the finished run whose encoder the parent's is compared with; empty is the parent itself, whose blocks are then
        /// compared with each other.
        other: String = Literal::Text(""), Kind::Text, "ours";
        /// The parent's encoder after so many epochs, if it kept a snapshot then (`snapshots.every`); 0 is its last.
        epoch: u64 = Literal::Int(0), Kind::Int { min: 0, max: 100_000 }, "ours";
        /// The same of the other run.
        other_epoch: u64 = Literal::Int(0), Kind::Int { min: 0, max: 100_000 }, "ours";
        /// Ratio of the patches left out, the same ones for both encoders.
        ratio: f64 = Literal::Float(0.0), Kind::Float { min: 0.0, max: 0.999 }, "ours";
        /// What of the tokens is compared.
        tokens in Feature = MeanPatch, "ours";
        /// Draws of the patches that are left out.
        mask_seeds: u64 = Literal::Int(3), Kind::Int { min: 1, max: 1000 }, "ours";
        /// Validation images compared, chosen evenly over the split; 0 is all.
        images: usize = Literal::Int(2000), Kind::Int { min: 0, max: i64::MAX }, "ours";
        /// Images whose features are compared with each other at a time.
        batch_size: usize = Literal::Int(256), Kind::Int { min: 4, max: 65_536 }, "ours";
    }
}

section! {
    /// Copies of the encoder kept on the way, so that it can be compared with itself later.
    SnapshotSettings = "snapshots" {
        /// Epochs between two copies; 0 keeps none.
        every: u64 = Literal::Int(0), Kind::Int { min: 0, max: 100_000 }, "ours" before Literal::Int(0);
    }
}

impl PsnrSettings {
    /// The ratios of the table, as they were written.
    pub fn ratios(&self) -> Vec<f64> {
        numbers(&self.ratios).unwrap_or_default()
    }
}

impl CkaSettings {
    /// Fewest images that are compared with each other: the unbiased estimate divides by their number less three.
    pub const FEWEST: usize = 4;

    /// The ratios, in ascending order.
    pub fn ratios(&self) -> Vec<f64> {
        numbers(&self.ratios).unwrap_or_default()
    }
}

impl CachedSettings {
    /// The learning rates, in ascending order.
    pub fn learning_rates(&self) -> Vec<f64> {
        ascending(&self.learning_rates)
    }

    /// The weight decays, in ascending order.
    pub fn weight_decays(&self) -> Vec<f64> {
        ascending(&self.weight_decays)
    }
}

/// The different numbers of a list.
fn ascending(list: &str) -> Vec<f64> {
    let mut found = numbers(list).unwrap_or_default();
    found.sort_by(f64::total_cmp);
    found.dedup();
    found
}
