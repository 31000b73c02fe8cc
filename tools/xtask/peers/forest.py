"""The other side of `cargo xtask bench forest`: prints one line of JSON for each figure.

forest.py speed FILE COLUMNS   FILE holds little-endian float64, row after row
forest.py quality FILE...      CSV with a header and a last column `label`, 1 for anomalies
"""

import json
import os
import sys
import time

os.environ["OMP_NUM_THREADS"] = "1"

import isotree
import numpy as np
import sklearn.ensemble
from sklearn.metrics import average_precision_score, roc_auc_score

SEEDS = 5


def mixed(seed):
    """Tree k of isotree has seed + k, so that neighbouring seeds would share most of their trees."""
    return int(np.random.SeedSequence([seed]).generate_state(1)[0]) >> 2


def settings(seed):
    small = {"ntrees": 100, "sample_size": 256, "ndim": 1, "missing_action": "fail"}
    return {
        "scikit-learn": sklearn.ensemble.IsolationForest(max_samples=256, n_jobs=1, random_state=seed),
        "isotree 100x256": isotree.IsolationForest(**small, nthreads=1, random_seed=mixed(seed)),
        "isotree default": isotree.IsolationForest(nthreads=1, random_seed=mixed(seed)),
    }


def score(forest, rows):
    if isinstance(forest, sklearn.ensemble.IsolationForest):
        return -forest.score_samples(rows)
    return forest.predict(rows)


def timed(times, work):
    """Seconds that `work` takes, the least of some times."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return min(taken)


def speed(file, columns):
    rows = np.fromfile(file, dtype="<f8").reshape(-1, columns)
    for name, forest in settings(1).items():
        slow = name == "isotree default"
        fit = timed(1 if slow else 3, lambda: forest.fit(rows))
        some = rows[:10_000] if slow else rows
        scoring = timed(1 if slow else 2, lambda: score(forest, some))
        one = timed(1, lambda: [score(forest, rows[i : i + 1]) for i in range(100)]) / 100
        figures = {"fit_s": fit, "rows_per_s": len(some) / scoring, "one_s": one}
        print(json.dumps({"name": name, "columns": columns, **figures}), flush=True)


def quality(files):
    for file in files:
        table = np.genfromtxt(file, delimiter=",", skip_header=1)
        rows, labels = np.ascontiguousarray(table[:, :-1]), table[:, -1] > 0
        found = {}
        for seed in range(SEEDS):
            for name, forest in settings(seed).items():
                scores = score(forest.fit(rows), rows)
                areas = (roc_auc_score(labels, scores), average_precision_score(labels, scores))
                found.setdefault(name, []).append(areas)
        for name, areas in found.items():
            auc, ap = np.mean(areas, axis=0)
            print(json.dumps({"name": name, "file": file, "auc": auc, "ap": ap}), flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["speed", file, columns]:
            speed(file, int(columns))
        case ["quality", *files]:
            quality(files)
        case _:
            sys.exit(__doc__)
