//! A study's table for the page: numbers, what is missing, and where each leads.

use std::collections::BTreeMap;

use crate::app::studies::{Choice, Filled, Sheet, TableOptions};
use crate::experiment::table::{Entry, Missing};
use crate::experiment::{Column, RunId, Study, Unit};
use crate::web::fields::query_of;
use crate::web::runs::view::{RunView, sign_of};

/// The heads over one column of the study.
pub struct Head {
    pub title: String,
    pub unit: Unit,
    pub better: &'static str,
    pub parts: Vec<Part>,
}

/// The head of one column of the page's table.
pub struct Part {
    pub name: &'static str,
    /// Where its numbers were measured.
    pub place: String,
    pub class: &'static str,
    pub sort: Sorter,
}

/// Where a click on a head leads, and how the table is sorted now.
pub struct Sorter {
    /// What it sorts by, which makes a name for the link.
    pub key: String,
    pub href: String,
    /// For `aria-sort`.
    pub now: &'static str,
    pub arrow: &'static str,
}

/// A row of the page's table.
pub struct Line {
    pub id: String,
    pub title: String,
    pub note: String,
    pub places: Vec<Place>,
}

/// A place of the page's table.
pub enum Place {
    /// Our numbers.
    Ours(Ours),
    /// A number of another kind, which may be none: its class, and what it says.
    Plain(&'static str, String),
}

/// Our numbers of a place.
pub struct Ours {
    /// Mean ± standard deviation.
    pub text: Option<String>,
    /// How many seeds it is of.
    pub n: usize,
    /// The run of a single number, or the page of several.
    pub href: String,
    /// Each seed's number, if they are shown.
    pub seeds: Vec<Link>,
    pub best: bool,
    pub missing: Vec<Link>,
    /// Whether it will never have a number.
    pub none: bool,
}

/// A run of a place, or several that stand alike.
pub struct Link {
    pub text: String,
    pub class: &'static str,
    pub sign: &'static str,
    /// Its page, if it was ever queued.
    pub href: Option<String>,
}

/// What links of the table are made of.
pub struct Links<'a> {
    pub study: &'a Study,
    pub choice: &'a Choice,
    pub view: &'a TableOptions,
}

impl Links<'_> {
    /// What a click on the head of that order does.
    pub fn sorter(&self, key: &str, sheet: &Sheet) -> Sorter {
        let now = sheet.arrangement.order.as_ref().filter(|_| self.view.sort == key);
        let (now, arrow) = match now.map(|order| order.descending) {
            None => ("none", ""),
            Some(true) => ("descending", "▾"),
            Some(false) => ("ascending", "▴"),
        };
        let view = self.view.sorted_by(key, &sheet.arrangement);
        Sorter {
            key: key.to_owned(),
            href: view.href(&format!("/studies/{}", self.study.name), self.choice),
            now,
            arrow,
        }
    }

    /// The heads of the table.
    pub fn heads(&self, sheet: &Sheet) -> Vec<Head> {
        let columns = sheet.own.table.columns.iter().enumerate();
        columns.map(|(index, column)| self.head(sheet, index, column)).collect()
    }

    fn head(&self, sheet: &Sheet, index: usize, column: &Column) -> Head {
        let part = |name, place: String, class, suffix: &str| Part {
            name,
            place,
            class,
            sort: self.sorter(&format!("{}{suffix}", column.id), sheet),
        };
        let mut parts = vec![part("ours", self.choice.title(), "", "")];
        if let Some((other, _)) = &sheet.other {
            parts.push(part("ours", other.title(), "beside", ".against"));
            parts.push(part("difference", "second − first".to_owned(), "paper", ".difference"));
        } else if sheet.own.table.has_paper(index) {
            parts.push(part("paper", paper_scale(self.study).to_owned(), "paper", ".paper"));
        }
        Head {
            title: column.title.clone(),
            unit: column.unit,
            better: column.better.text(),
            parts,
        }
    }

    /// The rows of the table.
    pub fn lines(&self, sheet: &Sheet) -> Vec<Line> {
        let table = &sheet.own.table;
        let rows = table.rows.iter().enumerate().map(|(at, row)| {
            let places = table.columns.iter().enumerate().flat_map(|(index, column)| {
                let entry = &row.entries[index];
                let mut places = vec![Place::Ours(self.ours(&sheet.own, self.choice, (&row.id, column), entry))];
                if let Some((choice, filled)) = &sheet.other {
                    let theirs = &filled.table.rows[at].entries[index];
                    places.push(Place::Ours(self.ours(filled, choice, (&row.id, column), theirs)));
                    places.push(Place::Plain("paper", difference(entry, theirs, column.decimals)));
                } else if table.has_paper(index) {
                    places.push(Place::Plain("paper", entry.paper_text(column.decimals).unwrap_or_default()));
                }
                places
            });
            Line {
                id: row.id.clone(),
                title: row.title.clone(),
                note: row.note.clone(),
                places: places.collect(),
            }
        });
        rows.collect()
    }

    fn ours(&self, filled: &Filled, choice: &Choice, place: (&str, &Column), entry: &Entry) -> Ours {
        let all = number_href(&self.study.name, choice, place.0, &place.1.id);
        let seed = |(seed, value, run): (u64, f64, &RunId)| Link {
            text: format!("seed {seed}: {value:.*}", place.1.decimals),
            class: "finished",
            sign: "",
            href: Some(format!("/runs/{run}")),
        };
        let seeds = entry.values.iter().map(|v| seed((v.seed, v.value, &v.run)));
        Ours {
            text: entry.mean_text(place.1.decimals),
            n: entry.values.len(),
            href: match &entry.values[..] {
                [only] => format!("/runs/{}", only.run),
                _ => all.clone(),
            },
            seeds: if self.view.seeds { seeds.collect() } else { Vec::new() },
            best: entry.best,
            missing: if self.view.seeds {
                entry.missing.iter().map(|one| missing(filled, one, Some(one.seed))).collect()
            } else {
                gathered(filled, &entry.missing, &all)
            },
            none: entry.values.is_empty() && entry.missing.is_empty(),
        }
    }
}

