//! Who may name whom, held by reading the sources.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use umbra::experiment::catalog::sections;
use umbra::experiment::{Kind, Stage};

/// Each module and the modules of ours that it may name, lowest first. What is not listed is not allowed.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("experiment", &[]),
    ("rng", &[]),
    ("device", &[]),
    ("charts", &[]),
    ("settings", &[]),
    ("weights", &[]),
    ("kernels", &[]),
    ("playground", &["experiment"]),
    ("run_dir", &["experiment"]),
    // What computes: a run's process.
    ("vit", &["experiment", "kernels", "rng", "weights"]),
    ("methods", &["experiment", "kernels", "rng", "vit", "weights"]),
    ("data", &["experiment", "rng"]),
    ("train", &["data", "experiment", "kernels", "methods", "rng", "run_dir", "weights"]),
    ("metrics", &["data", "experiment", "methods", "rng", "train", "vit", "weights"]),
    (
        "stages",
        &[
            "data",
            "device",
            "experiment",
            "methods",
            "metrics",
            "rng",
            "run_dir",
            "train",
            "vit",
            "weights",
        ],
    ),
    (
        "inspect",
        &[
            "data",
            "experiment",
            "methods",
            "metrics",
            "playground",
            "run_dir",
            "stages",
            "vit",
            "weights",
        ],
    ),
    ("worker", &["device", "experiment", "kernels", "run_dir", "stages", "train"]),
    ("bench", &["device", "experiment", "kernels", "methods", "rng", "train"]),
    // What serves: the queue, the database and the pages.
    ("store", &["experiment", "run_dir"]),
    ("jobs", &["experiment", "playground", "run_dir", "store"]),
    ("app", &["data", "experiment", "jobs", "run_dir", "store"]),
    ("web", &["app", "charts", "experiment", "jobs", "playground", "run_dir", "store"]),
    (
        "cli",
        &[
            "app",
            "bench",
            "data",
            "device",
            "experiment",
            "inspect",
            "jobs",
            "methods",
            "run_dir",
            "settings",
            "stages",
            "store",
            "web",
            "worker",
        ],
    ),
    ("main", &["cli", "settings"]),
];

/// Crates that only some modules may name: the crate, those modules, and why.
const MAY_USE: &[(&str, &[&str], &str)] = &[
    ("sqlx", &["store"], "SQL stands in `store` alone"),
    ("axum", &["web", "cli"], "what computes or stores knows nothing of HTTP"),
    ("askama", &["web"], "what pages look like is decided in `web`"),
    (
        "tokio",
        &["store", "jobs", "app", "web", "cli"],
        "training is plain threads, and a worker runs without a server",
    ),
    (
        "burn",
        &[
            "kernels", "weights", "vit", "methods", "train", "metrics", "stages", "inspect", "device", "bench", "worker",
        ],
        "tensors stay with what computes",
    ),
    ("nalgebra", &["inspect"], "a map is drawn by the process that sees the images"),
    ("bhtsne", &["inspect"], "a page asks for a map, it does not draw one"),
    ("cubecl", &["device"], "how a GPU's runtime behaves is decided in one place"),
    ("plotters", &["charts"], "a page asks `charts` for a chart"),
    ("resvg", &["charts"], "a page asks `charts` for a chart"),
    ("statrs", &["experiment"], "claims are judged in one place"),
];

/// A file that cannot be read in one sitting has two subjects.
const LONGEST: usize = 400;

/// Columns of a template's line.
const WIDEST: usize = 160;

/// A source file: where it is below the repository, and its text.
pub struct Source {
    pub path: String,
    pub text: String,
}

impl Source {
    /// The module below `src`.
    fn module(&self) -> &str {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        path.split('/').next().expect("a path has a first part")
    }

