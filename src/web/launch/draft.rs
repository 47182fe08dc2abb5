//! A run being made: what was chosen, what was typed, and the run it resolves to.

use std::collections::BTreeMap;

use crate::app::launch::{LaunchError, LaunchRequest, LaunchTarget, RunTarget, Start};
use crate::experiment::{Invalid, RunSpec, Section, Setting, Stage, Value, Values};
use crate::web::AppState;
use crate::web::error::Result;
use crate::web::fields::{Fields, query_of};

/// What decides which settings a run has and what they are by default.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    pub method: String,
    pub stage: Stage,
    pub scale: String,
    /// Id of the run to start from; empty is a new pretraining.
    pub parent: String,
    pub seed: String,
    /// Where the images are; empty is where those of the parent are, or the scale's.
    pub data: String,
}

/// A selection with the settings that were typed differently from its defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    pub selection: Selection,
    /// `section.key` and the text.
    pub edits: BTreeMap<String, String>,
}

/// Faults by field: `section.key`, or the name of a choice.
pub type Faults = BTreeMap<String, String>;

impl Selection {
    /// Reads the choices; `prefix` is put before each field's name.
    pub fn read(app: &AppState, fields: &Fields, prefix: &str) -> Result<Selection> {
        let field = |name: &str| fields.get(&format!("{prefix}{name}")).unwrap_or_default().to_owned();
        let or = |text: String, usual: Option<&str>| {
            if text.is_empty() {
                usual.unwrap_or_default().to_owned()
            } else {
                text
            }
        };
        Ok(Selection {
            method: or(field("method"), app.catalog.methods.first().map(|m| m.name)),
            stage: fields.parse(&format!("{prefix}stage"))?.unwrap_or(Stage::Pretrain),
            scale: or(field("scale"), app.scales.first().map(|s| s.name.as_str())),
            parent: field("parent"),
            seed: or(field("seed"), Some("0")),
            data: field("data.source"),
        })
    }

    /// The sections a run of this method and stage has.
    pub fn sections(&self, app: &AppState) -> Vec<Section> {
        app.catalog.sections_of(self.stage, &self.method)
    }

    fn seed(&self) -> Result<u64, Invalid> {
        let fault = || format!("`{}` is not allowed: it must be a whole number of at least 0", self.seed);
        self.seed.parse().map_err(|_| Invalid::new("seed", fault()))
    }

    /// The launch of this selection with these settings.
    fn request(&self, set: Values) -> Result<LaunchRequest, Invalid> {
        let start = match (self.stage, self.parent.as_str()) {
            (Stage::Pretrain, _) => Start::Nothing,
            (_, "") => Start::NewPretraining,
            (_, parent) => Start::Run(parent.to_owned()),
        };
        let run = RunTarget {
            method: self.method.clone(),
            stage: self.stage,
            seed: self.seed()?,
            start,
        };
        Ok(LaunchRequest {
            target: LaunchTarget::Run(run),
            scale: self.scale.clone(),
            data: Some(self.data.clone()),
            set,
            priority: 0,
        })
    }

    /// The run as it is if nothing is changed.
    pub async fn defaults(&self, app: &AppState) -> Result<RunSpec> {
        Ok(last(app.launcher().preview(&self.request(Values::new())?).await?))
    }
}

impl Draft {
    /// Reads the form. It was shown for the selection in its `base.` fields, and only what was typed
    /// differently from that one's defaults is an edit; so a new scale brings its own settings.
    pub async fn read(app: &AppState, form: &Fields) -> Result<Draft> {
        let (selection, base) = (Selection::read(app, form, "")?, Selection::read(app, form, "base.")?);
        let shown = base.defaults(app).await.ok();
        let mut edits = BTreeMap::new();
        for (place, setting) in settings(&base.sections(app)) {
            let typed = form.get(&place).filter(|_| place != "data.source");
            let default = shown.as_ref().and_then(|run| value_at(run, &place));
            if let Some(typed) = typed.filter(|typed| !is_same(setting, typed, default)) {
                edits.insert(place, typed.to_owned());
            }
        }
        Ok(Draft { selection, edits })
    }

    /// A draft with the settings that an address says, such as `compare.other=…`.
    pub async fn of_address(app: &AppState, query: &Fields) -> Result<Draft> {
        let selection = Selection::read(app, query, "")?;
        let sections = selection.sections(app);
        let said = settings(&sections).filter_map(|(place, _)| {
            let text = query.get(&place).filter(|_| place != "data.source")?.to_owned();
            Some((place, text))
        });
        let edits = said.collect();
        Ok(Draft { selection, edits })
    }

