import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from metavad.errors import DataError, LabelError
from metavad.evaluation import (
    abnormal_pixels,
    average_precision,
    cell_auc,
    chance_precision,
    equal_error_rate,
    macro_auc,
    micro_auc,
    pixel_auc,
)

LIBRARIES = []  # kept alive: what a library declares goes with it
RANKINGS = [micro_auc, macro_auc, average_precision, equal_error_rate]


@st.composite
def videos(draw, both_classes=True):
    """A few videos with many ties: scores from a short list, at least one frame of each class."""
    lengths = draw(st.lists(st.integers(2, 12), min_size=1, max_size=4))
    scores = [np.array(draw(st.lists(st.integers(-3, 3), min_size=n, max_size=n)), float) for n in lengths]
    labels = [np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)), bool) for n in lengths]
    if both_classes:
        labels[0][:2] = [True, False]
    return scores, labels


def pooled(scores, labels):
    return np.concatenate(scores), np.concatenate(labels)


@given(videos())
def test_micro_auc_counts_pairs_and_average_precision_thresholds(case):
    scores, labels = pooled(*case)
    apart = scores[labels][:, None] - scores[~labels]
    assert micro_auc(*case) == pytest.approx(np.mean((apart > 0) + (apart == 0) / 2), abs=1e-12)
    hits = [(scores == value)[labels].sum() * labels[scores >= value].mean() for value in np.unique(scores)]
    assert average_precision(*case) == pytest.approx(sum(hits) / labels.sum(), abs=1e-12)


@pytest.fixture(scope="module")
def torchmetrics():
    """torchmetrics imports torchvision, which needs two schemas where its operators do not load."""
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        LIBRARIES.append(library)
    from torchmetrics.functional import classification

    return classification


@settings(max_examples=25)
@given(case=videos())
def test_micro_auc_and_average_precision_agree_with_torchmetrics(torchmetrics, case):
    scores, labels = pooled(*case)
    # torchmetrics squashes what lies outside [0, 1] in float32: give it ranks.
    tensors = torch.tensor((scores + 3) / 6), torch.tensor(labels.astype(int))
    assert micro_auc(*case) == pytest.approx(float(torchmetrics.binary_auroc(*tensors)), abs=1e-6)
    assert average_precision(*case) == pytest.approx(float(torchmetrics.binary_average_precision(*tensors)), abs=1e-6)


@given(videos())
def test_equal_error_rate_lies_on_the_curve_of_scikit_learn(case):
    scores, labels = pooled(*case)
    false, true, _ = roc_curve(labels, scores, drop_intermediate=False)
    rate = equal_error_rate(*case)
    # On the straight pieces of the curve: where false = 1 - true, at some point between two vertices.
    pieces = zip(zip(false, true, strict=True), zip(false[1:], true[1:], strict=True), strict=False)
    crossings = [
        f0 + (f1 - f0) * (1 - f0 - t0) / (f1 + t1 - f0 - t0)
        for (f0, t0), (f1, t1) in pieces
        if f0 + t0 <= 1 <= f1 + t1 and f1 + t1 > f0 + t0
    ]
    assert rate == pytest.approx(crossings[0], abs=1e-12)


def test_equal_error_rate_by_hand():
    labels = [np.array([1, 1, 0, 0], bool)]
    assert equal_error_rate([np.array([4.0, 3, 2, 1])], labels) == 0
    assert equal_error_rate([np.array([1.0, 2, 3, 4])], labels) == 1
    assert equal_error_rate([np.array([4.0, 2, 3, 1])], labels) == 0.5
    assert equal_error_rate([np.zeros(4)], labels) == 0.5


@given(videos())
def test_a_monotone_transform_changes_nothing(case):
    scores, labels = case
    curved = [np.exp(score / 2) - 7 for score in scores]
    for figure in RANKINGS:
        assert figure(curved, labels) == pytest.approx(figure(scores, labels), nan_ok=True)


@given(videos())
def test_flipped_labels_and_flipped_scores_mirror(case):
    scores, labels = case
    flipped, negated = [~label for label in labels], [-score for score in scores]
    for figure in (micro_auc, macro_auc, equal_error_rate):
        mirrored = pytest.approx(1 - figure(scores, labels), nan_ok=True)
        assert figure(scores, flipped) == mirrored
        assert figure(negated, labels) == mirrored


@given(videos(), st.randoms())
def test_the_order_of_frames_changes_nothing(case, random):
    scores, labels = case
    orders = [random.sample(range(len(label)), len(label)) for label in labels]
    shuffled = (
        [s[o] for s, o in zip(scores, orders, strict=True)],
        [y[o] for y, o in zip(labels, orders, strict=True)],
    )
    for figure in RANKINGS:
        assert figure(*shuffled) == pytest.approx(figure(scores, labels), nan_ok=True)


@given(videos())
def test_a_tie_never_counts_as_the_lucky_order_would(case):
    scores, labels = case
    lucky = [score + 0.1 * label for score, label in zip(scores, labels, strict=True)]
    for figure in (micro_auc, average_precision):
        assert figure(scores, labels) <= figure(lucky, labels) + 1e-12
    assert equal_error_rate(scores, labels) >= equal_error_rate(lucky, labels) - 1e-12


def test_constant_scores_are_chance():
    labels = [np.array([0, 0, 1], bool), np.array([1, 0], bool)]
    constant = [np.zeros(3), np.zeros(2)]
    assert micro_auc(constant, labels) == macro_auc(constant, labels) == 0.5
    assert average_precision(constant, labels) == pytest.approx(chance_precision(labels)) == 0.4


