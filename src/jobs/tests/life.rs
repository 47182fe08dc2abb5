//! From the queue to the end.

use super::*;
use crate::experiment::{Value, Values, tokenizer_of};

#[tokio::test]
async fn a_child_starts_when_its_parent_is_finished_and_equal_runs_are_shared() {
    let bench = Bench::new();
    let jobs = bench.serve(&[BEGIN, FINISH].concat()).await;
    let mut changes = jobs.subscribe();
    let parent = spec(Stage::Pretrain, 0, None);
    let child = spec(Stage::Probe, 0, Some(&parent));
    let both = [child.clone(), parent.clone()];
    assert_eq!(jobs.submit(&both, 0).await.unwrap().queued, [child.id.clone(), parent.id.clone()]);
    assert_eq!(
        changes.recv().await.unwrap(),
        Change {
            run: child.id.clone(),
            state: State::Queued
        }
    );
    let child_run = jobs.until(&child, State::Finished).await;
    assert!(child_run.started > jobs.find(&parent).await.ended);
    assert_eq!(
        jobs.submit(&both, 0).await.unwrap(),
        Submitted {
            queued: vec![],
            shared: vec![child.id, parent.id]
        }
    );
    jobs.stop().await;
}

#[tokio::test]
async fn a_tokenizer_is_queued_with_the_pretraining_that_needs_it() {
    let section = |name: &str, key: &str, value| (name.to_owned(), [(key.to_owned(), value)].into());
    let wanted = Values::from([
        section("tokenizer", "kind", Value::Text("kmeans".to_owned())),
        section("data", "image_size", Value::Int(32)),
        section("model", "patch_size", Value::Int(4)),
    ]);
    let tokenizer = tokenizer_of(&RunSpec::new(Stage::Pretrain, "beit", 0, None, wanted.clone(), &[])).unwrap();
    let run = RunSpec::new(Stage::Pretrain, "beit", 0, Some(&tokenizer), wanted, &[]);
    let bench = Bench::without_devices();
    let jobs = bench.serve("").await;
    let submitted = jobs.submit(std::slice::from_ref(&run), 0).await.unwrap();
    assert_eq!(submitted.queued, [tokenizer.id, run.id]);
    jobs.stop().await;
}

#[tokio::test]
async fn each_way_to_die_has_its_reason() {
    let panic = "echo \"thread 'main' (1) panicked at src/a.rs:1:2:\"; echo boom; exit 101";
    let cases = [
        ("exit 0", "the worker ended without saying that the run is finished"),
        (
            "echo no disk; exit 4",
            "the worker ended with exit code 4; it last printed: no disk",
        ),
        (panic, "the worker panicked at src/a.rs:1:2: boom"),
        ("kill -KILL $$", "the worker was killed from outside (SIGKILL)"),
        (
            "kill -SEGV $$",
            "the worker crashed (SIGSEGV), which points to a driver or a fault in Umbra",
        ),
        ("kill -TERM $$", "the worker was ended by a signal (SIGTERM)"),
    ];
    for (end, reason) in cases {
        let bench = Bench::new();
        let jobs = bench.serve(&[BEGIN, end].concat()).await;
        let run = spec(Stage::Pretrain, 0, None);
        jobs.submit(std::slice::from_ref(&run), 0).await.unwrap();
        assert_eq!(jobs.until(&run, State::Failed).await.reason.as_deref(), Some(reason));
        assert_eq!(
            jobs.devices(),
            [DeviceSlot {
                device: "cpu".to_owned(),
                run: None
            }],
            "the device is free again"
        );
        jobs.stop().await;
    }
}

#[tokio::test]
async fn a_worker_that_cannot_be_started_fails_its_run() {
    let bench = Bench::new();
    let lock = lock_data_dir(bench.dir.path()).unwrap();
    let store = Store::open(bench.dir.path()).await.unwrap();
    let worker = PathBuf::from("/nowhere/umbra");
    let (data_dir, devices) = (bench.dir.path().to_owned(), bench.devices.clone());
    let config = JobsConfig {
        data_dir,
        worker,
        devices,
        threads: 1,
        grace: bench.grace,
        worker_memory: None,
    };
    let jobs = start(store, lock, config).await.unwrap();
    let run = spec(Stage::Pretrain, 0, None);
    jobs.submit(std::slice::from_ref(&run), 0).await.unwrap();
    let reason = jobs.until(&run, State::Failed).await.reason.unwrap();
    assert!(reason.starts_with("the worker /nowhere/umbra could not be started: "), "{reason}");
}