/// The page of a number: its runs, whatever their number.
pub fn number_href(study: &str, choice: &Choice, row: &str, column: &str) -> String {
    let place = [("row", row.to_owned()), ("column", column.to_owned())];
    format!("/studies/{study}/number?{}", query_of(choice.pairs().chain(place)))
}

/// The scale of the paper's numbers: what follows the colon of the study's reference.
pub fn paper_scale(study: &Study) -> &str {
    study.paper.split_once(": ").map_or(study.paper.as_str(), |(_, scale)| scale)
}

/// The second mean minus the first, with its sign.
fn difference(first: &Entry, second: &Entry, decimals: usize) -> String {
    let both = first.mean().zip(second.mean());
    both.map(|(first, second)| format!("{:+.decimals$}", second - first))
        .unwrap_or_default()
}

fn missing(filled: &Filled, missing: &Missing, seed: Option<u64>) -> Link {
    let run = filled.runs.get(&missing.run);
    let class = run.map_or("none", RunView::state_class);
    let seed = seed.map(|seed| format!("seed {seed}: ")).unwrap_or_default();
    Link {
        text: format!("{seed}{}", missing.state),
        class,
        sign: sign_of(class),
        href: run.map(RunView::href),
    }
}

/// The missing runs by where they stand: one by one where there is one, else how many.
fn gathered(filled: &Filled, all: &[Missing], href: &str) -> Vec<Link> {
    let mut groups: BTreeMap<&str, Vec<&Missing>> = BTreeMap::new();
    for one in all {
        let class = filled.runs.get(&one.run).map_or("none", RunView::state_class);
        groups.entry(class).or_default().push(one);
    }
    let mut links: Vec<Link> = Vec::new();
    for (class, group) in groups {
        let link = missing(filled, group[0], None);
        links.push(match group.len() {
            1 => link,
            n => Link {
                text: format!("{n} {}", if class == "none" { "not queued" } else { class }),
                href: Some(href.to_owned()),
                ..link
            },
        });
    }
    // What is at work stands first.
    links.sort_by_key(|link| {
        ["running", "failed", "blocked", "queued"]
            .iter()
            .position(|class| *class == link.class)
            .unwrap_or(9)
    });
    links
}
