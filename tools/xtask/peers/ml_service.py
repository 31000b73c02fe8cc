"""The other side of `cargo xtask bench ml-service`: FastAPI in front of scikit-learn, on the same trips and columns as ours.

ml_service.py rows SAMPLE FOLDER   writes the trips that are not trained on: `events.jsonl`, and their columns in `rows.f64`

As a module it is the service. It reads SAMPLE, TREES, SAMPLE_SIZE and EXPECTED_RATE from the environment.
"""

import json
import os
import sys

# Each core has a process of its own: more threads would only be in each other's way.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import orjson
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel
from sklearn.ensemble import IsolationForest

import taxi


class Trip(BaseModel):
    trip_duration: float
    trip_distance: float
    fare_amount: float
    tip_amount: float = 0.0
    tolls_amount: float = 0.0
    total_amount: float


def halves(file):
    """What is trained on, and what is asked about."""
    trips = taxi.read(file)
    return np.split(trips, [len(trips) // 2])


def fitted():
    trips, _ = halves(os.environ["SAMPLE"])
    forest = IsolationForest(
        n_estimators=int(os.environ["TREES"]),
        max_samples=int(os.environ["SAMPLE_SIZE"]),
        contamination=float(os.environ["EXPECTED_RATE"]),
        n_jobs=1,
        random_state=42,
    )
    return forest.fit(taxi.derive(trips))


def service():
    app, forest = FastAPI(), fitted()

    # `async`, as what waits for nothing is faster without FastAPI's pool of threads.
    @app.post("/predict")
    async def predict(trip: Trip):
        row = taxi.derive(np.array([[getattr(trip, field) for field in taxi.FIELDS]]))
        score = -forest.score_samples(row)[0]
        answer = {"is_anomaly": bool(score >= -forest.offset_), "score": float(score)}
        return Response(orjson.dumps(answer), media_type="application/json")

    @app.post("/infer")
    async def infer(request: Request):
        rows = np.frombuffer(await request.body(), dtype="<f8").reshape(-1, len(taxi.COLUMNS))
        return Response((-forest.score_samples(rows)).tobytes(), media_type="application/octet-stream")

    @app.get("/ready")
    async def ready():
        return {"ready": True}

    return app


def write(sample, folder):
    _, trips = halves(sample)
    with open(os.path.join(folder, "events.jsonl"), "w") as events:
        for trip in trips:
            print(json.dumps(dict(zip(taxi.FIELDS, map(float, trip)))), file=events)
    taxi.derive(trips).astype("<f8").tofile(os.path.join(folder, "rows.f64"))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["rows", sample, folder]:
            write(sample, folder)
        case _:
            sys.exit(__doc__)
