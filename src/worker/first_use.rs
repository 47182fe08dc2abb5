//! Before a GPU's first run: a few steps on it and on the CPU are compared. A pass is remembered in the data
//! directory, for the device with this driver and this build of Umbra.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context as _, Result, anyhow, bail};
use burn::tensor::{DType, Device};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::device::{self, DeviceInfo};
use crate::kernels;
use crate::run_dir::write_atomic;
use crate::train::report::Reporter;
use crate::train::{is_cpu, self_test};

/// What is compared: another of these is another comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Subject<'a> {
    device: &'a str,
    driver: &'a str,
    umbra: &'a str,
    /// Whether matrix products round their operands.
    mixed: bool,
    /// When this program was built, or last copied, in seconds since 1970.
    built: u64,
}

/// A remembered pass, for people.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Pass<'a> {
    #[serde(flatten)]
    subject: Subject<'a>,
    #[serde(flatten)]
    agreement: self_test::Agreement,
}

/// Says which GPU works, has its memory watched and, unless it was done before or `self_test` says not to,
/// compares it with the CPU. The CPU itself needs none of it.
///
/// # Errors
/// One sentence with what differed and how to go on, or the path that cannot be written.
pub(super) fn prepare(device: &Device, info: &DeviceInfo, self_test: bool, data_dir: &Path, reporter: &mut Reporter) -> Result<()> {
    if is_cpu(device) {
        return Ok(());
    }
    if kernels::products_are_rounded() && !device.supports_dtype(DType::F16) {
        bail!("{} has no half precision: set train.precision to float32", info.description);
    }
    reporter.watch(device.clone());
    tracing::info!("{}: {}, driver {}", info.name, info.description, info.driver);
    if let Some(cache) = device::kernel_cache() {
        let known = if cache.exists() {
            "are read from and kept in"
        } else {
            "are not in"
        };
        tracing::info!("kernels tuned by earlier processes {known} {}", cache.display());
    }
    if !self_test {
        return reporter.warning(format!(
            "{} was not compared with the CPU: UMBRA_SKIP_SELF_TEST is set",
            info.description
        ));
    }
    let subject = Subject {
        device: &info.description,
        driver: &info.driver,
        umbra: env!("CARGO_PKG_VERSION"),
        mixed: kernels::products_are_rounded(),
        built: built().unwrap_or_default(),
    };
    let file = file_of(&subject, data_dir)?;
    if file.is_file() {
        return Ok(());
    }
    reporter.phase("checking the GPU against the CPU")?;
    let agreement = self_test::compare(device).map_err(|difference| {
        anyhow!(
            "{} does not compute what the CPU does: {difference:#}; train with --device cpu, or set UMBRA_SKIP_SELF_TEST=1 to use it all the same",
            info.description
        )
    })?;
    tracing::info!("the GPU agrees with the CPU: {agreement}");
    remember(&file, &Pass { subject, agreement })
}

/// `self-tests/` and a hash of the subject.
fn file_of(subject: &Subject, data_dir: &Path) -> Result<PathBuf> {
    let hash = Sha256::digest(serde_json::to_vec(subject)?);
    let name: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Ok(data_dir.join("self-tests").join(format!("{name}.json")))
}

fn remember(file: &Path, pass: &Pass) -> Result<()> {
    let folder = file.parent().context("the file stands in a folder")?;
    fs::create_dir_all(folder)
        .and_then(|()| write_atomic(file, &serde_json::to_vec_pretty(pass)?))
        .with_context(|| format!("{}: cannot be written", file.display()))
}

fn built() -> Option<u64> {
    let modified = fs::metadata(std::env::current_exe().ok()?).ok()?.modified().ok()?;
    Some(modified.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

#[cfg(test)]
mod tests {
    use crate::worker::first_use::*;

    #[test]
    fn another_driver_or_another_build_is_compared_again() {
        let subject = Subject {
            device: "a",
            driver: "1",
            umbra: "0.1.0",
            mixed: false,
            built: 5,
        };
        let file = |subject: &Subject| file_of(subject, Path::new("data")).unwrap();
        assert_eq!(file(&subject), file(&subject.clone()));
        assert_eq!(file(&subject).parent().unwrap(), Path::new("data/self-tests"));
        for other in [
            Subject {
                driver: "2",
                ..subject.clone()
            },
            Subject {
                built: 6,
                ..subject.clone()
            },
            Subject {
                mixed: true,
                ..subject.clone()
            },
            Subject {
                device: "b",
                ..subject.clone()
            },
        ] {
            assert_ne!(file(&subject), file(&other));
        }
        assert!(built().is_some_and(|time| time > 1_700_000_000));
    }

    #[test]
    fn a_pass_is_written_for_people_with_what_it_was_about() {
        let root = tempfile::tempdir().unwrap();
        let subject = Subject {
            device: "a",
            driver: "1",
            umbra: "0.1.0",
            mixed: false,
            built: 5,
        };
        let file = file_of(&subject, root.path()).unwrap();
        let agreement = self_test::Agreement {
            losses: 1e-6,
            gradients: 1e-4,
        };
        remember(&file, &Pass { subject, agreement }).unwrap();
        let text: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        assert_eq!((&text["driver"], &text["gradients"]), (&"1".into(), &1e-4.into()));
    }
}
