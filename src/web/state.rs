//! What handlers are given: the facts that pages are about, the guard, and what was handed in.

use std::sync::Arc;

use axum::extract::{FromRef, State};

use crate::app::launch::Launcher;
use crate::experiment::{Catalog, Library, Scale, Study};
use crate::jobs::Jobs;
use crate::store::Store;
use crate::web::error::{Error, Result};
use crate::web::guard::{Guard, GuardConfig};
use crate::web::playground::uploads::Uploads;
use crate::web::studies::index::Outlines;

/// What the pages are about.
#[derive(Clone)]
pub struct AppState {
    /// What runs did.
    pub store: Store,
    /// Where orders go.
    pub jobs: Jobs,
    /// The studies.
    pub library: Library,
    /// The scales, smallest first.
    pub scales: Vec<Scale>,
    /// The methods.
    pub catalog: Catalog,
    /// What studies consist of; empty at first.
    pub outlines: Outlines,
    /// Who may ask.
    pub guard: GuardConfig,
}

impl AppState {
    /// The study of that name.
    ///
    /// # Errors
    /// [`Error::NotFound`] with the names that there are.
    pub fn study(&self, name: &str) -> Result<Arc<Study>> {
        let missing = || format!("there is no such study: it must be one of {}", self.library.names());
        self.library.find(name).ok_or_else(|| Error::NotFound(missing()))
    }

    /// The scale of that name.
    pub fn scale(&self, name: &str) -> Option<&Scale> {
        self.scales.iter().find(|scale| scale.name == name)
    }

    /// What launches runs.
    pub fn launcher(&self) -> Launcher<'_> {
        Launcher {
            library: &self.library,
            scales: &self.scales,
            catalog: &self.catalog,
            store: &self.store,
            jobs: &self.jobs,
        }
    }
}

/// What handlers take to know what the pages are about.
pub type App = State<Arc<AppState>>;

/// Everything that a handler may take as its state.
#[derive(Clone)]
pub struct Site {
    pub(super) app: Arc<AppState>,
    pub(super) guard: Guard,
    pub(super) uploads: Arc<Uploads>,
}

impl Site {
    /// A site with nobody logged in and nothing handed in.
    pub fn new(state: AppState) -> Site {
        Site {
            guard: Guard::new(state.guard.clone()),
            app: Arc::new(state),
            uploads: Arc::default(),
        }
    }
}

impl FromRef<Site> for Arc<AppState> {
    fn from_ref(site: &Site) -> Self {
        Arc::clone(&site.app)
    }
}

impl FromRef<Site> for Guard {
    fn from_ref(site: &Site) -> Self {
        site.guard.clone()
    }
}

impl FromRef<Site> for Arc<Uploads> {
    fn from_ref(site: &Site) -> Self {
        Arc::clone(&site.uploads)
    }
}