    /// The code without comments.
    fn code(&self) -> String {
        let lines = self.text.lines().filter(|line| !line.trim_start().starts_with("//"));
        lines
            .map(|line| line.split(" // ").next().unwrap_or_default())
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// The code without comments and tests: a test may reach up for its material.
    pub fn tested_code(&self) -> String {
        let is_test = self.path.ends_with("/tests.rs") || self.path.contains("/tests/");
        let code = self.code();
        if is_test {
            String::new()
        } else {
            code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned()
        }
    }
}

/// Every file with such an ending below `folder`, which may be missing.
fn files(folder: &str, endings: &[&str]) -> Vec<Source> {
    let root = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    let (mut found, mut folders) = (Vec::new(), vec![Path::new(&root).join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("a folder of the repository can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| endings.iter().any(|ending| e == *ending)) {
                let text = fs::read_to_string(&path).expect("a source is UTF-8 text");
                let path = path
                    .strip_prefix(&root)
                    .expect("it is below the root")
                    .to_str()
                    .expect("names are UTF-8");
                found.push(Source {
                    path: path.to_owned(),
                    text,
                });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

pub fn sources() -> Vec<Source> {
    let sources = files("src", &["rs"]);
    assert!(sources.len() > 10, "the sources were not found");
    sources
}

/// Identifiers that follow `prefix` in code, also those of `prefix{a, b::c}`.
fn following<'a>(code: &'a str, prefix: &str) -> Vec<&'a str> {
    let identifier = |text: &'a str| &text[..text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())];
    let mut names = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let rest = &code[at + prefix.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            // A macro of ours stands at the root of the crate and belongs to no module.
            let name = identifier(rest);
            names.extend((!rest[name.len()..].starts_with('!')).then_some(name));
            continue;
        };
        let mut depth = 1;
        let end = group.find(|c| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            depth == 0
        });
        let (mut depth, mut fresh) = (0, true);
        for (i, c) in group[..end.unwrap_or(group.len())].char_indices() {
            if fresh && !c.is_whitespace() {
                names.push(identifier(&group[i..]));
                fresh = false;
            }
            depth += i32::from(c == '{') - i32::from(c == '}');
            fresh = fresh || (c == ',' && depth == 0);
        }
    }
    names
}

/// Whether code names a crate: `name::…` or `use name`.
fn uses(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + name.len()..]);
        let whole = !before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '"');
        let path = after.starts_with("::") && !before.ends_with("::");
        whole && (path || (before.ends_with("use ") && !after.starts_with(|c: char| c.is_alphanumeric() || c == '_')))
    })
}

/// Modules that name others against [`MAY_NAME`].
fn forbidden_arrows(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in sources.iter().filter(|source| source.path != "src/lib.rs") {
        let module = source.module();
        let Some((_, allowed)) = MAY_NAME.iter().find(|(name, _)| *name == module) else {
            wrong.push(format!("{}: the module `{module}` has no line in MAY_NAME", source.path));
            continue;
        };
        let code = source.tested_code();
        let mut named = following(&code, "crate::");
        named.extend(following(&code, "umbra::"));
        for name in named.into_iter().filter(|name| MAY_NAME.iter().any(|(module, _)| module == name)) {
            if name != module && !allowed.contains(&name) {
                wrong.push(format!("{}: `{module}` may not name `{name}`", source.path));
            }
        }
    }
    wrong
}

/// Modules that name crates against [`MAY_USE`].
fn forbidden_crates(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in sources {
        for (name, modules, why) in MAY_USE {
            if !modules.contains(&source.module()) && uses(&source.code(), name) {
                wrong.push(format!("{}: may not name `{name}`: {why}", source.path));
            }
        }
    }
    wrong
}

