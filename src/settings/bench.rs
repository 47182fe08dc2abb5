//! The flags of `umbra bench`.

use clap::Args;

use super::DataDir;

/// `umbra bench`
#[derive(Args, Debug)]
pub struct Bench {
    /// The method, or `all` for every one that trains.
    #[arg(long, default_value = "mae")]
    pub method: String,
    /// Keep the speed in the data directory, so that times can be expected by it.
    #[arg(long)]
    pub keep: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the flags are documented where they are declared")]
    pub data_dir: DataDir,
    /// The scale whose model is measured.
    #[arg(long, default_value = "laptop")]
    pub scale: String,
    /// Images a step.
    #[arg(long, default_value_t = 256)]
    pub batch: usize,
    /// A setting, such as `train.activation_checkpointing=true`; may be given more than once.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
    /// Steps, of which the first two are not counted.
    #[arg(long, default_value_t = 12)]
    pub steps: usize,
    /// The device.
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// Threads; all of the machine's if left out.
    #[arg(long)]
    pub threads: Option<usize>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
