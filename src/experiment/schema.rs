//! Settings that describe themselves: type, range, default, meaning and source in one place.
//!
//! The `section!` macro makes, from one list, the typed struct that code reads and the table that the
//! launch form, `umbra methods --json`, validation and the run's record are made from. The `choice!` macro makes the enum of
//! a setting that is one of a list, so that who reads it has to answer for every name.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// One value of a setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a setting is true or false, a number or text")]
pub enum Value {
    /// true or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A name from a list, or free text.
    Text(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Bool(v) => write!(f, "{v}"),
            Value::Int(v) => write!(f, "{v}"),
            Value::Float(v) => write!(f, "{v}"),
            Value::Text(v) => f.write_str(v),
        }
    }
}

/// A default, in a form that a constant can hold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Literal {
    /// true or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A name or text.
    Text(&'static str),
}

impl From<Literal> for Value {
    fn from(literal: Literal) -> Self {
        match literal {
            Literal::Bool(v) => Value::Bool(v),
            Literal::Int(v) => Value::Int(v),
            Literal::Float(v) => Value::Float(v),
            Literal::Text(v) => Value::Text(v.to_owned()),
        }
    }
}

/// What a setting may be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Kind {
    /// true or false.
    Bool,
    /// A whole number from `min` to `max`, both allowed.
    Int {
        /// Smallest allowed.
        min: i64,
        /// Largest allowed.
        max: i64,
    },
    /// A number from `min` to `max`, both allowed.
    Float {
        /// Smallest allowed.
        min: f64,
        /// Largest allowed.
        max: f64,
    },
    /// A number strictly between `min` and `max`.
    Between {
        /// Everything allowed is above.
        min: f64,
        /// Everything allowed is below.
        max: f64,
    },
    /// One of a list: an enum that [`choice!`](crate::choice) declares.
    Choice {
        /// The names.
        of: &'static [&'static str],
        /// What each stands for, in one line.
        meanings: &'static [&'static str],
    },
    /// Numbers from `min` to `max`, both allowed, as text with commas between them.
    Numbers {
        /// Smallest allowed.
        min: f64,
        /// Largest allowed.
        max: f64,
    },
    /// Free text.
    Text,
}

impl Kind {
    /// What is allowed, as the end of a sentence.
    pub fn allowed(&self) -> String {
        match self {
            Kind::Bool => "true or false".to_owned(),
            Kind::Int { min, max } if *max == i64::MAX => format!("a whole number of at least {min}"),
            Kind::Int { min, max } => format!("a whole number from {min} to {max}"),
            Kind::Float { min, max } if *max == f64::MAX => format!("a number of at least {min}"),
            Kind::Float { min, max } => format!("a number from {min} to {max}"),
            Kind::Between { min, max } => format!("a number between {min} and {max}, neither included"),
            Kind::Choice { of, .. } => format!("one of {}", of.join(", ")),
            Kind::Numbers { min, max } => format!("one or more numbers from {min} to {max} with commas between them"),
            Kind::Text => "text".to_owned(),
        }
    }

    /// Brings `value` to this kind, or says what is allowed.
    pub fn accept(&self, value: &Value) -> Result<Value, String> {
        let accepted = match (self, value) {
            (Kind::Bool, Value::Bool(_)) | (Kind::Text, Value::Text(_)) => Some(value.clone()),
            (Kind::Int { min, max }, Value::Int(v)) => (min..=max).contains(&v).then(|| value.clone()),
            (Kind::Float { .. } | Kind::Between { .. }, Value::Int(v)) => self.accept(&Value::Float(*v as f64)).ok(),
            // Adding zero turns -0 into 0, so that equal settings are written, and keyed, alike.
            (Kind::Float { min, max }, Value::Float(v)) => (min..=max).contains(&v).then(|| Value::Float(v + 0.0)),
            (Kind::Between { min, max }, Value::Float(v)) => (v > min && v < max).then(|| Value::Float(v + 0.0)),
            (Kind::Choice { of, .. }, Value::Text(v)) => of.contains(&v.as_str()).then(|| value.clone()),
            (Kind::Numbers { .. }, Value::Int(v)) => self.accept(&Value::Text(v.to_string())).ok(),
            (Kind::Numbers { .. }, Value::Float(v)) => self.accept(&Value::Text(v.to_string())).ok(),
            // Written in one way, so that equal lists are keyed alike.
            (Kind::Numbers { min, max }, Value::Text(v)) => numbers(v)
                .filter(|list| list.iter().all(|v| (min..=max).contains(&v)))
                .map(|list| Value::Text(list.iter().map(|v| (v + 0.0).to_string()).collect::<Vec<_>>().join(", "))),
            _ => None,
        };
        accepted.ok_or_else(|| format!("{value} is not allowed: it must be {}", self.allowed()))
    }

