//! The process behind the playground, as a process.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use umbra::experiment::choices::PatchStatistics;
use umbra::experiment::{RunSpec, Stage};
use umbra::playground::frame::Frame;
use umbra::playground::{Answer, Chosen, Hidden, Mask, Question, Reply, Request};
use umbra::run_dir::{EventKind, RunDir};

use crate::support::{Server, events, output, tiny_run, umbra, wait_for};

/// A living `umbra inspect-server`.
struct Inspector(Child);

impl Inspector {
    fn start(data_dir: &Path, idle: f64) -> Inspector {
        let mut command = umbra(&["inspect-server", "--idle", &idle.to_string(), "--data-dir"]);
        let command = command.arg(data_dir).stdin(Stdio::piped()).stdout(Stdio::piped());
        Inspector(command.spawn().expect("the binary starts"))
    }

    /// Puts a text and a file to it, and passes its news over.
    fn say(&mut self, text: &[u8], file: &[u8]) -> Reply {
        let (text, file) = (text.to_vec(), file.to_vec());
        Frame { text, file }
            .write(self.0.stdin.as_mut().expect("piped"))
            .expect("it listens");
        let mut output = self.0.stdout.as_mut().expect("piped");
        loop {
            let frame = Frame::read(&mut output).expect("whole messages").expect("it lives");
            match serde_json::from_slice(&frame.text).expect("a reply") {
                Reply::Working(_) => {}
                last => return last,
            }
        }
    }

    fn ask(&mut self, question: &Question, file: &[u8]) -> Answer {
        match self.say(&look(question), file) {
            Reply::Answer(answer) => *answer,
            other => panic!("{other:?}"),
        }
    }

