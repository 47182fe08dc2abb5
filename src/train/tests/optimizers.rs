//! What one step of an optimizer does to a parameter.

use burn::module::Param;
use burn::nn::{Linear, LinearConfig};

use super::*;

#[test]
fn three_adamw_steps_match_torch() {
    let (device, golden) = (Device::flex().autodiff(), golden::load());
    let mut train = settings();
    (train.weight_decay, train.beta1, train.beta2, train.layer_decay) = (0.05, 0.9, 0.95, 1.0);
    let mut mae = golden.mae(&device);
    let mut optimizer = Optimizer::adamw(&train, &mae);
    let (images, masks) = (golden.images(&device), golden.masks());
    for expected in golden.scalars["mae.adamw_losses"].as_array().unwrap() {
        let predicted = mae.reconstruct(images.clone(), &masks).unwrap();
        let loss = masked_mean_square(predicted, normalize_patches(patchify(images.clone(), 4)), masks.hidden(&device));
        let gradients = NamedGradients::of(&mae, &loss);
        let (value, expected) = (
            f64::from(crate::train::gradients::scalar(loss).unwrap()),
            expected.as_f64().unwrap(),
        );
        assert!((value / expected - 1.0).abs() < 1e-5, "{value} is not {expected}");
        mae = optimizer.step(mae, gradients, Rates::constant(1e-3));
    }
    let (name, weights) = ("blocks.1.mlp.fc1.weight", crate::weights::to_timm(&mae));
    golden::assert_close(&weights[name], golden.tensor(&format!("out.adamw.vit.{name}")), 1e-5, name);
}

#[test]
fn a_parameter_whose_gradients_begin_late_moves_as_at_its_first_step() {
    // AdamW's first step is the rate, whatever the gradient; a late one would be larger if its steps were not counted.
    let device = Device::flex().autodiff();
    let mut train = settings();
    (train.weight_decay, train.beta1, train.beta2) = (0.0, 0.9, 0.999);
    let linear = || LinearConfig::new(2, 2).init(&device);
    let mut pair = Pair {
        encoder: linear(),
        late: linear(),
    };
    let mut optimizer = Optimizer::adamw(&train, &pair);
    let input = Tensor::<2>::ones([1, 2], &device);
    for step in 0..4 {
        if step == 2 {
            let mut again = Optimizer::adamw(&train, &pair);
            again.restore(2, &optimizer.state(), &device).unwrap();
            optimizer = again;
        }
        let late = if step < 1 { 0.0 } else { 1.0 };
        let mut loss = pair.encoder.forward(input.clone()).sum();
        if late > 0.0 {
            loss = loss + pair.late.forward(input.clone()).sum();
        }
        let before = crate::weights::collect(&pair);
        let gradients = NamedGradients::of(&pair, &loss);
        pair = optimizer.step(pair, gradients, Rates::constant(1e-2));
        let after = crate::weights::collect(&pair);
        for (name, moves) in [("encoder.weight", 1.0), ("late.weight", late)] {
            let moved = before[name].data[0] - after[name].data[0];
            assert!((moved - 1e-2 * moves).abs() < 1e-5, "step {step}: {name} moved by {moved}");
        }
    }
}

/// Two layers, of which one may get no gradient.
#[derive(Module, Debug)]
struct Pair {
    encoder: Linear,
    late: Linear,
}

impl Trainable for Pair {
    fn loss(&self, _inputs: &Inputs, _step: &StepInfo) -> Losses {
        Losses::new(self.encoder.weight.val().sum(), Vec::new())
    }

    fn keeps_rate(&self, path: &str) -> bool {
        path.starts_with("late.")
    }

    fn depth(&self) -> usize {
        0
    }
}

#[test]
fn weight_decay_grows_and_rates_are_kept_as_the_step_says() {
    let device = Device::flex().autodiff();
    let mut train = settings();
    (train.weight_decay, train.layer_decay) = (0.5, 1.0);
    let linear = |value: f32| {
        let mut layer = LinearConfig::new(1, 1).with_bias(false).init(&device);
        layer.weight = Param::from_tensor(Tensor::full([1, 1], value, &device));
        layer
    };
    let pair = Pair {
        encoder: linear(1.0),
        late: linear(1.0),
    };
    let rule = Rule::Lars(Lars {
        momentum: 0.0,
        trust: None,
    });
    let mut optimizer = Optimizer::new(rule, &train, &pair);
    let loss = pair.encoder.weight.val().sum() + pair.late.weight.val().sum();
    let gradients = NamedGradients::of(&pair, &loss);
    let rates = Rates {
        lr: 0.01,
        peak: 0.1,
        decay: 4.0,
    };
    let after = crate::weights::collect(&optimizer.step(pair, gradients, rates));
    // 1 - rate * (gradient 1 + decay 0.5 * 4 * weight 1).
    for (name, expected) in [("encoder.weight", 1.0 - 0.01 * 3.0), ("late.weight", 1.0 - 0.1 * 3.0)] {
        assert!((after[name].data[0] - expected).abs() < 1e-6, "{name}");
    }
}

#[test]
fn layer_decay_and_weight_decay_follow_the_place_of_a_parameter() {
    let golden = golden::load();
    let mut train = settings();
    (train.weight_decay, train.layer_decay) = (0.05, 0.5);
    let optimizer = Optimizer::adamw(&train, &golden.mae(&Device::flex().autodiff()));
    for (path, scale, decay) in [
        ("encoder.patch_embed.proj.weight", 0.5f64.powi(4), 0.05),
        ("encoder.blocks.0.attn.qkv.weight", 0.5f64.powi(3), 0.05),
        ("encoder.blocks.2.mlp.fc1.bias", 0.5, 0.0),
        ("encoder.norm.gamma", 1.0, 0.0),
        ("decoder.decoder_pred.weight", 1.0, 0.05),
    ] {
        let group = optimizer.group(path).unwrap();
        assert_eq!((group.lr_scale, group.weight_decay), (scale, decay), "{path}");
    }
}
