"""Writes the sample runs that the report's tests render: made-up but plausible numbers for a sequence
log (level B) and an arm log, with every key of the run directory's files. Standard library only.

    python3 tests/golden/report/make_fixtures.py
"""
import json
import math
import os
import random

HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = ["street food", "cover songs", "pottery", "dance duet", "night fishing", "makeup remake", "tiny homes",
         "lip sync", "chess puzzles", "cat rescue", "sketch comedy", "van life", "bread baking", "magic tricks"]


def r(value, digits=5):
    return round(value, digits)


def write(name, value):
    """One line for each item of the outer lists, so that a change shows as a readable difference."""
    def lines(item, depth):
        if isinstance(item, dict) and depth < 2:
            inner = ",\n".join(f'{" " * depth}{json.dumps(k)}: {lines(v, depth + 1)}' for k, v in item.items())
            return "{\n" + inner + "\n}"
        if isinstance(item, list) and item and isinstance(item[0], (dict, list)) and depth < 3:
            return "[\n" + ",\n".join(json.dumps(v) for v in item) + "\n]"
        return json.dumps(item)
    with open(os.path.join(HERE, name), "w") as out:
        out.write(lines(value, 0) + "\n")


def curve(random_, points, bend):
    xs = [i / points for i in range(points + 1)]
    return [[r(x, 4), r(x ** bend + (0.015 * random_.gauss(0, 1) if 0 < x < 1 else 0), 4)] for x in xs]


def grouped(auuc, half):
    """Grouped rankings give auuc_05 and the raw area only."""
    why = "not defined for gains of clusters"
    return {"auuc_05": r(auuc, 4), "raw_area": r(0.021 * auuc, 5), "ci95": [r(auuc - half, 4), r(min(auuc + half, 1), 4)],
            **{key + part: None if not part else why for key in ("auuc_sk", "qini_sk", "auuc_causalml", "qini_causalml",
                                                                 "bin_error_bound") for part in ("", "_why")}}


def areas(auuc, half):
    return {"auuc_05": r(auuc, 4), "auuc_sk": r(2 * auuc - 1, 4), "qini_sk": r(2 * auuc - 1.04, 4),
            "auuc_causalml": r(auuc * 0.93, 4), "qini_causalml": r(auuc * 0.46, 4), "bin_error_bound": 2.1e-06,
            "ci95": [r(auuc - half, 4), r(min(auuc + half, 1), 4)]}


def config(log, rows, touches, outcome_kind, options):
    return {"options": {k: {"value": v, "source": "default"} for k, v in {
                "log": log, "model": "reference", "mediator": "observed", "holdout": 0.2, "folds": 1, "seed": 1,
                "nuisance": "network", **options}.items()},
            "log": {"kind": outcome_kind, "rows": rows, "touches": touches, "bad_rows": 0, "truncated_rows": 0,
                    "manifest_hash": "4f1d3c9a77be20c6d5e1f08a6b3392c7e0ab51d94c88f3627be0147d9a6c5e21",
                    "warnings": []},
            "started": "2031-05-12T06:30:00Z", "hosts": ["node01"], "versions": {"alm": "sample"}}


def metrics(steps, losses):
    rng = random.Random(5)
    out = []
    for step in range(20, steps + 1, 20):
        p = step / steps
        row = {"fit": "main", "phase": "train", "step": step, "epoch": int(p * 5), "samples": step * 1024,
               "losses": {k: r(low + (high - low) * math.exp(-5 * p) + 0.008 * high * rng.gauss(0, 1))
                          for k, (high, low) in losses.items()},
               "samples_per_s": r(21500 + 700 * rng.gauss(0, 1), 0), "loader_wait": r(0.004 * rng.random()),
               "comm_share": r(0.05 + 0.004 * rng.random()),
               "phase_shares": {"loader_wait": 0.002, "compute": 0.871, "reduce": 0.052, "update": 0.075},
               "lr": r(3e-3 * 0.5 * (1 + math.cos(math.pi * p)), 7), "lambda": None}
        if step % 240 == 0:
            row["validation"] = {k: r(low + (high - low) * math.exp(-4.6 * p) + 0.006 * low)
                                 for k, (high, low) in losses.items()}
        out.append(row)
    for k in range(1, 11):
        out.append({"fit": "main", "phase": "second_stage", "step": steps + 20 * k,
                    "losses": {**{name: low for name, (_, low) in losses.items()}, "second_stage": r(0.004 + 0.002 / k)},
                    "samples_per_s": 64000.0})
    for half in ("half-0", "half-1"):  # fits that the page leaves out
        out.append({"fit": half, "phase": "train", "step": 20, "losses": {"mediator": 99.0, "outcome": 99.0}})
    return out


