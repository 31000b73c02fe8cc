//! The page's files, which are part of the binary.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// A file and where it is served.
#[derive(Debug, Clone, Copy)]
struct Asset {
    path: &'static str,
    content_type: &'static str,
    body: &'static str,
}

macro_rules! asset {
    ($path:literal, $content_type:expr, $file:literal) => {
        Asset { path: $path, content_type: $content_type, body: include_str!(concat!("../web/", $file)) }
    };
}

const ASSETS: &[Asset] = &[
    asset!("/", HTML, "index.html"),
    asset!("/favicon.svg", IMAGE, "favicon.svg"),
    asset!("/style.css", STYLE, "style.css"),
    asset!("/panels.css", STYLE, "panels.css"),
    asset!("/detail.css", STYLE, "detail.css"),
    asset!("/js/app.js", SCRIPT, "js/app.js"),
    asset!("/js/api.js", SCRIPT, "js/api.js"),
    asset!("/js/chart.js", SCRIPT, "js/chart.js"),
    asset!("/js/detail.js", SCRIPT, "js/detail.js"),
    asset!("/js/dom.js", SCRIPT, "js/dom.js"),
    asset!("/js/filters.js", SCRIPT, "js/filters.js"),
    asset!("/js/format.js", SCRIPT, "js/format.js"),
    asset!("/js/header.js", SCRIPT, "js/header.js"),
    asset!("/js/live.js", SCRIPT, "js/live.js"),
    asset!("/js/rate.js", SCRIPT, "js/rate.js"),
    asset!("/js/reason.js", SCRIPT, "js/reason.js"),
    asset!("/js/reasons.js", SCRIPT, "js/reasons.js"),
    asset!("/js/scores.js", SCRIPT, "js/scores.js"),
    asset!("/js/state.js", SCRIPT, "js/state.js"),
    asset!("/js/table.js", SCRIPT, "js/table.js"),
    asset!("/js/toplist.js", SCRIPT, "js/toplist.js"),
];

/// Serves the page.
pub(crate) fn router() -> Router {
    ASSETS.iter().fold(Router::new(), |router, asset| {
        let tag = tag(asset.body);
        router.route(asset.path, get(move |headers: HeaderMap| async move { serve(*asset, &tag, &headers) }))
    })
}

/// Answers with the file, or with 304 to a browser that has it. Files change with the binary, so browsers ask each time.
fn serve(asset: Asset, tag: &HeaderValue, headers: &HeaderMap) -> Response {
    let cache = [(header::CACHE_CONTROL, HeaderValue::from_static("no-cache")), (header::ETAG, tag.clone())];
    if headers.get_all(header::IF_NONE_MATCH).iter().any(|known| known == tag) {
        return (StatusCode::NOT_MODIFIED, cache).into_response();
    }
    (cache, [(header::CONTENT_TYPE, asset.content_type)], asset.body).into_response()
}

/// A weak tag, since compression changes the bytes but not the meaning.
fn tag(body: &str) -> HeaderValue {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    HeaderValue::try_from(format!("W/\"{:016x}\"", hasher.finish())).unwrap_or(HeaderValue::from_static("W/\"0\""))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn files(folder: &Path, found: &mut BTreeSet<String>, root: &Path) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, found, root);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_string_lossy().replace("index.html", ""));
            }
        }
    }

    #[test]
    fn every_file_is_served_and_every_script_is_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
        let mut found = BTreeSet::new();
        files(&root, &mut found, &root);
        let served: BTreeSet<String> = ASSETS.iter().map(|asset| asset.path[1..].to_owned()).collect();
        assert_eq!(found, served);
        for script in ASSETS.iter().filter(|asset| asset.content_type == SCRIPT) {
            for line in script.body.lines().filter(|line| line.contains(" from './")) {
                let name = line.split("'./").nth(1).and_then(|rest| rest.split('\'').next()).unwrap();
                assert!(served.contains(&format!("js/{name}")), "{}: {line}", script.path);
            }
        }
    }

    #[test]
    fn nothing_is_inline_and_no_value_becomes_markup() {
        for asset in ASSETS {
            for banned in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", " style=\"", "onclick="]
            {
                assert!(!asset.body.contains(banned), "{} has {banned}", asset.path);
            }
            let elsewhere = asset.body.lines().find(|line| line.contains("://") && !line.contains("www.w3.org"));
            assert_eq!(elsewhere, None, "{}", asset.path);
        }
    }
}