#[tokio::test]
async fn a_cancelled_worker_may_say_goodbye_and_is_killed_if_it_does_not() {
    let polite = "trap 'say $((last+2)) stopped; exit 10' TERM\n";
    let deaf = "trap '' TERM\n";
    let killed = "cancelled by a person; the worker did not stop within 0.5 s and was killed";
    for (trap, reason) in [(polite, "cancelled by a person"), (deaf, killed)] {
        let bench = Bench {
            grace: Duration::from_millis(500),
            ..Bench::new()
        };
        let jobs = bench.serve(&[BEGIN, trap, "touch ready\n", WAIT].concat()).await;
        let run = spec(Stage::Pretrain, 0, None);
        jobs.submit(std::slice::from_ref(&run), 0).await.unwrap();
        jobs.until(&run, State::Running).await;
        while !bench.run_dir(&run).path().join("ready").exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(matches!(jobs.restart(&run.id).await, Err(Error::Refused(_))));
        jobs.cancel(&run.id).await.unwrap();
        jobs.cancel(&run.id).await.unwrap();
        assert_eq!(jobs.until(&run, State::Cancelled).await.reason.as_deref(), Some(reason));
        jobs.stop().await;
    }
}

#[tokio::test]
async fn a_worker_stopped_from_outside_waits_in_the_queue_and_goes_on() {
    let bench = Bench::new();
    // The first attempt is ended as by a machine that shuts down; the second one finishes.
    let stopped = "[ -e again ] || { touch again; say $((last+2)) stopped; exit 10; }\n";
    let jobs = bench.serve(&[BEGIN, stopped, FINISH].concat()).await;
    let run = spec(Stage::Pretrain, 0, None);
    jobs.submit(std::slice::from_ref(&run), 0).await.unwrap();
    jobs.until(&run, State::Finished).await;
    let kinds: Vec<EventKind> = crate::run_dir::EventReader::new(&bench.run_dir(&run).events_file())
        .read(&Default::default())
        .unwrap()
        .events
        .into_iter()
        .map(|event| event.kind)
        .collect();
    let stops = kinds.iter().filter(|kind| matches!(kind, EventKind::Stopped)).count();
    let starts = kinds.iter().filter(|kind| matches!(kind, EventKind::Started { .. })).count();
    assert_eq!((stops, starts), (1, 2), "{kinds:?}");
}

