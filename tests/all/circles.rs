//! Circles between files: one that names something of another, which names, through others perhaps, something of the first.
//!
//! A file names another by a path, in a `use` or written out, that leads to an item of it; re-exports are followed to the
//! file that defines the item. Three things do not count, for each goes one way by nature: a `mod` line, the re-export of
//! what stands in a child, and a child's use of a type, trait, constant or macro of a module above it. So a `mod.rs` may
//! say what its children share and call them, but no child may call a function of its `mod.rs` that calls it.

use std::collections::{BTreeMap, BTreeSet};

use crate::architecture::sources;

/// Circles that stay: files that may name each other, and why.
const STAY: &[(&[&str], &str)] = &[
    (
        &["src/experiment/claim.rs", "src/experiment/study.rs"],
        "a study has claims, and whether a claim is well formed depends on the rows and columns of its study",
    ),
    (
        &["src/web/charts/psnr.rs", "src/web/charts/psnr_examples.rs"],
        "the page of the scores shows the examples, whose columns are scores",
    ),
    (
        &[
            "src/web/error.rs",
            "src/web/fields.rs",
            "src/web/guard.rs",
            "src/web/page.rs",
            "src/web/playground/uploads.rs",
            "src/web/session/tokens.rs",
            "src/web/state.rs",
            "src/web/studies/index.rs",
        ],
        "an error is a page with the frame of all pages, and what the pages share can refuse a request with an error",
    ),
    (
        &[
            "src/cli/claims.rs",
            "src/cli/export.rs",
            "src/cli/images.rs",
            "src/cli/listing.rs",
            "src/cli/mod.rs",
            "src/cli/plan.rs",
            "src/cli/serve.rs",
            "src/cli/study.rs",
        ],
        "the table of the commands stands in one file with what they share",
    ),
];

/// A path of modules, such as `["jobs", "inner"]`.
type Path = Vec<String>;

/// What a `use` brings in.
struct Import {
    /// Whether it is a re-export.
    exported: bool,
    path: Path,
    name: String,
}

/// A file, as far as circles are concerned.
#[derive(Default)]
struct Module {
    file: String,
    imports: Vec<Import>,
    /// Paths written out in the code.
    written: Vec<Path>,
    functions: BTreeSet<String>,
}

type Modules = BTreeMap<Path, Module>;

/// Identifiers, `::` and single signs. Strings, characters and lifetimes are left out.
fn tokens(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let taken = if rest.starts_with("r#\"") {
            rest.find("\"#").map_or(rest.len(), |end| end + 2)
        } else if let Some(raw) = rest.strip_prefix("r\"") {
            raw.find('"').map_or(rest.len(), |end| end + 3)
        } else if word > 0 {
            found.push(&rest[..word]);
            word
        } else if rest.starts_with("::") {
            found.push("::");
            2
        } else if first == '"' {
            quoted(rest, '"')
        } else if first == '\'' && (rest[1..].starts_with('\\') || rest[1..].chars().nth(1) == Some('\'')) {
            quoted(rest, '\'')
        } else {
            found.extend((!first.is_whitespace()).then_some(&rest[..first.len_utf8()]));
            first.len_utf8()
        };
        rest = &rest[taken..];
    }
    found
}

