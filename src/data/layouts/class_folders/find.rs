//! Where in a source its splits and classes stand.

use std::collections::BTreeMap;

use anyhow::bail;

use super::splits::{Role, role_of};
use crate::data::passed::Reason;
use crate::data::tree::{Entry, Tree};

/// The images of a source, sorted by name.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub tree: &'a Tree,
    pub items: &'a [Entry],
}

/// What a folder holds.
#[derive(Debug, Default)]
pub(super) struct Level {
    /// Images in no further folder.
    pub loose: usize,
    /// Its folders, empty ones too.
    pub folders: BTreeMap<String, Inside>,
}

/// What a folder of a level holds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Inside {
    /// Images in no further folder.
    pub loose: usize,
    /// Images in folders of it.
    pub deeper: usize,
}

impl Inside {
    pub(super) fn is_empty(self) -> bool {
        self.loose + self.deeper == 0
    }
}

impl Level {
    /// The folders that have images.
    pub(super) fn filled(&self) -> impl Iterator<Item = (&str, Inside)> {
        let filled = self.folders.iter().filter(|(_, inside)| !inside.is_empty());
        filled.map(|(name, inside)| (name.as_str(), *inside))
    }

    /// The only folder, if all images are in folders of it.
    pub(super) fn wrapper(&self) -> Option<&str> {
        let mut filled = self.filled();
        match (filled.next(), filled.next()) {
            (Some((name, inside)), None) if self.loose + inside.loose == 0 => Some(name),
            _ => None,
        }
    }
}

impl<'a> Source<'a> {
    /// The images in a folder, whose name ends with `/`; those of the source for none.
    pub(super) fn below(self, prefix: &str) -> &'a [Entry] {
        let start = self.items.partition_point(|item| item.name.as_str() < prefix);
        let rest = &self.items[start..];
        &rest[..rest.partition_point(|item| item.name.starts_with(prefix))]
    }

    /// What stands in the folder `prefix`.
    pub(super) fn level(self, prefix: &str) -> Level {
        let mut level = Level::default();
        let inside = self.tree.folders.range(prefix.to_owned()..);
        for folder in inside.take_while(|folder| folder.starts_with(prefix)) {
            let rest = &folder[prefix.len()..];
            if !rest.is_empty() && !rest.contains('/') {
                level.folders.entry(rest.to_owned()).or_default();
            }
        }
        for item in self.below(prefix) {
            let Some((folder, rest)) = item.name[prefix.len()..].split_once('/') else {
                level.loose += 1;
                continue;
            };
            if !level.folders.contains_key(folder) {
                level.folders.insert(folder.to_owned(), Inside::default());
            }
            if let Some(inside) = level.folders.get_mut(folder) {
                inside.loose += usize::from(!rest.contains('/'));
                inside.deeper += usize::from(rest.contains('/'));
            }
        }
        level
    }
}

/// Where the classes are: names of folders end with `/`.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    /// In one folder.
    Whole(String),
    /// In one folder for training and one for validation.
    Divided { train: String, val: String },
    /// Around the splits: each class is divided, as in `cat/train/1.jpg`.
    ClassFirst {
        root: String,
        /// The split to validate on, if there is one.
        val: Option<Role>,
    },
}

impl Found {
    /// Whether there are images and no class folders.
    pub(super) fn is_flat(&self, source: Source<'_>) -> bool {
        let flat = |root: &str| {
            let level = source.level(root);
            level.loose > 0 && level.filled().next().is_none()
        };
        match self {
            Found::Whole(root) => flat(root),
            Found::Divided { train, val } => flat(train) && flat(val),
            Found::ClassFirst { .. } => false,
        }
    }
}

/// What was found, and what a person should know of it.
pub(super) struct Answer {
    pub found: Found,
    /// Folders of splits that are not used, and why.
    pub unused: Vec<(String, Reason)>,
    pub warnings: Vec<String>,
}

