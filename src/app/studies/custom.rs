//! A custom study: checked while it is typed, saved, and removed.

use crate::app::studies::{Choice, expected};
use crate::app::{Error, Result, Workspace};
use crate::experiment::grid::Grid;
use crate::experiment::{Study, Together};
use crate::run_dir::write_atomic;

/// The study as far as it is typed.
#[derive(Clone, Debug, Default)]
pub struct StudyDraft {
    /// The choices, while there is no text yet.
    pub grid: Grid,
    /// The file's text.
    pub toml: Option<String>,
    /// The person's own study that it takes the place of.
    pub replace: String,
}

/// Whether the study can be, and what it would take.
#[derive(Clone, Debug)]
pub enum DraftVerdict {
    /// Nothing is typed yet.
    Nothing,
    /// Why it cannot be.
    Fault(String),
    /// It can: the study, the text of its file, and its runs at the chosen scale.
    Sound(Box<SoundStudy>),
}

/// A study that can be.
#[derive(Clone, Debug)]
pub struct SoundStudy {
    /// The study.
    pub study: Study,
    /// The text of its file.
    pub text: String,
    /// What it needs.
    pub together: Together,
}

impl StudyDraft {
    /// A copy of a study, to be changed.
    ///
    /// # Errors
    /// A study that is not there.
    pub fn copy_of(workspace: &Workspace, name: &str) -> Result<StudyDraft> {
        let text = workspace.library.copy_of(name).ok_or_else(|| missing(name))?;
        Ok(StudyDraft {
            toml: Some(text),
            ..StudyDraft::default()
        })
    }

    /// A person's own study, to be changed.
    ///
    /// # Errors
    /// A study that is not there, or came with Umbra.
    pub fn edit(workspace: &Workspace, name: &str) -> Result<StudyDraft> {
        let own = workspace.library.text(name).filter(|_| workspace.library.is_custom(name));
        Ok(StudyDraft {
            toml: Some(own.ok_or_else(|| missing(name))?),
            replace: name.to_owned(),
            ..StudyDraft::default()
        })
    }

    /// The text of the file: what was typed, or what the choices make.
    ///
    /// # Errors
    /// Choices that make no study.
    pub fn text(&self, workspace: &Workspace) -> Result<String, String> {
        match &self.toml {
            Some(text) => Ok(text.clone()),
            None => self.grid.to_toml(&workspace.catalog).map_err(|invalid| invalid.to_string()),
        }
    }

    /// Whether the study can be at that scale.
    ///
    /// # Errors
    /// A database that cannot be read.
    pub async fn check(&self, workspace: &Workspace, choice: &Choice) -> Result<DraftVerdict> {
        let planned = self.study(workspace).and_then(|(study, text)| {
            let plan = choice.plan(workspace, &study).map_err(|invalid| invalid.to_string())?;
            Ok((study, text, plan))
        });
        let (study, text, plan) = match planned {
            Ok(planned) => planned,
            Err(fault) => return Ok(DraftVerdict::Fault(fault)),
        };
        let together = expected(workspace, &[(study.name.clone(), plan)], &choice.scale).await?;
        Ok(DraftVerdict::Sound(Box::new(SoundStudy { study, text, together })))
    }

    /// The study, if its text is one and its name is free.
    fn study(&self, workspace: &Workspace) -> Result<(Study, String), String> {
        let text = self.text(workspace)?;
        let study = workspace.library.read(&text)?;
        if workspace.library.is_custom(&study.name) && study.name != self.replace {
            return Err(format!(
                "there is a custom study `{}` already: choose another name, or edit that one",
                study.name
            ));
        }
        Ok((study, text))
    }
}

impl SoundStudy {
    /// Saves the study among the person's own.
    ///
    /// # Errors
    /// A name that is not allowed, or a folder that cannot be written.
    pub fn save(&self, workspace: &Workspace) -> Result<()> {
        let file = workspace.library.file(&self.study.name).map_err(Error::Unreadable)?;
        let folder = file.parent().unwrap_or(&file);
        let saved = std::fs::create_dir_all(folder).and_then(|()| write_atomic(&file, self.text.as_bytes()));
        saved.map_err(|reason| Error::File {
            what: format!("cannot write {}", file.display()),
            reason,
        })
    }
}

/// Removes a person's own study. Its runs stay.
///
/// # Errors
/// A study that is not there or came with Umbra, or a file that cannot be removed.
pub fn remove(workspace: &Workspace, name: &str) -> Result<()> {
    if !workspace.library.is_custom(name) {
        return Err(Error::Missing(format!("there is no custom study `{name}`")));
    }
    let file = workspace.library.file(name).map_err(Error::Unreadable)?;
    std::fs::remove_file(&file).map_err(|reason| Error::File {
        what: format!("cannot remove {}", file.display()),
        reason,
    })
}

fn missing(name: &str) -> Error {
    Error::Missing(format!("there is no study `{name}` to start from"))
}
