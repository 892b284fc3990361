"""Writes uplift_golden.json: what scikit-uplift's and causalml's own functions say about small vectors.

Needs Python 3.11 with the two packages installed (`pip install scikit-uplift causalml`), outside the
repository. causalml sorts unstably and does not group ties, so it is given the rank of every row under
(score descending, row id ascending) as its score, which makes its answer a function of the data alone.

    python tests/golden/make_uplift_golden.py > tests/golden/uplift_golden.json
"""

import json
import sys
from importlib.metadata import version

import numpy as np
import pandas as pd
from causalml.metrics import auuc_score, qini_score
from sklift.metrics import qini_auc_score, uplift_auc_score


def by_rank(score):
    order = np.lexsort((np.arange(len(score)), -score))
    ranked = np.empty(len(score))
    ranked[order] = np.arange(len(score), 0, -1)
    return ranked


def answers(score, arm, outcome):
    frame = pd.DataFrame({"model": by_rank(score), "w": arm, "y": outcome})
    result = {
        "auuc_causalml": float(auuc_score(frame)["model"]),
        "auuc_causalml_raw": float(auuc_score(frame, normalize=False)["model"]),
        "qini_causalml": float(qini_score(frame)["model"]),
    }
    if set(np.unique(outcome)) <= {0, 1}:
        y = outcome.astype(int)
        result["auuc_sk"] = float(uplift_auc_score(y, score, arm))
        result["qini_sk"] = float(qini_auc_score(y, score, arm))
    return result


def case(name, score, arm, outcome):
    score = np.asarray(score, dtype=np.float32).astype(float)
    arm = np.asarray(arm, dtype=int)
    outcome = np.asarray(outcome, dtype=np.float32).astype(float)  # as a log holds it
    return {
        "name": name,
        "score": score.tolist(),
        "arm": arm.tolist(),
        "outcome": outcome.tolist(),
        "expected": answers(score, arm, outcome),
    }


def main():
    y = [1, 0, 1, 1, 0, 0, 1, 0, 0, 1, 0, 0]
    w = [1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0]
    cases = [
        case("method A", [0.9, 0.8, 0.7, 0.65, 0.6, 0.5, 0.45, 0.4, 0.3, 0.2, 0.1, 0.05], w, y),
        case("method B", [0.9, 0.9, 0.7, 0.7, 0.6, 0.5, 0.5, 0.5, 0.3, 0.2, 0.1, 0.1], w, y),
    ]
    random = np.random.default_rng(17)
    for rows in (7, 31, 200, 997):
        for ties in (0, 5):
            score = random.normal(size=rows)
            if ties:
                score = np.round(score * ties) / ties
            arm = random.integers(0, 2, size=rows)
            rate = 1 / (1 + np.exp(-(0.8 * arm * score - 0.5)))
            outcome = random.random(rows) < rate
            cases.append(case(f"random {rows}, ties {ties}", score, arm, outcome))
    score = random.normal(size=101)
    arm = (np.arange(101) >= 9).astype(int)  # the best scores hold one arm only
    cases.append(case("one arm first", np.sort(score)[::-1], 1 - arm, random.random(101) < 0.4))
    arm = random.integers(0, 2, size=150)
    score = np.round(random.normal(size=150), 1)
    cases.append(case("harmful treatment", score, arm, random.random(150) < 0.6 - 0.4 * arm))
    cases.append(
        case("continuous outcome", score, arm, np.round(random.exponential(50, 150) + 20 * arm, 3))
    )
    json.dump(
        {
            "versions": {name: version(name) for name in ("scikit-uplift", "causalml", "numpy")},
            "python": sys.version.split()[0],
            "cases": cases,
        },
        sys.stdout,
        indent=None,
    )
    print()


if __name__ == "__main__":
    main()
