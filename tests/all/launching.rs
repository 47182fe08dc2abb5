//! One run by two ways: what the command line ran is what a program is given by the server.

use std::path::Path;
use std::time::Duration;

use umbra::experiment::Stage;

use crate::support::{Server, complaint, output, tiny_flags};

/// A dataset of two classes that tiny runs can use.
fn write_images(folder: &Path) {
    for (split, images) in [("train", 32), ("val", 16)] {
        for (class, shade) in [("a", 40), ("b", 200)] {
            let class = folder.join(split).join(class);
            std::fs::create_dir_all(&class).unwrap();
            let image = image::RgbImage::from_pixel(32, 32, image::Rgb([shade; 3]));
            (0..images).for_each(|n| image.save(class.join(format!("{n}.png"))).unwrap());
        }
    }
}

#[test]
fn a_child_by_the_api_is_the_one_that_the_command_line_ran_on_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let (data_dir, images) = (dir.path().join("data"), dir.path().join("images"));
    write_images(&images);
    let flags = tiny_flags();
    let mut args = vec!["run", "mae-vs-scratch", "--json", "--device", "cpu"];
    args.extend(["--data", images.to_str().unwrap(), "--data-dir", data_dir.to_str().unwrap()]);
    args.extend(flags.iter().map(String::as_str));
    let ran = output(&args);
    assert!(ran.status.success(), "{}", complaint(&ran));

    let server = Server::start(&data_dir);
    let runs = server.api("/runs", None);
    let run = |stage: Stage| {
        let mut runs = runs["runs"].as_array().unwrap().iter();
        runs.find(|run| run["stage"] == stage.name() && run["method"] == "mae").unwrap()
    };
    let set = serde_json::json!({ "train": { "batch_size": 16, "epochs": 2 } });
    let asked = serde_json::json!({
        "method": "mae", "stage": "finetune", "scale": "smoke", "parent": run(Stage::Pretrain)["id"], "set": set,
    });
    let launched = server.api("/launch", Some(&asked.to_string()));
    assert_eq!(launched["shared"], serde_json::json!([run(Stage::Finetune)["id"]]), "{launched}");
    assert!(server.stop(Duration::from_secs(20)).success());
}
