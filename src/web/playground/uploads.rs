//! Images that people upload to the playground. They are kept in memory as they came, the latest few; only the process
//! behind the playground decodes them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::multipart::{MultipartError, MultipartRejection};
use axum::extract::{Multipart, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::playground::LARGEST_FILE;
use crate::web::error::{Error, Failure, Result};
use crate::web::fields::query_of;

/// Images kept; with more, the one that was looked at longest ago is forgotten.
const KEPT: usize = 8;

/// Largest body of a request that hands an image in, in bytes: the image and the fields of the form around it.
pub const UPLOAD_LIMIT: usize = LARGEST_FILE + 64 * 1024;

/// The images by name.
#[derive(Debug, Default)]
pub struct Uploads(Mutex<VecDeque<(String, Arc<[u8]>)>>);

impl Uploads {
    /// Keeps an image and gives it a name: a hash, so that the same image is kept once and nobody guesses it.
    pub fn keep(&self, bytes: &[u8]) -> String {
        let name: String = Sha256::digest(bytes)[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        if self.get(&name).is_none() {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push_back((name.clone(), bytes.into()));
            if kept.len() > KEPT {
                kept.pop_front();
            }
        }
        name
    }

    /// The image of that name, if it was not forgotten.
    pub fn get(&self, name: &str) -> Option<Arc<[u8]>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(known, _)| known == name)?;
        let image = kept.remove(at)?;
        let bytes = image.1.clone();
        kept.push_back(image);
        Some(bytes)
    }
}

/// `/playground/upload`: takes in the field `file` and goes on to the page with the form's other fields, or says the
/// image's name to a script.
pub async fn upload(State(uploads): State<Arc<Uploads>>, headers: HeaderMap, form: Result<Multipart, MultipartRejection>) -> Response {
    let wants_json = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("application/json"));
    let taken = match form {
        Ok(form) => take(&uploads, form).await,
        Err(fault) => Err(Error::BadRequest(format!("the form cannot be read: {}", fault.body_text()))),
    };
    match (taken, wants_json) {
        (Ok((name, _)), true) => Json(json!({ "upload": name })).into_response(),
        (Ok((name, mut others)), false) => {
            others.extend([("upload".to_owned(), name), ("show".to_owned(), "1".to_owned())]);
            let query = query_of(others.iter().map(|(name, value)| (name.as_str(), value.clone())));
            Redirect::to(&format!("/playground?{query}")).into_response()
        }
        (Err(error), true) => Failure::from(error).into_response(),
        (Err(error), false) => error.into_response(),
    }
}

/// The name of the form's image, and the form's other fields.
async fn take(uploads: &Uploads, mut form: Multipart) -> Result<(String, Vec<(String, String)>)> {
    let (mut name, mut others) = (None, Vec::new());
    while let Some(field) = form.next_field().await.map_err(fault)? {
        match field.name().unwrap_or_default().to_owned().as_str() {
            "file" => {
                let bytes = field.bytes().await.map_err(fault)?;
                if bytes.len() > LARGEST_FILE {
                    return Err(Error::TooLarge(LARGEST_FILE));
                }
                name = (!bytes.is_empty()).then(|| uploads.keep(&bytes));
            }
            // The image that is about to be replaced.
            "upload" | "go" | "show" => {}
            other => others.push((other.to_owned(), field.text().await.map_err(fault)?)),
        }
    }
    let name = name.ok_or_else(|| Error::BadRequest("file: choose an image first, a JPEG, PNG, WebP, BMP, GIF or TIFF file".to_owned()))?;
    Ok((name, others))
}

fn fault(error: MultipartError) -> Error {
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Error::TooLarge(LARGEST_FILE),
        _ => Error::BadRequest(format!("the form cannot be read: {}", error.body_text())),
    }
}

#[cfg(test)]
mod tests {
    use crate::web::playground::uploads::*;

    #[test]
    fn the_latest_images_are_kept_once_each() {
        let uploads = Uploads::default();
        let first = uploads.keep(&[0]);
        assert_eq!(uploads.keep(&[0]), first);
        let names: Vec<String> = (1..KEPT as u8).map(|byte| uploads.keep(&[byte])).collect();
        // One that was looked at again stays; the one that was not makes room.
        assert_eq!(uploads.get(&first).as_deref(), Some(&[0][..]));
        uploads.keep(&[99]);
        assert!(uploads.get(&first).is_some() && uploads.get(&names[0]).is_none() && uploads.get(&names[1]).is_some());
    }
}
