//! Where models live: the CPU, or a GPU that this build and this machine have.
//!
//! `gpu:0`, `gpu:1`, … are the GPUs on the graphics API that suits the machine best, Vulkan where there is
//! one. `gl` is the GPU that OpenGL reaches, for machines whose Vulkan driver is missing or broken. Where
//! OpenGL is only imitated by the processor it can still be asked for by name, but is never chosen.

mod gpu;
mod probe;
mod runtime;

use anyhow::{Result, bail};
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

pub use probe::probe;
pub use runtime::{kernel_cache, prepare_process};

/// A device that can train.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceInfo {
    /// What `--device` takes: `cpu`, `gpu:0`, `gl`.
    pub name: String,
    /// What people call it.
    pub description: String,
    /// The driver with its version, as far as it tells.
    pub driver: String,
    /// Whether the processor only imitates a GPU; the CPU's own code is faster.
    pub software: bool,
}

/// The CPU and every GPU that computes. Drivers are asked in child processes, because a broken one can kill
/// who asks.
pub fn list() -> Vec<DeviceInfo> {
    let mut devices = vec![cpu()];
    if cfg!(feature = "gpu") {
        devices.extend(probe::ask_all());
    }
    devices
}

/// The name of the device to use if nobody says: the first real GPU, or the CPU.
pub fn best() -> String {
    let gpu = list().into_iter().find(|device| device.name != "cpu" && !device.software);
    gpu.map_or_else(|| "cpu".to_owned(), |gpu| gpu.name)
}

/// Whether a device of that name is there.
///
/// # Errors
/// One sentence with the devices there are.
pub fn check(name: &str) -> Result<()> {
    let place = parse(name)?;
    if place == DeviceName::Cpu {
        return Ok(());
    }
    let names: Vec<String> = list().into_iter().map(|device| device.name).collect();
    if names.iter().any(|known| parse(known).is_ok_and(|known| known == place)) {
        return Ok(());
    }
    bail!("device `{name}` is not on this machine: it must be one of {}", names.join(", "))
}

/// Opens a device for training, with gradients recorded.
///
/// # Errors
/// A name that is none, or a GPU that is not there or does not compute.
pub fn open(name: &str) -> Result<Device> {
    open_named(name).map(|(device, _)| device)
}

/// As [`open`], with what is known of the device.
///
/// # Errors
/// As [`open`].
pub fn open_named(name: &str) -> Result<(Device, DeviceInfo)> {
    let found = match parse(name)? {
        DeviceName::Cpu => Some((Device::flex(), cpu())),
        DeviceName::Gpu(place) => gpu::numbered(place),
        DeviceName::Gl => gpu::gl(),
    };
    let Some((device, info)) = found else {
        bail!("device `{name}` is not on this machine: `umbra devices` lists those there are");
    };
    if !probe::computes(&device) {
        bail!(
            "device `{name}` ({}) does not compute: `umbra devices` lists those that do",
            info.description
        );
    }
    Ok((device.autodiff(), info))
}

/// Sets the threads that tensors are computed with, once in the life of the process.
pub fn use_threads(threads: usize) {
    if let Err(error) = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global() {
        tracing::debug!("the threads were chosen before: {error}");
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DeviceName {
    Cpu,
    Gpu(usize),
    Gl,
}

fn parse(name: &str) -> Result<DeviceName> {
    match name {
        "cpu" => Ok(DeviceName::Cpu),
        "gpu" => Ok(DeviceName::Gpu(0)),
        "gl" => Ok(DeviceName::Gl),
        other => match other.strip_prefix("gpu:").and_then(|place| place.parse().ok()) {
            Some(place) => Ok(DeviceName::Gpu(place)),
            None => bail!("device `{name}` is not known: it must be cpu, gpu, gpu:N or gl"),
        },
    }
}

fn cpu() -> DeviceInfo {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    DeviceInfo {
        name: "cpu".to_owned(),
        description: format!("{threads} threads"),
        driver: String::new(),
        software: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cpu_gpu_a_numbered_gpu_or_gl() {
        let places = [
            ("cpu", DeviceName::Cpu),
            ("gpu", DeviceName::Gpu(0)),
            ("gpu:3", DeviceName::Gpu(3)),
            ("gl", DeviceName::Gl),
        ];
        for (name, place) in places {
            assert_eq!(parse(name).unwrap(), place);
        }
        for name in ["", "GPU", "gpu:", "gpu:x", "cuda", "gl:"] {
            let error = parse(name).unwrap_err().to_string();
            assert!(error.contains("must be cpu, gpu, gpu:N or gl"), "{name}: {error}");
        }
    }

    #[test]
    fn the_cpu_opens_with_gradients_and_a_gpu_that_is_not_there_is_refused() {
        prepare_process();
        assert!(open("cpu").unwrap().is_autodiff());
        assert!(open("gpu:999").unwrap_err().to_string().contains("not on this machine"));
    }

    #[test]
    fn the_cpu_is_there_and_computes() {
        check("cpu").unwrap();
        assert!(probe::computes(&Device::flex()));
    }
}
