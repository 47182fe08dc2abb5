//! A run being made: what was chosen, what was typed, and the run it resolves to.

use std::collections::BTreeMap;

use crate::experiment::{Invalid, Request, RunId, RunSpec, Scale, Section, Setting, Stage, Value, single_run};
use crate::run_dir::State;
use crate::web::AppState;
use crate::web::error::{Error, Result};
use crate::web::fields::Fields;
use crate::web::studies::choice::{check_source, invalid};

/// What decides which settings a run has and what they are by default.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    pub method: String,
    pub stage: Stage,
    pub scale: String,
    /// Id of the run to start from; empty is a new pretraining.
    pub parent: String,
    pub seed: String,
    /// Where the images are; empty is the default.
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

    fn scale<'a>(&self, app: &'a AppState) -> Result<&'a Scale, Invalid> {
        let names = || app.scales.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(", ");
        app.scale(&self.scale)
            .ok_or_else(|| invalid("scale", format!("`{}` is not known: it must be one of {}", self.scale, names())))
    }

    fn seed(&self) -> Result<u64, Invalid> {
        // SQLite and TOML have signed numbers, so the upper half of u64 is not for seeds.
        let parsed = self.seed.parse::<u64>().ok().filter(|seed| *seed <= i64::MAX as u64);
        parsed.ok_or_else(|| {
            invalid(
                "seed",
                format!("`{}` is not allowed: it must be a whole number of at least 0", self.seed),
            )
        })
    }

    /// The run to start from: the chosen one, or a pretraining with the scale's settings.
    async fn parent(&self, app: &AppState) -> Result<Option<RunSpec>> {
        if self.stage == Stage::Pretrain {
            return Ok(None);
        }
        if self.parent.is_empty() {
            let request = Request {
                data: Some(self.data.clone()).filter(|data| !data.is_empty()),
                ..Request::default()
            };
            return Ok(Some(single_run(
                Stage::Pretrain,
                &self.method,
                self.scale(app)?,
                &app.catalog,
                &request,
                self.seed()?,
                None,
            )?));
        }
        let id: RunId = self.parent.parse().map_err(|e: String| invalid("parent", e))?;
        let run = app
            .store
            .run(&id)
            .await?
            .ok_or_else(|| invalid("parent", format!("there is no run {id}")))?;
        if run.method != self.method {
            return Err(invalid("parent", format!("that run is of the method {}, not {}", run.method, self.method)).into());
        }
        Ok(Some((*run.spec).clone()))
    }

    /// The run with this request on top, and its parent.
    async fn resolve(&self, app: &AppState, mut request: Request) -> Result<(Option<RunSpec>, RunSpec)> {
        let parent = self.parent(app).await?;
        let parents_data = parent.as_ref().and_then(|p| p.value("data", "source")).map(ToString::to_string);
        request.data = Some(self.data.clone()).filter(|data| !data.is_empty()).or(parents_data);
        let run = single_run(
            self.stage,
            &self.method,
            self.scale(app)?,
            &app.catalog,
            &request,
            self.seed()?,
            parent.as_ref(),
        )?;
        Ok((parent, run))
    }

    /// The run as it is if nothing is changed.
    pub async fn defaults(&self, app: &AppState) -> Result<RunSpec> {
        Ok(self.resolve(app, Request::default()).await?.1)
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

    /// The runs to queue: the run last, before it a pretraining that it needs and that is new.
    ///
    /// # Errors
    /// Inside: the faults by field. Outside: a store that cannot be read.
    pub async fn runs(&self, app: &AppState) -> Result<Result<Vec<RunSpec>, Faults>> {
        let mut faults = Faults::new();
        let mut request = Request::default();
        for (place, setting) in settings(&self.selection.sections(app)) {
            let Some(typed) = self.edits.get(&place) else { continue };
            match setting.kind.parse(typed) {
                Ok(value) => set(&mut request, &place, value),
                Err(message) => drop(faults.insert(place, message)),
            }
        }
        if let Err(fault) = check_source(&self.selection.data) {
            faults.insert(fault.place, fault.message);
        }
        if let Some(fault) = other_fault(app, self.edits.get(OTHER).map(String::as_str)).await? {
            faults.insert(OTHER.to_owned(), fault);
        }
        match self.selection.resolve(app, request).await {
            Ok((parent, run)) if faults.is_empty() => Ok(Ok(parent.into_iter().chain([run]).collect())),
            Ok(_) => Ok(Err(faults)),
            Err(Error::Invalid(fault)) => {
                faults.entry(fault.place).or_insert(fault.message);
                Ok(Err(faults))
            }
            Err(other) => Err(other),
        }
    }
}

/// The setting that names a run beside the parent.
pub const OTHER: &str = "compare.other";

/// What is wrong with the run that is to be compared with: nobody waits for it as for a parent, so it must have finished.
pub async fn other_fault(app: &AppState, other: Option<&str>) -> Result<Option<String>> {
    // Text that is no id is refused with the other settings.
    let Some(Ok(id)) = other.map(|text| text.trim().parse::<RunId>()) else {
        return Ok(None);
    };
    Ok(match app.store.run(&id).await? {
        None => Some(format!("there is no run {id}")),
        Some(run) if !Stage::Compare.starts_from().contains(&run.stage) => {
            Some(format!("that run is a {} and has no encoder of its own", run.stage))
        }
        Some(run) if run.state != State::Finished => Some(format!("that run is {}: it must have finished", run.state.name())),
        Some(_) => None,
    })
}

/// Every setting of these sections with its place.
pub fn settings(sections: &[Section]) -> impl Iterator<Item = (String, &'static Setting)> {
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

fn set(request: &mut Request, place: &str, value: Value) {
    if let Some((section, key)) = place.split_once('.') {
        request.set.entry(section.to_owned()).or_default().insert(key.to_owned(), value);
    }
}