def calibration(rng, mean):
    out = []
    for b in range(20):
        p = mean * (0.15 + 0.11 * b)
        out.append({"predicted": r(p), "observed": r(p + 0.012 * rng.gauss(0, 1) * (1 + b / 20)), "samples": 2998})
    return out


def sequence():
    rng = random.Random(7)
    effects = []
    for k in range(100):
        touches = int(23000 * (k + 1) ** -0.7) + 15
        affinity = rng.gauss(0, 1)
        rate = 1 / (1 + math.exp(1 - 0.6 * rng.gauss(0, 1)))
        potency = 1 / (1 + math.exp(1.8 + 0.9 * affinity - 0.4 * rng.gauss(0, 1)))
        truth = 0.72 * rate * potency
        se = 0.25 / math.sqrt(touches)
        one_step = truth + se * rng.gauss(0, 1)
        plugin = truth * (1 + 0.05 * rng.gauss(0, 1)) + 0.0008 * rng.gauss(0, 1)
        name = NAMES[k] if k < len(NAMES) else f"cluster {k}"
        effects.append({
            "cluster": k, "name": name, "unit": "probability of the outcome per touch", "touches": touches,
            "users": int(touches * 0.86), "naive": r(1.1 * truth + 0.035 * affinity + 0.012 * rng.gauss(0, 1)),
            "backdoor": r(0.9 * truth + 0.02 * affinity + 0.004 * rng.gauss(0, 1)),
            "do": {"plugin": r(plugin), "one_step": None, "se": None, "ci95": None, "clipped_share": None, "ess": None,
                   "why": "the error of the fit is not in a bootstrap of scores; given with --bootstrap-fits R"},
            "ett": {"plugin": r(plugin * 0.97), "one_step": r(one_step), "se": r(se),
                    "ci95": [r(one_step - 1.96 * se), r(one_step + 1.96 * se)], "clipped_share": r(0.004 * rng.random()),
                    "ess": int(touches * (0.55 + 0.3 * rng.random())), "raw": r(one_step)},
            "removal": {"plugin": r(plugin * 1.05), "one_step": r(one_step * 1.05), "se": r(se * 1.1),
                        "ci95": [r(1.05 * one_step - 2.15 * se), r(1.05 * one_step + 2.15 * se)], "clipped_share": 0.0,
                        "ess": int(touches * 0.6)},
            "truth": {"do": r(truth), "ett": r(truth * 0.98)}})
    buckets = {"difference": [], "front_door": []}
    for b in range(10):
        d, f = 0.68 + 0.06 * rng.gauss(0, 1), 0.93 + 0.03 * rng.gauss(0, 1)
        buckets["difference"].append({**grouped(d, 0.07), "clusters": 10, "curve": curve(rng, 10, 0.8)})
        buckets["front_door"].append({**grouped(min(f, 1), 0.05), "clusters": 10, "curve": curve(rng, 10, 0.45),
                                      "overlap": {"e_low": r(0.01 * b + 0.005), "e_high": r(0.01 * b + 0.014), "pi_least": r(0.004 * b + 0.002),
                                                  "pi_median": r(0.01 * b + 0.01), "rows": 24000.0, "ess": 15100.0, "ess_share": 0.629, "clipped_share": 0.0}})
    buckets["front_door"][9].update({"auuc_05": None, "auuc_05_why": "no overlap: the weights of these gains leave an effective sample of 3 % of their rows"})
    buckets["front_door"][9]["overlap"]["ess_share"] = 0.03
    estimates = {
        "schema": "alm-estimates/1", "samples": 59981, "users": 59981, "world_size": 2, "device": "cpu (avx2)",
        "mediator_mode": "observed", "in_sample": False, "log_kind": "sequence",
        "outcome": "binary", "scored": "held-out users (0.2 of all), used for no fit",
        "estimand_note": "Effects are of one touch on those who had it (ett) or on journeys of this context (do), mediated "
                         "by the observed engagement. A direct effect of exposure on outcomes is not in them.",
        "prediction": {"auc": 0.7154, "gauc": None, "gauc_coverage": 0.0,
                       "gauc_why": "no user has outcomes of both classes", "logloss": 0.5361, "rig": 0.0962,
                       "pcoc": 1.0031, "ece": 0.0058, "calibration": calibration(rng, 0.28)},
        "effects": effects, "auuc": None, "auuc_why": "no arms in a sequence log",
        "grouped_auuc": {
            "difference": {"overall": {**grouped(0.682, 0.02), "bucket_mean": 0.6891, "bucket_mean_weighted": 0.6934, "curve": curve(rng, 30, 0.78)}, "buckets": buckets["difference"]},
            "ipw": None, "ipw_why": "the log has no propensities",
            "rate": {"autoc": {"value": 0.0265, "se": 0.0016, "ci95": [0.0234, 0.0296]},
                     "autoc_above_backdoor": {"value": 0.0167, "se": 0.0015, "ci95": [0.0138, 0.0196]}, "exposures": 240100.0},
            "front_door": {"overall": {**grouped(0.968, 0.012), "backdoor_ranking": 0.5712, "bucket_mean": 0.9181, "bucket_mean_weighted": 0.9302, "curve": curve(rng, 30, 0.42)}, "buckets": buckets["front_door"]}},
        "policy": [{"budget": b, "exposures": r(240100 * b, 0), "model": r(m, 2), "random": 24.1, "last_touch": r(28 - 20 * b, 2),
                    "backdoor": r(36 - 30 * b, 2), "times_random": {"model": r(m / 24.1, 3)},
                    "ci95": {"model": [r(0.9 * m, 2), r(1.1 * m, 2)], "random": [22.9, 25.3], "last_touch": [r(22 - 20 * b, 2), r(34 - 20 * b, 2)],
                             "backdoor": [r(30 - 30 * b, 2), r(42 - 30 * b, 2)]},
                    "above": {"backdoor": r(m - 36 + 30 * b, 2), "ci95": {"backdoor": [r(0.9 * m - 36, 2), r(1.1 * m - 36, 2)]}},
                    "truth": {"model": {"do": r(0.95 * m, 2), "ett": r(0.98 * m, 2)}, "random": {"do": 23.8, "ett": 24.4}}}
                   for b, m in [(0.01, 118.2), (0.02, 109.7), (0.05, 93.4), (0.1, 78.8), (0.2, 61.5)]],
        "identification": {"mediator_variance_share": 0.871, "leak_test": None, "leak_test_why": "not made: it would test proxies against a latent mediator, and none is fitted",
                           "negative_controls": None, "negative_controls_why": "not asked for",
                           "overlap": {"clipped_share": 0.0021, "clusters_clipped_above_5_percent": 0,
                                       "clusters_with_ess_below_5_percent": 0,
                                       "touches_without_observed_mediator": 312,
                                       "holes": [{"cluster": 3, "name": NAMES[3], "share": 0.124},
                                                 {"cluster": 7, "name": NAMES[7], "share": 0.061}]},
                           "lambda": {"second_stage": 0.8389, "critic": 0.8405, "difference": 0.0016, "disagreement": 0.0072,
                                      "uniform": 0.8398, "captured_mass": 1.0, "mass_top16": 0.103, "mass_top64": 0.272,
                                      "ess": 464.0, "ess_least": 3.1, "journeys": 16384, "groups": 16, "group_size": 1024,
                                      "weights": "all"}, "warnings": []},
        "truth": {"pehe": 0.0061, "ate_error": 0.0002, "cluster_spearman": 0.984, "touch_rmse": 0.0058, "touch_sd": 0.0304,
                  "slope": 0.972, "ratio": 1.004, "oracle_auuc_05": 0.9958, "backdoor_auuc_05": 0.6627, "coverage95": 0.95,
                  "ci95_width_median": 0.0311}}
    examples = []
    for row, outcome, touches in [(81234, 1, 5), (104, 0, 3), (250331, 1, 2), (17770, 0, 8)]:
        shares = [rng.random() ** 2 for _ in range(touches)]
        examples.append({"row": row, "user": 900000 + row, "outcome": outcome, "predicted": r(0.2 + 0.3 * outcome, 3),
                         "touches": [{"cluster": j, "name": NAMES[(row + 3 * j) % len(NAMES)],
                                      "mediator": [1, 0, 255][(row + j * j) % 3], "p": r(0.2 + 0.4 * rng.random(), 3),
                                      "do": r(0.05 * s), "ett": r(0.048 * s), "share": r(s / sum(shares), 4),
                                      "hours_before": r(7 * (touches - j) ** 1.7, 1)} for j, s in enumerate(shares)]})
    write("sequence_config.json", config("logs/level-b", 300000, 1201877, "sequence log", {}))
    write("sequence_estimates.json", estimates)
    write("sequence_metrics.json", metrics(1200, {"mediator": (2.75, 2.21), "outcome": (0.63, 0.536),
                                                  "second_stage": (0.02, 0.004), "propensity": (0, 0)}))
    write("sequence_examples.json", examples)


