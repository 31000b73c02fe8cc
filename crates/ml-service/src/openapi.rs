//! The OpenAPI 3.1 document, made from the use cases that are served.

mod components;

use serde_json::{Map, Value, json};

use crate::served::ServedUseCase;

/// The document; `/predict` means the first of `use_cases`.
pub(crate) fn document(use_cases: &[ServedUseCase]) -> Value {
    let mut paths = Map::new();
    if let Some(first) = use_cases.first() {
        add_use_case(&mut paths, first, "", "");
    }
    for use_case in use_cases {
        add_use_case(&mut paths, use_case, &format!("/{}", use_case.name()), use_case.name());
    }
    for (path, operation) in service_paths() {
        paths.insert(path.to_owned(), json!({"get": operation}));
    }
    let names: Vec<&str> = use_cases.iter().map(ServedUseCase::name).collect();
    for (path, operation) in management_paths(&names) {
        paths.insert(path.to_owned(), json!({"post": operation}));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Stream Pulse: ML service",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "How unusual an event is, and why. Errors are problem details (RFC 9457).",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [
            {"name": "predict", "description": "Verdicts on events."},
            {"name": "model", "description": "Use cases and their models."},
            {"name": "service", "description": "For orchestrators and Prometheus."},
        ],
        "paths": paths,
        "components": {
            "schemas": components::schemas(use_cases),
            "responses": components::responses(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "The setting ml_service.token, where it is set."}},
        },
    })
}

/// The name of the component with the events of `use_case`.
fn event_component(use_case: &ServedUseCase) -> String {
    format!("Event_{}", use_case.name())
}

/// Paths of one use case. `suffix` and `id` are empty for the one that is meant when none is named.
fn add_use_case(paths: &mut Map<String, Value>, use_case: &ServedUseCase, suffix: &str, id: &str) {
    let name = use_case.name();
    let event = json!({"$ref": format!("#/components/schemas/{}", event_component(use_case))});
    let (single, several) = match use_case.schema()["examples"].get(0) {
        None => (json!({}), json!({})),
        Some(example) => (
            json!({"sample": {"summary": "An event of the sample.", "value": example}}),
            json!({
                "array": {"summary": "An array.", "value": [example, example]},
                "instances": {"summary": "An object with `instances`.", "value": {"instances": [example]}},
            }),
        ),
    };
    let batch = json!({
        "oneOf": [
            {"type": "array", "items": event},
            {"type": "object", "required": ["instances"], "properties": {"instances": {"type": "array", "items": event}}},
        ],
    });
    let one = post(
        &format!("predict{id}"),
        &format!("The verdict on one event of {name}"),
        &json!({"schema": event, "examples": single}),
        "Prediction",
    );
    let many = post(
        &format!("predict_batch{id}"),
        &format!("Verdicts on many events of {name}; a faulty one does not harm the others"),
        &json!({"schema": batch, "examples": several}),
        "BatchPrediction",
    );
    let schema = json!({
        "operationId": format!("schema{id}"),
        "tags": ["model"],
        "summary": format!("JSON Schema (2020-12) of the events of {name}"),
        "responses": {"200": {"description": "The schema.", "content": {"application/schema+json": {"schema": {"type": "object"}}}}},
    });
    paths.insert(format!("/predict{suffix}"), one);
    paths.insert(format!("/predict{suffix}/batch"), many);
    paths.insert(format!("/schema{suffix}"), json!({"get": schema}));
}

fn post(id: &str, summary: &str, content: &Value, answer: &str) -> Value {
    let problem = |name: &str| json!({"$ref": format!("#/components/responses/{name}")});
    let answer = json!({"$ref": format!("#/components/schemas/{answer}")});
    json!({
        "post": {
            "operationId": id,
            "tags": ["predict"],
            "summary": summary,
            "requestBody": {"required": true, "content": {"application/json": content}},
            "responses": {
                "200": {"description": "Scored.", "content": {"application/json": {"schema": answer}}},
                "400": problem("BrokenBody"),
                "408": problem("Timeout"),
                "413": problem("TooLarge"),
                "415": problem("ContentType"),
                "422": problem("InvalidEvent"),
                "503": problem("NoModel"),
            },
        },
    })
}

/// Paths that change which model is in force, with their `POST`.
fn management_paths(use_cases: &[&str]) -> [(&'static str, Value); 2] {
    let problem = |name: &str| json!({"$ref": format!("#/components/responses/{name}")});
    let use_case = json!({
        "name": "use_case", "in": "path", "required": true, "schema": {"type": "string", "enum": use_cases},
    });
    let version = json!({
        "name": "version", "in": "path", "required": true, "schema": {"type": "string"},
        "description": "A version that /models lists as stored.",
    });
    let model = json!({"$ref": "#/components/schemas/Model"});
    let post = |id: &str, summary: &str, parameters: Value| {
        json!({
            "operationId": id,
            "tags": ["model"],
            "summary": summary,
            "parameters": parameters,
            "security": [{}, {"token": []}],
            "responses": {
                "200": {"description": "It is in force.", "content": {"application/json": {"schema": model}}},
                "401": problem("Unauthorized"),
                "404": problem("NotFound"),
                "409": problem("Conflict"),
            },
        })
    };
    [
        (
            "/models/{use_case}/{version}/activate",
            post("activate", "Puts a stored version in force", json!([use_case, version])),
        ),
        ("/models/{use_case}/rollback", post("rollback", "Goes back to the version before", json!([use_case]))),
    ]
}

/// Paths that are the same whatever is served, with their `GET`.
fn service_paths() -> [(&'static str, Value); 5] {
    let get = |id: &str, tag: &str, summary: &str, kind: &str, schema: Value| {
        json!({
            "operationId": id,
            "tags": [tag],
            "summary": summary,
            "responses": {"200": {"description": "The answer.", "content": {kind: {"schema": schema}}}},
        })
    };
    let component = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let text = || json!({"type": "string"});
    let mut ready = get("ready", "service", "Whether there is a model", "application/json", json!({"type": "object"}));
    ready["responses"]["503"] = json!({"description": "Not yet, with the reason."});
    [
        (
            "/health",
            get(
                "health",
                "model",
                "The model in force, or how far warm-up is",
                "application/json",
                component("Health"),
            ),
        ),
        ("/models", get("models", "model", "All models", "application/json", component("Models"))),
        ("/live", get("live", "service", "Whether the process is alive", "text/plain", text())),
        ("/ready", ready),
        ("/metrics", get("metrics", "service", "Metrics for Prometheus", "text/plain", text())),
    ]
}
