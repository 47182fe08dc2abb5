//! How long the built-in images take to draw, twelve thousand of 32 by 32 pixels:
//! `cargo bench --no-default-features --features cpu --bench builtin`. It should be less than two seconds.

#![allow(clippy::print_stdout, reason = "a bench prints what it measures")]

use std::time::Instant;

use umbra::experiment::settings::DataSettings;

fn main() {
    let settings = DataSettings {
        source: "builtin".to_owned(),
        image_size: 32,
        train_images: 0,
        val_images: 0,
        val_fraction: 0.2,
        max_broken: 0.0,
        label_column: String::new(),
    };
    let began = Instant::now();
    let opened = umbra::data::open(&settings, &std::env::temp_dir(), &mut |_, _| {}).expect("the built-in images can be drawn");
    println!("{} images in {:.2?}", opened.train.len() + opened.val.len(), began.elapsed());
}
