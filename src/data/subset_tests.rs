//! On the built-in images, of which the class is the number's rest by ten, and on a folder with names.

use super::*;
use crate::experiment::settings::DataSettings;

fn builtin(images: usize) -> Dataset {
    opened("builtin", images)
}

fn opened(source: &str, train_images: usize) -> Dataset {
    let settings = DataSettings {
        source: source.to_owned(),
        image_size: 16,
        train_images,
        val_images: 0,
        val_fraction: 0.2,
        max_broken: 0.0,
        label_column: String::new(),
    };
    let cache = tempfile::tempdir().unwrap();
    super::super::open(&settings, cache.path(), &mut |_, _| {}).unwrap()
}

fn settings(images: usize, selection: Selection) -> SubsetSettings {
    SubsetSettings {
        images,
        selection,
        class: String::new(),
        list: String::new(),
        seed: 0,
    }
}

fn labels(fraction: f64) -> LabelsSettings {
    LabelsSettings {
        fraction,
        list: String::new(),
        seed: 0,
    }
}

/// How many of the chosen images are of each class.
fn counts(dataset: &Dataset, places: &[usize]) -> Vec<usize> {
    let of = |class: usize| places.iter().filter(|place| dataset.train.label(**place) as usize == class).count();
    (0..dataset.classes.len()).map(of).collect()
}

#[track_caller]
fn chosen(dataset: &Dataset, settings: &SubsetSettings) -> Vec<usize> {
    let places = subset(dataset, settings).unwrap().unwrap();
    assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
    places
}

#[test]
fn each_way_of_choosing_covers_the_classes_it_should() {
    let dataset = builtin(400);
    assert_eq!(subset(&dataset, &settings(0, Selection::Random)).unwrap(), None);
    let even = counts(&dataset, &chosen(&dataset, &settings(20, Selection::OnePerClass)));
    assert_eq!(even, [2; 10]);
    let fewer = counts(&dataset, &chosen(&dataset, &settings(4, Selection::OnePerClass)));
    assert_eq!((fewer.iter().sum::<usize>(), fewer.iter().max()), (4, Some(&1)));
    let one = counts(&dataset, &chosen(&dataset, &settings(20, Selection::OneClass)));
    assert_eq!(one.iter().filter(|count| **count == 20).count(), 1);
    let named = SubsetSettings {
        class: dataset.classes[3].clone(),
        ..settings(20, Selection::OneClass)
    };
    assert_eq!(counts(&dataset, &chosen(&dataset, &named))[3], 20);
    let random = counts(&dataset, &chosen(&dataset, &settings(20, Selection::Random)));
    assert!(random.iter().sum::<usize>() == 20 && random != even, "{random:?}");
}

#[test]
fn a_choice_depends_on_its_seed_and_on_nothing_else_and_grows_from_the_smaller_one() {
    let dataset = builtin(400);
    for choice in [Selection::OnePerClass, Selection::Random, Selection::OneClass] {
        let places = chosen(&dataset, &settings(10, choice));
        assert_eq!(places, chosen(&dataset, &settings(10, choice)));
        let other = SubsetSettings {
            seed: 1,
            ..settings(10, choice)
        };
        assert_ne!(places, chosen(&dataset, &other), "{choice}");
        let more = chosen(&dataset, &settings(20, choice));
        assert!(places.iter().all(|place| more.contains(place)), "{choice}");
    }
}

#[test]
fn a_share_of_the_labels_is_balanced_and_all_of_them_are_no_choice() {
    let dataset = builtin(400);
    assert_eq!(labeled(&dataset, &labels(1.0)).unwrap(), None);
    let tenth = labeled(&dataset, &labels(0.1)).unwrap().unwrap();
    assert_eq!(counts(&dataset, &tenth), [4; 10]);
    assert_eq!(labeled(&dataset, &labels(1e-6)).unwrap().unwrap().len(), 1);
    let other = LabelsSettings { seed: 5, ..labels(0.1) };
    assert_ne!(labeled(&dataset, &other).unwrap().unwrap(), tenth);
}

