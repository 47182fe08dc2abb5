//! The token, the sessions that stand for it in a browser, and the login page.

pub(super) mod login;
pub(super) mod tokens;
