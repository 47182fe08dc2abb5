//! What holds for every method of the registry: a new one is tested by being registered.

mod claims;
mod keys;
mod studies;

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::TensorData;

use super::golden::{frozen, gradients};
use super::*;
use crate::experiment::measure::{self, Measure};
use crate::experiment::{Plan, Request, RunId, Scale, Stage, Study, Value, plan, single_run};
use crate::weights::{collect, restore};

/// A run of a tiny encoder on images of 16 by 16, with these settings.
pub(super) fn tiny_run(method: &str, set: &[(&str, &str, Value)]) -> RunSpec {
    let mut request = Request::default();
    let model = [
        ("dim", 16),
        ("depth", 2),
        ("heads", 2),
        ("decoder_dim", 8),
        ("decoder_depth", 1),
        ("decoder_heads", 2),
    ];
    request.set.insert(
        "model".to_owned(),
        model.map(|(key, value)| (key.to_owned(), Value::Int(value))).into(),
    );
    request
        .set
        .insert("data".to_owned(), BTreeMap::from([("image_size".to_owned(), Value::Int(16))]));
    for (section, key, value) in set {
        request
            .set
            .entry((*section).to_owned())
            .or_default()
            .insert((*key).to_owned(), value.clone());
    }
    let scale = &Scale::built_in()[0];
    single_run(Stage::Pretrain, method, scale, &catalog(), &request, 1, None).unwrap()
}

/// A batch of eight made-up images with views of these sides.
pub(super) fn inputs(sides: &[usize], device: &Device) -> Inputs {
    let view = |(nth, &side): (usize, &usize)| {
        let value = |i: usize| ((i + 5 * nth) as f32 * 0.37).sin();
        let values: Vec<f32> = (0..8 * 3 * side * side).map(value).collect();
        Tensor::from_data(TensorData::new(values, [8, 3, side, side]), device)
    };
    Inputs {
        views: sides.iter().enumerate().map(view).collect(),
        labels: Tensor::from_data([0, 1, 2, 3, 4, 5, 6, 7], device),
        targets: None,
    }
}

/// Pass number `step` of ten.
pub(super) fn step(step: u64) -> StepInfo {
    StepInfo {
        seed: 1,
        step,
        steps: 10,
        indices: (0..8).collect(),
    }
}

/// One training step's gradients: finite, there for every parameter that learns, absent for the others.
struct LearnsEverywhere(RunSpec);

impl MethodVisitor for LearnsEverywhere {
    type Out = ();

    fn visit<M: Method>(self) {
        let device = Device::flex().autodiff();
        let method = M::new(&self.0, 10, &device).unwrap();
        let sides: Vec<usize> = M::views(&self.0).unwrap_or_default().iter().map(|view| view.side).collect();
        let losses = method.loss(&inputs(&sides, &device), &step(9));
        for (Measure { name, .. }, term) in &losses.terms {
            assert!(
                measure::term(name.trim_start_matches("train/")).is_some(),
                "{}: {name} is not declared",
                M::INFO.name
            );
            assert!(term.clone().into_scalar::<f32>().is_finite(), "{}: {name}", M::INFO.name);
            assert!(!term.is_autodiff(), "{}: {name} records a gradient", M::INFO.name);
        }
        for alarm in M::INFO.alarms {
            let known = losses.terms.iter().any(|(term, _)| *term == alarm.term);
            assert!(known, "{}: an alarm names `{}`, which is no term", M::INFO.name, alarm.term.name);
        }
        let loss = losses.total;
        assert!(loss.clone().into_scalar::<f32>().is_finite());
        if !M::INFO.trains {
            return;
        }
        let gradients = gradients(&method, &loss.backward());
        let frozen = frozen(&method);
        for name in crate::weights::to_timm(&method).keys() {
            let learns = gradients
                .get(name)
                .is_some_and(|g| g.data.iter().all(|v| v.is_finite()) && g.data.iter().any(|v| *v != 0.0));
            assert_eq!(learns, !frozen.contains(name), "{}: {name}", M::INFO.name);
        }
    }
}