def test_shuffled_labels_are_chance():
    generator = np.random.default_rng(0)
    scores = [np.sort(generator.normal(size=4000)) for _ in range(3)]
    labels = [generator.permutation(np.arange(4000) < 1000) for _ in scores]
    assert micro_auc(scores, labels) == pytest.approx(0.5, abs=0.03)
    assert macro_auc(scores, labels) == pytest.approx(0.5, abs=0.03)
    assert average_precision(scores, labels) == pytest.approx(chance_precision(labels), abs=0.03)
    assert equal_error_rate(scores, labels) == pytest.approx(0.5, abs=0.03)


def test_macro_skips_one_class_videos_or_pads_them():
    scores = [np.array([1.0, 2, 3, 4]), np.array([5.0, 6])]
    labels = [np.array([0, 1, 0, 1], bool), np.array([1, 1], bool)]
    assert macro_auc(scores, labels) == 0.75
    # Padded: 3 abnormal x 3 normal pairs with one wrong, and a gift of 1.0.
    assert macro_auc(scores, labels, padded=True) == pytest.approx((8 / 9 + 1) / 2)


@given(videos(both_classes=False))
def test_padded_macro_agrees_with_scikit_learn_on_padded_clips(case):
    expected = [
        roc_auc_score(np.r_[label, False, True], np.r_[score, -9, 9]) for score, label in zip(*case, strict=True)
    ]
    assert macro_auc(*case, padded=True) == pytest.approx(np.mean(expected))


def test_undefined_is_nan():
    scores, normal = [np.array([1.0, 2])], [np.zeros(2, bool)]
    for figure in RANKINGS:
        assert np.isnan(figure(scores, normal))
        assert np.isnan(figure([], []))
    assert average_precision(scores, [np.ones(2, bool)]) == 1
    assert np.isnan(chance_precision([]))
    assert np.isnan(pixel_auc([], []))


def test_infinite_scores_are_ranks():
    labels = [np.array([0, 0, 1, 1], bool)]
    assert micro_auc([np.array([-np.inf, 0, 1, np.inf])], labels) == 1
    assert macro_auc([np.array([-np.inf, 0, 1, np.inf])], labels, padded=True) == 1


@pytest.mark.parametrize("figure", RANKINGS)
def test_nan_scores_and_labels_that_do_not_fit_are_errors(figure):
    label = np.array([0, 1], bool)
    with pytest.raises(DataError, match=r"video 0: .*NaN at frame 1"):
        figure([np.array([0, np.nan])], [label])
    with pytest.raises(LabelError, match=r"\(3,\) and \(2,\)"):
        figure([np.zeros(3)], [label])
    with pytest.raises(LabelError, match="found 255"):
        figure([np.zeros(2)], [np.array([0, 255])])
    with pytest.raises(DataError, match="same videos"):
        figure([np.zeros(2)], [])


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 3), st.integers(0, 3), st.integers(0, 99))
def test_pixel_auc_agrees_with_scikit_learn_over_spread_pixels(h, w, more_rows, more_columns, seed):
    generator = np.random.default_rng(seed)
    height, width = h + more_rows, w + more_columns
    maps = [generator.integers(0, 4, (t, h, w)).astype(float) for t in (2, 3)]
    masks = [generator.random((t, height, width)) < 0.4 for t in (2, 3)]
    masks[0][0, 0, 0], masks[1][0, 0, 0] = True, False
    rows, columns = np.arange(height) * h // height, np.arange(width) * w // width
    spread = [scores[:, rows][:, :, columns] for scores in maps]
    expected = roc_auc_score(*(np.concatenate([x.ravel() for x in xs]) for xs in (masks, spread)))
    assert pixel_auc(iter(maps), iter(masks)) == pytest.approx(expected)


def test_pixel_auc_refuses_what_does_not_fit():
    with pytest.raises(LabelError, match="masks"):
        pixel_auc([np.zeros((2, 1, 1))], [np.zeros((3, 4, 4), bool)])
    with pytest.raises(LabelError, match="5 cells over 4 pixels"):
        pixel_auc([np.zeros((1, 5, 1))], [np.zeros((1, 4, 4), bool)])
    with pytest.raises(DataError, match="NaN"):
        pixel_auc([np.full((1, 1, 1), np.nan)], [np.zeros((1, 4, 4), bool)])


def test_counted_pixels_give_the_same_as_masks():
    """A map that stands for two frames, once with its masks and once with their counts."""
    generator = np.random.default_rng(0)
    masks = generator.random((6, 11, 13)) < 0.3
    maps = generator.integers(4, size=(3, 4, 5)).astype(float)
    counted = abnormal_pixels(masks, (4, 5)).reshape(3, 2, 4, 5).sum(1)
    pixels = abnormal_pixels(np.ones_like(masks), (4, 5)).reshape(3, 2, 4, 5).sum(1)
    assert counted.sum() == masks.sum()
    assert pixels.sum() == masks.size
    assert cell_auc([maps], [counted], [pixels]) == pytest.approx(pixel_auc([np.repeat(maps, 2, axis=0)], [masks]))
    assert np.isnan(cell_auc([], [], []))
    with pytest.raises(DataError, match="NaN"):
        cell_auc([np.full((1, 1, 1), np.nan)], [np.ones((1, 1, 1))], [np.ones((1, 1, 1))])
