//! The `umbra` command.

use std::process::ExitCode;

use clap::Parser;
use umbra::cli;
use umbra::settings::Cli;

// Training frees and takes the same large buffers every step; mimalloc keeps their pages.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli::run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            cli::complain(&error);
            ExitCode::FAILURE
        }
    }
}
