//! Lists the files of `configs/studies/` for `src/experiment/study.rs`, so that a new study needs no line of Rust.

use std::io::Write;
use std::path::Path;
use std::{env, fs, io};

const FOLDER: &str = "configs/studies";

fn main() -> io::Result<()> {
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    let out = env::var("OUT_DIR").expect("cargo says where to write");
    let entries = fs::read_dir(Path::new(&root).join(FOLDER))?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<io::Result<Vec<_>>>()?;
    names.retain(|name| name.ends_with(".toml"));
    names.sort();
    // The folder of the package stands nowhere in the list: a checkout may be moved without its list being made anew.
    let line = |name: &String| {
        let (shown, within) = (format!("{FOLDER}/{name}"), format!("/{FOLDER}/{name}"));
        format!("    ({shown:?}, include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {within:?}))),\n")
    };
    let list: String = names.iter().map(line).collect();
    fs::write(Path::new(&out).join("studies.rs"), format!("&[\n{list}]\n"))?;
    writeln!(io::stdout(), "cargo::rerun-if-changed={FOLDER}")
}
