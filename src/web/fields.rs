//! Reading requests: names and values of a query or form, and the parts of a path.

use std::str::FromStr;

use axum::extract::{FromRequest, FromRequestParts, RawForm, RawPathParams, Request};
use axum::http::request::Parts;

use crate::experiment::RunId;
use crate::web::error::{Error, Result};

/// Largest body of a request, in bytes.
pub const BODY_LIMIT: usize = 1024 * 1024;

/// Names and values, in the order they came; forms have fields that no struct could list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(pub Vec<(String, String)>);

impl Fields {
    /// The first value of that name without outer blanks, unless it is empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.raw(name).map(str::trim).filter(|value| !value.is_empty())
    }

    /// The first value of that name as it came.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Every value of that name, of `name=a,b` and of `name=a&name=b`.
    pub fn list(&self, name: &str) -> Vec<String> {
        let values = self
            .0
            .iter()
            .filter(|(key, _)| key == name)
            .flat_map(|(_, values)| values.split(','));
        values.map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned).collect()
    }

    /// The value of that name as a `T`.
    ///
    /// # Errors
    /// [`Error::BadRequest`] naming the field, where the value is not a `T`.
    pub fn parse<T: FromStr>(&self, name: &str) -> Result<Option<T>>
    where
        T::Err: std::fmt::Display,
    {
        let parsed = self
            .get(name)
            .map(|value| value.parse::<T>().map_err(|e| Error::BadRequest(format!("{name}: {e}"))));
        parsed.transpose()
    }

    fn decode(encoded: &str) -> Fields {
        Fields(form_urlencoded::parse(encoded.as_bytes()).into_owned().collect())
    }
}

/// The query of a request.
pub struct InQuery(pub Fields);

impl<S: Send + Sync> FromRequestParts<S> for InQuery {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Ok(InQuery(Fields::decode(parts.uri.query().unwrap_or_default())))
    }
}

/// The form that a request carries.
pub struct InForm(pub Fields);

impl<S: Send + Sync> FromRequest<S> for InForm {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let RawForm(bytes) = RawForm::from_request(request, state).await.map_err(|e| match e.status().as_u16() {
            413 => Error::TooLarge(BODY_LIMIT),
            _ => Error::BadRequest(e.body_text()),
        })?;
        let text = std::str::from_utf8(&bytes).map_err(|_| Error::BadRequest("the form is not UTF-8 text".to_owned()))?;
        Ok(InForm(Fields::decode(text)))
    }
}

/// The variable parts of the path, decoded once.
pub struct InPath(Vec<(String, String)>);

impl InPath {
    /// The part of that name.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the route has no such part.
    pub fn text(&self, name: &str) -> Result<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found
            .map(|(_, value)| value.as_str())
            .ok_or_else(|| Error::NotFound("there is no such page".to_owned()))
    }

    /// The run that `{id}` names. Only 16 hexadecimal digits pass, so nothing else of a path reaches a
    /// directory.
    ///
    /// # Errors
    /// [`Error::NotFound`] for anything that is not the name of a run.
    pub fn run(&self) -> Result<RunId> {
        self.text("id")?
            .parse()
            .map_err(|e: String| Error::NotFound(format!("there is no such run: {e}")))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for InPath {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|e| Error::NotFound(e.body_text()))?;
        Ok(InPath(
            params.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        ))
    }
}

/// `a=1&b=x%20y` of these pairs, for a link; pairs with empty values are left out.
pub fn query_of<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let encoded = pairs
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}={}", encode(&value)));
    encoded.collect::<Vec<_>>().join("&")
}

/// Percent-encodes everything but letters, digits and `-._~`.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back_as_they_were_encoded() {
        let value = "a b&c=d/ü%2e".to_owned();
        let fields = Fields::decode(&query_of([("x", value.clone()), ("empty", String::new())]));
        assert_eq!(fields, Fields(vec![("x".to_owned(), value)]));
    }

    #[test]
    fn a_form_may_be_as_long_as_a_body() {
        let value = "a = 1\n".repeat(BODY_LIMIT / 16);
        let encoded = query_of([("toml", value.clone())]);
        assert!((1 << 18..BODY_LIMIT).contains(&encoded.len()), "{} bytes", encoded.len());
        assert_eq!(Fields::decode(&encoded).raw("toml"), Some(value.as_str()));
    }

    #[test]
    fn a_value_of_the_wrong_type_is_refused_by_name() {
        let error = Fields::decode("page=two").parse::<u64>("page").unwrap_err();
        assert!(error.to_string().starts_with("page: "), "{error}");
    }
}
