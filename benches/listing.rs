//! How long a data set of a million images takes to be looked at before a launch, as a folder of class folders and as one tar, and how
//! much memory: `cargo bench --no-default-features --features cpu --bench listing`. The first look reads every image for the
//! fingerprint, the second compares names, sizes and times. `UMBRA_LISTED` sets another number, `UMBRA_LISTED_IN` the folder.

#![allow(clippy::print_stdout, reason = "a bench prints what it measures")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use umbra::data::survey;
use umbra::experiment::settings::DataSettings;

/// Classes, as in ImageNet.
const CLASSES: usize = 1000;

fn main() {
    let count: usize = std::env::var("UMBRA_LISTED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1_000_000);
    let room = std::env::var("UMBRA_LISTED_IN").map_or_else(|_| std::env::temp_dir(), PathBuf::from);
    let room = tempfile::tempdir_in(room).expect("a folder can be made");
    let folder = room.path().join("folder");
    for class in 0..CLASSES {
        fs::create_dir_all(folder.join(format!("n{class:08}"))).expect("a folder can be made");
    }
    let tar = room.path().join("images.tar");
    let mut builder = tar::Builder::new(std::io::BufWriter::new(fs::File::create(&tar).expect("a file can be made")));
    for n in 0..count {
        let name = format!("n{:08}/n{:08}_{n}.JPEG", n % CLASSES, n % CLASSES);
        let bytes = format!("image {n}");
        fs::write(folder.join(&name), &bytes).expect("a file can be written");
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder
            .append_data(&mut header, &name, bytes.as_bytes())
            .expect("an entry can be written");
    }
    builder
        .into_inner()
        .and_then(|mut file| file.flush())
        .expect("an archive can be written");
    for (what, source) in [("tar", tar), ("folder", folder)] {
        for look in ["first", "second"] {
            looked(what, look, &source, &room.path().join("cache"));
        }
    }
}

fn looked(what: &str, look: &str, source: &Path, cache: &Path) {
    let began = Instant::now();
    let found = survey(&DataSettings::of_source(&source.to_string_lossy()), cache, &mut |_, _| {}).expect("it can be read");
    let [train, val] = found.counts.splits(0.2);
    println!(
        "{what}, {look} look: {} images in {:.1?}, {} MiB at most so far",
        train + val,
        began.elapsed(),
        peak_mib()
    );
}

/// The most memory that this process ever had, in MiB.
fn peak_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / 1024
}
