"""Makes sample.csv from the PetShop data set, flattened to one row per run, interval and service.

    python3 make_sample.py PETSHOP.csv.gz > sample.csv

PETSHOP has the columns run ("noissue" or the name of an incident's run), ts (seconds since 1970), service, requests, latency_avg,
latency_p50, latency_p95, latency_p99 (seconds), availability (per cent) and label (1: covers or follows an incident of this
service, 0: normal, -1: not known). Intervals without requests, services that are seldom used, and rows of which nobody knows
whether they are normal are left out. The incidents were recorded in another month than the days without one: the eight runs of
the data set's training part are moved into the second half of those days, evenly spaced, in place of as many rows of the service.
"""

import csv
import datetime
import gzip
import sys

INTERVAL = 300
FEWEST_ROWS = 500
HEADER = [
    "timestamp", "service", "request_volume", "error_rate", "response_time", "latency_p50", "latency_p95", "latency_p99",
    "genuine_outlier",
]


def short(text, factor=1.0):
    """The shortest text of a number with four digits."""
    return repr(float(f"{float(text) * factor:.4g}")).removesuffix(".0")


def event(row, ts):
    time = datetime.datetime.fromtimestamp(ts, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    errors = short(100.0 - float(row["availability"]))
    latencies = [short(row[name], 1000.0) for name in ("latency_avg", "latency_p50", "latency_p95", "latency_p99")]
    return [time, row["service"], row["requests"], errors] + latencies + [int(row["label"] == "1")]


def main(path):
    with gzip.open(path, "rt", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["requests"] != "0" and row["label"] != "-1"]
    of_service, incidents = {}, {}
    for row in rows:
        if row["run"] == "noissue":
            of_service.setdefault(row["service"], {})[int(row["ts"])] = row
        elif row["run"].startswith("train_"):
            incidents.setdefault(row["run"], []).append(row)
    kept = {service: by_time for service, by_time in of_service.items() if len(by_time) >= FEWEST_ROWS}
    times = sorted({ts for by_time in kept.values() for ts in by_time})
    half = times[len(times) // 2:]
    spacing = len(half) / len(incidents)
    for number, incident in enumerate(sorted(incidents.values(), key=lambda rows: int(rows[0]["ts"]))):
        start = half[int(number * spacing)]
        for place, row in enumerate(sorted(incident, key=lambda row: int(row["ts"]))):
            kept[row["service"]][start + place * INTERVAL] = row
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(HEADER)
    for ts in times:
        for service in sorted(kept):
            if ts in kept[service]:
                out.writerow(event(kept[service][ts], ts))


if __name__ == "__main__":
    main(*sys.argv[1:])
