//! The tests that need more than one module: one binary, so that it is linked once.

mod architecture;
mod browser;
mod browser_playground;
mod circles;
mod commands;
mod gl;
mod jobs;
mod launching;
mod playground;
mod resume;
mod server;
mod studies;
mod support;
