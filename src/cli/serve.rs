//! `umbra serve`: the page, the queue and its workers.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch::Receiver;

use super::{catalog, print, runtime, start_log, threads};
use crate::app::Workspace;
use crate::device;
use crate::jobs::{self, Jobs, JobsConfig};
use crate::settings::{Serve, Workers};
use crate::store::Store;
use crate::web::{self, AppState, GuardConfig};

/// Serves until the process is told to stop; workers go on and are found again at the next start.
///
/// # Errors
/// An address in use or open to others without a token, or a data directory that cannot be used.
pub fn serve(args: Serve) -> anyhow::Result<()> {
    start_log();
    let mut guard = guard(&args)?;
    check_listen(args.listen, guard.token.as_deref())?;
    let listener = bind(args.listen)?;
    let address = listener.local_addr()?;
    guard.listen = address;
    let reached = reached(&guard);
    let runtime = runtime()?;
    runtime.block_on(async {
        // Before anybody is told that the server is ready: a signal that nobody listens for yet is lost.
        let stop = watch_signals()?;
        let (store, jobs) = start_jobs(&args.data.data_dir, &args.workers).await?;
        let state = AppState {
            workspace: Workspace::new(store, &args.data.data_dir, catalog()),
            jobs,
            guard,
        };
        print(&format!(
            "Umbra is ready: {reached}   (data in {}; stop with Ctrl-C, running work goes on)",
            args.data.data_dir.display()
        ))?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let app = web::router(state).into_make_service_with_connect_info::<SocketAddr>();
        let server = axum::serve(listener, app).with_graceful_shutdown(stopped(stop.clone()));
        tokio::select! {
            ended = server => ended.context("the server stopped"),
            () = patience(stop) => Ok(()),
        }
    })?;
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(())
}

/// Who may ask, and under which addresses.
fn guard(args: &Serve) -> anyhow::Result<GuardConfig> {
    let public = args.public_urls.iter().filter(|url| !url.trim().is_empty());
    let public = public.map(|url| url.parse().map_err(|e| anyhow!("--public-url: {e}")));
    Ok(GuardConfig {
        public: public.collect::<anyhow::Result<_>>()?,
        trust_forwarded: args.trust_forwarded,
        base_path: web::base_path(&args.base_path).map_err(|e| anyhow!("--base-path: {e}"))?,
        ..GuardConfig::new(args.listen, args.token.clone().filter(|token| !token.is_empty()))
    })
}

/// The addresses of the first page.
fn reached(guard: &GuardConfig) -> String {
    let root = guard.base_path.root();
    let path = if guard.base_path.is_some() { root.as_str() } else { "" };
    let all = std::iter::once(format!("http://{}{path}", guard.listen)).chain(guard.public.iter().map(|url| format!("{url}{path}")));
    all.collect::<Vec<_>>().join(", ")
}

/// Opens the data directory and starts its scheduler.
pub(super) async fn start_jobs(data_dir: &Path, workers: &Workers) -> anyhow::Result<(Store, Jobs)> {
    let devices = if workers.devices.is_empty() {
        vec![device::best()]
    } else {
        workers.devices.clone()
    };
    for name in &devices {
        device::check(name)?;
    }
    let config = JobsConfig {
        data_dir: data_dir.to_owned(),
        worker: std::env::current_exe().context("cannot find this program's own file")?,
        threads: workers.threads.unwrap_or_else(|| (threads(None) / devices.len()).max(1)),
        devices,
        grace: Duration::from_secs(workers.grace),
        worker_memory: workers.worker_memory.map(|mib| mib << 20),
    };
    let lock = jobs::lock_data_dir(data_dir)?;
    let store = Store::open(data_dir).await?;
    let jobs = jobs::start(store.clone(), lock, config).await?;
    Ok((store, jobs))
}

/// Anybody who reaches the page can start work on this machine, so strangers need a token.
fn check_listen(listen: SocketAddr, token: Option<&str>) -> anyhow::Result<()> {
    let loopback = match listen.ip() {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback(),
    };
    if !loopback && token.is_none() {
        bail!("--listen {listen} is open to other machines: set UMBRA_TOKEN to a secret of your own, or listen on 127.0.0.1");
    }
    Ok(())
}

fn bind(listen: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(listen).with_context(|| format!("cannot listen on {listen}; choose another address with --listen"))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Live pages hold their connection open for ever; after the signal they get this long.
const PATIENCE: Duration = Duration::from_secs(2);

async fn patience(stop: Receiver<bool>) {
    stopped(stop).await;
    tokio::time::sleep(PATIENCE).await;
}

/// Becomes true when the process is told to stop.
fn watch_signals() -> anyhow::Result<Receiver<bool>> {
    let watch = |kind: SignalKind| signal(kind).context("signals cannot be watched");
    let (mut interrupt, mut terminate) = (watch(SignalKind::interrupt())?, watch(SignalKind::terminate())?);
    let (tell, stop) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        // It stays true for whoever looks later.
        tell.send_replace(true);
    });
    Ok(stop)
}

async fn stopped(mut stop: Receiver<bool>) {
    // The sender goes only after it has said true.
    let _ = stop.wait_for(|told| *told).await;
}
