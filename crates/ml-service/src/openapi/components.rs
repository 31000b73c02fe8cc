//! The schemas and responses that the paths refer to.

use serde_json::{Map, Value, json};

use super::event_component;
use crate::schema;
use crate::served::ServedUseCase;

pub(super) fn schemas(use_cases: &[ServedUseCase]) -> Value {
    let mut schemas = Map::new();
    for use_case in use_cases {
        schemas.insert(event_component(use_case), event(use_case.schema()));
    }
    let fixed = [
        ("Anything", schema::anything(ANYTHING)),
        ("Verdict", verdict()),
        ("Prediction", prediction()),
        ("BatchPrediction", batch_prediction()),
        ("Fault", fault()),
        ("WarmUp", warm_up()),
        ("Problem", problem()),
        ("Health", health()),
        ("Model", model()),
        ("Models", models()),
    ];
    schemas.extend(fixed.into_iter().chain(super::oip::schemas()).map(|(name, schema)| (name.to_owned(), schema)));
    Value::Object(schemas)
}

/// Where the document has what the schema of events has among its definitions.
const ANYTHING: &str = "#/components/schemas/Anything";

/// The schema of events as a component.
fn event(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let members = members.iter().filter(|(name, _)| *name != "$defs");
            members.map(|(name, value)| (name.clone(), event(value))).collect()
        }
        Value::Array(items) => items.iter().map(event).collect(),
        Value::String(text) if text == schema::ANYTHING => ANYTHING.into(),
        other => other.clone(),
    }
}

pub(super) fn responses() -> Value {
    let response = |description: &str| {
        let schema = json!({"$ref": "#/components/schemas/Problem"});
        json!({"description": description, "content": {"application/problem+json": {"schema": schema}}})
    };
    let mut no_model = response("There is no model yet; `warm_up` says how far it is.");
    no_model["headers"] = json!({"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}});
    let mut overloaded = response("Too much is asked at once.");
    overloaded["headers"] = no_model["headers"].clone();
    json!({
        "BrokenBody": response("The body is empty or not JSON."),
        "Timeout": response("The request took too long."),
        "TooLarge": response("The body is too large, or has too many events."),
        "ContentType": response("The body is not announced as JSON."),
        "InvalidEvent": response("The event is not valid; `errors` names every field at fault."),
        "NoModel": no_model,
        "Overloaded": overloaded,
        "CrossSite": response("A page of another site asks for it, or it needs a token and none is set."),
        "Unauthorized": response("The token is missing or wrong."),
        "NotFound": response("There is no such use case, or no such version."),
        "Conflict": response("The version does not fit the use case, is damaged or used, there is none to go back to, or the process does not allow it."),
    })
}

fn verdict() -> Value {
    json!({
        "type": "object",
        "required": ["is_anomaly", "score", "contributions"],
        "properties": {
            "is_anomaly": {"type": "boolean", "description": "Whether the score reaches the threshold."},
            "score": {
                "type": "number", "exclusiveMinimum": 0, "maximum": 1, "examples": [0.47],
                "description": "How unusual the event is; about 0.5 is average.",
            },
            "contributions": {
                "type": "object",
                "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1},
                "description": "The share of each column in how unusual the event is, largest first. They sum to 1.",
            },
        },
    })
}

fn prediction() -> Value {
    json!({
        "allOf": [
            {"$ref": "#/components/schemas/Verdict"},
            {
                "type": "object",
                "required": ["threshold", "model_version"],
                "properties": {"threshold": threshold(), "model_version": model_version()},
            },
        ],
    })
}

fn batch_prediction() -> Value {
    let index = json!({"type": "integer", "minimum": 0, "description": "Place of the event in the request."});
    let faults = json!({"type": "array", "items": {"$ref": "#/components/schemas/Fault"}});
    let scored = json!({
        "allOf": [
            {"$ref": "#/components/schemas/Verdict"},
            {"type": "object", "required": ["index"], "properties": {"index": index}},
        ],
    });
    let invalid =
        json!({"type": "object", "required": ["index", "errors"], "properties": {"index": index, "errors": faults}});
    json!({
        "type": "object",
        "required": ["model_version", "threshold", "anomalies", "invalid", "predictions"],
        "properties": {
            "model_version": model_version(),
            "threshold": threshold(),
            "anomalies": {"type": "integer", "description": "Number of events that are anomalies."},
            "invalid": {"type": "integer", "description": "Number of events that are not valid."},
            "predictions": {
                "type": "array",
                "items": {"oneOf": [scored, invalid]},
                "description": "For each event, in order, its verdict or its faults.",
            },
        },
    })
}

fn threshold() -> Value {
    json!({"type": "number", "description": "The score from which an event is an anomaly.", "examples": [0.6]})
}

fn model_version() -> Value {
    json!({"type": "string", "description": "Fingerprint of the model.", "examples": ["9c2f0a4be1d07733"]})
}

fn fault() -> Value {
    json!({
        "type": "object",
        "required": ["field", "value", "message"],
        "properties": {
            "field": {"type": "string", "description": "Dotted path of the field; empty for the whole event."},
            "value": {"type": "string", "description": "What was sent, as JSON, cut to 100 characters."},
            "message": {"type": "string", "description": "What is wrong, and the mend."},
        },
    })
}

fn warm_up() -> Value {
    json!({
        "type": "object",
        "required": ["stage", "done"],
        "properties": {
            "stage": {"type": "string", "description": "What is being done, or why it failed."},
            "done": {"type": "integer", "description": "Rows done."},
            "total": {"type": "integer", "description": "Rows to do."},
        },
    })
}

fn problem() -> Value {
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string", "format": "uri", "examples": ["urn:pulse:problem:invalid-event"]},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "What is wrong with this request, and the mend."},
            "errors": {"type": "array", "items": {"$ref": "#/components/schemas/Fault"}},
            "warm_up": {"$ref": "#/components/schemas/WarmUp"},
            "state": {"type": "string", "description": "Without a model: whether one is coming."},
        },
    })
}

