//! Learners of every method of the registry: a new one is tested by being registered.

use super::*;
use crate::methods::tokenizer::Tokenizer;

/// A centered teacher moves with every step at first, and the loss with it, so that here it stands still.
const STILL: [(&str, &str, Value); 3] = [
    ("method", "center_momentum", Value::Float(1.0)),
    ("method", "momentum", Value::Float(1.0)),
    ("method", "freeze_last_layer", Value::Float(0.0)),
];

struct Falls;

impl MethodVisitor for Falls {
    type Out = ();

    fn visit<M: Method>(self) {
        let has = |key: &str| M::INFO.options.settings.iter().any(|setting| setting.key == key);
        let moves = STILL.iter().all(|(_, key, _)| has(key));
        let run = if moves {
            tiny_with(M::INFO.name, &STILL)
        } else {
            tiny(M::INFO.name)
        };
        let (device, train) = (Device::flex().autodiff(), run.section("train").unwrap());
        let model = M::new(&run, 10, &device).unwrap();
        let optimizer = Optimizer::adamw(&train, &model);
        let mut learning = Learning::new(model, optimizer, device.clone());
        let sides: Vec<usize> = M::views(&run).unwrap().iter().map(|view| view.side).collect();
        let mut losses = Vec::new();
        for step in 0..30 {
            let inputs = upload(batch_of(0, 8, &sides), &device);
            losses.push(
                learning
                    .step(vec![(inputs, info(step, 8))], Rates::constant(3e-3), true)
                    .unwrap()
                    .terms[0]
                    .1,
            );
        }
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        let (first, last) = (mean(&losses[..5]), mean(&losses[25..]));
        assert!(last < first - 0.1 * first.abs(), "{}: {first} became {last}", M::INFO.name);
    }
}

/// The rank of `SimSiam`'s projections after eighty steps.
struct Rank(bool);

impl MethodVisitor for Rank {
    type Out = f64;

    fn visit<M: Method>(self) -> f64 {
        let run = tiny_with(M::INFO.name, &[("method", "stop_gradient", Value::Bool(self.0))]);
        let (device, train) = (Device::flex().autodiff(), run.section("train").unwrap());
        let model = M::new(&run, 10, &device).unwrap();
        let optimizer = Optimizer::adamw(&train, &model);
        let mut learning = Learning::new(model, optimizer, device.clone());
        let mut ranks = Vec::new();
        for step in 0..80 {
            let inputs = upload(batch_of(step % 4, 16, &[SIDE, SIDE]), &device);
            let terms = learning
                .step(vec![(inputs, info(step, 16))], Rates::constant(3e-3), true)
                .unwrap()
                .terms;
            ranks.extend(terms.into_iter().filter(|(name, _)| *name == "rank").map(|(_, rank)| rank));
        }
        ranks[70..].iter().sum::<f64>() / 10.0
    }
}

#[test]
fn a_collapse_shows_in_the_rank_of_the_projections() {
    let rank = |stop_gradient| with_method("simsiam", Rank(stop_gradient)).unwrap();
    let (healthy, collapsing) = (rank(true), rank(false));
    assert!(
        collapsing < 0.5 * healthy,
        "{collapsing} without, {healthy} with the stopped gradient"
    );
}

/// A learner that was saved and restored after two steps makes the third like one that was not.
struct GoesOn;

impl MethodVisitor for GoesOn {
    type Out = ();

    fn visit<M: Method>(self) {
        let (device, run) = (Device::flex().autodiff(), tiny(M::INFO.name));
        let train: TrainSettings = run.section("train").unwrap();
        let sides: Vec<usize> = M::views(&run).unwrap().iter().map(|view| view.side).collect();
        // A tokenizer is no part of a checkpoint: it is read again from the run that learned it.
        let tokenizer = M::INFO.tokens.then(|| Tokenizer::new(&run, &device).unwrap().weights());
        let learner = |seed: u64| {
            let model = M::new(&RunSpec { seed, ..run.clone() }, 10, &device).unwrap();
            let model = model.with_tokenizer(&tokenizer.clone().unwrap_or_default()).unwrap();
            let optimizer = Optimizer::adamw(&train, &model);
            Learning::new(model, optimizer, device.clone())
        };
        let step = |learner: &mut Learning<M>, step: u64| {
            let inputs = upload(batch_of(step, 8, &sides), &device);
            learner
                .step(vec![(inputs, info(20 + step, 8))], Rates::constant(1e-3), true)
                .unwrap()
        };
        let mut whole = learner(5);
        step(&mut whole, 0);
        step(&mut whole, 1);
        let (model, optimizer) = whole.save();
        let mut resumed = learner(6);
        resumed.restore(2, &model, &optimizer).unwrap();
        assert_eq!(step(&mut whole, 2), step(&mut resumed, 2), "{}", M::INFO.name);
        assert!(whole.save() == resumed.save(), "{}: weights or moments differ", M::INFO.name);
    }
}

#[test]
fn every_method_goes_on_from_a_checkpoint_as_if_it_had_not_stopped() {
    for method in methods::METHODS.iter().filter(|method| method.trains) {
        with_method(method.name, GoesOn).unwrap();
    }
}

#[test]
fn the_loss_of_every_method_that_trains_falls() {
    for method in methods::METHODS.iter().filter(|method| method.trains) {
        with_method(method.name, Falls).unwrap();
    }
}
