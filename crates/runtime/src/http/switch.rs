//! Routes that can be exchanged while they are served.

use std::convert::Infallible;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use tokio::sync::watch;
use tower::ServiceExt as _;

/// The routes of a service: few at first, so that it can be watched while it starts, and all of them later. Clones share
/// them.
#[derive(Debug, Clone)]
pub struct Switch(watch::Sender<Router>);

impl Switch {
    /// Serves `routes` until others are set.
    #[must_use]
    pub fn new(routes: Router) -> Self {
        Self(watch::Sender::new(routes))
    }

    /// Serves `routes` from now on. Requests under way are answered by those they came to.
    pub fn set(&self, routes: Router) {
        drop(self.0.send_replace(routes));
    }

    /// What to serve.
    pub fn router(&self) -> Router {
        let current = self.0.subscribe();
        Router::new().fallback(move |request| answer(current.borrow().clone(), request))
    }
}

async fn answer(routes: Router, request: Request) -> Response {
    let answered: Result<Response, Infallible> = routes.oneshot(request).await;
    let Ok(response) = answered;
    response
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::routing::get;

    use super::*;

    async fn status(router: &Router, path: &str) -> StatusCode {
        router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap().status()
    }

    #[tokio::test]
    async fn later_routes_take_the_place_of_the_first() {
        let switch = Switch::new(Router::new().route("/live", get(|| async { "alive" })));
        let served = switch.router();
        assert_eq!(
            (status(&served, "/live").await, status(&served, "/page").await),
            (StatusCode::OK, StatusCode::NOT_FOUND)
        );
        switch.set(Router::new().route("/page", get(|| async { "page" })));
        assert_eq!(
            (status(&served, "/live").await, status(&served, "/page").await),
            (StatusCode::NOT_FOUND, StatusCode::OK)
        );
    }
}
