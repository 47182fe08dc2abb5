use std::path::Path;

use tempfile::TempDir;

use crate::experiment::choices::PatchStatistics;
use crate::jobs::inspector::*;
use crate::playground::{Answer, Chosen, Hidden, Mask, Patches, Png, Question};

fn question(index: usize) -> Request {
    let run: crate::experiment::RunId = "0123456789abcdef".parse().unwrap();
    Request::Look(Question {
        run: run.clone(),
        written: 1,
        image: Chosen::Validation { of: run, index },
        mask: Mask {
            grid: 4,
            hidden: Hidden::Drawn { ratio: 0.75, seed: 0 },
        },
        denorm: PatchStatistics::Oracle,
    })
}

fn answer() -> Reply {
    Reply::Answer(Box::new(Answer {
        grid: 1,
        hidden: Patches(vec![false]),
        class: None,
        images: None,
        original: Png(vec![1, 2, 3]),
        masked: Png(Vec::new()),
        reconstruction: None,
        attention: Vec::new(),
        cka: vec![None, Some(0.5)],
        milliseconds: 1.5,
    }))
}

/// A shell script in the place of the process. `$take` takes a question and counts it in `asked`, `$answer` answers,
/// `$refuse` refuses, `$news` says what it is doing.
struct Script {
    dir: TempDir,
    inspector: InspectorHandle,
}

impl Script {
    fn new(script: &str, silence: Duration) -> Script {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, reply: &Reply| {
            let path = dir.path().join(name);
            std::fs::write(&path, Frame::of(reply).unwrap().bytes()).unwrap();
            format!("cat {}", path.display())
        };
        let length = Frame::of(&question(0)).unwrap().bytes().len();
        let asked = dir.path().join("asked");
        let variables = [
            ("take", format!("head -c {length} >> {} || exit", asked.display())),
            ("answer", file("answer", &answer())),
            ("refuse", file("refuse", &Reply::Refused("no such image".to_owned()))),
            ("news", file("news", &Reply::Working("reading the model".to_owned()))),
        ];
        let script = variables.iter().fold(script.to_owned(), |script, (name, command)| {
            script.replace(&format!("${name}"), command)
        });
        let launch = Launch {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            threads: 1,
            memory: None,
            silence,
        };
        let (inspector, queue) = InspectorHandle::new(launch);
        tokio::spawn(async move { work(&Turn::default(), queue).await });
        Script { dir, inspector }
    }

    async fn ask(&self, index: usize, patience: Duration) -> Result<Arc<Reply>, Unanswered> {
        self.inspector.ask(question(index), Arc::default(), patience).await
    }

    /// Places of the images asked for, in order.
    fn asked(&self) -> Vec<usize> {
        let bytes = std::fs::read(self.dir.path().join("asked")).unwrap();
        let (mut bytes, mut indices) = (&bytes[..], Vec::new());
        while let Some(frame) = Frame::read(&mut bytes).unwrap() {
            let asked: Request = serde_json::from_slice(&frame.text).unwrap();
            indices.extend((0..10).find(|index| asked == question(*index)));
        }
        indices
    }
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn answers_and_refusals_come_through_and_the_process_stays() {
    let script = Script::new("$take; $news; $answer; $take; $refuse", LONG);
    assert_eq!(*script.ask(1, LONG).await.unwrap(), answer());
    assert_eq!(
        script.ask(2, LONG).await.unwrap_err(),
        Unanswered::Refused("no such image".to_owned())
    );
    // What was asked before is not asked again.
    assert_eq!(*script.ask(1, LONG).await.unwrap(), answer());
    assert_eq!(script.asked(), [1, 2]);
}

#[tokio::test]
async fn a_process_that_dies_says_why_and_the_next_question_starts_another() {
    let panic = "echo \"thread 'main' panicked at src/x.rs:1:2:\" >&2; echo boom >&2; exit 101";
    let script = Script::new(&format!("$take; {panic}"), LONG);
    for _ in 0..2 {
        assert_eq!(
            script.ask(1, LONG).await.unwrap_err(),
            Unanswered::Failed("the playground's process failed: the worker panicked at src/x.rs:1:2: boom".to_owned())
        );
    }
    assert_eq!(script.asked(), [1, 1]);
    let killed = Script::new("$take; kill -9 $$", LONG);
    let reason = killed.ask(1, LONG).await.unwrap_err().to_string();
    assert!(reason.contains("SIGKILL"), "{reason}");
}

#[tokio::test]
async fn a_process_that_ended_because_nobody_asked_is_started_again_unnoticed() {
    let script = Script::new("$take; $answer; exit 0", LONG);
    for index in 1..4 {
        assert!(script.ask(index, LONG).await.is_ok());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(script.asked(), [1, 2, 3]);
    // One that ends before any answer is no such case.
    let script = Script::new("exit 0", LONG);
    assert!(matches!(script.ask(1, LONG).await, Err(Unanswered::Failed(_))));
}

#[tokio::test]
async fn silence_and_nonsense_are_ended() {
    let script = Script::new("$take; exec sleep 600", Duration::from_millis(300));
    let reason = script.ask(1, LONG).await.unwrap_err().to_string();
    assert_eq!(reason, "the playground's process said nothing for 0.3 seconds and was ended");
    let news = Script::new(
        "$take; $news; sleep 0.2; $news; sleep 0.2; $news; sleep 0.2; $answer",
        Duration::from_millis(500),
    );
    assert!(news.ask(1, LONG).await.is_ok(), "news are no silence");
    let nonsense = Script::new("$take; yes", LONG);
    assert!(nonsense.ask(1, LONG).await.unwrap_err().to_string().contains("none of ours"));
}

#[tokio::test]
async fn a_question_that_takes_long_goes_on_and_is_found_when_asked_again() {
    let script = Script::new("$take; $news; sleep 0.6; $answer; $take", LONG);
    let working = script.ask(1, Duration::from_millis(300)).await.unwrap_err();
    assert_eq!(working, Unanswered::Working("reading the model".to_owned()));
    assert!(script.ask(1, LONG).await.is_ok());
    assert_eq!(script.asked(), [1]);
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_passed_over() {
    let script = Script::new("while true; do $take; sleep 0.3; $answer; done", LONG);
    let brief = Duration::from_millis(20);
    for index in 1..4 {
        assert!(script.ask(index, brief).await.is_err());
    }
    assert!(script.ask(4, LONG).await.is_ok());
    assert_eq!(script.asked(), [1, 4]);
}

#[tokio::test]
async fn a_process_that_cannot_be_started_is_named() {
    let launch = Launch {
        program: Path::new("/no/such/program").to_owned(),
        arguments: Vec::new(),
        threads: 1,
        memory: None,
        silence: LONG,
    };
    let (inspector, queue) = InspectorHandle::new(launch);
    tokio::spawn(async move { work(&Turn::default(), queue).await });
    let reason = inspector.ask(question(1), Arc::default(), LONG).await.unwrap_err().to_string();
    assert!(reason.contains("/no/such/program could not be started"), "{reason}");
}