#[track_caller]
fn none(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn modules_name_only_what_stands_below_them() {
    none(forbidden_arrows(&sources()));
}

#[test]
fn crates_are_named_only_where_they_belong() {
    none(forbidden_crates(&sources()));
}

#[test]
fn every_file_can_be_read_in_one_sitting() {
    let long = |source: &Source| source.text.lines().count() > LONGEST;
    let wrong = sources().into_iter().chain(files("tests", &["rs"])).filter(long);
    none(
        wrong
            .map(|source| {
                format!(
                    "{} has {} lines, at most {LONGEST} are allowed",
                    source.path,
                    source.text.lines().count()
                )
            })
            .collect(),
    );
}

#[test]
fn a_choice_is_an_enum_and_nobody_compares_its_name() {
    let catalog = umbra::methods::catalog();
    let of = |method| Stage::ALL.into_iter().flat_map(move |stage| sections(stage, method));
    let settings = catalog.methods.iter().flat_map(of).flat_map(|section| section.settings);
    let choices = settings.filter(|setting| matches!(setting.kind, Kind::Choice { .. }));
    let keys: BTreeSet<&str> = choices.map(|setting| setting.key).collect();
    assert!(keys.contains("position") && keys.contains("negatives"), "{keys:?}");
    let mut wrong = Vec::new();
    for source in sources() {
        let code = source.tested_code();
        let by_hand = code.contains("Kind::Choice { of:");
        wrong.extend(by_hand.then(|| format!("{}: `choice!` declares choices", source.path)));
        let computes = ["methods", "stages", "metrics", "vit", "data", "train"].contains(&source.module());
        for key in keys.iter().filter(|_| computes) {
            let ends = [" == \"", " != \"", ".as_str()", ".name()", ".to_string()", ".starts_with("];
            let compared = ends.iter().any(|end| code.contains(&format!(".{key}{end}")));
            let read = format!("\"{key}\")");
            let read = code.lines().any(|line| line.contains(".value(") && line.contains(&read));
            wrong.extend((compared || read).then(|| format!("{}: the choice `{key}` is read as text", source.path)));
        }
    }
    none(wrong);
}

#[test]
fn pages_load_nothing_from_elsewhere() {
    let mut wrong = Vec::new();
    for folder in ["templates", "static"] {
        for source in files(folder, &["html", "css", "js", "svg"]) {
            let text = source.text.replace("http://www.w3.org/", "");
            wrong.extend(text.contains("://").then(|| format!("{} names another site", source.path)));
        }
    }
    none(wrong);
}

#[test]
fn templates_have_lines_that_fit_a_screen() {
    let mut wrong = Vec::new();
    for source in files("templates", &["html", "css"]) {
        let long = source.text.lines().enumerate().filter(|(_, line)| line.chars().count() > WIDEST);
        wrong.extend(long.map(|(at, line)| {
            format!(
                "{}, line {}: {} columns, at most {WIDEST}",
                source.path,
                at + 1,
                line.chars().count()
            )
        }));
    }
    none(wrong);
}

#[test]
fn the_reader_of_the_sources_sees_what_it_must() {
    let source = |path: &str, text: &str| {
        [Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }]
    };
    let arrow = |path: &str, text: &str| forbidden_arrows(&source(path, text)).len();
    assert_eq!(arrow("src/vit/block.rs", "use crate::web::Page;"), 1);
    assert_eq!(
        arrow("src/vit/block.rs", "use crate::{rng::{self, stream}, store, train::{Loop, web}};"),
        2
    );
    assert_eq!(
        arrow(
            "src/vit/block.rs",
            "use crate::rng::stream;\nlet x = crate::vit::x(); crate::section!{}"
        ),
        0
    );
    assert_eq!(arrow("src/vit/block.rs", "// crate::web\nlet a = 1; // crate::web"), 0);
    assert_eq!(
        arrow("src/vit/block.rs", "#[cfg(test)]\nmod tests {\n    use crate::methods;\n}"),
        0
    );
    assert_eq!(arrow("src/jobs/scheduler.rs", "use crate::train::run;"), 1);
    assert_eq!(arrow("src/worker.rs", "use crate::train::run;"), 0);
    assert_eq!(arrow("src/app/studies/sheet.rs", "use crate::web::Page;"), 1);
    assert_eq!(arrow("src/store/runs.rs", "use crate::app::Workspace;"), 1);
    assert_eq!(arrow("src/main.rs", "umbra::web::serve()"), 1);
    assert_eq!(arrow("src/novel.rs", ""), 1);
    let named = |path: &str, text: &str| forbidden_crates(&source(path, text)).len();
    assert_eq!(named("src/web/page.rs", "use burn::tensor::Tensor;\nfn f(x: sqlx::Pool) {}"), 2);
    assert_eq!(
        named("src/web/page.rs", "use crate::sqlx_free; let burned = \"burn::\"; // burn::Tensor"),
        0
    );
    assert_eq!(
        named("src/app/report.rs", "use axum::Json;\nuse sqlx::Row;\nuse burn::tensor::Tensor;"),
        3
    );
    assert_eq!(named("src/train/mod.rs", "use tokio;"), 1);
    assert_eq!(named("src/store/mod.rs", "use sqlx::Row;"), 0);
}
