//! The paths of the Open Inference Protocol.

use pulse_scoring::oip::{INPUT, OUTPUTS};
use serde_json::{Map, Value, json};

use super::parameter;
use crate::routes::{INFER, INFER_VERSION};
use crate::served::ServedUseCase;

const TAG: &str = "open inference protocol";

/// All paths below `/v2`.
pub(super) fn paths(use_cases: &[ServedUseCase]) -> Vec<(String, Value)> {
    let names: Vec<&str> = use_cases.iter().map(ServedUseCase::name).collect();
    let model = [parameter("use_case", "The model: a use case.", Some(&names))];
    let versioned = [model[0].clone(), parameter("version", "The version in force.", None)];
    let object = || json!({"type": "object"});
    let mut ready = get("v2_ready", "Whether the server has done what it can to have models", &[], object());
    ready["responses"]["503"] = json!({"description": "Not yet."});
    let infer = |id: &str, parameters: &[Value]| json!({"post": infer(id, parameters, use_cases)});
    let of_model = |id: &str, summary: &str, parameters: &[Value], schema: Value| {
        let mut operation = get(id, summary, parameters, schema);
        operation["responses"]["404"] = error("There is no such model, or not in this version.");
        operation["responses"]["503"] = error("There is no model yet.");
        json!({"get": operation})
    };
    let (metadata, is_ready) = ("Columns, types and shapes of a model", "Whether a model is there");
    let versions = "/v2/models/{use_case}/versions/{version}";
    [
        ("/v2", json!({"get": get("v2", "Name, version and extensions of the server", &[], object())})),
        ("/v2/health/live", json!({"get": get("v2_live", "Whether the server is alive", &[], object())})),
        ("/v2/health/ready", json!({"get": ready})),
        ("/v2/models/{use_case}", of_model("v2_model", metadata, &model, component("ModelMetadata"))),
        ("/v2/models/{use_case}/ready", of_model("v2_model_ready", is_ready, &model, object())),
        (versions, of_model("v2_version", metadata, &versioned, component("ModelMetadata"))),
        (&format!("{versions}/ready"), of_model("v2_version_ready", is_ready, &versioned, object())),
        (INFER, infer("v2_infer", &model)),
        (INFER_VERSION, infer("v2_infer_version", &versioned)),
    ]
    .map(|(path, operations)| (path.to_owned(), operations))
    .into()
}

/// The components that the paths refer to.
pub(super) fn schemas() -> [(&'static str, Value); 4] {
    let shape = json!({"type": "array", "items": {"type": "integer", "minimum": -1}});
    let tensor = json!({
        "type": "object",
        "required": ["name", "datatype", "shape"],
        "properties": {"name": {"type": "string"}, "datatype": {"type": "string"}, "shape": shape},
    });
    let tensors = json!({"type": "array", "items": tensor});
    let metadata = json!({
        "type": "object",
        "required": ["name", "versions", "platform", "inputs", "outputs", "parameters"],
        "properties": {
            "name": {"type": "string"},
            "versions": {"type": "array", "items": {"type": "string"}},
            "platform": {"type": "string"},
            "inputs": tensors, "outputs": tensors,
            "parameters": {
                "type": "object",
                "description": "The columns of a row, the version in force, its threshold, and how many rows a request may have.",
            },
        },
    });
    let input = json!({
        "type": "object",
        "required": ["name", "datatype", "shape"],
        "description": "The rows, one after the other, each with the columns of the model in their order.",
        "properties": {
            "name": {"const": INPUT},
            "datatype": {"enum": ["FP64", "FP32", "INT64", "INT32"]},
            "shape": {"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "integer", "minimum": 0}},
            "data": {"type": "array", "description": "Numbers, or null for a missing one; left out in binary form."},
        },
    });
    let request = json!({
        "type": "object",
        "required": ["inputs"],
        "description": "A message of the Open Inference Protocol, version 2. In binary form (extension binary_tensor_data), the values come \
                        behind the JSON, little endian, and the header Inference-Header-Content-Length says where that ends.",
        "properties": {
            "id": {"type": ["string", "null"]},
            "parameters": {"type": ["object", "null"]},
            "inputs": {"type": "array", "minItems": 1, "maxItems": 1, "items": input},
            "outputs": {
                "type": ["array", "null"],
                "description": "The tensors that are wanted; all where nothing is said.",
                "items": {"type": "object", "required": ["name"], "properties": {"name": {"enum": OUTPUTS}}},
            },
        },
    });
    let response = json!({
        "type": "object",
        "required": ["model_name", "model_version", "outputs"],
        "properties": {
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "id": {"type": "string"},
            "outputs": {"type": "array", "items": {"type": "object"}, "description": format!("The tensors {}.", OUTPUTS.join(", "))},
        },
    });
    let error = json!({"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}});
    [("ModelMetadata", metadata), ("InferRequest", request), ("InferResponse", response), ("InferError", error)]
}

fn infer(id: &str, parameters: &[Value], use_cases: &[ServedUseCase]) -> Value {
    let examples: Map<String, Value> = use_cases.iter().filter_map(example).collect();
    let answer = json!({"application/json": {"schema": component("InferResponse")}, "application/octet-stream": {}});
    let errors = [
        ("400", "The message is none, or not one for this model."),
        ("404", "There is no such model, or not in this version."),
        ("408", "The request took too long."),
        ("413", "The body is too large, or has too many rows."),
        ("429", "Too much is asked at once: Retry-After says when to ask again."),
        ("503", "There is no model yet."),
    ];
    let mut responses = Map::from_iter([("200".to_owned(), json!({"description": "Scored.", "content": answer}))]);
    responses.extend(errors.map(|(status, description)| (status.to_owned(), error(description))));
    json!({
        "operationId": id,
        "tags": [TAG],
        "summary": "Scores of rows of derived columns, in JSON or in binary form",
        "parameters": parameters,
        "requestBody": {
            "required": true,
            "content": {
                "application/json": {"schema": component("InferRequest"), "examples": examples},
                "application/octet-stream": {},
            },
        },
        "responses": responses,
    })
}

/// A row that can be asked about as it is, where there is an event to derive it from.
fn example(use_case: &ServedUseCase) -> Option<(String, Value)> {
    let row: Vec<Option<f64>> =
        use_case.example_row()?.into_iter().map(|value| Some(value).filter(|v| v.is_finite())).collect();
    let input = json!({"name": INPUT, "datatype": "FP64", "shape": [1, row.len()], "data": row});
    let example = json!({"summary": format!("A row of {}.", use_case.name()), "value": {"inputs": [input]}});
    Some((use_case.name().to_owned(), example))
}

fn get(id: &str, summary: &str, parameters: &[Value], schema: Value) -> Value {
    json!({
        "operationId": id,
        "tags": [TAG],
        "summary": summary,
        "parameters": parameters,
        "responses": {"200": {"description": "The answer.", "content": {"application/json": {"schema": schema}}}},
    })
}

fn error(description: &str) -> Value {
    json!({"description": description, "content": {"application/json": {"schema": component("InferError")}}})
}

fn component(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}
