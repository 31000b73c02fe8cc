//! Tests of the codec.

use std::sync::Arc;

use proptest::prelude::*;
use pulse_core::Matrix;
use pulse_core::ports::Scores;
use serde_json::{Map, Value, json};

use super::*;

fn values(len: usize) -> impl Strategy<Value = Values<'static>> {
    // From bits, so that there is every `NaN`, too.
    let fp64 = prop::collection::vec(any::<u64>().prop_map(f64::from_bits), len);
    let fp32 = prop::collection::vec(any::<u32>().prop_map(f32::from_bits), len);
    prop_oneof![
        fp64.prop_map(|values| Values::Fp64(values.into())),
        fp32.prop_map(|values| Values::Fp32(values.into())),
        prop::collection::vec(any::<i64>(), len).prop_map(|values| Values::Int64(values.into())),
        prop::collection::vec(any::<i32>(), len).prop_map(|values| Values::Int32(values.into())),
    ]
}

fn tensors() -> impl Strategy<Value = Vec<Tensor<'static>>> {
    let tensor = prop::collection::vec(0..5_usize, 0..4).prop_flat_map(|shape| {
        let len = shape.iter().product();
        (Just(shape), values(len)).prop_map(|(shape, values)| Tensor { name: String::new(), shape, values })
    });
    prop::collection::vec((tensor, "[a-z\"\u{e9}]{0,3}"), 0..4).prop_map(|tensors| {
        let named = tensors.into_iter().enumerate();
        named.map(|(i, (tensor, name))| Tensor { name: format!("{name}{i}"), ..tensor }).collect()
    })
}

fn form() -> impl Strategy<Value = Form> {
    prop_oneof![Just(Form::Json), Just(Form::Binary)]
}

fn wanted() -> impl Strategy<Value = Wanted> {
    prop_oneof![
        form().prop_map(Wanted::All),
        prop::collection::vec(("[a-z]{1,9}", form()), 1..4).prop_map(Wanted::These),
    ]
}

/// The bits of the values; with `lossy`, as JSON can have them.
fn bits(values: &Values<'_>, lossy: bool) -> Vec<u64> {
    let fp64 = |value: f64| if lossy && !value.is_finite() { f64::NAN.to_bits() } else { value.to_bits() };
    let fp32 = |value: f32| if lossy && !value.is_finite() { f32::NAN.to_bits() } else { value.to_bits() };
    match values {
        Values::Fp64(values) => values.iter().map(|&value| fp64(value)).collect(),
        Values::Fp32(values) => values.iter().map(|&value| fp32(value).into()).collect(),
        Values::Int64(values) => values.iter().map(|&value| value.cast_unsigned()).collect(),
        Values::Int32(values) => values.iter().map(|&value| value.cast_unsigned().into()).collect(),
    }
}

fn assert_same(read: &[Tensor<'_>], sent: &[Tensor<'_>], form: Form) {
    assert_eq!(read.len(), sent.len());
    for (read, sent) in read.iter().zip(sent) {
        assert_eq!((&read.name, &read.shape), (&sent.name, &sent.shape));
        assert_eq!(read.values.datatype(), sent.values.datatype());
        assert_eq!(bits(&read.values, false), bits(&sent.values, form == Form::Json));
    }
}

/// Scores of `rows` rows, with explanations as the port wants them.
fn scores(rows: Vec<f64>, columns: usize, threshold: f64) -> Scores {
    let reached = rows.iter().enumerate().filter(|(_, score)| **score >= threshold);
    let contributions = reached.map(|(row, score)| (row, vec![score / columns as f64; columns])).collect();
    Scores { model_version: Arc::from("v1"), threshold, highest: 0.75, scores: rows, contributions }
}

