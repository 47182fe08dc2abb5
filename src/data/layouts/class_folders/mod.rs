//! Class folders, and images without any: which path is which split and which class, the same for folders and archives.

mod classes;
mod find;
mod once;
mod splits;

use crate::data::SplitName;
use crate::data::layout::Layout;
use crate::data::passed::Reason;
use crate::data::source::{Item, Listing, Pools, UNLABELED};
use crate::data::tree::{Entry, Tree};
use classes::composed;
use find::{Answer, Found, Source, find};
use once::Once;
use splits::{Role, role_of};

/// Takes `tree` as class folders, or as images without labels where there are none.
pub(super) fn list(mut tree: Tree) -> anyhow::Result<Listing> {
    let images = tree.take_images();
    let source = Source {
        tree: &tree,
        items: &images.entries,
    };
    let mut answer = find(source)?;
    let labeled = !answer.found.is_flat(source);
    let classes = if labeled {
        classes::names(source, &images, &answer.found, &mut answer.warnings)?
    } else {
        vec![UNLABELED.to_owned()]
    };
    let mut passed = std::mem::take(&mut tree.passed);
    let mut once = Once::new(&tree.again);
    let (mut train, mut val) = (Vec::new(), Vec::new());
    for Entry { name, place } in images.entries {
        let (split, class) = match answer.place(&name, labeled) {
            Ok(place) => place,
            Err(reason) => {
                passed.note(reason, &name);
                continue;
            }
        };
        let label = match labeled {
            true => classes.binary_search_by(|known| known.as_str().cmp(&composed(class))),
            false => Ok(0),
        };
        let label = label.expect("every image's class is in the list") as u32;
        if !once.take(&name, split, label) {
            passed.note(Reason::Again, &name);
            continue;
        }
        let item = Item { label, name, place };
        match split {
            SplitName::Train => train.push(item),
            SplitName::Val => val.push(item),
        }
    }
    let warnings = images.warnings.into_iter().chain(answer.warnings).chain(once.warnings());
    Ok(Listing {
        layout: if labeled { Layout::ClassFolders } else { Layout::Unlabeled },
        classes,
        pools: pools(&answer.found, train, val),
        passed,
        warnings: warnings.collect(),
        reader: tree.files,
        stamp: tree.stamp,
    })
}

/// The images of a source that is found so.
fn pools(found: &Found, train: Vec<Item>, val: Vec<Item>) -> Pools {
    match found {
        Found::Whole(_) | Found::ClassFirst { val: None, .. } => Pools::Whole(train),
        Found::Divided { .. } | Found::ClassFirst { val: Some(_), .. } => Pools::Divided { train, val },
    }
}

impl Answer {
    /// The split and the class of the image of that name, or why it has none.
    fn place<'a>(&self, name: &'a str, labeled: bool) -> Result<(SplitName, &'a str), Reason> {
        let below = |split: SplitName, root: &str| {
            let rest = name.strip_prefix(root)?;
            let class = rest.split_once('/').map(|(class, _)| class);
            Some((split, if labeled { class? } else { rest }))
        };
        let found = match &self.found {
            Found::Whole(root) => below(SplitName::Train, root),
            Found::Divided { train, val } => below(SplitName::Train, train).or_else(|| below(SplitName::Val, val)),
            Found::ClassFirst { root, val } => return class_first(name, root, *val),
        };
        let unused = || self.unused.iter().find(|(root, _)| name.starts_with(root));
        found.ok_or_else(|| unused().map_or(Reason::OutsideClasses, |(_, reason)| *reason))
    }
}

/// As [`Answer::place`], where the splits stand in the classes.
fn class_first<'a>(name: &'a str, root: &str, val: Option<Role>) -> Result<(SplitName, &'a str), Reason> {
    let mut parts = name.strip_prefix(root).unwrap_or_default().split('/');
    let class = parts.next().unwrap_or_default();
    match parts.next().and_then(role_of) {
        Some(Role::Train) => Ok((SplitName::Train, class)),
        role @ Some(Role::Val(_)) if role == val => Ok((SplitName::Val, class)),
        Some(Role::Val(_)) => Err(Reason::OtherSplit),
        None => Err(Reason::OutsideClasses),
    }
}

#[cfg(test)]
mod tests;
