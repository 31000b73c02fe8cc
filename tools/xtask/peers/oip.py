"""Asks the ML service as users of the Open Inference Protocol do, by NVIDIA's client for Triton.

oip.py HOST:PORT USE_CASE SAMPLE
"""

import json
import sys
import urllib.request

import numpy as np
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

import taxi

OUTPUTS = ["score", "explained", "contributions"]
failed = 0


def check(what, holds, found=""):
    """Says whether it holds; all are tried, so that all faults are known at once."""
    global failed
    failed += not holds
    print(f"{'ok    ' if holds else 'FAILED'} {what}{'' if holds else f': {found}'}")


def refused(what, words, ask):
    """Checks that it is refused, with a message that has all of `words` in it."""
    try:
        answer = ask()
    except InferenceServerException as error:
        message = error.message() or ""
        check(f"{what} is refused: {message}", all(word in message for word in words), f"it does not say {words}")
    else:
        check(f"{what} is refused", False, answer)


def tensor(rows, binary, name="rows", datatype="FP64"):
    given = InferInput(name, list(rows.shape), datatype)
    given.set_data_from_numpy(rows, binary_data=binary)
    return [given]


def of(answer):
    return [answer.as_numpy(name) for name in OUTPUTS]


def about(client, name):
    """What it says of itself; returns the model's metadata."""
    check("the server is live", client.is_server_live())
    check("the server is ready", client.is_server_ready())
    check("the model is ready", client.is_model_ready(name))
    server = client.get_server_metadata()
    check("the server names itself and the extension", "binary_tensor_data" in server["extensions"] and server["name"], server)
    model = client.get_model_metadata(name)
    version = model["versions"][0]
    check("the version is ready", client.is_model_ready(name, version))
    check("another version is not", not client.is_model_ready(name, "0"))
    check("another model is not", not client.is_model_ready("nobody"))
    check("the version has the same metadata", client.get_model_metadata(name, version) == model)
    check("the columns are those of the use case", model["parameters"]["columns"] == taxi.COLUMNS, model)
    check("a row has them", model["inputs"] == [{"name": "rows", "datatype": "FP64", "shape": [-1, len(taxi.COLUMNS)]}], model)
    check("all outputs are named", [output["name"] for output in model["outputs"]] == OUTPUTS, model)
    return model


def scores(client, name, model, rows):
    """Both forms say the same, in every mixture; returns the scores."""
    wanted = {binary: [InferRequestedOutput(name, binary_data=binary) for name in OUTPUTS] for binary in (True, False)}
    answers = [of(client.infer(name, tensor(rows, given), outputs=wanted[got])) for given in (True, False) for got in (True, False)]
    same = all(np.array_equal(one, other) for answer in answers for one, other in zip(answer, answers[0]))
    check("JSON and binary agree to the bit", same, answers)
    score, explained, shares = answers[0]
    check("there is a score for each row, from 0 to 1", score.shape == (len(rows),) and ((score > 0) & (score <= 1)).all(), score)
    reached = np.flatnonzero(score >= model["parameters"]["threshold"])
    check("what reaches the threshold is explained", np.array_equal(explained, reached) and len(reached) > 0, explained)
    check("shares sum to 1", shares.shape == (len(explained), rows.shape[1]) and np.allclose(shares.sum(axis=1), 1), shares)
    plain = client.infer(name, tensor(rows, True), request_id="seven", model_version=model["versions"][0])
    check("without a wish, all outputs come", all(map(np.array_equal, of(plain), answers[0])))
    head = plain.get_response()
    named = (head.get("model_name"), head.get("model_version"), head.get("id"))
    check("the answer names model, version and request", named == (name, model["versions"][0], "seven"), head)
    only = client.infer(name, tensor(rows, True), outputs=[InferRequestedOutput("score", binary_data=True)])
    check("what is not wanted does not come", only.as_numpy("explained") is None and np.array_equal(only.as_numpy("score"), score))
    packed = client.infer(name, tensor(rows, True), request_compression_algorithm=None, response_compression_algorithm="gzip")
    check("who accepts gzip gets the same", np.array_equal(packed.as_numpy("score"), score))
    single = client.infer(name, tensor(rows.astype(np.float32), True, datatype="FP32")).as_numpy("score")
    check("FP32 is taken, too", np.abs(single - score).max() < 0.05, np.abs(single - score).max())
    missing = rows.copy()
    missing[0, 0] = np.nan
    check("a missing value is scored", np.isfinite(client.infer(name, tensor(missing, True)).as_numpy("score")).all())
    none = client.infer(name, tensor(rows[:0], True)).as_numpy("score")
    check("no rows have no scores", none is not None and none.shape == (0,), none)
    waiting = [client.async_infer(name, tensor(rows, True)) for _ in range(8)]
    check("many at once get the same", all(np.array_equal(one.get_result().as_numpy("score"), score) for one in waiting))
    return score


def faults(client, name, model, rows):
    """What is wrong is refused, and it is said what."""
    width = rows.shape[1]
    refused("a row that is too short", [str(width)], lambda: client.infer(name, tensor(rows[:, 1:], True)))
    refused("a row that is too short, in JSON", [str(width)], lambda: client.infer(name, tensor(rows[:, 1:], False)))
    refused("a shape of one dimension", [str(width)], lambda: client.infer(name, tensor(rows[0], True)))
    refused("another input", ["rows", "columns"], lambda: client.infer(name, tensor(rows, True, name="columns")))
    refused("an input twice", ["rows"], lambda: client.infer(name, tensor(rows, True) * 2))
    refused("another type", ["BOOL"], lambda: client.infer(name, tensor(rows > 0, True, datatype="BOOL")))
    refused("another output", ["nothing"], lambda: client.infer(name, tensor(rows, True), outputs=[InferRequestedOutput("nothing")]))
    refused("an unknown model", ["nobody", name], lambda: client.infer("nobody", tensor(rows, True)))
    refused("the metadata of an unknown model", ["nobody", name], lambda: client.get_model_metadata("nobody"))
    refused("an unknown version", ["7", model["versions"][0]], lambda: client.infer(name, tensor(rows, True), model_version="7"))
    limit = model["parameters"]["max_rows"]
    many = np.zeros((limit + 1, width))
    refused("a row too many", [str(limit)], lambda: client.infer(name, tensor(many, True)))
    check("as many rows as allowed are scored", len(client.infer(name, tensor(many[1:], True)).as_numpy("score")) == limit)


def predict(address, trips):
    events = [dict(zip(taxi.FIELDS, map(float, trip))) for trip in trips]
    request = urllib.request.Request(
        f"http://{address}/predict/batch", json.dumps(events).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return [verdict["score"] for verdict in json.load(answer)["predictions"]]


def main(address, name, sample):
    trips = taxi.read(sample)[:2000]
    rows = taxi.derive(trips)
    with InferenceServerClient(address, concurrency=8) as client:
        model = about(client, name)
        score = scores(client, name, model, rows)
        faults(client, name, model, rows)
    difference = np.abs(np.array(predict(address, trips)) - score).max()
    check("/predict says the same of the same events", difference == 0, difference)
    print(f"{failed} failed")
    return failed > 0


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
