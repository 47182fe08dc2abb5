//! The loop without gradients.

use super::*;
use crate::train::evaluation::{Accumulator, Part, Sums};

/// Adds up pieces of made-up numbers in two passes. It can ask to stop, and fail.
struct Toy<'a> {
    /// Sums of each pass; they depend on the order.
    sums: [[f64; 2]; 2],
    seen: Vec<f32>,
    stop: &'a AtomicBool,
    stop_at: Option<(u64, u64)>,
    fail_at: Option<(u64, u64)>,
    /// Done after this batch.
    enough: u64,
}

impl<'a> Toy<'a> {
    fn new(stop: &'a AtomicBool) -> Self {
        Toy {
            sums: [[0.0; 2]; 2],
            seen: Vec::new(),
            stop,
            stop_at: None,
            fail_at: None,
            enough: u64::MAX,
        }
    }

    fn result(&self) -> ([[u64; 2]; 2], Vec<f32>) {
        (self.sums.map(|sums| sums.map(f64::to_bits)), self.seen.clone())
    }
}

impl Accumulator for Toy<'_> {
    type Batch = u64;
    type Ready = u64;

    fn passes(&self) -> u64 {
        2
    }

    fn begin(&mut self, reporter: &mut Reporter) -> Result<()> {
        reporter.metric(&curve("begun"), 0, 1.0)
    }

    fn ready(&self, batch: u64) -> Result<u64> {
        Ok(batch)
    }

    fn add(&mut self, batch: &u64, pass: u64, reporter: &mut Reporter) -> Result<()> {
        anyhow::ensure!(self.fail_at != Some((*batch, pass)), "told to fail");
        let sums = &mut self.sums[pass as usize];
        sums[0] = sums[0] / 3.0 + 0.1 * *batch as f64;
        // JSON has no such number.
        sums[1] = f64::NEG_INFINITY;
        if pass == 1 {
            self.seen.push(*batch as f32);
        }
        if self.stop_at == Some((*batch, pass)) {
            self.stop.store(true, Ordering::Relaxed);
        }
        reporter.metric(&curve("added"), 2 * batch + pass, sums[0])
    }

    fn is_done(&self) -> bool {
        self.seen.len() as u64 > self.enough
    }

    fn save(&self) -> Sums {
        let seen = HostTensor {
            shape: vec![self.seen.len()],
            data: self.seen.clone(),
        };
        Sums::default().with("sums", &self.sums).with_tensor("seen", seen)
    }

    fn restore(&mut self, saved: &Sums) -> Result<(), String> {
        self.seen.clone_from(&saved.tensor("seen")?.data);
        saved.fill("sums", &mut self.sums)
    }
}

const BATCHES: u64 = 5;

/// Goes through [`BATCHES`]; how many of them were opened.
fn evaluate_in(root: &Path, name: &'static str, toy: &mut Toy, steps: Option<u64>) -> Result<(Ended, u64)> {
    let (mut reporter, checkpoints) = (reporter(root), Checkpoints::at(RunDir::at(root).checkpoints(), 2));
    let stop = toy.stop;
    stop.store(false, Ordering::Relaxed);
    let mut session = Session {
        seed: 5,
        reporter: &mut reporter,
        checkpoints: &checkpoints,
        pace: Pace {
            steps,
            time: Duration::from_secs(3600),
        },
        stop,
        device: Device::flex(),
    };
    let part = Part {
        name,
        phase: "evaluating",
        batches: BATCHES,
        images: 8,
    };
    let mut opened = 0;
    let load = |first: u64| {
        opened = BATCHES - first;
        (first..BATCHES).map(Ok)
    };
    Ok((session.evaluate(&part, toy, load)?, opened))
}

fn done(opened: u64) -> (Ended, u64) {
    (Ended::Done(BTreeMap::new()), opened)
}

