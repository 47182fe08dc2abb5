//! Where models live: the CPU, or a GPU that this build and this machine have.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

/// A device that can train.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceInfo {
    /// What `--device` takes: `cpu`, `gpu:0`.
    pub name: String,
    /// What people call it.
    pub description: String,
}

/// How long a driver may take to answer.
const PROBE_TIME: Duration = Duration::from_secs(60);

/// Call first thing in the process. Numbers are then read from a GPU when asked for and not at first use,
/// when a later step may have changed them (burn reads lazily unless told otherwise).
pub fn prepare_process() {
    #[cfg(feature = "gpu")]
    burn_std::set_runtime_kind(burn_std::RuntimeKind::Async);
}

/// The CPU and every GPU. Drivers are asked in a child process, because a broken one can kill who asks.
pub fn list() -> Vec<DeviceInfo> {
    let mut devices = vec![cpu()];
    if cfg!(feature = "gpu") {
        match probe_in_child() {
            Ok(found) => devices.extend(found),
            Err(error) => tracing::warn!("GPUs cannot be listed: {error:#}"),
        }
    }
    devices
}

/// The GPUs, asked in this process. Each has worked out a sum before it is listed.
pub fn probe() -> Vec<DeviceInfo> {
    gpu::all()
        .into_iter()
        .enumerate()
        .map(|(place, (_, description))| DeviceInfo {
            name: format!("gpu:{place}"),
            description,
        })
        .collect()
}

/// The name of the device to use if nobody says: the first GPU, or the CPU.
pub fn best() -> String {
    list()
        .into_iter()
        .map(|device| device.name)
        .next_back()
        .filter(|name| name != "cpu")
        .map_or_else(|| "cpu".to_owned(), |_| "gpu:0".to_owned())
}

/// Whether a device of that name is there.
///
/// # Errors
/// One sentence with the devices there are.
pub fn check(name: &str) -> Result<()> {
    if parse(name)? == Place::Cpu {
        return Ok(());
    }
    let names: Vec<String> = list().into_iter().map(|device| device.name).collect();
    if names.iter().any(|known| known == name) || (name == "gpu" && names.len() > 1) {
        return Ok(());
    }
    bail!("device `{name}` is not on this machine: it must be one of {}", names.join(", "))
}

/// Opens a device for training, with gradients recorded.
///
/// # Errors
/// A name that is none, or a GPU that is not there.
pub fn open(name: &str) -> Result<Device> {
    match parse(name)? {
        Place::Cpu => Ok(Device::flex().autodiff()),
        Place::Gpu(place) => {
            let mut gpus = gpu::all();
            let count = gpus.len();
            if place >= count {
                bail!("device `{name}` is not on this machine: it has {count} GPUs");
            }
            Ok(gpus.swap_remove(place).0.autodiff())
        }
    }
}

/// Sets the threads that tensors are computed with, once in the life of the process.
pub fn use_threads(threads: usize) {
    if let Err(error) = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global() {
        tracing::debug!("the threads were chosen before: {error}");
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Cpu,
    Gpu(usize),
}

fn parse(name: &str) -> Result<Place> {
    match name {
        "cpu" => Ok(Place::Cpu),
        "gpu" => Ok(Place::Gpu(0)),
        other => match other.strip_prefix("gpu:").and_then(|place| place.parse().ok()) {
            Some(place) => Ok(Place::Gpu(place)),
            None => bail!("device `{name}` is not known: it must be cpu, gpu or gpu:N"),
        },
    }
}

fn cpu() -> DeviceInfo {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    DeviceInfo {
        name: "cpu".to_owned(),
        description: format!("{threads} threads"),
    }
}

/// Runs `umbra devices --probe` and reads its answer.
fn probe_in_child() -> Result<Vec<DeviceInfo>> {
    let me = std::env::current_exe().context("the path of this program is not known")?;
    let mut child = Command::new(me)
        .args(["devices", "--probe"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let began = Instant::now();
    let status = loop {
        match child.try_wait()? {
            Some(status) => break status,
            None if began.elapsed() > PROBE_TIME => {
                child.kill()?;
                bail!("the driver did not answer in {} seconds", PROBE_TIME.as_secs());
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    if !status.success() {
        bail!("asking the driver ended with {status}");
    }
    let mut text = String::new();
    child.stdout.take().context("the child has no output")?.read_to_string(&mut text)?;
    serde_json::from_str(text.trim()).context("the child's answer is no list of devices")
}

#[cfg(feature = "gpu")]
mod gpu {
    use burn::tensor::{Device, DeviceType, Tensor};

    /// Every GPU that computes, with its name, in the driver's order. Software renderers are left out: the
    /// CPU's own code is faster.
    pub fn all() -> Vec<(Device, String)> {
        let devices = Device::enumerate(DeviceType::Wgpu).into_vec().into_iter();
        devices
            .filter(|device| !format!("{device:?}").contains("Cpu"))
            .filter(computes)
            .map(|device| {
                let name = device.identity().map_or_else(|| format!("{device:?}"), |identity| identity.name);
                (device, name)
            })
            .collect()
    }

    fn computes(device: &Device) -> bool {
        let sum = Tensor::<1>::ones([64], device).sum().try_into_data();
        sum.is_ok_and(|data| data.iter::<f32>().eq([64.0]))
    }
}

#[cfg(not(feature = "gpu"))]
mod gpu {
    use burn::tensor::Device;

    /// This build knows none.
    pub fn all() -> Vec<(Device, String)> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cpu_gpu_or_a_numbered_gpu() {
        for (name, place) in [("cpu", Place::Cpu), ("gpu", Place::Gpu(0)), ("gpu:3", Place::Gpu(3))] {
            assert_eq!(parse(name).unwrap(), place);
        }
        for name in ["", "GPU", "gpu:", "gpu:x", "cuda"] {
            assert!(parse(name).unwrap_err().to_string().contains("must be cpu, gpu or gpu:N"), "{name}");
        }
    }

    #[test]
    fn the_cpu_opens_with_gradients_and_a_gpu_that_is_not_there_is_refused() {
        assert!(open("cpu").unwrap().is_autodiff());
        assert!(open("gpu:999").unwrap_err().to_string().contains("not on this machine"));
    }
}
