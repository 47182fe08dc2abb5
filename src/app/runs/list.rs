//! A page of the list of runs, or the groups of all that match, and what the list can be narrowed by.

use std::collections::BTreeSet;

use super::{Group, RunsQuery, groups};
use crate::app::studies::evidence;
use crate::app::{Result, Workspace};
use crate::experiment::{Catalog, Stage};
use crate::store::Run;

/// Runs that a query lets through.
#[derive(Clone, Debug)]
pub struct RunList {
    /// Those of the page; none if runs are grouped.
    pub runs: Vec<Run>,
    /// How many there are on all pages.
    pub total: u64,
    /// The groups, if runs are grouped.
    pub groups: Option<Vec<Group>>,
}

/// What the list can be narrowed by and grouped by.
#[derive(Clone, Debug)]
pub struct ListChoices {
    /// Scales that runs have, smallest first.
    pub scales: Vec<String>,
    /// Datasets that runs have.
    pub sources: Vec<String>,
    /// Settings as `section.key`, in alphabetical order.
    pub settings: Vec<String>,
}

/// The runs or groups of a query.
///
/// # Errors
/// What the query names that is not there, or a database that cannot be read.
pub async fn list(workspace: &Workspace, query: &RunsQuery) -> Result<RunList> {
    let filter = query.filter(workspace).await?;
    let is_grouped = !query.group.is_empty();
    Ok(RunList {
        runs: if is_grouped {
            Vec::new()
        } else {
            workspace.store.runs(&filter).await?
        },
        total: workspace.store.count(&filter).await?,
        groups: if is_grouped { Some(groups(workspace, query).await?) } else { None },
    })
}

/// What the list can be narrowed by.
///
/// # Errors
/// A database that cannot be read.
pub async fn list_choices(workspace: &Workspace) -> Result<ListChoices> {
    let evidence = evidence(&workspace.store).await?;
    let scales = workspace.scales.iter().map(|scale| scale.name.clone());
    let sources: BTreeSet<&String> = evidence.iter().map(|one| &one.data).collect();
    Ok(ListChoices {
        scales: scales.filter(|name| evidence.iter().any(|one| one.scale == *name)).collect(),
        sources: sources.into_iter().cloned().collect(),
        settings: settings(&workspace.catalog),
    })
}

/// Every setting of any run as `section.key`, in alphabetical order.
fn settings(catalog: &Catalog) -> Vec<String> {
    let methods = catalog.methods.iter();
    let sections = methods.flat_map(|method| Stage::ALL.into_iter().flat_map(|stage| catalog.sections_of(stage, method.name)));
    let names = sections.flat_map(|section| section.settings.iter().map(move |setting| (section.name, setting.key)));
    let names: BTreeSet<(&str, &str)> = names.collect();
    names.into_iter().map(|(section, key)| format!("{section}.{key}")).collect()
}
