//! How burn and cubecl behave in this process, decided here and not by files that happen to lie about.

use std::path::PathBuf;

/// Call first thing in the process, before a device is opened.
///
/// Numbers are then read from a GPU when asked for and not at first use, when a later step may have changed
/// them (burn reads lazily unless told otherwise). And the settings of cubecl and burn are the defaults and
/// what their environment variables say: left alone, both would take any `cubecl.toml` or `burn.toml` from
/// the folder the program is started in or one above it.
pub fn prepare_process() {
    #[cfg(feature = "gpu")]
    set_up();
}

/// The file that a GPU's tuned kernels are kept in between processes, which every Umbra of this user shares;
/// `None` in a build without GPU backends.
pub fn kernel_cache() -> Option<PathBuf> {
    #[cfg(feature = "gpu")]
    let file = Some(cubecl::environment::path());
    #[cfg(not(feature = "gpu"))]
    let file = None;
    file
}

#[cfg(feature = "gpu")]
fn set_up() {
    use burn_std::config::{BurnConfig, RuntimeConfig};
    use cubecl::config::CubeClRuntimeConfig;
    use cubecl::config::cache::CacheConfig;

    burn_std::set_runtime_kind(burn_std::RuntimeKind::Async);
    let mut kernels = CubeClRuntimeConfig::default();
    // The user's folder for caches: the default is `target/` of whatever project one stands in.
    kernels.environment.path = CacheConfig::Global;
    let fresh = CubeClRuntimeConfig::try_set(kernels.override_from_env()) & BurnConfig::try_set(BurnConfig::default().override_from_env());
    if !fresh {
        tracing::debug!("the settings of the GPU runtime were made before");
    }
}

#[cfg(all(test, feature = "gpu"))]
mod tests {
    use super::*;

    #[test]
    fn tuned_kernels_do_not_lie_in_the_folder_the_program_is_started_in() {
        prepare_process();
        let (cache, here) = (kernel_cache().unwrap(), std::env::current_dir().unwrap());
        assert!(!cache.starts_with(&here), "{}", cache.display());
        assert_eq!(cache.parent().unwrap().file_name().unwrap(), "cubecl");
    }
}
