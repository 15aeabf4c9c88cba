import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metavad.errors import DataError, UsageError
from metavad.evaluation import rbdc_tbdc, regions

CASES = json.loads((Path(__file__).parent / "rbdc_cases.json").read_text())["cases"]


def arrays(rows, videos):
    """Rows that begin with a video's name -> one (N, 6) array for each video."""
    return [np.array([row[1:] for row in rows if row[0] == video], float).reshape(-1, 6) for video in videos]


def evaluate(case):
    videos = list(case["num_frames"])
    tracks, detections = arrays(case["tracks"], videos), arrays(case["detections"], videos)
    frames = [case["num_frames"][video] for video in videos]
    return rbdc_tbdc(tracks, detections, frames, alpha=case["alpha"], beta=case["beta"])


def expected(case):
    pair = case["expected_rbdc"], case["expected_tbdc"]
    return pytest.approx([np.nan if x is None else x for x in pair], abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_hand_made_cases_in_any_order_of_rows(case):
    assert list(evaluate(case)) == expected(case)
    shuffler = random.Random(0)
    for _ in range(3):
        shuffler.shuffle(case["tracks"])
        shuffler.shuffle(case["detections"])
        assert list(evaluate(case)) == expected(case)


def brute_force(tracks, detections, frames, alpha, beta):
    """The definition read aloud, threshold by threshold, for one video."""

    def overlap(a, b):
        shared = max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
        union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
        return shared / union if union else 0

    curve = [(0.0, 0.0, 0.0)]
    for threshold in sorted({row[5] for row in detections}, reverse=True):
        live = [row for row in detections if row[5] >= threshold]
        found = [any(r[1] == d[0] and overlap(r[2:], d[1:5]) >= beta for d in live) for r in tracks]
        false = sum(all(r[1] != d[0] or overlap(r[2:], d[1:5]) < beta for r in tracks) for d in live)
        names = sorted({row[0] for row in tracks})
        shares = [np.mean([f for f, r in zip(found, tracks, strict=True) if r[0] == n]) for n in names]
        curve.append((false / frames, np.mean(found), np.mean([share >= alpha for share in shares])))
    grid = np.linspace(0, 1, 40001)
    rate = np.array([point[0] for point in curve])
    # np.interp takes the last of several points at one rate from the right: areas agree up to the grid.
    return [np.trapezoid(np.interp(grid, rate, [point[k] for point in curve]), grid) for k in (1, 2)]


box = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 3), st.integers(1, 3)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), box), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 3), box, st.integers(0, 3)), max_size=8),
    st.sampled_from([0.1, 0.5]),
    st.sampled_from([0.1, 0.5]),
)
def test_agrees_with_the_definition_read_aloud(tracks, detections, alpha, beta):
    tracks = np.array([(name, frame, *corners) for name, frame, corners in tracks], float)
    rows = np.array([(frame, *corners, score) for frame, corners, score in detections], float).reshape(-1, 6)
    result = rbdc_tbdc([tracks], [rows], [4], alpha=alpha, beta=beta)
    assert result == pytest.approx(brute_force(tracks, rows, 4, alpha, beta), abs=1e-3)


def test_a_monotone_transform_of_scores_changes_nothing():
    generator = np.random.default_rng(3)
    tracks, detections = made_up(generator, 200)
    curved = detections.copy()
    curved[:, 5] = np.exp(3 * curved[:, 5])
    assert rbdc_tbdc([tracks], [curved], [100]) == rbdc_tbdc([tracks], [detections], [100])


def made_up(generator, count, frames=100):
    corners = generator.integers(0, 300, (count, 2))
    boxes = np.hstack([corners, corners + generator.integers(10, 60, (count, 2))])
    frame = generator.integers(0, frames, count)
    detections = np.column_stack([frame, boxes, generator.random(count)])
    tracks = np.column_stack([frame // 10, frame, boxes + 3])[:: max(1, count // 2000)]
    return tracks.astype(float), detections.astype(float)


def test_boxes_are_compared_within_their_frame_alone(monkeypatch):
    """What keeps a hundred thousand detections cheap."""
    compared = []

    def overlap(left, right):
        compared.append(len(left))
        return plain(left, right)

    plain = regions.intersection_over_union
    monkeypatch.setattr(regions, "intersection_over_union", overlap)
    tracks, detections = made_up(np.random.default_rng(0), 100_000, frames=20_000)
    rbdc, tbdc = rbdc_tbdc([tracks], [detections], [20_000])
    assert sum(compared) == sum(np.sum(detections[:, 0] == frame) for frame in tracks[:, 1])
    assert 0 < rbdc < 1
    assert 0 < tbdc <= 1


def test_boxes_without_area_overlap_nothing():
    flat = np.array([[0, 0, 5, 5, 5, 9]], float)
    assert rbdc_tbdc([flat], [np.array([[0, 5, 5, 5, 9, 1]], float)], [1]) == (0, 0)


def test_what_does_not_fit_is_an_error():
    tracks, detections = np.array([[0, 0, 0, 0, 1, 1.0]]), np.array([[0, 0, 0, 1, 1, 1.0]])
    late = np.array([[1, 0, 0, 1, 1, 1.0]])
    with pytest.raises(UsageError, match="alpha"):
        rbdc_tbdc([tracks], [detections], [1], alpha=0)
    with pytest.raises(DataError, match="same videos"):
        rbdc_tbdc([tracks], [], [1])
    with pytest.raises(DataError, match=r"\(N, 6\)"):
        rbdc_tbdc([tracks[:, :5]], [detections], [1])
    with pytest.raises(DataError, match="frames 0 to 0"):
        rbdc_tbdc([tracks], [late], [1])
    with pytest.raises(DataError, match="finite"):
        rbdc_tbdc([tracks], [detections * np.nan], [1])
