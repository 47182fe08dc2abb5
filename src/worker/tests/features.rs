//! Features of a person's own images.

use super::*;
use crate::stages::features::features;

#[test]
fn features_of_own_images_are_written_block_by_block_with_their_names() {
    let root = tempfile::tempdir().unwrap();
    let (dir, ..) = carry_out(root.path(), &run(Stage::Pretrain, "random_init", None, &[]));
    let (images, output) = (root.path().join("images"), root.path().join("features.safetensors"));
    fs::create_dir(&images).unwrap();
    for (name, gray) in [("b.png", 200), ("a.png", 10)] {
        image::RgbImage::from_pixel(40, 36, image::Rgb([gray; 3]))
            .save(images.join(name))
            .unwrap();
    }
    // A PNG by its contents, and what is no image.
    fs::rename(images.join("b.png"), images.join("b.JPEG")).unwrap();
    for name in ["._a.png", "notes.txt"] {
        fs::write(images.join(name), "no image").unwrap();
    }
    let said = features(&dir, &images, root.path(), "all", &output, "cpu").unwrap();
    assert!(
        said[1].contains("1 files are no images") && said[1].contains("notes.txt"),
        "{said:?}"
    );
    let (found, metadata) = weights::read(&output).unwrap();
    assert_eq!(found["block.0"].shape, [2, 17, 16]);
    assert_eq!(metadata["files"], r#"["a.png","b.JPEG"]"#);
    assert_ne!(found["block.0"].data[..16 * 17], found["block.0"].data[16 * 17..]);
    fs::write(images.join("c.png"), "").unwrap();
    let refusal = features(&dir, &images, root.path(), "pooled", &output, "cpu")
        .unwrap_err()
        .to_string();
    assert!(refusal.contains("data.max_broken = 0.01 allows: `c.png`"), "{refusal}");
}
