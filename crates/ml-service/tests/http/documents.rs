//! The schema, the OpenAPI document and the page around it.

use serde_json::Value;

use crate::fixture::{get, post, router};

/// Every string under a key `$ref`, and every operation id.
fn collect<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name == key => found.push(text),
                    _ => collect(member, key, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, key, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_schema_admits_what_predict_admits() {
    let router = router();
    let answer = get(&router, "/schema").await;
    assert_eq!(answer.content_type(), "application/schema+json");
    let schema = answer.json();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(jsonschema::meta::is_valid(&schema));
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    for event in [
        r#"{"fare":10,"trip":{"miles":3}}"#,
        r#"{"fare":10,"trip":{"miles":3},"tip":null,"zone":"a","at":"2024-03-01T08:00:00Z","more":{}}"#,
        r#"{"fare":0,"trip":{"miles":3}}"#,
        r#"{"fare":10,"trip":{}}"#,
        r#"{"fare":10,"trip":{"miles":"3"}}"#,
        r#"{"fare":10,"trip":{"miles":3},"stops":1.5}"#,
    ] {
        let admitted = post(&router, "/predict", event).await.status == 200;
        let value: Value = serde_json::from_str(event).unwrap();
        assert_eq!(validator.is_valid(&value), admitted, "{event}");
    }
    assert_eq!(get(&router, "/schema/rides").await.json(), schema);
}

#[tokio::test]
async fn the_document_holds_together() {
    let document = get(&router(), "/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut references = Vec::new();
    collect(&document, "$ref", &mut references);
    assert!(references.len() > 10);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    let mut ids = Vec::new();
    collect(&document, "operationId", &mut ids);
    let operations = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), operations, "operation ids must be unique: {ids:?}");
    for schema in document["components"]["schemas"].as_object().unwrap().values() {
        assert!(jsonschema::meta::is_valid(schema), "{schema}");
    }
}

#[tokio::test]
async fn every_path_of_the_document_works_with_its_own_examples() {
    let router = router();
    let document = get(&router, "/openapi.json").await.json();
    let mut tried = 0;
    let version = get(&router, "/health").await.json()["model_version"].as_str().unwrap().to_owned();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let path = &path.replace("{use_case}", "rides").replace("{version}", &version);
        if operations.get("get").is_some() {
            let answer = get(&router, path).await;
            // Readiness is set by `run`, which serves for real.
            assert!(answer.status == 200 || path.ends_with("/ready"), "{path}: {}", answer.text);
        }
        let content = &operations["post"]["requestBody"]["content"]["application/json"];
        for example in content["examples"].as_object().into_iter().flatten() {
            let answer = post(&router, path, example.1["value"].to_string()).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text);
            let answered = &operations["post"]["responses"]["200"]["content"]["application/json"]["schema"];
            let mut schema = answered.clone();
            schema["components"] = document["components"].clone();
            let validator = jsonschema::draft202012::new(&schema).unwrap();
            let faults: Vec<String> = validator.iter_errors(&answer.json()).map(|e| e.to_string()).collect();
            assert!(faults.is_empty(), "{path}: {faults:?}");
            tried += 1;
        }
    }
    assert_eq!(tried, 8);
}

#[tokio::test]
async fn the_page_comes_from_the_binary_and_shows_our_document() {
    let router = router();
    assert_eq!(get(&router, "/docs").await.headers["location"], "/docs/");
    let page = get(&router, "/docs/").await;
    assert_eq!(page.status, 200);
    assert!(page.content_type().starts_with("text/html"));
    assert!(!page.text.contains("https://") && !page.text.contains("http://"), "{}", page.text);
    let script = get(&router, "/docs/swagger-initializer.js").await;
    assert!(script.text.contains("/openapi.json") && !script.text.contains("https://"), "{}", script.text);
    assert!(script.text.contains(r#""validatorUrl": "none""#), "{}", script.text);
    let bundle = get(&router, "/docs/swagger-ui-bundle.js").await;
    assert!(bundle.status == 200 && bundle.text.len() > 500_000);
}