#[test]
fn every_method_constructs_and_its_gradients_reach_exactly_what_learns() {
    for info in METHODS {
        with_method(info.name, LearnsEverywhere(tiny_run(info.name, &[]))).unwrap();
    }
}

/// Where there is a teacher: it takes the same share of every parameter of the student. Nothing else moves. Gives the
/// number of its parameters.
struct TeacherFollows(RunSpec);

impl MethodVisitor for TeacherFollows {
    type Out = usize;

    fn visit<M: Method>(self) -> usize {
        let method = M::new(&self.0, 10, &Device::flex().autodiff()).unwrap();
        let mut before = collect(&method);
        let prefix = M::TEACHER.map(|teacher| format!("{}.", teacher.field));
        let student_of = |name: &str| name.strip_prefix(prefix.as_deref()?).map(str::to_owned);
        let teachers: Vec<String> = before.keys().filter(|name| student_of(name).is_some()).cloned().collect();
        assert_eq!(teachers.is_empty(), M::TEACHER.is_none(), "{}: no teacher was found", M::INFO.name);
        for (name, tensor) in before.iter_mut().filter(|(name, _)| student_of(name).is_none()) {
            let own = name.rsplit('.').next().unwrap();
            let learned = !M::FIXED.contains(&own);
            tensor.data.iter_mut().filter(|_| learned).for_each(|v| *v = 1.5 * *v + 0.5);
        }
        let after = collect(&restore(method, &before).unwrap().after_step(&step(4), Vec::new()));
        let mut shares = Vec::new();
        for name in &teachers {
            let student = &before[&student_of(name).unwrap()].data;
            let places = before[name].data.iter().zip(&after[name].data).zip(student);
            shares.extend(
                places
                    .map(|((old, new), student)| (new - old) / (student - old))
                    .filter(|share| share.is_finite()),
            );
        }
        let (least, most) = shares
            .iter()
            .fold((f32::MAX, f32::MIN), |(l, m), share| (l.min(*share), m.max(*share)));
        // One less half a cosine from the first momentum, after four of ten steps or five.
        let share = M::TEACHER.map_or(0.0, |teacher| {
            let momentum: f64 = self.0.value("method", "momentum").unwrap().to_string().parse().unwrap();
            let done = if teacher.leads { 0.5 } else { 0.4 };
            (0.5 * (1.0 - momentum) * (1.0 + (std::f64::consts::PI * done).cos())) as f32
        });
        assert_eq!(shares.is_empty(), teachers.is_empty(), "{}: no teacher moved", M::INFO.name);
        assert!(
            shares.is_empty() || (least > share - 1e-4 && most < share + 1e-4),
            "{}: {least} to {most}",
            M::INFO.name
        );
        for (name, tensor) in before.iter().filter(|(name, _)| !teachers.contains(name)) {
            assert_eq!(&after[name], tensor, "{}: {name} moved", M::INFO.name);
        }
        teachers.len()
    }
}

#[test]
fn every_teacher_takes_the_same_share_of_every_parameter_of_its_student() {
    let found: usize = METHODS
        .iter()
        .map(|info| with_method(info.name, TeacherFollows(tiny_run(info.name, &[]))).unwrap())
        .sum();
    assert!(found > 0, "no method has a teacher");
}

#[test]
fn every_methods_options_have_defaults_that_are_allowed() {
    for info in METHODS {
        let run = tiny_run(info.name, &[]); // Resolving checks every default and every recipe.
        for (section, key, _) in info.recipe {
            assert!(
                run.value(section, key).is_some(),
                "{}: the recipe names {section}.{key}, which does not exist",
                info.name
            );
        }
    }
}

