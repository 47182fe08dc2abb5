//! The launch form: a draft with everything a person must know to fill it in.

use crate::app::runs::usual;
use crate::experiment::{Kind, MethodInfo, RunSpec, Scale, Setting, Stage, absolute};
use crate::store::{Run, RunFilter};
use crate::web::AppState;
use crate::web::datasets::source::SourceLine;
use crate::web::error::{Error, Result};
use crate::web::filters;
use crate::web::launch::draft::{Draft, Faults, value_at};
use crate::web::page::Layout;

/// Pretraining runs offered as parents, newest first.
const PARENTS: u64 = 200;

/// The fields above the settings.
const CHOICES: [&str; 6] = ["method", "stage", "scale", "seed", "parent", "data.source"];

/// The form.
#[derive(askama::Template)]
#[template(path = "launch/page.html")]
pub struct LaunchPage<'a> {
    layout: Layout,
    methods: &'a [MethodInfo],
    scales: &'a [Scale],
    stages: [Stage; Stage::ASKED.len()],
    parents: Vec<Run>,
    draft: Draft,
    faults: Faults,
    sections: Vec<FieldSet>,
    /// Where the images are if nothing else is typed.
    usual_source: String,
    /// What is known of the images.
    source: SourceLine,
}

/// A section of the form.
pub struct FieldSet {
    name: &'static str,
    open: bool,
    changed: usize,
    fields: Vec<Field>,
}

/// A field of the form.
pub struct Field {
    place: String,
    key: &'static str,
    input: Input,
    value: String,
    default: String,
    changed: bool,
    /// Taken from the parent, so it cannot be changed here.
    inherited: bool,
    allowed: String,
    meaning: String,
    source: String,
    fault: Option<String>,
}

