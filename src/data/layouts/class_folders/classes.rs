//! The names of classes.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use unicode_normalization::UnicodeNormalization;

use super::find::{Found, Source};
use super::splits::looks_like_split;
use crate::data::tree::Images;

/// A name in the one Unicode form in which all are compared.
pub(super) fn composed(name: &str) -> Cow<'_, str> {
    if name.is_ascii() {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(name.nfc().collect())
    }
}

/// The classes of a source, in their order.
pub(super) fn names(source: Source<'_>, images: &Images, found: &Found, warnings: &mut Vec<String>) -> anyhow::Result<Vec<String>> {
    let mut forms = Forms::default();
    let classes = match found {
        Found::Whole(root) | Found::ClassFirst { root, .. } => below(source, images, root, &mut forms, warnings)?,
        Found::Divided { train, val } => {
            let classes = below(source, images, train, &mut forms, warnings)?;
            let of_val = below(source, images, val, &mut forms, warnings)?;
            if let Some(class) = of_val.difference(&classes).next() {
                bail!(
                    "`{}` has the class `{class}`, which `{}` has not",
                    source.tree.show(val),
                    source.tree.show(train)
                );
            }
            classes
        }
    };
    forms.warn(&classes, warnings);
    Ok(classes.into_iter().collect())
}

/// The classes in the folder `root`.
fn below(
    source: Source<'_>,
    images: &Images,
    root: &str,
    forms: &mut Forms,
    warnings: &mut Vec<String>,
) -> anyhow::Result<BTreeSet<String>> {
    let level = source.level(root);
    let mut classes = BTreeSet::new();
    let mut empty = Vec::new();
    for (folder, inside) in &level.folders {
        if inside.is_empty() {
            empty.push(format!("{root}{folder}"));
        } else {
            classes.insert(composed(folder).into_owned());
            forms.see(folder);
        }
    }
    let show = |folder: &str| source.tree.show(folder);
    if classes.is_empty() && source.below(root).is_empty() && empty.is_empty() {
        bail!(
            "`{}` has no images: put them into it, in a folder for each class if they have labels",
            show(root)
        );
    }
    if classes.is_empty() && empty.is_empty() {
        bail!("`{}` has no class folders: each class must be a folder of images", show(root));
    }
    for folder in &empty {
        if !images.holds_other_files(folder) || classes.is_empty() {
            bail!("the class folder `{}` has no images: fill it or remove it", show(folder));
        }
        warnings.push(format!("the folder `{}` has no images and was not taken for a class", show(folder)));
    }
    Ok(classes)
}

/// How names of classes are written.
#[derive(Default)]
struct Forms(BTreeMap<String, BTreeSet<String>>);

impl Forms {
    fn see(&mut self, folder: &str) {
        let forms = self.0.entry(composed(folder).into_owned()).or_default();
        if !forms.contains(folder) {
            forms.insert(folder.to_owned());
        }
    }

    /// Sentences about names that were taken for one, and about others that a person may have meant otherwise.
    fn warn(&self, classes: &BTreeSet<String>, warnings: &mut Vec<String>) {
        let several = self.0.iter().filter(|(_, forms)| forms.len() > 1);
        warnings.extend(several.map(|(class, forms)| {
            let forms = forms.len();
            format!("the class `{class}` is written in {forms} Unicode forms, which were taken for one class")
        }));
        let mut cases: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        classes
            .iter()
            .for_each(|class| cases.entry(class.to_lowercase()).or_default().push(class));
        let alike = cases.values().filter(|classes| classes.len() > 1);
        warnings.extend(alike.map(|classes| {
            let classes = classes.join("`, `");
            format!("`{classes}` differ in small and capital letters alone, but are classes of their own")
        }));
        let splits: Vec<&str> = classes.iter().map(String::as_str).filter(|class| looks_like_split(class)).collect();
        if !splits.is_empty() {
            warnings.push(format!(
                "`{}` were taken for classes, but look like splits: for these, call the folders `train` and `val` and put \
                 nothing beside them",
                splits.join("`, `")
            ));
        }
    }
}