/// Looks for splits and classes below as many folders as stand around them.
pub(super) fn find(source: Source<'_>) -> anyhow::Result<Answer> {
    let mut answer = Answer {
        found: Found::Whole(String::new()),
        unused: Vec::new(),
        warnings: Vec::new(),
    };
    let mut top = String::new();
    let mut certain = true;
    loop {
        let level = source.level(&top);
        if let Some(found) = splits(source, &top, &level, &mut answer)? {
            answer.found = found;
            break;
        }
        match divided_inside(source, &top, &level)? {
            Divided::No => match level.wrapper() {
                Some(folder) => {
                    top = format!("{top}{folder}/");
                    certain = false;
                    continue;
                }
                None if certain => {}
                None => answer.warnings.push(around(source, &top)),
            },
            Divided::Below(folder) => {
                top = format!("{top}{folder}/");
                certain = true;
                continue;
            }
            Divided::ByClass { val } => {
                answer.found = Found::ClassFirst { root: top, val };
                break;
            }
        }
        answer.found = Found::Whole(top);
        break;
    }
    wrapped_splits(source, &mut answer);
    Ok(answer)
}

/// The splits among the folders of `level`, if its folders are splits.
fn splits(source: Source<'_>, top: &str, level: &Level, answer: &mut Answer) -> anyhow::Result<Option<Found>> {
    let mut roles: Vec<(Role, &str)> = level
        .folders
        .keys()
        .filter_map(|name| Some((role_of(name)?, name.as_str())))
        .collect();
    roles.sort();
    let others = level.filled().filter(|(name, _)| role_of(name).is_none()).count();
    let show = |name: &str| source.tree.show(&format!("{top}{name}"));
    if let Some(pair) = roles.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        bail!(
            "`{}` and `{}` are folders of the same split: put their images into one of them",
            show(pair[0].1),
            show(pair[1].1)
        );
    }
    let path = |name: &str| format!("{top}{name}/");
    match roles.as_slice() {
        [] => Ok(None),
        [(Role::Train, train)] => {
            let inside = level.folders[*train];
            let found = others == 0 || inside.loose == 0 && inside.deeper > 0;
            Ok(found.then(|| Found::Whole(path(train))))
        }
        [(Role::Train, train), rest @ ..] => Ok(Some(beside(source, top, level, (train, rest), answer)?)),
        [..] if others > 0 => Ok(None),
        [(_, only)] => {
            let sentence = format!(
                "there is no folder for training beside `{}`: its images are divided into both",
                show(only)
            );
            answer.warnings.push(sentence);
            Ok(Some(Found::Whole(path(only))))
        }
        [(_, first), ..] => bail!(
            "there is no folder for training beside `{}`: call it `train`, or give one of the others as data.source",
            show(first)
        ),
    }
}

/// The split to validate on beside the folder `train`: the first of `rest` that will do.
fn beside(
    source: Source<'_>,
    top: &str,
    level: &Level,
    (train, rest): (&str, &[(Role, &str)]),
    answer: &mut Answer,
) -> anyhow::Result<Found> {
    let path = |name: &str| format!("{top}{name}/");
    for (at, (role, val)) in rest.iter().enumerate() {
        let inside = level.folders[*val];
        let shown = source.tree.show(&path(val));
        if inside.is_empty() {
            bail!("`{shown}` has no images: fill it or remove it");
        }
        if role.is_test() && inside.deeper == 0 && level.folders[train].deeper > 0 {
            let count = inside.loose;
            answer.warnings.push(format!(
                "`{shown}` has no class folders: its {count} images have no labels and are not validated on"
            ));
            answer.unused.push((path(val), Reason::Unlabeled));
            continue;
        }
        let unused = rest[at + 1..].iter().map(|(_, name)| (path(name), Reason::OtherSplit));
        answer.unused.extend(unused);
        return Ok(Found::Divided {
            train: path(train),
            val: path(val),
        });
    }
    Ok(Found::Whole(path(train)))
}

/// Whether splits stand in the folders of a level.
enum Divided {
    No,
    /// In this one alone.
    Below(String),
    /// In all, with images directly in them.
    ByClass {
        /// The split to validate on, if there is one.
        val: Option<Role>,
    },
}

