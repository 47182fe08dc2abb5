use std::path::{Path, PathBuf};

use ::parquet::basic::Compression;
use ::parquet::data_type::ByteArray;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;

use super::*;
use crate::data::layouts::shards;
use crate::data::source::Pools;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn settings(label_column: &str) -> DataSettings {
    DataSettings {
        label_column: label_column.to_owned(),
        ..DataSettings::of_source("")
    }
}

fn listed(dir: &Path, label_column: &str) -> anyhow::Result<Listing> {
    Ok(list(&Tree::open(dir, dir)?, &settings(label_column))?.expect("it is Parquet"))
}

fn refusal(dir: &Path, label_column: &str) -> String {
    listed(dir, label_column).map(|_| ()).expect_err("must be refused").to_string()
}

fn png(gray: u8) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_pixel(2, 2, image::Rgb([gray; 3]))
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

/// A column to be written.
enum Column<'a> {
    Bytes(Vec<Option<&'a [u8]>>),
    Numbers(Vec<i64>),
}

/// Writes one row group of columns.
fn write(path: &Path, schema: &str, properties: WriterProperties, columns: &[Column<'_>]) {
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let file = std::fs::File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for column in columns {
        let mut open = group.next_column().unwrap().unwrap();
        match column {
            Column::Bytes(rows) => {
                let values: Vec<ByteArray> = rows.iter().flatten().map(|row| ByteArray::from(row.to_vec())).collect();
                let levels: Vec<i16> = rows.iter().map(|row| i16::from(row.is_some())).collect();
                open.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None).unwrap();
            }
            Column::Numbers(rows) => drop(open.typed::<Int64Type>().write_batch(rows, None, None).unwrap()),
        }
        open.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

fn names(listing: &Listing) -> [Vec<(String, u32)>; 2] {
    let short = |items: &[Item]| items.iter().map(|item| (item.name.clone(), item.label)).collect();
    match &listing.pools {
        Pools::Divided { train, val } => [short(train), short(val)],
        Pools::Whole(items) => [short(items), Vec::new()],
    }
}

#[test]
fn a_data_set_of_the_hub_is_read_as_it_is_noted() {
    let expected = std::fs::read_to_string(data().join("expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
    let expected = &expected["parquet_snappy"];
    let listing = listed(&data().join("parquet"), "").unwrap();
    assert_eq!(serde_json::to_value(&listing.classes).unwrap(), expected["classes"]);
    let Pools::Divided { train, val } = &listing.pools else {
        panic!("it is divided")
    };
    for (items, split) in [(train, "train"), (val, "val")] {
        let images = expected["splits"][split]["images"].as_array().unwrap();
        assert_eq!(items.len(), images.len());
        // Backwards, so that no row is read after the one before it.
        for (item, image) in items.iter().zip(images).rev() {
            assert_eq!(u64::from(item.label), image[1].as_u64().unwrap(), "{}", item.name);
            let decoded = listing.reader.image(item).unwrap();
            assert_eq!((decoded.width, decoded.height), (32, 32));
            for color in 0..3 {
                let sum: f64 = decoded.pixels.iter().skip(color).step_by(3).map(|value| f64::from(*value)).sum();
                let mean = image[4][color].as_f64().unwrap();
                // Decoders of JPEG differ by a step here and there.
                assert!((sum / 1024.0 - mean).abs() < 0.6, "{}: {}, not {mean}", item.name, sum / 1024.0);
            }
        }
    }
    assert_eq!(train[12].name, "train-00001-of-00002.parquet#0");
}

#[test]
fn a_single_file_and_a_pattern_are_sources_too() {
    let one = data().join("parquet/train-00000-of-00002.parquet");
    let tree = shards::alone(&one, MAGIC).unwrap();
    let listing = list(&tree, &settings("")).unwrap().unwrap();
    assert_eq!(names(&listing)[0].len(), 12);
    let pattern = format!("{}/train-*.parquet", data().join("parquet").display());
    let tree = shards::named_together(&pattern).unwrap().unwrap();
    assert_eq!(names(&list(&tree, &settings("")).unwrap().unwrap())[0].len(), 24);
}

#[test]
fn pages_of_both_versions_nulls_and_small_pages_are_read_in_any_order() {
    let images: Vec<Vec<u8>> = (0..40).map(png).collect();
    let rows: Vec<Option<&[u8]>> = images
        .iter()
        .enumerate()
        .map(|(n, image)| (n != 17).then_some(&image[..]))
        .collect();
    let numbers: Vec<i64> = (0..40).map(|n| n % 3 * 10 - i64::from(n == 5) * 1000).collect();
    let (packed, plain) = (Compression::ZSTD(Default::default()), Compression::UNCOMPRESSED);
    for (version, dictionary, compression) in [
        (1, true, packed),
        (1, false, plain),
        (2, true, plain),
        (2, false, packed),
        (2, false, plain),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let version = if version == 1 {
            ::parquet::file::properties::WriterVersion::PARQUET_1_0
        } else {
            ::parquet::file::properties::WriterVersion::PARQUET_2_0
        };
        let properties = WriterProperties::builder()
            .set_writer_version(version)
            .set_dictionary_enabled(dictionary)
            .set_compression(compression)
            .set_data_page_row_count_limit(6)
            .set_write_batch_size(3)
            .build();
        let schema = "message m { optional binary picture; required int64 label; }";
        write(
            &dir.path().join("a.parquet"),
            schema,
            properties,
            &[Column::Bytes(rows.clone()), Column::Numbers(numbers.clone())],
        );
        check_forty(&listed(dir.path(), "").unwrap());
    }
}

/// Forty rows, of which 5 has no label and 17 no image.
fn check_forty(listing: &Listing) {
    assert_eq!(listing.classes, ["0", "10", "20"]);
    let Pools::Whole(items) = &listing.pools else {
        panic!("it is one pool")
    };
    assert_eq!(items.len(), 39, "row 5 has no label");
    assert_eq!(
        listing.passed.sentences(),
        ["1 images have no label and were passed over: `a.parquet#5`"]
    );
    for item in items.iter().rev() {
        let row: u8 = item.name.rsplit('#').next().unwrap().parse().unwrap();
        match listing.reader.image(item) {
            Ok(image) => assert_eq!(image.pixels, [row; 12]),
            Err(e) => assert_eq!((row, e.to_string().as_str()), (17, "the row has no image")),
        }
    }
}

#[test]
fn columns_that_do_not_tell_what_they_are_are_refused_with_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    let (png, text): (Vec<u8>, &[u8]) = (png(1), b"no picture");
    let put = |schema: &str, columns: &[Column<'_>]| write(&path, schema, WriterProperties::default(), columns);
    put(
        "message m { optional binary picture; optional binary text (UTF8); }",
        &[Column::Bytes(vec![Some(text)]), Column::Bytes(vec![Some(text)])],
    );
    let error = refusal(dir.path(), "");
    assert!(
        error.contains("no column of images") && error.contains("`picture`, `text`"),
        "{error}"
    );
    let two = "message m { optional binary image; required int64 fine_label; required int64 coarse_label; }";
    let columns = [
        Column::Bytes(vec![Some(&png[..]); 2]),
        Column::Numbers(vec![7, 8]),
        Column::Numbers(vec![1, 1]),
    ];
    put(two, &columns);
    let error = refusal(dir.path(), "");
    assert!(error.contains("`fine_label`, `coarse_label`: set data.label_column"), "{error}");
    assert_eq!(listed(dir.path(), "fine_label").unwrap().classes, ["7", "8"]);
    assert_eq!(listed(dir.path(), "coarse_label").unwrap().classes, ["1"]);
    let error = refusal(dir.path(), "species");
    assert!(
        error.contains("data.label_column is `species`") && error.contains("`coarse_label`"),
        "{error}"
    );
    put(
        "message m { optional binary image; required int64 weight; }",
        &[Column::Bytes(vec![Some(&png[..])]), Column::Numbers(vec![7])],
    );
    let listing = listed(dir.path(), "").unwrap();
    assert!(!listing.is_labeled());
    assert!(
        listing.warnings[0].contains("data.label_column can name one of `weight`"),
        "{:?}",
        listing.warnings
    );
}

#[test]
fn a_truncated_file_is_refused_by_name_and_damage_never_panics() {
    let whole = std::fs::read(data().join("parquet/train-00000-of-00002.parquet")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("torn.parquet");
    for length in [0, 3, 4, 8, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = refusal(dir.path(), "");
        assert!(error.contains("torn.parquet` is truncated or damaged"), "{error}");
    }
    let mut random = 3_u64;
    let mut next = |below: usize| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below
    };
    for round in 0..200 {
        let mut bytes = whole.clone();
        // Every other time in the footer, where a byte says much.
        let from = if round % 2 == 0 { whole.len() - 1500 } else { 0 };
        (0..1 + next(3)).for_each(|_| bytes[from + next(whole.len() - from)] = next(256) as u8);
        std::fs::write(&path, &bytes).unwrap();
        if let Ok(Listing {
            pools: Pools::Whole(items),
            reader,
            ..
        }) = listed(dir.path(), "")
        {
            items.iter().take(12).for_each(|item| drop(reader.image(item)));
        }
    }
}