    /// Reads `text`, as a form or a command line gives it.
    pub fn parse(&self, text: &str) -> Result<Value, String> {
        let text = text.trim();
        let value = match self {
            Kind::Bool => text.parse().ok().map(Value::Bool),
            Kind::Int { .. } => text.parse().ok().map(Value::Int),
            Kind::Float { .. } | Kind::Between { .. } => text.parse().ok().map(Value::Float),
            Kind::Choice { .. } | Kind::Numbers { .. } | Kind::Text => Some(Value::Text(text.to_owned())),
        };
        self.accept(&value.unwrap_or_else(|| Value::Text(text.to_owned())))
    }
}

/// The numbers of a setting that is a list of them; `None` if there is anything else in it.
pub fn numbers(text: &str) -> Option<Vec<f64>> {
    text.split(',').map(|part| part.trim().parse().ok()).collect()
}

/// One setting: its name and everything a person must know to choose it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Setting {
    /// The name, as written in TOML.
    pub key: &'static str,
    /// What it may be.
    #[serde(flatten)]
    pub kind: Kind,
    /// What it is if nobody says.
    pub default: Literal,
    /// What it does, in one line.
    pub meaning: &'static str,
    /// Where the default comes from.
    pub source: &'static str,
    /// The value that does what was done before the setting existed. A run with it has the key that it had without, and
    /// a record that lacks the setting is read as having it. Settings that were there from the start have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Literal>,
}

impl Setting {
    /// What it does, and what each of its names stands for if it is a choice.
    pub fn explained(&self) -> String {
        let Kind::Choice { of, meanings } = self.kind else {
            return self.meaning.to_owned();
        };
        let names = of.iter().zip(meanings).map(|(name, meaning)| format!(" `{name}`: {meaning}"));
        self.meaning.to_owned() + &names.collect::<String>()
    }

    /// The value that stands for "as before", in the setting's kind.
    fn as_before(&self) -> Option<Value> {
        let value = Value::from(self.before?);
        Some(self.kind.accept(&value).unwrap_or(value))
    }
}

/// A named group of settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Section {
    /// The name of the TOML table.
    pub name: &'static str,
    /// Its settings, in reading order.
    pub settings: &'static [Setting],
}

impl Section {
    /// Adds to the values of an older record what stands for "as before".
    pub fn fill_in(&self, values: &mut BTreeMap<String, Value>) {
        for setting in self.settings {
            if let Some(before) = setting.as_before() {
                values.entry(setting.key.to_owned()).or_insert(before);
            }
        }
    }
}

/// Values of a run: section, then key.
pub type Values = BTreeMap<String, BTreeMap<String, Value>>;

/// The section of a method's own options, which every run of that method has, be it empty.
pub const METHOD: &str = "method";

/// A typed section, and its description.
pub trait Described {
    /// The description.
    const SECTION: Section;
}

