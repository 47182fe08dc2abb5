//! What handlers are given: the facts that pages are about, the guard, and what was handed in.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::{FromRef, State};

use crate::app::Workspace;
use crate::app::launch::Launcher;
use crate::jobs::Jobs;
use crate::web::guard::{Guard, GuardConfig};
use crate::web::playground::uploads::Uploads;

/// What the pages are about.
#[derive(Clone)]
pub struct AppState {
    /// What is asked.
    pub workspace: Workspace,
    /// Where orders go.
    pub jobs: Jobs,
    /// Who may ask.
    pub guard: GuardConfig,
}

impl AppState {
    /// What launches runs.
    pub fn launcher(&self) -> Launcher<'_> {
        self.workspace.launcher(&self.jobs)
    }
}

/// Handlers ask the workspace most of the time.
impl Deref for AppState {
    type Target = Workspace;

    fn deref(&self) -> &Workspace {
        &self.workspace
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
