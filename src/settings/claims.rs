//! The flags of `umbra claims`.

use clap::{Args, Subcommand};

use super::{DataDir, StudyChoice, Workers};

/// `umbra claims`
#[derive(Args, Debug)]
pub struct Claims {
    /// `next`, and the name of the claim it is about; all claims are judged if left out.
    #[command(subcommand)]
    pub order: Option<ClaimOrder>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the flags are documented where they are declared")]
    pub choice: ClaimChoice,
}

/// What to do about one claim.
#[derive(Debug, Subcommand)]
pub enum ClaimOrder {
    /// List the runs that would decide a claim next.
    Next(NextRuns),
}

/// On which runs claims are judged.
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
    /// The claim, as `umbra claims` lists it.
    pub claim: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the flags are documented where they are declared")]
    pub choice: ClaimChoice,
    /// Run them now, as `umbra run` does.
    #[arg(long)]
    pub run: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the flags are documented where they are declared")]
    pub workers: Workers,
}
