"""Calibration: curves, how they are fitted, how confidences are judged and measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from restore import ResourceError, Restorer, get_channel, strip_text
from restore.bundle import resources_folder, write_bundle
from restore.calibration import FILE, FORMAT, VERSION, Curve, Rule, open_calibrator, read_calibration
from restore.cli.train import train_command
from restore.decisions import KINDS
from restore.evaluation.calibration import (
    Judged,
    calibration_by_kind,
    calibration_error,
    error_floor,
    rank_correlation,
    risk_coverage,
)
from restore.evaluation.decisions import Event, judge
from restore.training.calibration import judged, train_calibration
from restore.training.fitting import (
    SenseGap,
    fit_beta,
    fit_curves,
    fit_isotonic,
    fit_platt,
    fit_pool,
    fit_risen,
    fit_rules,
)

CHANCE = np.random.default_rng(7)
POSTERIORS = CHANCE.random(4000)
TRUE = 0.1 + 0.6 * POSTERIORS**2
RIGHT = (CHANCE.random(4000) < TRUE).astype(float)
ONES = np.ones(4000)
NOT_TAGGED = np.full(4000, np.nan)


@pytest.mark.parametrize("fit", [fit_isotonic, fit_platt, fit_beta, fit_pool, fit_risen])
def test_curves_rise_and_come_near_the_truth(fit: object) -> None:
    curve = fit(POSTERIORS, NOT_TAGGED, RIGHT, ONES)  # type: ignore[operator]
    grid = [curve(x) for x in np.linspace(0, 1, 101)]
    assert grid == sorted(grid)
    assert grid[0] >= 0
    assert grid[-1] <= 1
    off = [abs(curve(x) - (0.1 + 0.6 * x * x)) for x in (0.2, 0.5, 0.8)]
    assert max(off) < (0.12 if fit in (fit_platt, fit_pool) else 0.08)
    assert Curve.from_dict(json.loads(json.dumps(curve.to_dict()))) == curve


def test_isotonic_pools_what_falls() -> None:
    x = np.repeat([0.1, 0.5, 0.9], 40)
    curve = fit_isotonic(x, x, np.repeat([0.0, 1.0, 0.0], 40), np.ones(120))
    assert curve.x == (0.1, 0.7)
    assert curve.y == (0.0, 0.5)


def test_a_second_witness_is_heard_if_it_knows_something() -> None:
    """Its slope is that of the truth; a witness that knows nothing has none, and none is needed."""
    tagged = CHANCE.random(4000)
    odds = 0.5 * np.log(POSTERIORS / (1 - POSTERIORS)) + 0.8 * np.log(tagged / (1 - tagged))
    right = (CHANCE.random(4000) < 1 / (1 + np.exp(-odds))).astype(float)
    curve = fit_pool(POSTERIORS, tagged, right, ONES)
    assert curve.b == pytest.approx(0.5, abs=0.1)
    assert curve.c == pytest.approx(0.8, abs=0.1)
    assert curve(0.5, 0.9) > curve(0.5, 0.5) > curve(0.5, 0.1)
    assert fit_pool(POSTERIORS, tagged, RIGHT, ONES).c == pytest.approx(0, abs=0.05)
    assert fit_pool(POSTERIORS, NOT_TAGGED, RIGHT, ONES)(0.7) == fit_pool(POSTERIORS, POSTERIORS, RIGHT, ONES)(0.7, 0.7)
    events = [Event("word", float(p), bool(r), float(t)) for p, r, t in zip(POSTERIORS, right, tagged, strict=True)]
    assert fit_curves([events[part::5] for part in range(5)], [1.0] * 5)["word"].method == "pool"


def test_a_pool_that_is_wrong_at_its_end_is_bent() -> None:
    """The least sure may be right more often than any formula has it."""
    tagged = CHANCE.random(4000)
    odds = 0.5 * np.log(POSTERIORS / (1 - POSTERIORS)) + 0.8 * np.log(tagged / (1 - tagged))
    right = (CHANCE.random(4000) < np.maximum(0.4, 1 / (1 + np.exp(-odds)))).astype(float)
    curve = fit_risen(POSTERIORS, tagged, right, ONES)
    assert curve(0.05, 0.05) == pytest.approx(0.4, abs=0.05)
    assert curve(0.95, 0.95) > 0.9
    assert curve(0.5, 0.9) > curve(0.5, 0.5)
    assert Curve.from_dict(json.loads(json.dumps(curve.to_dict()))) == curve
    events = [Event("word", float(p), bool(r), float(t)) for p, r, t in zip(POSTERIORS, right, tagged, strict=True)]
    assert fit_curves([events[part::5] for part in range(5)], [1.0] * 5)["word"].method == "risen"


def test_few_events_are_given_a_formula_unless_steps_are_plainly_better() -> None:
    """Where a formula is the truth, steps are only ever better by luck."""
    chance = np.random.default_rng(8)
    for _ in range(8):
        posteriors, tagged = chance.random(300), chance.random(300)
        odds = 0.5 * np.log(posteriors / (1 - posteriors)) + 0.8 * np.log(tagged / (1 - tagged))
        right = chance.random(300) < 1 / (1 + np.exp(-odds))
        events = [Event("word", float(p), bool(r), float(t)) for p, r, t in zip(posteriors, right, tagged, strict=True)]
        assert fit_curves([events[part::5] for part in range(5)], [1.0] * 5)["word"].method not in ("isotonic", "risen")


def test_each_kind_gets_a_curve_and_rare_ones_share() -> None:
    documents = [
        [Event("word", float(p), bool(r)) for p, r in zip(POSTERIORS[part::5], RIGHT[part::5], strict=True)]
        for part in range(5)
    ]
    documents[0] += [Event("mark", 0.5, False)] * 3 + [Event("nothing", 0.5, True)] * 3
    curves = fit_curves(documents, [1.0] * 5)
    assert set(curves) == {"word", "comma", "sentence", "mark", "pair", "paragraph", "joiner"}


@pytest.mark.parametrize(
    "data",
    [
        {"method": "isotonic", "x": [0.5, 0.2], "y": [0.1, 0.2]},
        {"method": "isotonic", "x": [0.1, 0.2], "y": [0.4, 0.2]},
        {"method": "isotonic", "x": [], "y": []},
        {"method": "beta", "a": 0, "b": -1, "c": 1},
        {"method": "pool", "a": 0, "b": 1, "c": -1},
        {"method": "risen", "a": 0, "b": 1, "c": 1, "x": [], "y": []},
        {"method": "risen", "a": 0, "b": 1, "x": [0.1], "y": [0.1]},
        {"method": "spline"},
    ],
)
def test_unsound_curves_are_refused(data: dict[str, object], tmp_path: Path) -> None:
    engines = {"fast": {"model": "fast:x", "channels": {"nltk": {"word": data}}}}
    files = {FILE: lambda path: path.write_text(json.dumps(engines))}
    write_bundle(tmp_path, FORMAT, VERSION, files, {})  # type: ignore[arg-type]
    with pytest.raises(ResourceError, match="no calibration"):
        read_calibration(tmp_path)


@pytest.mark.parametrize(
    "option", [("--weight", "news=nan"), ("--weight", "news=0"), ("--weight", "nosuch=2"), ("--words", "news=inf")]
)
def test_numbers_that_mean_nothing_are_told_at_once(tmp_path: Path, option: tuple[str, str]) -> None:
    (tmp_path / "news.txt").write_text("The officials left.\n")
    command = ["calibration", str(tmp_path / "news.txt"), "-o", str(tmp_path / "out"), *option]
    done = CliRunner().invoke(train_command, command)
    assert done.exit_code == 2
    assert option[1] in done.output


def test_the_shipped_curves_are_those_of_the_shipped_model(fast: Restorer) -> None:
    folder = resources_folder() / "calibration"
    engine = read_calibration(folder)["fast"]
    assert set(engine["channels"]["nltk"]) == set(KINDS)
    assert set(engine["flags"]) == {"negation", "direction", "person"}
    assert engine["model"] == fast.engine, "the model has changed: run `restore train calibration` again"
    assert fast.restore("official said monday").calibrated
    assert not open_calibrator(folder, "fast:another", "nltk").fitted
    assert not open_calibrator(folder, fast.engine, "mine").fitted
    assert open_calibrator(folder, "other:x", "nltk").curves == {}


def test_posteriors_stay_reachable(fast: Restorer) -> None:
    text = "official said monday president met minister"
    raw = Restorer(engine="fast", calibration=False).restore(text)
    result = fast.restore(text)
    assert raw.text == result.text
    assert not raw.calibrated
    assert [decision.posterior for decision in raw.decisions] == [decision.posterior for decision in result.decisions]
    assert all(decision.posterior == decision.confidence for decision in raw.decisions)
    assert result.to_dict()["calibrated"] is True


def test_without_confidence() -> None:
    result = Restorer(engine="fast", confidence=False).restore("official said monday president met minister")
    assert strip_text(result.text) == "official said monday president met minister"
    assert result.confidence is None
    assert result.choices == ()
    assert all(edit.confidence is None for edit in result.edits)
    with pytest.raises(Exception, match="min_confidence"):
        Restorer(confidence=False, min_confidence=0.5)


def test_decisions_are_judged_as_the_scorer_aligns(fast: Restorer) -> None:
    result = fast.restore("official said monday president met minister")
    channel = get_channel("nltk")
    assert all(right for _, right in judge(result.text, result.text, result.decisions, channel))
    other = "No official said on Monday: president met minister"
    wrong = {decision.kind for decision, right in judge(other, result.text, result.decisions, channel) if not right}
    assert "sentence" in wrong or "inflected" in wrong


def test_calibration_error_of_the_truth_is_its_floor() -> None:
    documents = np.arange(4000) % 40
    value, low, high = calibration_error(TRUE, RIGHT, documents, resamples=50)
    assert low <= high
    assert value < 2 * error_floor(TRUE)
    assert calibration_error(np.minimum(1, TRUE + 0.3), RIGHT, documents, resamples=1)[0] > 0.2


def test_kinds_with_few_events_are_pooled() -> None:
    events = [Judged("word", 0.5, 0.4, number % 2 == 0) for number in range(400)] + [
        Judged("mark", 0.9, 0.8, True)
    ] * 20
    rows = calibration_by_kind([events, events[:50]], {"word": 0.5, "mark": 0.5}, resamples=5)
    assert set(rows) == {"word", "rare kinds", "inserted"}
    assert rows["word"]["events"] == 450
    assert rows["word"]["ece"]["constant"]["value"] < rows["word"]["ece"]["after"]["value"]


def test_ranks_and_risk() -> None:
    assert rank_correlation([1, 2, 3, 4], [10, 20, 30, 40]) == pytest.approx(1)
    assert rank_correlation([1, 1, 2], [3, 3, 1]) == pytest.approx(-1)
    assert np.isnan(rank_correlation([1, 2], [1, 2]))
    events = [Judged("word", 0.5, 0.1 * number, number > 4) for number in range(10)]
    points = risk_coverage([events], (0.0, 0.45))
    assert points[0]["coverage"] == 1
    assert points[1] == {"min_confidence": 0.45, "coverage": 0.5, "risk": 0.0, "kept_right": 1.0}


def test_rules_keep_to_their_budget() -> None:
    gaps = [
        SenseGap("negation", float(cue) > 1.2, 0.001, float(cue), 0.0, False)
        for cue in np.random.default_rng(1).normal(size=2000)
    ]
    rule = fit_rules([gaps], [2000], [1.0])["negation"]
    flagged = [gap for gap in gaps if rule.chance(gap.posterior, gap.cue) >= rule.threshold]
    assert len(flagged) <= 0.019 * 2000
    assert all(gap.wanted for gap in flagged)
    assert Rule().chance(0.3) == pytest.approx(0.3)


def test_rules_weigh_what_tells() -> None:
    draw = np.random.default_rng(1)
    gaps = [
        SenseGap("negation", bool(draw.random() < offer), 1e-6, 0.0, float(offer), False)
        for offer in draw.beta(0.2, 4, size=4000)
    ]
    rule = fit_rules([gaps], [4000], [1.0])["negation"]
    assert rule.cue_weight == 0
    assert rule.offer_weight == pytest.approx(1, abs=0.25)
    assert rule.chance(1e-6, 0.0, 0.3) == pytest.approx(0.3, abs=0.06)
    assert rule.chance(1e-6, 0.0, 0.0) == rule.chance(1e-6, 0.0, 0.0005)


def test_trains_from_files(tmp_path: Path) -> None:
    text = "\n%%%\n".join(
        f"The officials met in Paris on Monday. They did not say {word} to the press."
        for word in ("much", "more", "anything")
    )
    path = tmp_path / "mine.txt"
    path.write_text(text + "\n%%%\n")
    said: list[tuple[str, int]] = []
    bundle = train_calibration([path], tmp_path / "out", half="all", progress=lambda *args: said.append(args))
    assert {name: made["documents"] for name, made in bundle.card["made"]["fast"].items()} == {"nltk": 3}
    assert said[-1] == ("nltk", 3)
    train_calibration([path], tmp_path / "out", half="odd", channels=("transcript",))
    assert set(read_calibration(tmp_path / "out")["fast"]["channels"]) == {"nltk", "transcript"}


def test_another_channel_leaves_the_rules_of_the_usual_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("They did not say much to the press.\n%%%\nShe never met them before the war.\n%%%\n" * 3)
    train_calibration([path], tmp_path / "out", half="all")
    before = read_calibration(tmp_path / "out")["fast"]["flags"]
    train_calibration([path], tmp_path / "out", half="odd", channels=("spacy",))
    after = read_calibration(tmp_path / "out")["fast"]
    assert after["flags"] == before
    assert set(after["channels"]) == {"nltk", "spacy"}


def test_documents_of_which_nothing_is_kept_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "v1.2.txt"
    path.write_text("It was.\n%%%\nThe officials met in Paris.\n%%%\n")
    bundle = train_calibration([path], tmp_path / "out", half="all", words={"v1.2": 100}, weights={"v1.2": 2})
    assert {name: made["documents"] for name, made in bundle.card["made"]["fast"].items()} == {"nltk": 1}


def test_weights_go_by_names_with_dots(tmp_path: Path) -> None:
    documents = ["The officials met in Paris on Monday.", "They did not say much to the press, or to us."]
    for name in ("v1.2.txt", "v1.3.txt"):
        (tmp_path / name).write_text("\n%%%\n".join(documents) + "\n%%%\n")
    paths = [tmp_path / "v1.2.txt", tmp_path / "v1.3.txt"]
    shown = [fit.words for _, fit in judged(paths, "nltk", "fast", None, "all", {"v1.2": 1})]
    assert shown[:2] == shown[2:]  # a whole paragraph each
    both = "\n".join(documents)
    for path in paths:
        path.write_text(f"{both}\n%%%\n")
    first, second = [fit.words for _, fit in judged(paths, "nltk", "fast", None, "all", {"v1.2": 1})]
    assert first < second


def test_a_folder_that_holds_something_else_is_refused_before_the_work(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("The officials met in Paris.\n")
    said: list[object] = []
    with pytest.raises(ResourceError, match="restore-ngram"):
        train_calibration([path], resources_folder() / "ngram", half="all", progress=lambda *args: said.append(args))
    assert not said
