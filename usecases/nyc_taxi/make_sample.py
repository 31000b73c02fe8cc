"""Makes sample.csv from a table of green-taxi trips and the TLC's taxi zone lookup table.

    python3 make_sample.py TRIPS.csv.gz ZONES.csv FIRST_DAY DAYS > sample.csv

TRIPS has the columns pickup, dropoff (local time), pu_zone, do_zone, distance_mi, duration_min, fare, tip,
tolls, total, rule (1: genuine outlier) and inj (0: untouched; only those are taken). ZONES has LocationID and Zone. The
trips that ended in the DAYS days from FIRST_DAY (YYYY-MM-DD) on are written in the order of their end.
"""

import csv
import datetime
import gzip
import sys

UNKNOWN = {"264": "Unknown", "265": "Outside of NYC"}
HEADER = [
    "pickup_time", "dropoff_time", "pickup_zone", "dropoff_zone", "trip_duration", "trip_distance",
    "fare_amount", "tip_amount", "tolls_amount", "total_amount", "genuine_outlier",
]


def short(number, decimals=2):
    """The shortest text of a number with at most so many decimals."""
    text = f"{float(number):.{decimals}f}".rstrip("0").rstrip(".") if decimals else str(round(float(number)))
    return "0" if text == "-0" else text


def rfc3339(local):
    """The trip's local time, labelled as UTC: what matters is the distance between events."""
    return local.replace(" ", "T") + "Z"


def main(trips, zones, first, days):
    with open(zones, encoding="utf-8-sig", newline="") as file:
        names = {row["LocationID"]: row["Zone"] for row in csv.DictReader(file)} | UNKNOWN
    start = datetime.date.fromisoformat(first)
    end = (start + datetime.timedelta(days=int(days))).isoformat()
    with gzip.open(trips, "rt", newline="") as file:
        kept = [row for row in csv.DictReader(file) if row["inj"] == "0" and first <= row["dropoff"] < end]
    kept.sort(key=lambda row: row["dropoff"])
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(HEADER)
    for row in kept:
        times = [rfc3339(row["pickup"]), rfc3339(row["dropoff"])]
        places = [names[row["pu_zone"]], names[row["do_zone"]]]
        money = [short(row[name]) for name in ("fare", "tip", "tolls", "total")]
        seconds = short(float(row["duration_min"]) * 60, 0)
        out.writerow(times + places + [seconds, short(row["distance_mi"])] + money + [row["rule"]])


if __name__ == "__main__":
    main(*sys.argv[1:])
