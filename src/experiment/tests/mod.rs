//! The words of the system on a toy catalog: three methods that train nothing.

mod arrange;
mod claim;
mod forecast;
mod grid;
mod latex;
mod library;
mod measure;
mod next;
mod resolve;
mod run;
mod schema;
mod single_run;
mod statistics;
mod study;
mod subset;
mod table;
mod times;
mod tokenizer;
mod verdict;

use std::collections::BTreeMap;

use super::*;
use crate::{choice, section};

choice! {
    /// What the toy MAE predicts.
    ToyTarget {
        /// Pixels, normalized patch by patch.
        NormPix = "norm_pix",
        /// Pixels.
        Pixels = "pixels",
    }
}

section! {
    /// What the toy MAE lets people choose.
    ToyMae = "method" {
        /// Ratio of the patches masked.
        mask_ratio: f64 = Literal::Float(0.75), Kind::Between { min: 0.0, max: 1.0 }, "MAE";
        /// What is predicted.
        target in ToyTarget = NormPix, "MAE";
    }
}

const NO_OPTIONS: Section = Section {
    name: "method",
    settings: &[],
};

fn catalog() -> Catalog {
    let base = MethodInfo {
        name: "mae",
        title: "MAE",
        paper: "arXiv 2111.06377",
        summary: "A toy.",
        options: ToyMae::SECTION,
        recipe: &[],
        alarms: &[],
        trains: true,
        labels: false,
        reconstructs: true,
        tokens: false,
    };
    let random = MethodInfo {
        name: "random_init",
        title: "Random",
        options: NO_OPTIONS,
        trains: false,
        reconstructs: false,
        ..base
    };
    let recipe: catalog::Recipe = &[("train", "layer_decay", Literal::Float(0.9))];
    let supervised = MethodInfo {
        name: "supervised",
        title: "Supervised",
        options: NO_OPTIONS,
        recipe,
        labels: true,
        reconstructs: false,
        ..base
    };
    Catalog {
        methods: vec![base, random, supervised],
    }
}

/// A scale that leaves the defaults as they are, for images of 32 by 32.
fn scale(more: &str) -> Scale {
    Scale::parse("toy.toml", &format!("name = \"toy\"\nsummary = \"\"\nseeds = 2\n{more}")).unwrap()
}

/// Two rows that share a pretraining and one that starts at random.
const STUDY: &str = r#"
name = "toy"
title = "Toy"
summary = "Does it work?"

[[column]]
id = "finetune"
title = "Fine-tuned"
stage = "finetune"
measure = "finetune.top1"
unit = "%"

[[column]]
id = "psnr"
title = "PSNR"
stage = "psnr"
measure = "psnr.composite"

[[row]]
id = "mae"
title = "MAE"
method = "mae"
paper = { finetune = 83.1 }

[[row]]
id = "mae_long"
title = "MAE, fine-tuned for long"
method = "mae"
set.finetune.train.epochs = 200

[[row]]
id = "random"
title = "Random | none"
method = "random_init"
without = []
"#;

fn study() -> Study {
    Study::parse("toy.toml", STUDY).unwrap()
}

fn request(settings: &[(&str, &str, Value)]) -> Request {
    Request::of(settings)
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

/// A pretraining of the toy MAE.
fn pretrain(request: &Request) -> Result<RunSpec, Invalid> {
    single_run(Stage::Pretrain, "mae", &scale(""), &catalog(), request, 0, None)
}
