//! What a path names.

use axum::extract::{FromRequestParts, Path as Raw};
use axum::http::request::Parts;
use axum::response::Response;
use serde::de::DeserializeOwned;

use crate::problem::Problem;
use crate::service::MlService;

/// The parts of a path that its route names. What cannot be read is a problem like any other.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<MlService> for Path<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, service: &MlService) -> Result<Self, Response> {
        let read = Raw::<T>::from_request_parts(parts, service).await;
        read.map(|Raw(named)| Self(named)).map_err(|error| Problem::broken_path(error.body_text()).at(parts.uri.path()))
    }
}