proptest! {
    #[test]
    fn a_request_comes_back(inputs in tensors(), id in prop::option::of(".{0,5}"), wanted in wanted(), form in form()) {
        let request = Request { id, inputs, wanted };
        let message = request.encode(form);
        let read = Request::decode(&message.body, message.header_length).unwrap();
        prop_assert_eq!((&read.id, &read.wanted), (&request.id, &request.wanted));
        assert_same(&read.inputs, &request.inputs, form);
    }

    #[test]
    fn a_response_comes_back(outputs in tensors(), id in prop::option::of(".{0,5}"), form in form()) {
        let parameters = Map::from_iter([("threshold".to_owned(), json!(0.1 + 0.2))]);
        let response = Response { model_name: "m".into(), model_version: None, id, parameters, outputs };
        let message = response.encode(|_| form);
        let read = Response::decode(&message.body, message.header_length).unwrap();
        prop_assert_eq!((&read.id, &read.parameters), (&response.id, &response.parameters));
        assert_same(&read.outputs, &response.outputs, form);
    }

    #[test]
    fn scores_come_back_to_the_last_bit(
        rows in prop::collection::vec(0.0..1.0, 0..20),
        columns in 1..4_usize,
        threshold in 0.0..1.0,
        form in form(),
    ) {
        let scores = scores(rows, columns, threshold);
        let message = response_of(scores.clone(), "m", columns, None, &Wanted::All(form)).encode(|_| form);
        let read = Response::decode(&message.body, message.header_length).unwrap();
        prop_assert_eq!(scores_of(read, "v1", scores.scores.len(), columns).unwrap(), scores);
    }

    #[test]
    fn arbitrary_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200), at in prop::option::of(0..250_usize)) {
        drop((Request::decode(&body, at), Response::decode(&body, at), header_length(&body)));
    }

    #[test]
    fn a_damaged_message_is_read_or_refused(inputs in tensors(), form in form(), damage in any::<(u16, u8, u16)>()) {
        let Message { header_length, mut body } = Request { id: None, inputs, wanted: Wanted::All(form) }.encode(form);
        let at = usize::from(damage.0) % body.len();
        body[at] = damage.1;
        body.truncate(usize::from(damage.2).max(1));
        drop(Request::decode(&body, header_length));
    }
}

fn input(tensor: &Value) -> Result<Tensor<'static>, OipError> {
    let body = json!({"inputs": [tensor]}).to_string();
    Request::decode(body.as_bytes(), None).map(|request| request.inputs.into_iter().next().unwrap())
}

fn data(shape: &Value, data: &Value) -> Result<Tensor<'static>, OipError> {
    input(&json!({"name": "x", "shape": shape, "datatype": "FP64", "data": data}))
}

#[test]
fn data_is_nested_as_its_shape_or_flat() {
    let expected = Values::Fp64(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.5].into());
    for nested in [json!([1, 2, 3, 4, 5, 6.5]), json!([[1, 2, 3], [4, 5, 6.5]])] {
        assert_eq!(data(&json!([2, 3]), &nested).unwrap().values, expected, "{nested}");
    }
    assert_eq!(data(&json!([]), &json!([7])).unwrap().values.into_f64(), [7.0]);
    assert!(data(&json!([1, 1]), &json!([[null]])).unwrap().values.into_f64()[0].is_nan());
    for (shape, empty) in [(json!([0, 3]), json!([])), (json!([2, 0]), json!([[], []]))] {
        assert!(data(&shape, &empty).unwrap().values.is_empty());
    }
}

#[test]
fn data_of_another_shape_is_refused() {
    for wrong in [
        json!([1, 2, 3, 4, 5]),
        json!([1, 2, 3, 4, 5, 6, 7]),
        json!([[1, 2], [3, 4], [5, 6]]),
        json!([[1, 2, 3], [4, 5]]),
        json!([[1, 2, 3], 4, 5, 6]),
        json!([[[1, 2, 3], [4, 5, 6]]]),
        json!([[1, 2, 3], ["4", 5, 6]]),
        json!(3),
        json!({"a": 1}),
    ] {
        assert!(matches!(data(&json!([2, 3]), &wrong), Err(OipError::Data { .. })), "{wrong}");
    }
    assert!(data(&json!([0]), &json!([1])).is_err());
    let whole = json!({"name": "x", "shape": [1], "datatype": "INT64", "data": [1.5]});
    assert!(matches!(input(&whole), Err(OipError::Data { .. })));
}

#[test]
fn sizes_that_are_claimed_are_not_believed() {
    let claimed = |shape: &Value, bytes: u64| {
        let parameters = json!({"binary_data_size": bytes});
        input(&json!({"name": "x", "shape": shape, "datatype": "FP64", "parameters": parameters})).unwrap_err()
    };
    assert!(matches!(claimed(&json!([1_u64 << 40]), 8 << 40), OipError::Truncated { left: 0, .. }));
    assert!(matches!(claimed(&json!([2]), 15), OipError::Bytes { expected: 16, announced: 15, .. }));
    assert!(matches!(claimed(&json!([u64::MAX, 2]), 8), OipError::Shape { .. }));
    assert!(matches!(claimed(&json!([u64::MAX, u64::MAX, 0]), 0), OipError::Shape { .. }));
    assert!(matches!(claimed(&json!([-1]), 0), OipError::Json(_)));
}

#[test]
fn many_dimensions_are_refused_before_any_value_is_read() {
    // Each empty list would cost a multiplication for each dimension.
    let shape: Vec<u64> = [1 << 16, 0].into_iter().chain(std::iter::repeat_n(1, 1 << 16)).collect();
    let error = data(&json!(shape), &json!(vec![json!([]); 1 << 16])).unwrap_err();
    assert_eq!(error.to_string(), "tensor \"x\": the shape has 65538 dimensions, which are more than 8");
    assert!(data(&json!([1, 1, 1, 1, 1, 1, 1, 1]), &json!([1])).is_ok());
}

