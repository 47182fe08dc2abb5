//! The flags of `umbra bench`.

use clap::Args;

use super::DataDir;

/// `umbra bench`
#[derive(Args, Debug)]
pub struct Bench {
    /// The method, or `all` for every one that trains.
    #[arg(long, default_value = "mae")]
    pub method: String,
    /// Keep the result in the data directory, where estimates of the time that runs will take use it.
    #[arg(long)]
    pub keep: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the flags are documented where they are declared")]
    pub data_dir: DataDir,
    /// The scale whose model is trained.
    #[arg(long, default_value = "laptop")]
    pub scale: String,
    /// Images per step.
    #[arg(long, default_value_t = 256)]
    pub batch: usize,
    /// Change a setting, such as `train.activation_checkpointing=true`; may be repeated.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
    /// Steps, including two of warm-up that are not timed.
    #[arg(long, default_value_t = 12)]
    pub steps: usize,
    /// The device to measure.
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// Number of threads [default: all of the machine].
    #[arg(long)]
    pub threads: Option<usize>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
