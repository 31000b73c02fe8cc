//! The OpenAPI 3.1 document, made from the use cases that are served.

mod components;
mod oip;

use serde_json::{Map, Value, json};

use crate::served::ServedUseCase;
use crate::service::Limits;

/// The document; `/predict` means the first of `use_cases`.
pub(crate) fn document(use_cases: &[ServedUseCase], limits: Limits) -> Value {
    let mut paths = Map::new();
    if let Some(first) = use_cases.first() {
        add_use_case(&mut paths, first, limits, "", "");
    }
    for use_case in use_cases {
        add_use_case(&mut paths, use_case, limits, &format!("/{}", use_case.name()), use_case.name());
    }
    for (path, operation) in service_paths() {
        paths.insert(path.to_owned(), json!({"get": operation}));
    }
    let names: Vec<&str> = use_cases.iter().map(ServedUseCase::name).collect();
    for (path, operations) in management_paths(&names) {
        paths.insert(path.to_owned(), operations);
    }
    paths.extend(oip::paths(use_cases));
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
            {"name": "open inference protocol", "description": "Scores for those who derive the columns themselves, and for any client of the protocol."},
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
fn add_use_case(paths: &mut Map<String, Value>, use_case: &ServedUseCase, limits: Limits, suffix: &str, id: &str) {
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
    // What is no event gets its faults in its place.
    let rows = json!({"type": "array", "items": {"anyOf": [event, {}]}, "maxItems": limits.batch_rows});
    let batch = json!({
        "oneOf": [rows, {"type": "object", "required": ["instances"], "properties": {"instances": rows}}],
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
                "429": problem("Overloaded"),
                "503": problem("NoModel"),
            },
        },
    })
}

/// Paths that change something of the models.
fn management_paths(use_cases: &[&str]) -> [(&'static str, Value); 5] {
    let use_case = parameter("use_case", "The use case.", Some(use_cases));
    let version = parameter("version", "A version that /models lists as stored.", None);
    let one = || json!([use_case, version]);
    let all = || json!([use_case]);
    let (in_force, gone) = (Some("It is in force."), None);
    [
        (
            "/models/{use_case}/{version}/activate",
            json!({"post": change("activate", "Puts a stored version in force", one(), in_force)}),
        ),
        (
            "/models/{use_case}/rollback",
            json!({"post": change("rollback", "Goes back to the version before", all(), in_force)}),
        ),
        (
            "/models/{use_case}/{version}/candidate",
            json!({"post": change("set_candidate", "Lets a version score beside the one in force", one(), Some("It is the candidate."))}),
        ),
        (
            "/models/{use_case}/candidate",
            json!({"delete": change("remove_candidate", "Lets no version score beside the one in force", all(), gone)}),
        ),
        (
            "/models/{use_case}/{version}",
            json!({"delete": change("remove", "Removes a version that is not used", one(), gone)}),
        ),
    ]
}

/// What changes something; `answer` describes the model that is answered, where one is.
fn change(id: &str, summary: &str, parameters: Value, answer: Option<&str>) -> Value {
    let problem = |name: &str| json!({"$ref": format!("#/components/responses/{name}")});
    let (status, done) = match answer {
        Some(description) => {
            let model = json!({"$ref": "#/components/schemas/Model"});
            ("200", json!({"description": description, "content": {"application/json": {"schema": model}}}))
        }
        None => ("204", json!({"description": "Done."})),
    };
    let mut operation = json!({
        "operationId": id,
        "tags": ["model"],
        "summary": summary,
        "parameters": parameters,
        "security": [{}, {"token": []}],
        "responses": {
            "401": problem("Unauthorized"),
            "403": problem("CrossSite"),
            "404": problem("NotFound"),
            "409": problem("Conflict"),
        },
    });
    operation["responses"][status] = done;
    operation
}

/// A part of a path; `choices` are what it may be.
fn parameter(name: &str, description: &str, choices: Option<&[&str]>) -> Value {
    let schema = choices.map_or(json!({"type": "string"}), |choices| json!({"type": "string", "enum": choices}));
    json!({"name": name, "in": "path", "required": true, "schema": schema, "description": description})
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
