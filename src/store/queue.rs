//! Giving runs to devices.
