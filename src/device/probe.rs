//! Asking drivers in child processes, one for each way to a GPU: a driver that crashes hides only its own.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use burn::tensor::{Device, Tensor};

use super::{DeviceInfo, gpu};

/// How long a driver may take to answer.
const PROBE_TIME: Duration = Duration::from_secs(60);
/// What `umbra devices --probe` takes: the best graphics API's GPUs, and OpenGL's.
const WAYS: [&str; 2] = ["gpu", "gl"];

/// Whether a device works out a sum rightly. Element by element: nothing that a GPU would try variants of.
pub(super) fn computes(device: &Device) -> bool {
    let numbers = Tensor::<1>::from_data([1.0_f32, 2.0, 3.0], device);
    let found = (numbers.clone() * numbers + 0.5).try_into_data();
    found.is_ok_and(|data| data.iter::<f32>().eq([1.5, 4.5, 9.5]))
}

/// The GPUs of one way (`gpu` or `gl`), asked in this process. Each has computed before it is listed.
pub fn probe(way: &str) -> Vec<DeviceInfo> {
    let found: Vec<_> = if way == "gl" {
        gpu::gl().into_iter().collect()
    } else {
        (0..).map_while(gpu::numbered).collect()
    };
    let working = found.into_iter().filter(|(device, _)| computes(device));
    working.map(|(_, info)| info).collect()
}

/// Every GPU, each way asked in a child process of its own. A way that fails is logged and left out.
pub(super) fn ask_all() -> Vec<DeviceInfo> {
    let asked = WAYS.map(|way| (way, start(way)));
    let answers = asked.into_iter().map(|(way, child)| (way, child.and_then(answer)));
    answers
        .flat_map(|(way, answer)| {
            answer.unwrap_or_else(|error| {
                tracing::warn!("devices called `{way}` cannot be listed: {error:#}");
                Vec::new()
            })
        })
        .collect()
}

/// Starts `umbra devices --probe WAY`.
fn start(way: &str) -> Result<(Child, Instant)> {
    let me = std::env::current_exe().context("the path of this program is not known")?;
    let child = Command::new(me)
        .args(["devices", "--probe", way])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    Ok((child, Instant::now()))
}

fn answer((mut child, began): (Child, Instant)) -> Result<Vec<DeviceInfo>> {
    let status = loop {
        match child.try_wait()? {
            Some(status) => break status,
            None if began.elapsed() > PROBE_TIME => {
                child.kill()?;
                child.wait()?;
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
