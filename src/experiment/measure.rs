//! What runs report: every number, curve, matrix and image, declared once with its title, unit and direction.
//!
//! Stages write through these constants, and studies, tables, charts and exports read the same ones: what is not here cannot
//! be reported, and a study that asks for it is refused. `results` has the numbers of tables, matrices and images, `curves`
//! what is followed over the steps.

mod curves;
mod results;

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use super::run::Stage;
pub use curves::*;
pub use results::*;

/// A number, curve, matrix or image that runs report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Measure {
    /// The name in events, studies and exports. `{…}` stands for a parameter, such as the ratio of `cka.at_{ratio}`.
    pub name: &'static str,
    /// The heading, with the same parameter.
    pub title: &'static str,
    /// The unit.
    pub unit: Unit,
    /// Which numbers are better.
    pub better: Better,
    /// What it is, in a line.
    pub meaning: &'static str,
}

/// The unit of a measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// None: a loss, a ratio, a similarity.
    #[default]
    None,
    /// None, and a whole number.
    Count,
    /// Percent.
    Percent,
    /// Decibels.
    Decibels,
    /// Seconds.
    Seconds,
    /// Images a second.
    ImagesPerSecond,
    /// Mebibytes.
    Mebibytes,
}

impl Unit {
    /// As it stands behind a number; empty without a unit.
    pub fn symbol(self) -> &'static str {
        match self {
            Unit::None | Unit::Count => "",
            Unit::Percent => "%",
            Unit::Decibels => "dB",
            Unit::Seconds => "s",
            Unit::ImagesPerSecond => "images/s",
            Unit::Mebibytes => "MiB",
        }
    }

    /// The unit of a difference: between percentages it is points.
    pub fn of_difference(self) -> &'static str {
        if self == Unit::Percent { "points" } else { self.symbol() }
    }

    /// Digits after the point that a table shows.
    pub fn decimals(self) -> usize {
        match self {
            Unit::None => 3,
            Unit::Count => 0,
            Unit::Percent | Unit::Decibels | Unit::Seconds | Unit::ImagesPerSecond | Unit::Mebibytes => 1,
        }
    }

    /// Whether nothing stands behind the number.
    pub fn is_empty(self) -> bool {
        self.symbol().is_empty()
    }

    /// A heading with its unit: `PSNR (dB)`.
    pub fn behind(self, title: &str) -> String {
        if self.is_empty() {
            title.to_owned()
        } else {
            format!("{title} ({self})")
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.symbol())
    }
}

impl Serialize for Unit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.symbol())
    }
}

/// Which numbers are better, if any are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Larger ones.
    Higher,
    /// Smaller ones.
    Lower,
    /// None: the number describes, as a count of images does.
    Neither,
}

impl Better {
    /// For the head of a column.
    pub fn text(self) -> &'static str {
        match self {
            Better::Higher => "higher is better",
            Better::Lower => "lower is better",
            Better::Neither => "neither higher nor lower is better",
        }
    }
}

/// Declares measures, `NAME = name, title, unit, direction`, with their meaning above, and the list of them all.
macro_rules! measures {
    ($(#[doc = $about:literal])+ $list:ident: $($(#[doc = $meaning:literal])+ $id:ident = $name:literal, $title:literal, $unit:ident, $better:ident;)+) => {
        $($(#[doc = $meaning])+
        pub const $id: $crate::experiment::measure::Measure = $crate::experiment::measure::Measure {
            name: $name,
            title: $title,
            unit: $crate::experiment::measure::Unit::$unit,
            better: $crate::experiment::measure::Better::$better,
            meaning: concat!($($meaning),+).trim_ascii(),
        };)+
        $(#[doc = $about])+
        pub const $list: &[$crate::experiment::measure::Measure] = &[$($id),+];
    };
}
use measures;

/// What the runs of a stage can report.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Measures {
    results: &'static [&'static [Measure]],
    curves: &'static [&'static [Measure]],
    matrices: &'static [&'static [Measure]],
    images: &'static [&'static [Measure]],
}

impl Measures {
    const fn of_results(results: &'static [&'static [Measure]], curves: &'static [&'static [Measure]]) -> Measures {
        Measures {
            results,
            curves,
            matrices: &[],
            images: &[],
        }
    }

    /// Numbers, which tables show.
    pub fn results(self) -> impl Iterator<Item = &'static Measure> {
        self.results.iter().copied().flatten()
    }

    /// Curves over the steps.
    pub fn curves(self) -> impl Iterator<Item = &'static Measure> {
        self.curves.iter().copied().flatten()
    }

    /// Tables of numbers.
    pub fn matrices(self) -> impl Iterator<Item = &'static Measure> {
        self.matrices.iter().copied().flatten()
    }

    /// Images.
    pub fn images(self) -> impl Iterator<Item = &'static Measure> {
        self.images.iter().copied().flatten()
    }
}

