//! The flags of `umbra claims`.

use clap::{Args, Subcommand};

use super::{DataDir, StudyChoice, Workers};

/// `umbra claims`
#[derive(Args, Debug)]
pub struct Claims {
    /// `next` and a claim; without it, all claims are judged.
    #[command(subcommand)]
    pub order: Option<ClaimOrder>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the flags are documented where they are declared")]
    pub choice: ClaimChoice,
}

/// What to do for one claim.
#[derive(Debug, Subcommand)]
pub enum ClaimOrder {
    /// List the runs that would decide a claim.
    Next(NextRuns),
}

/// The runs that claims are judged on.
#[derive(Args, Clone, Debug)]
pub struct ClaimChoice {
    #[command(flatten)]
    #[expect(missing_docs, reason = "the flags are documented where they are declared")]
    pub runs: StudyChoice,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the flags are documented where they are declared")]
    pub data_dir: DataDir,
}

/// `umbra claims next`
#[derive(Args, Debug)]
pub struct NextRuns {
    /// The claim's id, as `umbra claims` lists it, or `study/claim`.
    pub claim: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the flags are documented where they are declared")]
    pub choice: ClaimChoice,
    /// Run them now and judge the claim again.
    #[arg(long)]
    pub run: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the flags are documented where they are declared")]
    pub workers: Workers,
}
