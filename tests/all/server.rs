//! The server as a process: killed at any moment, started again, started twice.

use std::io::{Read, Write};
use std::time::Duration;

use umbra::run_dir::{EventKind, Lock, RunDir};

use crate::support::{Server, complaint, events, output, wait_for};

const LAUNCH: &str = r#"{"method":"mae","stage":"pretrain","scale":"smoke","seed":0,"set":{"train":{"epochs":150},"data":{"train_images":256,"val_images":64}}}"#;

#[test]
fn a_server_killed_at_work_finds_its_worker_again_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let launched = server.api("/launch", Some(LAUNCH));
    let id = launched["run"]
        .as_str()
        .or(launched["queued"][0].as_str())
        .unwrap_or_else(|| panic!("{launched}"))
        .to_owned();
    let run = RunDir::of(dir.path(), &id.parse().unwrap());
    wait_for("the first step", Duration::from_secs(60), || {
        run.events_file().exists()
            && events(&run)
                .iter()
                .any(|e| matches!(e.kind, EventKind::Progress { step, .. } if step > 0))
    });
    server.kill();
    assert!(Lock::holder(run.path()).unwrap().is_some(), "the worker died with the server");

    let server = Server::start(dir.path());
    let state = || server.api(&format!("/runs/{id}"), None)["run"]["state"].as_str().map(str::to_owned);
    wait_for("the end", Duration::from_secs(120), || state().as_deref() == Some("finished"));
    let starts = events(&run).iter().filter(|e| matches!(e.kind, EventKind::Started { .. })).count();
    assert_eq!(starts, 1, "the run was started anew");
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Server::start(dir.path());
    let second = output(&["serve", "--listen", "127.0.0.1:0", "--data-dir", dir.path().to_str().unwrap()]);
    assert!(!second.status.success());
    let text = complaint(&second);
    assert!(text.contains(&*dir.path().to_string_lossy()) && text.contains("process"), "{text}");
}

#[test]
fn a_server_stops_although_a_live_page_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let host = server.address.strip_prefix("http://").unwrap().to_owned();
    let mut page = std::net::TcpStream::connect(&host).unwrap();
    page.write_all(format!("GET /live HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())
        .unwrap();
    let mut begin = [0; 15];
    page.read_exact(&mut begin).unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200 OK");
    assert!(server.stop(Duration::from_secs(20)).success());
}