/// The values that decide the key: without those that stand for "as before", and without sections that hold nothing else.
pub(super) fn deciding(values: &Values, sections: &[Section]) -> Values {
    let mut kept = values.clone();
    for section in sections {
        let Some(keys) = kept.get_mut(section.name) else { continue };
        keys.retain(|key, value| {
            let setting = section.settings.iter().find(|setting| setting.key == key);
            setting.and_then(Setting::as_before).as_ref() != Some(value)
        });
        let new = section.name != METHOD && !section.settings.is_empty() && section.settings.iter().all(|s| s.before.is_some());
        if new && keys.is_empty() {
            kept.remove(section.name);
        }
    }
    kept
}

/// The first of the literals, if there is one: what the macro makes of an optional part.
pub const fn first(literals: &[Literal]) -> Option<Literal> {
    match literals {
        [first, ..] => Some(*first),
        [] => None,
    }
}

/// Declares a section: a struct to read, and `SECTION`, its description.
///
/// ```text
/// section! {
///     /// What the section is about.
///     Name = "toml_table" {
///         /// One-line meaning.
///         key: f64 = Literal::Float(0.75), Kind::Between { min: 0.0, max: 1.0 }, "source";
///         /// A setting that came later: with it at false, runs are what they were.
///         later: bool = Literal::Bool(true), Kind::Bool, "source" before Literal::Bool(false);
///         /// One of the names of `Position`, which `choice!` declares.
///         position in Position = SinCos, "source";
///     }
/// }
/// ```
#[macro_export]
macro_rules! section {
    ($(#[doc = $about:literal])+ $name:ident = $table:literal {
        $(
            $(#[doc = $meaning:literal])+
            $key:ident
                $(in $choice:ident = $chosen:ident, $origin:literal $(before $once:ident)?)?
                $(: $ty:ty = $default:expr, $kind:expr, $source:literal $(before $before:expr)?)?;
        )*
    }) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($(#[doc = $meaning])+ pub $key: $($ty)? $($choice)?,)* }

        impl $name {
            /// The description of this section.
            pub const SECTION: $crate::experiment::schema::Section = {
                #[allow(unused_imports, reason = "not every section uses every name")]
                use $crate::experiment::schema::{Kind, Literal};
                $crate::experiment::schema::Section {
                    name: $table,
                    settings: &[$($crate::experiment::schema::Setting {
                        key: stringify!($key),
                        kind: $($kind)? $($choice::KIND)?,
                        default: $($default)? $($choice::$chosen.literal())?,
                        meaning: concat!($($meaning),+).trim_ascii(),
                        source: $($source)? $($origin)?,
                        before: $crate::experiment::schema::first(&[$($($before)?)? $($($choice::$once.literal())?)?]),
                    },)*],
                }
            };
        }

        impl $crate::experiment::schema::Described for $name {
            const SECTION: $crate::experiment::schema::Section = $name::SECTION;
        }
    };
}

/// Declares the enum of a setting that is one of a list, in the order that people see, with the names that records have.
///
/// ```text
/// choice! {
///     /// What is chosen.
///     Position {
///         /// One-line meaning.
///         SinCos = "sincos",
///     }
/// }
/// ```
#[macro_export]
macro_rules! choice {
    ($(#[doc = $about:literal])+ $name:ident {
        $($(#[doc = $meaning:literal])+ $variant:ident = $text:literal,)+
    }) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[doc = $meaning])+ #[serde(rename = $text)] $variant,)+ }

        impl $name {
            /// What a setting of it may be.
            pub const KIND: $crate::experiment::schema::Kind = $crate::experiment::schema::Kind::Choice {
                of: &[$($text),+],
                meanings: &[$(concat!($($meaning),+).trim_ascii()),+],
            };

            /// The name, as settings and records have it.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }

            /// The name as a setting's default.
            pub const fn literal(self) -> $crate::experiment::schema::Literal {
                $crate::experiment::schema::Literal::Text(self.name())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok($name::$variant),)+
                    _ => Err(format!("{text} is not allowed: it must be {}", $name::KIND.allowed())),
                }
            }
        }
    };
}