/// Looks for splits further down.
fn divided_inside(source: Source<'_>, top: &str, level: &Level) -> anyhow::Result<Divided> {
    let sites: Vec<(&str, Site)> = level
        .filled()
        .filter_map(|(name, _)| Some((name, site(source, &format!("{top}{name}/"))?)))
        .collect();
    let Some((first, _)) = sites.iter().find(|(_, site)| site.train) else {
        return Ok(Divided::No);
    };
    let show = |name: &str| source.tree.show(&format!("{top}{name}"));
    let flat = sites.iter().all(|(_, site)| site.flat);
    let other = level.filled().find(|(name, _)| sites.iter().all(|(site, _)| site != name));
    match (sites.len(), other) {
        (2.., None) if flat => Ok(Divided::ByClass {
            val: sites.iter().filter_map(|(_, site)| site.val).min(),
        }),
        (1, None) => Ok(Divided::Below((*first).to_owned())),
        (1, Some(_)) if !flat => Ok(Divided::Below((*first).to_owned())),
        (_, Some((other, _))) if flat => bail!(
            "`{}` is divided into folders for training and validation and `{}` is not: divide all classes, or none",
            show(first),
            show(other)
        ),
        _ => bail!(
            "`{}` and others beside it have folders for training and validation each: give one of them as data.source",
            show(first)
        ),
    }
}

/// A folder in which splits stand.
struct Site {
    /// Whether there is one for training.
    train: bool,
    /// The one to validate on.
    val: Option<Role>,
    /// Whether they hold images directly, right below it.
    flat: bool,
}

fn site(source: Source<'_>, prefix: &str) -> Option<Site> {
    let level = source.level(prefix);
    let splits: Vec<(Role, Inside)> = level.filled().filter_map(|(name, inside)| Some((role_of(name)?, inside))).collect();
    let train = splits.iter().any(|(role, _)| *role == Role::Train);
    let val = splits.iter().map(|(role, _)| *role).filter(|role| *role != Role::Train).min();
    let only = splits.len() == level.filled().count();
    if !splits.is_empty() && (only || train && splits.len() > 1) {
        let flat = splits.iter().all(|(_, inside)| inside.deeper == 0);
        return Some(Site { train, val, flat });
    }
    let below = site(source, &format!("{prefix}{}/", level.wrapper()?))?;
    Some(Site { flat: false, ..below })
}

/// Goes below the folders that stand between splits and classes, such as `train/images/cat` and `val/images/cat`.
fn wrapped_splits(source: Source<'_>, answer: &mut Answer) {
    let mut roots: Vec<&mut String> = match &mut answer.found {
        Found::Whole(root)
            if root
                .trim_end_matches('/')
                .rsplit('/')
                .next()
                .is_some_and(|own| role_of(own).is_some()) =>
        {
            vec![root]
        }
        Found::Divided { train, val } => vec![train, val],
        Found::Whole(_) | Found::ClassFirst { .. } => return,
    };
    loop {
        let wrapper = |root: &&mut String| source.level(root).wrapper().map(str::to_owned);
        let Some(wrappers) = roots.iter().map(wrapper).collect::<Option<Vec<String>>>() else {
            return;
        };
        // Called the same in both, or each as its split.
        let alike = wrappers.iter().all(|name| name.eq_ignore_ascii_case(&wrappers[0]));
        let as_split = wrappers.iter().all(|name| role_of(name).is_some());
        if !alike && !as_split {
            return;
        }
        for (root, wrapper) in roots.iter_mut().zip(&wrappers) {
            **root = format!("{root}{wrapper}/");
        }
        answer.warnings.push(around(source, roots[0]));
    }
}

/// That a folder was taken for one around the classes.
fn around(source: Source<'_>, root: &str) -> String {
    let classes = source.level(root).filled().count();
    let own = root.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    format!(
        "`{}` was taken for the folder around the classes, which are the {classes} folders in it: if `{own}` is a class, put its \
         images into it without folders",
        source.tree.show(root)
    )
}
