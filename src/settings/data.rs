//! `umbra data`: what is done with images before training on them.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::DataDir;

/// `umbra data`
#[derive(Debug, Subcommand)]
pub enum Data {
    /// Count, measure and show the images of a source.
    Inspect(Inspect),
    /// Measure how many images a second the loader makes, decoding and augmentation included.
    Bench(LoaderBench),
    /// Remove decoded images that no run used for a while; what is wanted again is decoded again.
    Clean(Clean),
}

/// `umbra data inspect`
#[derive(Args, Debug)]
pub struct Inspect {
    /// `builtin`, a folder, an archive, or a folder of CIFAR or IDX files.
    pub source: String,
    /// Side at which a model would see them.
    #[arg(long, default_value_t = 32)]
    pub image_size: usize,
    /// Where to write the contact sheet.
    #[arg(long, default_value = "contact-sheet.png")]
    pub contact_sheet: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the flags are documented where they are declared")]
    pub data_dir: DataDir,
}

/// `umbra data clean`
#[derive(Args, Debug)]
pub struct Clean {
    /// Days without use; 0 removes everything that is not being written.
    #[arg(long, default_value_t = 30)]
    pub days: u32,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the flags are documented where they are declared")]
    pub data_dir: DataDir,
}

/// `umbra data bench`
#[derive(Args, Debug)]
pub struct LoaderBench {
    /// `builtin`, a folder, an archive, or a folder of CIFAR or IDX files.
    pub source: String,
    /// The stage whose augmentation is done.
    #[arg(long, default_value = "pretrain", value_parser = ["pretrain", "finetune"])]
    pub stage: String,
    /// The scale whose settings are taken.
    #[arg(long, default_value = "laptop")]
    pub scale: String,
    /// Side of the views; the scale's own if left out.
    #[arg(long)]
    pub image_size: Option<i64>,
    /// Images in a batch; the scale's own if left out.
    #[arg(long)]
    pub batch: Option<i64>,
    /// A setting of the stage, such as `augment.rand_augment=9`; may be given more than once.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
    /// Decode each image whenever it is wanted, as in data too large for the cache.
    #[arg(long)]
    pub decode: bool,
    /// Threads that make batches; all of the machine's if left out.
    #[arg(long)]
    pub threads: Option<usize>,
    /// Seconds to measure, after a second of warm-up.
    #[arg(long, default_value_t = 5.0)]
    pub seconds: f64,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the flags are documented where they are declared")]
    pub data_dir: DataDir,
}