    fn ends(&mut self) -> bool {
        let mut status = None;
        wait_for("its end", Duration::from_secs(30), || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().success()
    }
}

impl Drop for Inspector {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn look(question: &Question) -> Vec<u8> {
    serde_json::to_vec(&Request::Look(question.clone())).unwrap()
}

fn question(run: &RunSpec, index: usize) -> Question {
    Question {
        run: run.id.clone(),
        written: 1,
        image: Chosen::Validation { of: run.id.clone(), index },
        mask: Mask {
            grid: 8,
            hidden: Hidden::Drawn { ratio: 0.75, seed: 0 },
        },
        denorm: PatchStatistics::Oracle,
    }
}

/// Carries out a run with `umbra work`.
pub fn work(data_dir: &Path, run: &RunSpec) -> RunDir {
    let dir = RunDir::create(data_dir, run).unwrap();
    let done = output(&["work", dir.path().to_str().unwrap()]);
    assert!(done.status.success(), "{done:?}");
    dir
}

#[test]
fn the_playground_gives_every_image_the_ratio_that_the_psnr_stage_gives_it() {
    let dir = tempfile::tempdir().unwrap();
    let pretrain = tiny_run(Stage::Pretrain, "mae", None, &[]);
    work(dir.path(), &pretrain);
    let stage = work(dir.path(), &tiny_run(Stage::Psnr, "mae", Some(&pretrain), &[]));
    let summary = |wanted: &str| {
        let found = events(&stage).into_iter().find_map(|event| match event.kind {
            EventKind::Summary { name, value } if name == wanted => Some(value),
            _ => None,
        });
        found.expect(wanted)
    };
    let mut inspector = Inspector::start(dir.path(), 60.0);
    let answers: Vec<Answer> = (0..32).map(|index| inspector.ask(&question(&pretrain, index), &[])).collect();
    let scores: Vec<_> = answers
        .iter()
        .map(|answer| answer.reconstruction.as_ref().unwrap().scores.unwrap())
        .collect();
    let mean = |of: fn(&umbra::playground::Scores) -> f64| scores.iter().map(of).sum::<f64>() / 32.0;
    for (playground, stage) in [
        (mean(|scores| scores.model.masked), summary("psnr.masked")),
        (mean(|scores| scores.model.composite), summary("psnr.composite")),
        (mean(|scores| scores.zero.masked), summary("psnr.masked_zero")),
        (mean(|scores| scores.zero.composite), summary("psnr.composite_zero")),
    ] {
        // An image alone and an image in a batch are summed up in another order.
        assert!((playground - stage).abs() < 1e-4, "{playground} {stage}");
    }
    // Only the first answer waits for model and images.
    let slowest = answers[1..].iter().map(|answer| answer.milliseconds).fold(0.0, f64::max);
    assert!(slowest < 5000.0, "{slowest} ms");
}

#[test]
fn it_refuses_what_it_cannot_read_and_lives_on() {
    let dir = tempfile::tempdir().unwrap();
    let run = tiny_run(Stage::Pretrain, "random_init", None, &[]);
    work(dir.path(), &run);
    let mut inspector = Inspector::start(dir.path(), 60.0);
    let refused = |reply: Reply, what: &str| assert!(matches!(&reply, Reply::Refused(reason) if reason.contains(what)), "{reply:?}");
    refused(inspector.say(b"{\"run\":", &[]), "cannot be read");
    refused(inspector.say(b"{\"look\":{}}", &[]), "missing field `run`");
    let given = Question {
        image: Chosen::Given { hash: "1".to_owned() },
        ..question(&run, 0)
    };
    refused(inspector.say(&look(&given), b"GIF89a"), "torn, damaged or of a kind");
    let mut large = std::io::Cursor::new(Vec::new());
    image::GrayImage::new(9000, 9000)
        .write_to(&mut large, image::ImageFormat::Png)
        .unwrap();
    refused(
        inspector.say(&look(&given), large.get_ref()),
        "9000 x 9000 pixels: at most 40 million",
    );
    assert_eq!(inspector.ask(&question(&run, 0), &[]).images, Some(32));
}

#[test]
fn it_ends_with_whoever_asks_and_when_nobody_asks_for_a_while() {
    let dir = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let mut idle = Inspector::start(dir.path(), 0.5);
    assert!(idle.ends() && began.elapsed() >= Duration::from_millis(500));
    let mut left = Inspector::start(dir.path(), 600.0);
    drop(left.0.stdin.take());
    assert!(left.ends());
}

/// A whole answer of the server.
fn http(server: &Server, head: &str, body: &[u8]) -> String {
    let host = server.address.strip_prefix("http://").expect("the address begins so");
    let mut stream = TcpStream::connect(host).expect("the server listens");
    let head = format!("{head} HTTP/1.0\r\nHost: {host}\r\nContent-Length: {}\r\n", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    stream
        .write_all(b"Content-Type: multipart/form-data; boundary=BOUNDARY\r\nAccept: application/json\r\n\r\n")
        .unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Process ids of every `umbra inspect-server` on that data directory.
fn inspectors_of(data_dir: &Path) -> Vec<i32> {
    let looks = format!("inspect-server\0--data-dir\0{}\0", data_dir.display());
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let entry = entry.ok()?;
        let command = std::fs::read_to_string(entry.path().join("cmdline")).ok()?;
        command.contains(&looks).then(|| entry.file_name().to_str()?.parse().ok()).flatten()
    });
    processes.collect()
}

/// Whether nothing is left of a process but the note for its parent. Its command line is gone before that, while the parent
/// would still be told that it lives.
fn is_dead(process: i32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).map_or(0, Iterator::count);
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    threads == 0 || threads == 1 && stat.contains(") Z ")
}

#[test]
fn a_server_answers_starts_another_child_after_a_crash_and_passes_images_on_unread() {
    let dir = tempfile::tempdir().unwrap();
    let run = tiny_run(Stage::Pretrain, "mae", None, &[]);
    work(dir.path(), &run);
    let server = Server::start(dir.path());
    let show = |query: &str| http(&server, &format!("GET /playground?a={}&show=1{query}", run.id), &[]);
    let page = show("&image=5");
    for part in [
        "gain over zero",
        "48 of 64 patches masked",
        "data:image/png;base64,",
        "Alignment (CKA)",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    // The child that looks is killed: the next question starts another.
    let inspector = || inspectors_of(dir.path());
    let [first] = inspector()[..] else { panic!("{:?}", inspector()) };
    let process = rustix::process::Pid::from_raw(first).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
    wait_for("its death", Duration::from_secs(20), || is_dead(first));
    let after = show("&image=6");
    assert!(after.contains("gain over zero"), "{after}");
    assert!(inspector().len() == 1 && inspector() != [first]);

    let map = http(&server, &format!("GET /runs/{}/embedding?show=1&way=tsne", run.id), &[]);
    assert!(
        map.contains("32 of 32 validation images") && map.matches("data-index=").count() == 32,
        "{map}"
    );
    let image = http(&server, &format!("GET /runs/{}/validation/31.png", run.id), &[]);
    assert!(image.contains("content-type: image/png") && image.contains("PNG"), "{image}");
    let none = http(&server, &format!("GET /runs/{}/validation/32.png", run.id), &[]);
    assert!(none.contains("404") && none.contains("images 0 to 31"), "{none}");

    let file = |bytes: &[u8]| {
        let head = b"--BOUNDARY\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\n";
        let taken = http(&server, "POST /playground/upload", &[head, bytes, b"\r\n--BOUNDARY--\r\n"].concat());
        let name = taken.split("\"upload\":\"").nth(1).unwrap_or_else(|| panic!("{taken}"));
        name.split('"').next().unwrap().to_owned()
    };
    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(50, 70).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let good = show(&format!("&upload={}", file(png.get_ref())));
    assert!(good.contains("gain over zero") && good.contains("image of your own"), "{good}");
    // The server takes any bytes; who decodes them says what they are.
    let bad = show(&format!("&upload={}", file(b"<svg/>")));
    assert!(bad.contains("it is no JPEG, PNG, WebP, BMP, GIF or TIFF file"), "{bad}");

    let stopped = inspector();
    assert!(server.stop(Duration::from_secs(20)).success());
    wait_for("the child's end", Duration::from_secs(20), || inspector().is_empty());
    assert_eq!(stopped.len(), 1);
}