    /// A draft of the same run, to be changed.
    pub async fn of_run(app: &AppState, run: &RunSpec) -> Result<Draft> {
        let known = app.scale(&run.scale).or(app.scales.first());
        let selection = Selection {
            method: run.method.clone(),
            stage: run.stage,
            scale: known.map(|scale| scale.name.clone()).unwrap_or_default(),
            parent: run.parent.as_ref().map(ToString::to_string).unwrap_or_default(),
            seed: run.seed.to_string(),
            data: run.value("data", "source").map(ToString::to_string).unwrap_or_default(),
        };
        let defaults = selection.defaults(app).await?;
        let mut edits = BTreeMap::new();
        for (place, _) in settings(&selection.sections(app)).filter(|(place, _)| place != "data.source") {
            let (own, usual) = (value_at(run, &place), value_at(&defaults, &place));
            if let Some(own) = own.filter(|own| Some(*own) != usual) {
                edits.insert(place, own.to_string());
            }
        }
        Ok(Draft { selection, edits })
    }

    /// The column of the labels, where one was typed.
    pub fn label_column(&self) -> &str {
        self.edits.get("data.label_column").map(String::as_str).unwrap_or_default()
    }

    /// The address of the form for this draft.
    pub fn href(&self) -> String {
        let Selection {
            method,
            stage,
            scale,
            parent,
            seed,
            data,
        } = &self.selection;
        let choices = [
            ("method", method.clone()),
            ("stage", stage.name().to_owned()),
            ("scale", scale.clone()),
            ("parent", parent.clone()),
            ("seed", seed.clone()),
            ("data.source", data.clone()),
        ];
        let edits = self.edits.iter().map(|(place, text)| (place.as_str(), text.clone()));
        format!("/launch?{}", query_of(choices.into_iter().chain(edits)))
    }

    /// Queues the run, with a pretraining that it starts from if that is new, and gives the run.
    ///
    /// # Errors
    /// Inside: the faults by field, and then nothing is queued. Outside: a database or a queue that does not work.
    pub async fn launch(&self, app: &AppState) -> Result<Result<RunSpec, Faults>> {
        let (set, mut faults) = self.read_edits(app);
        let runs = match self.selection.request(set) {
            Ok(request) if faults.is_empty() => app.launcher().launch(&request).await.map(|launched| launched.runs),
            // What else is wrong is said together with these.
            Ok(request) => app.launcher().resolve(&request).await,
            Err(fault) => Err(fault.into()),
        };
        match runs {
            Ok(runs) if faults.is_empty() => Ok(Ok(last(runs))),
            Ok(_) => Ok(Err(faults)),
            Err(LaunchError::Invalid(fault)) => {
                faults.entry(fault.place).or_insert(fault.message);
                Ok(Err(faults))
            }
            Err(fault) => Err(fault.into()),
        }
    }

    /// The edits as values, and what is wrong with those that are none.
    fn read_edits(&self, app: &AppState) -> (Values, Faults) {
        let (mut set, mut faults) = (Values::new(), Faults::new());
        for section in self.selection.sections(app) {
            for setting in section.settings {
                let place = format!("{}.{}", section.name, setting.key);
                match self.edits.get(&place).map(|typed| setting.kind.parse(typed)) {
                    None => {}
                    Some(Ok(value)) => {
                        set.entry(section.name.to_owned())
                            .or_default()
                            .insert(setting.key.to_owned(), value);
                    }
                    Some(Err(message)) => {
                        faults.insert(place, message);
                    }
                }
            }
        }
        (set, faults)
    }
}

/// Of a single run's launch, the run itself.
fn last(runs: Vec<RunSpec>) -> RunSpec {
    runs.into_iter().next_back().expect("the run is there after what it starts from")
}

/// Every setting of these sections with its place.
fn settings(sections: &[Section]) -> impl Iterator<Item = (String, &'static Setting)> {
    sections.iter().flat_map(|section| {
        section
            .settings
            .iter()
            .map(|setting| (format!("{}.{}", section.name, setting.key), setting))
    })
}

/// The value at `section.key`.
pub fn value_at<'a>(run: &'a RunSpec, place: &str) -> Option<&'a Value> {
    let (section, key) = place.split_once('.')?;
    run.value(section, key)
}

fn is_same(setting: &Setting, typed: &str, default: Option<&Value>) -> bool {
    let Some(default) = default else { return false };
    default.to_string() == typed || setting.kind.parse(typed).is_ok_and(|value| value == *default)
}
