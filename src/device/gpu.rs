//! The GPUs, through wgpu. A build without GPU backends knows none.

use burn::tensor::Device;

use super::DeviceInfo;

/// The GPU of that number on the best graphics API: discrete ones first, then those of processors, then
/// virtual ones. `None` if there are not so many.
pub fn numbered(place: usize) -> Option<(Device, DeviceInfo)> {
    through_wgpu::numbered(place)
}

/// The GPU that OpenGL reaches; it shows one to a process.
pub fn gl() -> Option<(Device, DeviceInfo)> {
    through_wgpu::gl()
}

#[cfg(feature = "gpu")]
mod through_wgpu {
    use std::collections::BTreeMap;
    use std::sync::{Mutex, PoisonError};

    use burn::tensor::wgpu::{WgpuBackend, wgpu};
    use burn::tensor::{Device, DeviceKind};

    use super::super::DeviceInfo;

    /// What was opened in this process: a device can be opened only once, and copied after that.
    static OPENED: Mutex<BTreeMap<String, (Device, DeviceInfo)>> = Mutex::new(BTreeMap::new());

    pub fn numbered(place: usize) -> Option<(Device, DeviceInfo)> {
        let kinds: [fn(usize) -> DeviceKind; 3] = [DeviceKind::DiscreteGpu, DeviceKind::IntegratedGpu, DeviceKind::VirtualGpu];
        let every = kinds
            .into_iter()
            .flat_map(|kind| (0..).map_while(move |nth| open(kind(nth), WgpuBackend::Auto, format!("gpu:{place}"))));
        every.into_iter().nth(place)
    }

    pub fn gl() -> Option<(Device, DeviceInfo)> {
        open(DeviceKind::DefaultDevice, WgpuBackend::Gl, "gl".to_owned())
    }

    fn open(kind: DeviceKind, api: WgpuBackend, name: String) -> Option<(Device, DeviceInfo)> {
        let key = format!("{kind:?} through {api:?}");
        let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((device, info)) = opened.get(&key) {
            return Some((device.clone(), DeviceInfo { name, ..info.clone() }));
        }
        let options = Device::wgpu_options().device_kind(kind).graphics_api(api);
        let (device, setup) = match options.init_with_setup() {
            Ok(initialized) => initialized,
            Err(error) => {
                tracing::debug!("{key}: {error}");
                return None;
            }
        };
        let found = (device, describe(&setup.adapter.get_info(), name));
        opened.insert(key, found.clone());
        Some(found)
    }

    fn describe(adapter: &wgpu::AdapterInfo, name: String) -> DeviceInfo {
        let software = adapter.device_type == wgpu::DeviceType::Cpu;
        let note = if software { ", imitated by the processor" } else { "" };
        let driver = [adapter.driver.as_str(), adapter.driver_info.as_str()];
        DeviceInfo {
            name,
            description: format!("{} through {}{note}", adapter.name, api_name(adapter.backend)),
            driver: driver.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" "),
            software,
        }
    }

    fn api_name(backend: wgpu::Backend) -> &'static str {
        match backend {
            wgpu::Backend::Vulkan => "Vulkan",
            wgpu::Backend::Metal => "Metal",
            wgpu::Backend::Dx12 => "Direct3D 12",
            wgpu::Backend::Gl => "OpenGL",
            wgpu::Backend::BrowserWebGpu => "WebGPU",
            wgpu::Backend::Noop => "nothing",
        }
    }
}

#[cfg(not(feature = "gpu"))]
mod through_wgpu {
    use burn::tensor::Device;

    use super::super::DeviceInfo;

    pub fn numbered(_place: usize) -> Option<(Device, DeviceInfo)> {
        None
    }

    pub fn gl() -> Option<(Device, DeviceInfo)> {
        None
    }
}
