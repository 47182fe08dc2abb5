//! `umbra data`: images before training on them.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::DataDir;

/// `umbra data`
#[derive(Debug, Subcommand)]
pub enum Data {
    /// Count and measure the images of a data set and draw a contact sheet.
    Inspect(Inspect),
    /// List the data sets that were looked at, with the runs that used them.
    List(DataList),
    /// Measure the loader in images per second, decoding and augmentation included.
    Bench(LoaderBench),
    /// Remove cached decoded images that no run used for a while; they are decoded again when needed.
    Clean(Clean),
}

/// `umbra data inspect`
#[derive(Args, Debug)]
pub struct Inspect {
    /// `builtin`, a folder, an archive, or a folder of CIFAR or IDX files.
    pub source: String,
    /// Image size that a model would see, in pixels.
    #[arg(long, default_value_t = 32)]
    pub image_size: usize,
    /// Column of a table or Parquet file that holds the labels, where several could be meant.
    #[arg(long)]
    pub label_column: Option<String>,
    /// File to write the contact sheet to.
    #[arg(long, default_value = "contact-sheet.png")]
    pub contact_sheet: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the flags are documented where they are declared")]
    pub data_dir: DataDir,
}

/// `umbra data list`
#[derive(Args, Debug)]
pub struct DataList {
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
    /// Days since the last use; 0 removes everything that is not being written.
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
    /// The stage whose augmentation is measured.
    #[arg(long, default_value = "pretrain", value_parser = ["pretrain", "finetune"])]
    pub stage: String,
    /// The scale whose settings are used.
    #[arg(long, default_value = "laptop")]
    pub scale: String,
    /// Image size after augmentation, in pixels [default: the scale's].
    #[arg(long)]
    pub image_size: Option<i64>,
    /// Batch size [default: the scale's].
    #[arg(long)]
    pub batch: Option<i64>,
    /// Change a setting of the stage, such as `augment.rand_augment=9`; may be repeated.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
    /// Decode every image each time, as for data sets too large for the cache.
    #[arg(long)]
    pub decode: bool,
    /// Number of loader threads [default: all of the machine].
    #[arg(long)]
    pub threads: Option<usize>,
    /// Seconds to measure, after one second of warm-up.
    #[arg(long, default_value_t = 5.0)]
    pub seconds: f64,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the flags are documented where they are declared")]
    pub data_dir: DataDir,
}