/// How a field is filled in.
pub enum Input {
    /// One of these.
    Select(Vec<&'static str>),
    /// A number; whole or not.
    Number {
        /// Whether it has no fraction.
        whole: bool,
    },
    /// Text.
    Text,
}

impl<'a> LaunchPage<'a> {
    /// The form for a draft; its settings stay out where the choices above do not fit together.
    pub async fn new(app: &'a AppState, draft: Draft, mut faults: Faults) -> Result<LaunchPage<'a>> {
        let parents = parents(app, &draft).await?;
        let parent = parents.iter().find(|run| run.id.as_str() == draft.selection.parent);
        let (sections, usual_source) = match draft.selection.defaults(app).await {
            Ok(defaults) => {
                let source = value_at(&defaults, "data.source").map(ToString::to_string).unwrap_or_default();
                (field_sets(app, &draft, &defaults, parent, &faults), source)
            }
            Err(Error::Invalid(fault)) => {
                faults.entry(fault.place).or_insert(fault.message);
                (Vec::new(), String::new())
            }
            Err(other) => return Err(other),
        };
        let layout = Layout::new("launch", app);
        let source = SourceLine::of(app, or_usual(&draft.selection.data, &usual_source), draft.label_column());
        Ok(LaunchPage {
            layout,
            methods: &app.catalog.methods,
            scales: &app.scales,
            stages: Stage::ASKED,
            parents,
            draft,
            faults,
            sections,
            usual_source,
            source,
        })
    }

    /// Where the images of a draft are.
    pub async fn source_of(app: &AppState, draft: &Draft) -> Result<String> {
        let typed = &draft.selection.data;
        if !typed.is_empty() {
            return Ok(absolute(typed));
        }
        let defaults = draft.selection.defaults(app).await?;
        Ok(value_at(&defaults, "data.source").map(ToString::to_string).unwrap_or_default())
    }

    /// Whether anything is wrong.
    pub fn is_faulty(&self) -> bool {
        !self.faults.is_empty()
    }

    fn fault_at(&self, place: &str) -> Option<&str> {
        self.faults.get(place).map(String::as_str)
    }

    /// Faults at no field of this form.
    fn other_faults(&self) -> impl Iterator<Item = (&String, &String)> {
        let is_field = |place: &str| self.sections.iter().any(|s| s.fields.iter().any(|f| f.place == place));
        self.faults
            .iter()
            .filter(move |(place, _)| !CHOICES.contains(&place.as_str()) && !is_field(place))
    }

    fn method(&self) -> Option<&MethodInfo> {
        self.methods.iter().find(|method| method.name == self.draft.selection.method)
    }
}

/// What was typed, or what is meant if nothing was.
fn or_usual<'a>(typed: &'a str, usual: &'a str) -> &'a str {
    if typed.is_empty() { usual } else { typed }
}

/// Runs of the method to start from, the chosen one included.
async fn parents(app: &AppState, draft: &Draft) -> Result<Vec<Run>> {
    if draft.selection.stage == Stage::Pretrain {
        return Ok(Vec::new());
    }
    let mut parents = Vec::new();
    for stage in draft.selection.stage.starts_from() {
        let filter = RunFilter {
            stage: Some(*stage),
            method: Some(draft.selection.method.clone()),
            limit: PARENTS,
            ..RunFilter::default()
        };
        parents.extend(app.store.runs(&filter).await?);
    }
    if let Ok(id) = draft.selection.parent.parse()
        && !parents.iter().any(|run| run.id == id)
    {
        parents.extend(app.store.run(&id).await?);
    }
    Ok(parents)
}

fn field_sets(app: &AppState, draft: &Draft, defaults: &RunSpec, parent: Option<&Run>, faults: &Faults) -> Vec<FieldSet> {
    let sets = draft.selection.sections(app).into_iter().map(|section| {
        let keys = section
            .settings
            .iter()
            .filter(|setting| (section.name, setting.key) != ("data", "source"));
        let fields: Vec<Field> = keys
            .map(|setting| Field {
                source: source_of(app, defaults, parent, section.name, setting),
                ..field(draft, defaults, faults, section.name, setting)
            })
            .collect();
        let changed = fields.iter().filter(|field| field.changed).count();
        let faulty = fields.iter().any(|field| field.fault.is_some());
        FieldSet {
            name: section.name,
            open: faulty || changed > 0 || matches!(section.name, "method" | "train"),
            changed,
            fields,
        }
    });
    sets.filter(|set| !set.fields.is_empty()).collect()
}

/// A field, without where its default comes from.
fn field(draft: &Draft, defaults: &RunSpec, faults: &Faults, section: &str, setting: &Setting) -> Field {
    let place = format!("{section}.{}", setting.key);
    let default = value_at(defaults, &place).map(ToString::to_string).unwrap_or_default();
    let inherited = draft.selection.stage != Stage::Pretrain && (section == "model" || place == "data.image_size");
    let edit = draft.edits.get(&place).filter(|_| !inherited);
    let input = match setting.kind {
        Kind::Bool => Input::Select(vec!["true", "false"]),
        Kind::Choice { of, .. } => Input::Select(of.to_vec()),
        Kind::Int { .. } => Input::Number { whole: true },
        Kind::Float { .. } | Kind::Between { .. } => Input::Number { whole: false },
        Kind::Numbers { .. } | Kind::Text => Input::Text,
    };
    Field {
        key: setting.key,
        input,
        value: edit.unwrap_or(&default).clone(),
        changed: edit.is_some(),
        inherited,
        allowed: setting.kind.allowed(),
        meaning: setting.explained(),
        source: String::new(),
        fault: faults.get(&place).cloned(),
        default,
        place,
    }
}

/// Where a default comes from: the section, the protocol and the recipe say so; what differs from all of
/// them is the scale's, or the parent's where it is of the same dataset.
fn source_of(app: &AppState, defaults: &RunSpec, parent: Option<&Run>, section: &str, setting: &Setting) -> String {
    let said = usual(&app.catalog, defaults, section, setting.key).unwrap_or_else(|| setting.default.into());
    let said = setting.kind.accept(&said).unwrap_or(said);
    let source = defaults.value("data", "source").map(ToString::to_string);
    if defaults.value(section, setting.key) == Some(&said) {
        setting.source.to_owned()
    } else if section == "data" && parent.is_some_and(|parent| Some(parent.data.as_str()) == source.as_deref()) {
        "the run it starts from".to_owned()
    } else {
        format!("scale {}", defaults.scale)
    }
}