#[test]
fn what_is_wrong_is_named() {
    let tensor = json!({"name": "x", "shape": [1], "datatype": "FP64", "data": [1]});
    let twice = json!({"inputs": [tensor, tensor]}).to_string();
    assert_eq!(Request::decode(twice.as_bytes(), None).unwrap_err().to_string(), "tensor \"x\" is there twice");
    let text = json!({"name": "x", "shape": [1], "datatype": "BYTES", "data": ["a"]});
    let message = input(&text).unwrap_err().to_string();
    assert_eq!(message, "tensor \"x\": datatype \"BYTES\" is none of FP64, FP32, INT64, INT32");
    let none = json!({"name": "x", "shape": [1], "datatype": "FP64"});
    assert!(matches!(input(&none), Err(OipError::OneForm(_))));
    let body = json!({"inputs": [tensor]}).to_string();
    let split = |at| Request::decode(body.as_bytes(), Some(at)).unwrap_err();
    assert!(matches!(split(body.len() + 1), OipError::TooShort { .. }));
    assert!(matches!(split(3), OipError::Json(_)));
    let longer = format!("{body}abc");
    assert!(matches!(Request::decode(longer.as_bytes(), Some(body.len())), Err(OipError::Trailing(3))));
    assert!(matches!(header_length(b"-3"), Err(OipError::HeaderLength(_))));
    assert_eq!(header_length(b" 12").unwrap(), 12);
}

#[test]
fn rows_must_be_the_models() {
    let columns = ["a".to_owned(), "b".to_owned()];
    let tensor = |name: &str, shape: Vec<usize>| {
        let values = Values::Int32(vec![1; shape.iter().product()].into());
        Tensor { name: name.to_owned(), shape, values }
    };
    let request = |inputs, wanted| Request { id: None, inputs, wanted };
    let all = || Wanted::All(Form::Json);
    let rows = rows_of(request(vec![tensor(INPUT, vec![3, 2])], all()), &columns).unwrap();
    assert_eq!(rows, {
        let mut rows = Matrix::with_capacity(2, 3);
        (0..3).for_each(|_| rows.push(&[1.0, 1.0]));
        rows
    });
    let refused = |request| rows_of(request, &columns).unwrap_err().to_string();
    assert!(refused(request(vec![], all())).contains("one input"));
    assert!(refused(request(vec![tensor("x", vec![3, 2])], all())).contains("called \"rows\""));
    for shape in [vec![3, 3], vec![6], vec![3, 2, 1]] {
        assert!(refused(request(vec![tensor(INPUT, shape)], all())).contains("columns a, b"));
    }
    let wanted = Wanted::These(vec![("speed".to_owned(), Form::Json)]);
    assert!(refused(request(vec![tensor(INPUT, vec![3, 2])], wanted)).contains("no output \"speed\""));
}

#[test]
fn answers_to_other_questions_are_refused() {
    let scores = scores(vec![0.4, 0.9, 0.8], 2, 0.6);
    let answer = |wanted: &Wanted| response_of(scores.clone(), "m", 2, None, wanted);
    let all = Wanted::All(Form::Binary);
    let refused = |response, version: &str, rows| scores_of(response, version, rows, 2).unwrap_err().to_string();
    assert!(scores_of(answer(&all), "v1", 3, 2).is_ok());
    assert!(refused(answer(&all), "v2", 3).contains("\"v1\" answered instead of \"v2\""));
    assert!(refused(answer(&all), "v1", 4).contains("shape of \"score\""));
    assert!(refused(answer(&Wanted::These(vec![(SCORE.to_owned(), Form::Json)])), "v1", 3).contains("missing"));
    let mut swapped = answer(&all);
    swapped.outputs[1].values = Values::Int64(vec![2, 1].into());
    assert!(refused(swapped, "v1", 3).contains("rising order"));
    let mut without = answer(&all);
    without.parameters.clear();
    assert!(refused(without, "v1", 3).contains("threshold"));
    let mut nan = answer(&all);
    nan.outputs[0].values = Values::Fp64(vec![f64::NAN, 0.9, 0.8].into());
    assert!(refused(nan, "v1", 3).contains("\"score\" must be numbers"));
    let mut nan = answer(&all);
    nan.outputs[2].values = Values::Fp64(vec![0.5, 0.5, f64::NAN, 0.5].into());
    assert!(refused(nan, "v1", 3).contains("\"contributions\" must be numbers"));
}