impl Stage {
    /// What its runs can report.
    pub fn measures(self) -> Measures {
        let trained: &[&[Measure]] = &[TRAINING, MACHINE, VALIDATION];
        match self {
            Stage::Tokenizer => Measures {
                results: &[TOKENIZER],
                curves: &[TRAINING, MACHINE, TOKENIZER_TERMS],
                matrices: &[],
                images: &[TOKENIZED],
            },
            Stage::Pretrain => Measures {
                results: &[PRETRAIN],
                curves: &[TRAINING, MACHINE, MONITORS, TERMS],
                matrices: &[],
                images: &[RECONSTRUCTIONS],
            },
            Stage::Finetune => Measures::of_results(&[FINETUNE], trained),
            Stage::Probe => Measures::of_results(&[PROBE], trained),
            Stage::ProbeCached => Measures::of_results(&[PROBE_CACHED], &[MACHINE]),
            Stage::Psnr => Measures {
                results: &[PSNR],
                curves: &[MACHINE],
                matrices: &[PSNR_MATRICES, SIDE_BY_SIDE],
                images: &[RECONSTRUCTIONS, SIDE_BY_SIDE],
            },
            Stage::Cka => Measures {
                matrices: &[CKA_MATRICES],
                ..Measures::of_results(&[CKA], &[MACHINE])
            },
            Stage::Compare => Measures {
                matrices: &[CKA_MATRICES],
                ..Measures::of_results(&[COMPARE], &[MACHINE])
            },
        }
    }

    /// The result of that name.
    ///
    /// # Errors
    /// One sentence: the stages that have it instead, or the nearest name of this one.
    pub fn result(self, name: &str) -> Result<&'static Measure, String> {
        let fits = |measure: &&Measure| measure.parameter(name).is_some();
        if let Some(found) = self.measures().results().find(fits) {
            return Ok(found);
        }
        let having = Stage::ALL.into_iter().filter(|stage| stage.measures().results().any(|m| fits(&m)));
        let having: Vec<&str> = having.map(Stage::name).collect();
        if !having.is_empty() {
            return Err(format!(
                "the stage {self} has no measure `{name}`: it is of the stage {}",
                having.join(", ")
            ));
        }
        let own = self.measures().results();
        let all = Stage::ALL.into_iter().flat_map(|stage| stage.measures().results());
        // Of equally near ones the stage's own comes first.
        let distance = |known: &&Measure| strsim::levenshtein(&known.at(&""), name);
        let nearest = own.chain(all).min_by_key(distance).map_or("", |measure| measure.name);
        Err(format!("no stage has a measure `{name}`: the nearest is `{nearest}`"))
    }
}

impl Measure {
    /// The name with its parameter.
    pub fn at(&self, parameter: &dyn fmt::Display) -> String {
        filled(self.name, &parameter.to_string())
    }

    /// The part behind the last point or slash: `loss` of `train/loss`.
    pub fn short(&self) -> &'static str {
        self.name.rsplit(['/', '.']).next().unwrap_or(self.name)
    }

    /// The title of the measure of that name, which may have a parameter.
    pub fn title_of(&self, name: &str) -> String {
        filled(self.title, self.parameter(name).unwrap_or_default())
    }

    /// Whether a name is this measure's: with its parameter, which is empty where it has none.
    pub fn parameter<'a>(&self, name: &'a str) -> Option<&'a str> {
        let Some((before, after)) = holes(self.name) else {
            return (self.name == name).then_some("");
        };
        let parameter = name.strip_prefix(before)?.strip_suffix(after)?;
        parameter.parse::<f64>().is_ok().then_some(parameter)
    }
}

/// What stands around the parameter of a pattern.
fn holes(pattern: &str) -> Option<(&str, &str)> {
    let (before, rest) = pattern.split_once('{')?;
    Some((before, rest.split_once('}')?.1))
}

fn filled(pattern: &str, parameter: &str) -> String {
    holes(pattern).map_or(pattern.to_owned(), |(before, after)| format!("{before}{parameter}{after}"))
}

/// The term of a loss that goes by that short name.
pub fn term(short: &str) -> Option<&'static Measure> {
    let terms = [TRAINING, TERMS, TOKENIZER_TERMS].into_iter().flatten();
    terms.into_iter().find(|measure| measure.short() == short)
}

/// The title of a result or curve of any stage; of one that this version does not know, its name.
pub fn title(name: &str) -> String {
    find(name).map_or(name.to_owned(), |measure| measure.title_of(name))
}

/// The title with its unit.
pub fn heading(name: &str) -> String {
    unit(name).behind(&title(name))
}

/// The unit of a result or curve of any stage; none of one that this version does not know.
pub fn unit(name: &str) -> Unit {
    find(name).map_or(Unit::None, |measure| measure.unit)
}

fn find(name: &str) -> Option<&'static Measure> {
    let all = Stage::ALL.into_iter().map(Stage::measures);
    all.flat_map(|of| of.results().chain(of.curves()).chain(of.images()))
        .find(|measure| measure.parameter(name).is_some())
}
