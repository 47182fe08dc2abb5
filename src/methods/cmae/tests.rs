use super::super::tests::{inputs as batch_of, step, tiny_run};
use super::*;
use crate::experiment::Value as Set;
use crate::weights::{HostTensor, collect};

fn cmae(set: &[(&str, Set)], device: &Device) -> Cmae {
    let set: Vec<_> = set.iter().map(|(key, value)| ("method", *key, value.clone())).collect();
    Cmae::new(&tiny_run("cmae", &set), 10, device).unwrap()
}

fn inputs(device: &Device) -> Inputs {
    batch_of(&[16, 16], device)
}

fn text(value: &str) -> Set {
    Set::Text(value.to_owned())
}

#[test]
fn every_switch_gives_a_loss_and_gradients() {
    let device = Device::flex().autodiff();
    let batch = inputs(&device);
    let mut losses = std::collections::BTreeSet::new();
    for set in [
        vec![],
        vec![("negatives", text("same_image"))],
        vec![("negatives", text("all_tokens"))],
        vec![("negatives", text("sampled")), ("sampled", Set::Int(20))],
        vec![("negatives", text("pooled_other_images"))],
        vec![("loss", text("byol"))],
        vec![("loss_scale_2tau", Set::Bool(true))],
        vec![("measure", text("class"))],
        vec![("measure", text("mean"))],
        vec![("measure", text("tokens_and_class"))],
        vec![("positions", text("masked"))],
        vec![("positions", text("visible"))],
        vec![("symmetric", Set::Bool(true))],
        vec![("mask_token", Set::Bool(false))],
        vec![("mask_token", Set::Bool(false)), ("no_mask_token_align", text("overlap"))],
        vec![("mask_token", Set::Bool(false)), ("no_mask_token_align", text("full_target"))],
        vec![("mask_ratio", Set::Float(0.0))],
        vec![("cutmix", Set::Float(1.0))],
        vec![("head_norm", text("ln"))],
        vec![("head_norm", text("none")), ("last_norm", Set::Bool(true))],
    ] {
        let model = cmae(&set, &device);
        let loss = model.loss(&batch, &step(0)).total;
        let value = loss.clone().into_scalar::<f32>();
        assert!(value.is_finite(), "{set:?}");
        let gradients = super::super::golden::gradients(&model, &loss.backward());
        assert!(gradients["patch_embed.proj.weight"].data.iter().any(|v| *v != 0.0), "{set:?}");
        assert!(losses.insert(value.to_bits()), "{set:?} gives the loss of another");
    }
}

#[test]
fn settings_under_which_nothing_is_compared_are_refused() {
    let refused = |set: &[(&str, Set)]| {
        let set: Vec<_> = set.iter().map(|(key, value)| ("method", *key, value.clone())).collect();
        Cmae::new(&tiny_run("cmae", &set), 10, &Device::flex()).unwrap_err()
    };
    let hidden = refused(&[("positions", text("masked")), ("mask_ratio", Set::Float(0.0))]);
    assert!(hidden.contains("method.mask_ratio must be above 0"), "{hidden}");
    let overlap = [
        ("mask_token", Set::Bool(false)),
        ("no_mask_token_align", text("overlap")),
        ("mask_ratio", Set::Float(0.93)),
    ];
    assert!(refused(&overlap).contains("method.mask_ratio = 0.93 must be lower"));
}

#[test]
fn both_views_have_one_crop() {
    let plans = Cmae::views(&tiny_run("cmae", &[])).unwrap();
    assert_eq!(plans.iter().map(|plan| plan.geometry_of).collect::<Vec<_>>(), [None, Some(0)]);
}

#[test]
fn what_is_hidden_from_a_view_cannot_be_seen_in_it() {
    let device = Device::flex();
    for mask_token in [true, false] {
        let model = cmae(&[("mask_token", Set::Bool(mask_token))], &device);
        let [view, _] = model.masked(&inputs(&device), &step(0));
        let tokens = |images| {
            let view = View { images, ..view.clone() };
            HostTensor::from_tensor(&encode(&model.encoder, model.mask_token.as_ref(), &view, None))
        };
        let hidden = view.masks.hidden(&device).unsqueeze_dim::<3>(2).repeat_dim(2, 48);
        let noise = crate::vit::unpatchify(hidden, 4) * 3.0;
        assert_eq!(tokens(view.images.clone()), tokens(view.images.clone() + noise));
        assert_ne!(tokens(view.images.clone()), tokens(view.images.clone() + 1.0));
    }
}

#[test]
fn the_views_are_complementary_unless_they_have_to_overlap() {
    let device = Device::flex();
    let masks = |set: &[(&str, Set)]| cmae(set, &device).masked(&inputs(&device), &step(0)).map(|view| view.masks);
    let [first, second] = masks(&[]);
    assert_eq!((first.keep, first.complement()), (4, second));
    let without = ("mask_token", Set::Bool(false));
    let [first, second] = masks(&[without.clone(), ("no_mask_token_align", text("full_target"))]);
    assert_eq!((first.keep, second.keep), (4, 16));
    let model = cmae(&[without, ("no_mask_token_align", text("overlap"))], &device);
    let [first, second] = model.masked(&inputs(&device), &step(0));
    assert!(
        model
            .plan
            .compared
            .patches(&first.masks, &second.masks)
            .iter()
            .all(|patches| patches.len() == 3)
    );
}

#[test]
fn compared_patches_are_found_at_their_place_or_at_their_rank() {
    let seen = Masks::given(vec![vec![true, false, false, true], vec![false, true, true, false]]).unwrap();
    let found = |all_there, class| {
        let rows = rows(&seen, &[vec![1, 2], vec![0, 3]], all_there, class, &Device::flex());
        rows.into_data().iter::<i64>().collect::<Vec<i64>>()
    };
    assert_eq!(found(true, false), [2, 3, 1, 4]);
    assert_eq!(found(false, false), [1, 2, 1, 2]);
    assert_eq!(found(false, true), [0, 1, 2, 0, 1, 2]);
}

#[test]
fn the_slow_copy_follows_every_part_of_the_online_branch() {
    let device = Device::flex().autodiff();
    let mut model = cmae(&[("momentum", Set::Float(0.0)), ("momentum_schedule", text("constant"))], &device);
    let other = Cmae::new(
        &crate::experiment::RunSpec {
            seed: 9,
            ..tiny_run("cmae", &[])
        },
        10,
        &device,
    )
    .unwrap();
    (model.encoder, model.mask_token, model.projector) = (other.encoder, other.mask_token, other.projector);
    let model = model.after_step(&step(0), Vec::new());
    let online = collect(&model);
    let copied: Vec<_> = online
        .iter()
        .filter_map(|(path, value)| Some((path.strip_prefix("teacher.")?, value)))
        .collect();
    assert!(copied.iter().any(|(path, _)| *path == "mask_token"));
    for (path, value) in copied {
        let far = value.data.iter().zip(&online[path].data).map(|(a, b)| (a - b).abs());
        assert!(far.fold(0.0, f32::max) < 1e-6, "{path}");
    }
}