#[test]
fn choices_for_different_purposes_share_no_more_images_than_chance_would() {
    let dataset = builtin(1000);
    let sets = [
        chosen(&dataset, &settings(300, Selection::OnePerClass)),
        labeled(&dataset, &labels(0.3)).unwrap().unwrap(),
        always(&dataset.train, 10, 300, For::Voters),
        always(&dataset.train, 10, 300, For::HeldOut),
    ];
    for (place, one) in sets.iter().enumerate() {
        for other in &sets[..place] {
            // Chance is 90, its deviation below 7.
            let common = one.iter().filter(|image| other.contains(image)).count();
            assert!((60..120).contains(&common), "{common}");
        }
    }
}

#[test]
fn what_cannot_be_chosen_is_refused_with_what_can() {
    let dataset = builtin(100);
    let refused = |settings: &SubsetSettings| format!("{:#}", subset(&dataset, settings).unwrap_err());
    assert!(refused(&settings(101, Selection::Random)).contains("it must be at most 100"));
    assert!(refused(&settings(11, Selection::OneClass)).contains("no class has as many"));
    let unknown = SubsetSettings {
        class: "cat".to_owned(),
        ..settings(1, Selection::OneClass)
    };
    assert!(refused(&unknown).contains("subset.class = `cat` is no class"));
    let small = SubsetSettings {
        class: dataset.classes[0].clone(),
        ..settings(11, Selection::OneClass)
    };
    assert!(refused(&small).contains("it must be at most 10"), "{}", refused(&small));
    let missing = SubsetSettings {
        list: "/no/such/list".to_owned(),
        ..settings(0, Selection::List)
    };
    assert!(refused(&missing).contains("subset.list is `/no/such/list`"));
}

#[test]
fn a_list_that_was_written_gives_the_same_images_again() {
    let dataset = builtin(100);
    let places = chosen(&dataset, &settings(7, Selection::Random));
    let text = list(&dataset, &dataset.train.only(&places));
    assert_eq!(text.lines().count(), 8);
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), &text).unwrap();
    let list = file.path().to_str().unwrap().to_owned();
    let by_list = SubsetSettings {
        list: list.clone(),
        ..settings(0, Selection::List)
    };
    assert_eq!(chosen(&dataset, &by_list), places);
    let labels = LabelsSettings { list, ..labels(1.0) };
    assert_eq!(labeled(&dataset, &labels).unwrap().unwrap(), places);
}

#[test]
fn a_list_names_images_by_path_or_by_the_files_name_and_says_what_is_wrong_with_it() {
    let root = tempfile::tempdir().unwrap();
    for (path, tone) in [
        ("train/a/one.png", 10),
        ("train/a/two.png", 20),
        ("train/b/three.png", 30),
        ("train/b/two.png", 40),
        ("val/a/v.png", 1),
        ("val/b/w.png", 2),
    ] {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::RgbImage::from_pixel(16, 16, image::Rgb([tone; 3])).save(path).unwrap();
    }
    let dataset = opened(root.path().to_str().unwrap(), 0);
    let file = root.path().join("list.txt");
    let listed = |text: &str| {
        fs::write(&file, text).unwrap();
        let list = file.to_str().unwrap().to_owned();
        labeled(&dataset, &LabelsSettings { list, ..labels(1.0) }).map(Option::unwrap)
    };
    let places = listed("three.png\n\ntrain/a/two.png\ta\n").unwrap();
    let part = dataset.train.only(&places);
    let tones: Vec<u8> = (0..part.len()).map(|i| part.image(i).unwrap().pixels[0]).collect();
    assert_eq!((tones, part.labels()), (vec![20, 30], &[0, 1][..]));
    assert_eq!([part.name(0), part.name(1)], ["train/a/two.png", "train/b/three.png"]);
    for (text, sentence) in [
        ("two.png", "which several folders have"),
        (
            "four.png",
            "names `four.png` as image 1, which is no training image: names are such as `train/a/one.png`",
        ),
        ("v.png", "no training image"),
        ("one.png\ntrain/a/one.png", "names `train/a/one.png` twice"),
        ("\n", "names no image"),
    ] {
        let error = format!("{:#}", listed(text).unwrap_err());
        assert!(error.contains(sentence), "{error}");
    }
}