#[test]
fn every_method_has_views_and_a_model_at_every_scale() {
    struct Views(RunSpec);
    impl MethodVisitor for Views {
        type Out = Result<Vec<ViewPlan>, String>;
        fn visit<M: Method>(self) -> Self::Out {
            M::views(&self.0)
        }
    }
    for info in METHODS.iter().filter(|info| info.trains) {
        for scale in Scale::built_in() {
            let run = single_run(Stage::Pretrain, info.name, &scale, &catalog(), &Request::default(), 1, None);
            let run = run.unwrap_or_else(|e| panic!("{} at {}: {e}", info.name, scale.name));
            let vit = vit_config(&run).unwrap();
            let views = with_method(info.name, Views(run)).unwrap().unwrap();
            let fits = |view: &ViewPlan| view.side.is_multiple_of(vit.patch_size) && view.side <= vit.image_size;
            assert!(!views.is_empty() && views.iter().all(fits), "{} at {}", info.name, scale.name);
        }
    }
}

#[test]
fn supervised_training_is_finetunings_and_a_random_encoder_learns_in_all_layers_alike_at_every_scale() {
    for scale in Scale::built_in() {
        let made = |stage, method, parent: Option<&RunSpec>| {
            single_run(stage, method, &scale, &catalog(), &Request::default(), 0, parent).unwrap()
        };
        let of = |method| {
            let parent = made(Stage::Pretrain, method, None);
            (made(Stage::Finetune, method, Some(&parent)), parent)
        };
        let named = |of: fn(&&MethodInfo) -> bool| METHODS.iter().find(of).expect("there is such a method").name;
        let (labeled, random, trained) = (named(|m| m.labels), named(|m| !m.trains), named(|m| m.trains));
        let (finetuned, supervised) = of(labeled);
        assert_eq!(supervised.settings["augment"], finetuned.settings["augment"], "{}", scale.name);
        let decay = |method| of(method).0.value("train", "layer_decay").cloned();
        let decays = [decay(trained), decay(random)];
        assert_eq!(
            decays,
            [0.75, 1.0].map(|decay| Some(crate::experiment::Value::Float(decay))),
            "{}",
            scale.name
        );
    }
}

#[test]
fn methods_start_from_the_same_encoder_at_the_same_seed() {
    struct Encoder(RunSpec);
    impl MethodVisitor for Encoder {
        type Out = crate::weights::HostTensor;
        fn visit<M: Method>(self) -> Self::Out {
            let method = M::new(&self.0, 10, &Device::flex()).unwrap();
            crate::weights::collect(method.encoder())["blocks.1.mlp.fc1.weight"].clone()
        }
    }
    let first: Vec<_> = METHODS
        .iter()
        .map(|info| {
            let own = info.options.settings.iter().any(|setting| setting.key == "init");
            let maes = [("method", "init", Value::Text("mae".to_owned()))];
            with_method(info.name, Encoder(tiny_run(info.name, if own { &maes } else { &[] }))).unwrap()
        })
        .collect();
    assert!(first.iter().all(|weights| *weights == first[0]));
}

#[test]
fn a_mask_ratio_that_leaves_nothing_to_see_or_to_predict_is_refused() {
    struct Make(RunSpec);
    impl MethodVisitor for Make {
        type Out = Result<(), String>;
        fn visit<M: Method>(self) -> Self::Out {
            M::new(&self.0, 10, &Device::flex()).map(|_| ())
        }
    }
    let error = with_method("mae", Make(tiny_run("mae", &[("method", "mask_ratio", Value::Float(0.99))])))
        .unwrap()
        .unwrap_err();
    assert_eq!(
        error,
        "method.mask_ratio = 0.99 keeps 0 of 16 patches: at least one must be hidden and one visible"
    );
}

#[test]
fn an_unknown_method_is_answered_with_the_known_ones() {
    let error = with_method("mea", LearnsEverywhere(tiny_run("mae", &[]))).unwrap_err();
    assert_eq!(error, format!("method `mea` is not known: it must be one of {}", catalog().names()));
}