UNIT = {"do": "per scored journey, arm minus reference", "ett": "per journey of the arm, replaced by the reference"}


def arm():
    def entry(cluster, name, n, naive, backdoor, do, ett):
        def estimate(value, se):
            return {"plugin": r(value * 0.99, 1), "one_step": r(value, 1), "se": r(se, 1),
                    "ci95": [r(value - 1.96 * se, 1), r(value + 1.96 * se, 1)], "clipped_share": 0.013, "ess": 4021}
        return {"cluster": cluster, "name": name, "unit": UNIT, "touches": n, "users": n, "naive": naive,
                "backdoor": backdoor, "do": estimate(*do), "ett": estimate(*ett)}
    null = {"plugin": None, "one_step": None, "se": None, "ci95": None, "clipped_share": None, "ess": None,
            "why": "the reference arm"}
    estimates = {
        "schema": "alm-estimates/1", "samples": 9223, "users": 9223, "world_size": 1, "device": "cpu (avx512)",
        "mediator_mode": "observed", "in_sample": True, "log_kind": "arm",
        "outcome": "continuous", "scored": "all users, in-sample: the fit saw them",
        "estimand_note": "Effects of being offered training against no offer, mediated by enrolling.",
        "prediction": {"rmse": 16612.4, "r2": 0.043},
        "effects": [{"cluster": 0, "name": "control", "unit": UNIT, "touches": 3090, "users": 3090,
                     "naive": None, "backdoor": None, "do": null, "ett": null},
                    entry(1, "offered training", 6133, 1159.4, 1175.2, (1127.9, 341.7), (1098.3, 352.4))],
        "auuc": [{"cluster": 1, "name": "offered training", "auuc_05": None, "causal": True,
                  "auuc_05_why": "the score is constant: no context was used"},
                 {"cluster": 2, "name": "offered search help", **areas(0.531, 0.03), "causal": False, "rows": 5120,
                  "method": "exact", "curve": [[r(x / 20, 2), r(310 * (x / 20) ** 0.9, 1)] for x in range(21)]}],
        "grouped_auuc": None, "grouped_auuc_why": "one cluster cannot be ranked",
        "policy": None, "policy_why": "one arm leaves nothing to choose",
        "identification": {"mediator_variance_share": 0.62, "leak_test": None, "leak_test_why": "not made: it would test proxies against a latent mediator, and none is fitted",
                           "negative_controls": None, "negative_controls_why": "not asked for", "overlap": None,
                           "overlap_why": "tabular nuisances", "warnings": []}}
    write("arm_config.json", config("logs/jtpa", 9223, 9223, "arm log", {"nuisance": "tabular", "holdout": 0}))
    write("arm_estimates.json", estimates)
    write("arm_metrics.json", [])
    write("arm_examples.json", None)


sequence()
arm()