#[test]
fn an_evaluation_stopped_or_killed_at_any_pass_ends_with_the_same_bits() {
    let (whole, stop) = (tempfile::tempdir().unwrap(), AtomicBool::new(false));
    let mut uninterrupted = Toy::new(&stop);
    assert_eq!(evaluate_in(whole.path(), "toy", &mut uninterrupted, None).unwrap(), done(BATCHES));
    for at in (0..BATCHES).flat_map(|batch| [(batch, 0), (batch, 1)]) {
        let parts = tempfile::tempdir().unwrap();
        let mut first = Toy {
            stop_at: Some(at),
            ..Toy::new(&stop)
        };
        let last = at == (BATCHES - 1, 1);
        let ended = evaluate_in(parts.path(), "toy", &mut first, None).unwrap().0;
        assert_eq!(ended == Ended::Cancelled, !last, "{at:?}");
        let mut second = Toy {
            fail_at: (!last).then_some((BATCHES - 1, 1)),
            ..Toy::new(&stop)
        };
        // As if killed: what was done after the checkpoint before is done again.
        assert_eq!(evaluate_in(parts.path(), "toy", &mut second, Some(4)).is_err(), !last);
        let mut third = Toy::new(&stop);
        evaluate_in(parts.path(), "toy", &mut third, None).unwrap();
        assert_eq!(third.result(), uninterrupted.result(), "{at:?}");
        assert_eq!(metrics(parts.path()), metrics(whole.path()), "{at:?}");
    }
}

#[test]
fn parts_follow_on_each_other_and_what_is_done_is_not_gone_through_again() {
    let (root, stop) = (tempfile::tempdir().unwrap(), AtomicBool::new(false));
    let mut first = Toy::new(&stop);
    assert_eq!(evaluate_in(root.path(), "one", &mut first, None).unwrap(), done(BATCHES));
    let mut second = Toy {
        stop_at: Some((1, 0)),
        ..Toy::new(&stop)
    };
    assert_eq!(evaluate_in(root.path(), "two", &mut second, None).unwrap().0, Ended::Cancelled);
    let mut again = Toy::new(&stop);
    assert_eq!(evaluate_in(root.path(), "one", &mut again, None).unwrap(), done(0));
    assert_eq!(again.result(), first.result());
    let mut rest = Toy::new(&stop);
    assert_eq!(evaluate_in(root.path(), "two", &mut rest, None).unwrap(), done(BATCHES - 1));
    assert_eq!(rest.result(), first.result());
}

#[test]
fn an_evaluation_may_be_done_before_its_batches_end_and_stays_so() {
    let (root, stop) = (tempfile::tempdir().unwrap(), AtomicBool::new(false));
    let short = || Toy {
        enough: 1,
        ..Toy::new(&stop)
    };
    let mut first = short();
    evaluate_in(root.path(), "toy", &mut first, None).unwrap();
    assert_eq!(first.seen, [0.0, 1.0]);
    let mut again = short();
    assert_eq!(evaluate_in(root.path(), "toy", &mut again, None).unwrap(), done(0));
    assert_eq!(again.result(), first.result());
}

#[test]
fn progress_is_told_and_sums_of_another_size_are_refused() {
    let (root, stop) = (tempfile::tempdir().unwrap(), AtomicBool::new(false));
    evaluate_in(root.path(), "toy", &mut Toy::new(&stop), None).unwrap();
    let events = EventReader::new(&root.path().join("events.jsonl"))
        .read(&LogPosition::default())
        .unwrap()
        .events;
    let told =
        |kind: &EventKind| matches!(kind, EventKind::Progress { step: 10, steps: 10, images_per_second, .. } if *images_per_second > 0.0);
    assert!(events.iter().any(|event| told(&event.kind)), "{events:?}");
    let sums = Sums::default().with("sums", &[[1.0]]);
    let mut toy = Toy::new(&stop);
    assert_eq!(toy.restore(&sums).unwrap_err(), "tensor `seen` is missing");
    assert_eq!(sums.fill("sums", &mut toy.sums).unwrap_err(), "`sums` has too few numbers");
    assert_eq!(
        sums.fill("sums", &mut [] as &mut [[f64; 1]]).unwrap_err(),
        "`sums` has too many numbers"
    );
}