fn health() -> Value {
    json!({
        "type": "object",
        "required": ["status", "use_case"],
        "properties": {
            "status": {"enum": ["ready", "warming_up", "failed"]},
            "use_case": {"type": "string"},
            "use_cases": {"type": "array", "items": {"type": "string"}, "description": "All that are served."},
            "model_version": model_version(),
            "trained_rows": {"type": "integer", "description": "Rows that the model was trained on."},
            "threshold": threshold(),
            "warm_up": {"$ref": "#/components/schemas/WarmUp"},
        },
    })
}

fn model() -> Value {
    let numbers = json!({"type": "array", "items": {"type": "number"}});
    let bins = json!({"type": "object", "properties": {"edges": numbers, "shares": numbers}});
    let quantile = json!({"type": "object", "properties": {"share": {"type": "number"}, "score": {"type": "number"}}});
    let column = json!({
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "mean": {"type": "number"},
            "standard_deviation": {"type": "number"},
            "missing": {"type": "integer"},
            "bins": bins,
        },
    });
    json!({
        "type": "object",
        "required": ["use_case", "active", "candidate", "stored", "version", "columns", "trained_rows", "threshold"],
        "properties": {
            "use_case": {"type": "string"},
            "active": {"type": "boolean", "description": "Whether it is in force."},
            "candidate": {"type": "boolean", "description": "Whether it scores beside the one in force."},
            "drift": drift(),
            "shadow": shadow(),
            "stored": {"type": "boolean", "description": "Whether it is stored, so that it can be put in force."},
            "trained_at": {"type": "string", "format": "date-time"},
            "source": {"type": "string", "description": "What it was trained on."},
            "rows_left_out": {"type": "integer", "description": "Rows that were no valid events."},
            "quality": {
                "type": "object",
                "description": "How well it told labelled rows apart.",
                "properties": {
                    "rows": {"type": "integer"},
                    "anomalies": {"type": "integer"},
                    "roc_auc": {"type": "number"},
                    "average_precision": {"type": "number"},
                    "precision": {"type": "number"},
                    "recall": {"type": "number"},
                },
            },
            "version": model_version(),
            "columns": {"type": "array", "items": column},
            "trained_rows": {"type": "integer"},
            "trees": {"type": "integer"},
            "sample_size": {"type": "integer"},
            "seed": {"type": "integer"},
            "threshold": threshold(),
            "expected_rate": {"type": "number", "description": "Share of the training rows that the threshold was chosen for."},
            "score_quantiles": {"type": "array", "items": quantile},
            "score_bins": bins,
        },
    })
}

fn drift() -> Value {
    json!({
        "type": "object",
        "description": "Population stability index, of the score and of each column, of the rows scored lately against the training rows.",
        "properties": {
            "rows": {"type": "integer"},
            "score": {"type": "number"},
            "columns": {"type": "object", "additionalProperties": {"type": "number"}},
        },
    })
}

fn shadow() -> Value {
    json!({
        "type": "object",
        "description": "Of the candidate: how its verdicts and scores compare with those of the model in force.",
        "properties": {
            "rows": {"type": "integer"},
            "both_anomalies": {"type": "integer"},
            "only_active": {"type": "integer"},
            "only_candidate": {"type": "integer"},
            "mean_score_difference": {"type": ["number", "null"]},
            "skipped_rows": {"type": "integer"},
        },
    })
}

fn models() -> Value {
    let models = json!({"type": "array", "items": {"$ref": "#/components/schemas/Model"}});
    json!({"type": "object", "required": ["models"], "properties": {"models": models}})
}