#[tokio::test]
async fn a_device_named_twice_takes_two_runs_and_no_third() {
    let bench = Bench {
        devices: vec!["cpu".to_owned(), "cpu".to_owned()],
        ..Bench::new()
    };
    let jobs = bench.serve(&[BEGIN, WAIT, FINISH].concat()).await;
    let runs: Vec<RunSpec> = (0..3).map(|seed| spec(Stage::Pretrain, seed, None)).collect();
    jobs.submit(&runs, 0).await.unwrap();
    jobs.until(&runs[0], State::Running).await;
    jobs.until(&runs[1], State::Running).await;
    let at_work = |jobs: &Jobs| {
        jobs.devices()
            .into_iter()
            .filter_map(|slot| slot.run)
            .collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(at_work(&jobs), [runs[0].id.clone(), runs[1].id.clone()].into());
    scheduler::step(&jobs.inner).await.unwrap();
    assert_eq!(jobs.find(&runs[2]).await.state, State::Queued, "both places are taken");
    std::fs::write(bench.run_dir(&runs[1]).path().join("go"), "").unwrap();
    jobs.until(&runs[2], State::Running).await;
    assert_eq!(at_work(&jobs), [runs[0].id.clone(), runs[2].id.clone()].into());
}

#[tokio::test]
async fn waiting_runs_are_moved_cancelled_and_queued_again() {
    let bench = Bench::without_devices();
    let jobs = bench.serve("").await;
    let (a, b) = (spec(Stage::Pretrain, 0, None), spec(Stage::Pretrain, 1, None));
    jobs.submit(&[a.clone(), b.clone()], 0).await.unwrap();
    let order = async || {
        jobs.inner
            .store
            .queue()
            .await
            .unwrap()
            .into_iter()
            .map(|run| run.seed)
            .collect::<Vec<_>>()
    };
    assert_eq!(order().await, [0, 1]);
    jobs.set_priority(&b.id, 1).await.unwrap();
    assert_eq!(order().await, [1, 0]);
    jobs.cancel(&b.id).await.unwrap();
    assert_eq!(order().await, [0]);
    assert!(matches!(jobs.set_priority(&b.id, 2).await, Err(Error::Refused(_))));
    assert!(matches!(jobs.retry(&a.id).await, Err(Error::Refused(_))));
    jobs.retry(&b.id).await.unwrap();
    assert_eq!(order().await, [1, 0], "a retried run keeps its priority");
    let stranger = spec(Stage::Pretrain, 99, None);
    assert!(matches!(jobs.cancel(&stranger.id).await, Err(Error::Unknown(id)) if id == stranger.id));
}

#[tokio::test]
async fn a_higher_priority_moves_up_what_waits_already_and_what_it_waits_for() {
    let bench = Bench::without_devices();
    let jobs = bench.serve("").await;
    let parent = spec(Stage::Pretrain, 0, None);
    let (child, other) = (spec(Stage::Probe, 0, Some(&parent)), spec(Stage::Finetune, 0, Some(&parent)));
    let priorities = async || {
        let mut found = Vec::new();
        for run in [&parent, &child, &other] {
            found.push(jobs.find(run).await.priority);
        }
        found
    };
    let all = [parent.clone(), child.clone(), other.clone()];
    jobs.submit(&all, 1).await.unwrap();
    assert_eq!(jobs.submit(&all[..2], 3).await.unwrap().shared.len(), 2);
    assert_eq!(priorities().await, [3, 3, 1], "a launch moves up the runs that it shares");
    jobs.submit(&all, 0).await.unwrap();
    assert_eq!(priorities().await, [3, 3, 1], "and none down");
    jobs.submit(&all[1..2], 4).await.unwrap();
    assert_eq!(priorities().await, [4, 4, 1], "nor does it leave behind what is not in the launch");
    jobs.set_priority(&other.id, 5).await.unwrap();
    assert_eq!(priorities().await, [5, 4, 5]);
    jobs.set_priority(&other.id, 0).await.unwrap();
    assert_eq!(priorities().await, [5, 4, 0], "a run that moves down takes none with it");
    jobs.cancel(&child.id).await.unwrap();
    jobs.set_priority(&parent.id, 2).await.unwrap();
    jobs.retry(&child.id).await.unwrap();
    assert_eq!(priorities().await, [4, 4, 0]);
}

#[tokio::test]
async fn a_child_of_a_failed_run_waits_and_goes_on_when_the_parent_is_retried() {
    let bench = Bench::new();
    let jobs = bench.serve(&[BEGIN, "[ -e go ] || exit 4\n", FINISH].concat()).await;
    let parent = spec(Stage::Pretrain, 0, None);
    let child = spec(Stage::Probe, 0, Some(&parent));
    jobs.submit(&[parent.clone(), child.clone()], 0).await.unwrap();
    jobs.until(&parent, State::Failed).await;
    assert_eq!(
        jobs.find(&child).await.reason.as_deref(),
        Some("waits for MAE · pretrain · seed 0, which failed")
    );
    for run in [&parent, &child] {
        std::fs::write(bench.run_dir(run).path().join("go"), "").unwrap();
    }
    jobs.retry(&parent.id).await.unwrap();
    jobs.until(&child, State::Finished).await;
}

#[tokio::test]
async fn a_submission_that_cannot_be_written_leaves_nothing_behind() {
    let bench = Bench::without_devices();
    let jobs = bench.serve("").await;
    let (first, second) = (spec(Stage::Pretrain, 0, None), spec(Stage::Pretrain, 1, None));
    let in_the_way = bench.run_dir(&second).path().to_owned();
    std::fs::write(&in_the_way, "").unwrap();
    let error = jobs.submit(&[first.clone(), second], 0).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{} cannot be made", in_the_way.display()));
    assert!(!bench.run_dir(&first).path().exists());
    assert!(jobs.inner.store.known().await.unwrap().is_empty());
}