/// Bytes of the literal that `text` begins with.
fn quoted(text: &str, mark: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == mark && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

/// Reads one tree of a `use` from `tokens[at]` on, and returns where it ends.
fn read_use(tokens: &[&str], mut at: usize, before: &[String], exported: bool, found: &mut Vec<Import>) -> usize {
    let mut path = before.to_vec();
    let mut name = None;
    while at < tokens.len() {
        match tokens[at] {
            "::" => {}
            "{" => {
                while tokens[at] != "}" {
                    at = read_use(tokens, at + 1, &path, exported, found);
                }
                return at + 1;
            }
            "as" => {
                at += 1;
                name = Some(tokens[at].to_owned());
            }
            "," | "}" | ";" => break,
            part => path.push(part.to_owned()),
        }
        at += 1;
    }
    if path.len() > before.len() {
        let name = name.unwrap_or_else(|| path.last().expect("it is not empty").clone());
        found.push(Import { exported, path, name });
    }
    at
}

fn read(file: &str, code: &str) -> Module {
    let tokens = tokens(code);
    let mut module = Module {
        file: file.to_owned(),
        ..Module::default()
    };
    let mut at = 0;
    while at < tokens.len() {
        let path = |from: usize| {
            let links = (from + 1..tokens.len()).step_by(2).take_while(|&i| tokens[i] == "::");
            let parts = links.map_while(|i| tokens.get(i + 1).filter(|part| is_name(part)).map(|part| (*part).to_owned()));
            parts.collect::<Path>()
        };
        match tokens[at] {
            "use" => {
                let exported = at > 0 && ["pub", ")"].contains(&tokens[at - 1]);
                at = read_use(&tokens, at + 1, &[], exported, &mut module.imports);
                continue;
            }
            "fn" => drop(module.functions.insert(tokens[at + 1].to_owned())),
            first if is_name(first) && (at == 0 || tokens[at - 1] != "::") => {
                let rest = path(at);
                if !rest.is_empty() {
                    module.written.push([vec![first.to_owned()], rest].concat());
                }
            }
            _ => {}
        }
        at += 1;
    }
    module
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The module of a file: `src/jobs/inner.rs` is `jobs::inner`.
fn module_of(file: &str) -> Path {
    let mut path: Path = file["src/".len()..file.len() - ".rs".len()].split('/').map(str::to_owned).collect();
    path.pop_if(|last| ["mod", "lib"].contains(&last.as_str()));
    path
}

/// The module that defines what `path` leads to from `from`, and the item's name, if it is not the module itself.
fn resolve(modules: &Modules, from: &Path, path: &[String]) -> Option<(Path, Option<String>)> {
    let mut module = from.clone();
    let mut rest = path;
    match rest.first()?.as_str() {
        "crate" => module.clear(),
        "self" | "super" => {}
        child => modules
            .contains_key(&[from.clone(), vec![child.to_owned()]].concat())
            .then_some(())?,
    }
    while let Some(first) = rest.first() {
        let below = [module.clone(), vec![first.clone()]].concat();
        match first.as_str() {
            "crate" | "self" => {}
            "super" => drop(module.pop()),
            _ if modules.contains_key(&below) => module = below,
            _ => break,
        }
        rest = &rest[1..];
    }
    let Some(item) = rest.first() else { return Some((module, None)) };
    let imports = modules
        .get(&module)?
        .imports
        .iter()
        .filter(|import| import.name == *item && import.path != path);
    let defined = imports.filter_map(|import| resolve(modules, &module, &import.path)).next();
    Some(defined.unwrap_or((module, Some(item.clone()))))
}

/// The modules that each module names.
fn arrows(modules: &Modules) -> BTreeMap<&Path, BTreeSet<Path>> {
    let mut arrows: BTreeMap<&Path, BTreeSet<Path>> = BTreeMap::new();
    for (from, module) in modules {
        let imports = module.imports.iter().map(|import| (import.exported, &import.path));
        for (exported, path) in imports.chain(module.written.iter().map(|path| (false, path))) {
            let Some((to, item)) = resolve(modules, from, path).filter(|(to, _)| to != from && modules.contains_key(to)) else {
                continue;
            };
            let to_child = to.starts_with(from);
            let to_parent = from.starts_with(&to);
            let is_function = item.as_ref().is_some_and(|item| modules[&to].functions.contains(item));
            if (to_child && (exported || item.is_none())) || (to_parent && !is_function) {
                continue;
            }
            arrows.entry(from).or_default().insert(to);
        }
    }
    arrows
}

/// Files that reach each other, circle by circle.
fn circles(modules: &Modules) -> Vec<BTreeSet<&str>> {
    let arrows = arrows(modules);
    let reached = |from: &Path| {
        let mut reached: BTreeSet<&Path> = BTreeSet::new();
        let mut next: Vec<&Path> = arrows.get(from).into_iter().flatten().collect();
        while let Some(to) = next.pop() {
            if reached.insert(to) {
                next.extend(arrows.get(to).into_iter().flatten());
            }
        }
        reached
    };
    let reaches: BTreeMap<&Path, BTreeSet<&Path>> = modules.keys().map(|path| (path, reached(path))).collect();
    let circle = |path: &&Path| {
        let back = reaches[path].iter().filter(|other| reaches[*other].contains(*path));
        back.map(|other| modules[*other].file.as_str()).collect::<BTreeSet<&str>>()
    };
    let all: BTreeSet<BTreeSet<&str>> = modules.keys().collect::<Vec<_>>().iter().map(circle).collect();
    all.into_iter().filter(|files| files.len() > 1).collect()
}

#[test]
fn files_stand_in_no_circles_but_those_that_have_a_reason() {
    let is_test = |path: &str| path.ends_with("tests.rs") || path.contains("/tests/");
    let of_library = sources()
        .into_iter()
        .filter(|source| source.path != "src/main.rs" && !is_test(&source.path));
    let modules: Modules = of_library
        .map(|source| (module_of(&source.path), read(&source.path, &source.tested_code())))
        .collect();
    let found = circles(&modules);
    let stays: Vec<BTreeSet<&str>> = STAY.iter().map(|(files, _)| files.iter().copied().collect()).collect();
    let new: Vec<_> = found
        .iter()
        .filter(|files| !stays.iter().any(|stay| files.is_subset(stay)))
        .collect();
    assert!(new.is_empty(), "files that name each other: {new:#?}");
    let gone: Vec<_> = stays
        .iter()
        .filter(|stay| !found.iter().any(|files| files.is_subset(stay)))
        .collect();
    assert!(gone.is_empty(), "no circles any more, so they leave the list: {gone:#?}");
}

#[test]
fn circles_are_found_through_reexports_and_not_where_a_child_uses_a_type_of_its_parent() {
    let files = |texts: &[(&str, &str)]| {
        let modules: Modules = texts.iter().map(|(file, text)| (module_of(file), read(file, text))).collect();
        circles(&modules).into_iter().flatten().map(str::to_owned).collect::<Vec<_>>()
    };
    let parent = (
        "src/a/mod.rs",
        "mod b; mod c; pub use b::{f, T as U}; pub struct S; fn call() { c::g() } pub fn shared() {}",
    );
    let there = ("src/a/b.rs", "use super::c::g; pub fn f() {}");
    assert_eq!(
        files(&[parent, there, ("src/a/c.rs", "use super::{U, S}; pub fn g() {}")]),
        ["src/a/b.rs", "src/a/c.rs"]
    );
    assert_eq!(
        files(&[parent, there, ("src/a/c.rs", "use super::S; // b\npub fn g() { \"super::f\"; }")]),
        [""; 0]
    );
    let calls_back = ("src/a/c.rs", "pub fn g() { super::shared(); }");
    assert_eq!(files(&[parent, ("src/a/b.rs", ""), calls_back]), ["src/a/c.rs", "src/a/mod.rs"]);
}

#[test]
fn the_server_appends_to_the_history_of_a_run_in_one_file() {
    let of_jobs = sources().into_iter().filter(|source| source.path.starts_with("src/jobs/"));
    let appends = |code: &str| ["EventLog", "events_file(), &line"].iter().any(|sign| code.contains(sign));
    let files: Vec<String> = of_jobs
        .filter(|source| appends(&source.tested_code()))
        .map(|source| source.path)
        .collect();
    assert_eq!(files, ["src/jobs/lifecycle/locked.rs"]);
}
