"""The use case nyc_taxi in numpy: what `features.vrl` derives, in the same order of operations, so that it is the same to the bit."""

import csv

import numpy as np

FIELDS = ["trip_duration", "trip_distance", "fare_amount", "tip_amount", "tolls_amount", "total_amount"]
COLUMNS = ["speed", "fare_ratio", "fare_shortfall", "fare_per_minute", "tip_share", "pace"]


def read(file):
    """The trips of a sample, in the order of FIELDS."""
    with open(file, newline="") as lines:
        return np.array([[float(trip[field]) for field in FIELDS] for trip in csv.DictReader(lines)])


def derive(trips):
    """The columns of trips, in the order of COLUMNS."""
    duration, distance, fare, tip = trips[:, 0], trips[:, 1], np.maximum(trips[:, 2], 0.0), trips[:, 3]
    tariff = 2.5 + 2.5 * distance + duration / 120.0
    return np.column_stack([
        np.minimum(distance * 3600.0 / (duration + 1.0), 150.0),
        np.minimum((fare + 1.0) / tariff, 10.0),
        np.minimum(tariff / (fare + 1.0), 10.0),
        (fare + 2.0) * 60.0 / (duration + 120.0),
        tip / (fare + 5.0),
        duration / (60.0 * distance + 120.0),
    ])
