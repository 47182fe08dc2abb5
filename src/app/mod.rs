//! What a person can do with Umbra, once: the pages, the API and the command line are its faces.

pub mod launch;
