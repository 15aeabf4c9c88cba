"""How well scores rank abnormal frames above normal ones: AUC in its variants, AP, EER, pixel AUC.

Scores are one array (T,) for each video, higher = more anomalous; labels are one array (T,) for each video,
true = abnormal. Only the order of scores matters: scikit-learn's figures are taken of their ranks. Equal scores are
one threshold, so that no figure depends on the order of frames and a tie never counts as the lucky order would. A
figure that is undefined is NaN. Scores that are NaN, or labels of another length, raise :class:`DataError`; infinite
scores are ranks like any other.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from metavad.errors import DataError, LabelError
from metavad.types import BoolArray, FloatArray, IntArray

__all__ = [
    "abnormal_pixels",
    "average_precision",
    "cell_auc",
    "chance_precision",
    "equal_error_rate",
    "macro_auc",
    "micro_auc",
    "pixel_auc",
]


def micro_auc(scores: Sequence[FloatArray], labels: Sequence[BoolArray]) -> float:
    """Area under the ROC curve over the frames of all videos, pooled: P(s+ > s-) + P(s+ = s-) / 2.

    NaN when all frames are of one class. The equality with the rank statistic: Hanley and McNeil 1982,
    https://doi.org/10.1148/radiology.143.1.7063747.
    """
    return _area(*_pooled(scores, labels))


def macro_auc(scores: Sequence[FloatArray], labels: Sequence[BoolArray], *, padded: bool = False) -> float:
    """Mean over videos of the video's own AUC.

    *Skipped* (the default): videos with one class are left out; NaN when none is left. *Padded*: every video first
    gets a normal frame below and an abnormal frame above all its scores, so that none is left out and one-class
    videos get 1.0 as a gift. Georgescu et al. 2021, https://arxiv.org/abs/2008.12328; padding as in Acsintoae et al.
    2022, https://arxiv.org/abs/2111.08644.
    """
    videos = [_pooled([score], [label]) for score, label in _pairs(scores, labels)]
    return _mean(_area(*(_with_ends(*video) if padded else video)) for video in videos)


def average_precision(scores: Sequence[FloatArray], labels: Sequence[BoolArray]) -> float:
    """Average precision over pooled frames: the sum of (R_k - R_{k-1}) P_k over thresholds, no interpolation.

    Its chance level is :func:`chance_precision`, not 0.5: print both. NaN without an abnormal frame.
    Definition: scikit-learn, https://scikit-learn.org/stable/modules/model_evaluation.html.
    """
    from sklearn.metrics import average_precision_score

    ranks, abnormal = _pooled(scores, labels)
    return float(average_precision_score(abnormal, ranks)) if abnormal.any() else float("nan")


def chance_precision(labels: Sequence[BoolArray]) -> float:
    """Average precision of a score that knows nothing: the share of abnormal frames. NaN without frames."""
    frames = sum(np.size(label) for label in labels)
    return float(sum(np.count_nonzero(label) for label in labels) / frames) if frames else float("nan")


def equal_error_rate(scores: Sequence[FloatArray], labels: Sequence[BoolArray]) -> float:
    """False positive rate where it equals the miss rate, on the ROC curve, straight between vertices.

    Lower is better, 0.5 is chance. NaN when all frames are of one class. The interpolation is ours: the field
    often takes the nearest vertex, which depends on how finely the scores are cut.
    """
    from sklearn.metrics import roc_curve

    ranks, abnormal = _pooled(scores, labels)
    if not _two_classes(abnormal):
        return float("nan")
    false, true, _ = roc_curve(abnormal, ranks, drop_intermediate=False)
    # false + true grows at every vertex, from 0 to 2: it passes 1 exactly once.
    return float(np.interp(1.0, false + true, false))


def pixel_auc(maps: Iterable[FloatArray], masks: Iterable[BoolArray]) -> float:
    """Area under the ROC curve over all pixels of the frames that have masks, exact.

    A video's map is (T, h, w) on any grid, its mask (T, H, W) in pixels with h <= H and w <= W; pixel (y, x)
    has the score of cell (y h // H, x w // W). Every cell is weighed by its pixels, which gives the AUC over
    pixels without spreading the map. Videos are read one by one. NaN when all pixels are of one class.
    """
    parts = [_cells(scores, mask) for scores, mask in zip(maps, masks, strict=True)]
    return cell_auc(*zip(*parts, strict=True)) if parts else float("nan")


def cell_auc(maps: Sequence[FloatArray], abnormal: Sequence[FloatArray], pixels: Sequence[FloatArray]) -> float:
    """:func:`pixel_auc` of maps (T, h, w) whose pixels are counted already, so that many methods share the count.

    ``abnormal`` (T, h, w) are the abnormal pixels of each cell (:func:`abnormal_pixels`; summed over the frames
    that a map stands for), ``pixels``, of the same shape, all that it covers. NaN when all are of one class.
    """
    for scores in maps:
        if np.isnan(scores).any():
            raise DataError("expected numbers in score maps, found NaN; give cells without a score a fixed value")
    if not len(maps):
        return float("nan")
    scores, found, all_of = (np.concatenate([np.ravel(a) for a in part]) for part in (maps, abnormal, pixels))
    ranks, sides = _ranks(scores), np.repeat([True, False], scores.size)
    counted = np.concatenate([found, all_of - found])
    return _area(np.tile(ranks, 2)[counted > 0], sides[counted > 0], counted[counted > 0])


def abnormal_pixels(mask: BoolArray, grid: tuple[int, int]) -> IntArray:
    """How many abnormal pixels of a mask (..., H, W) each cell of a ``grid`` (h, w) covers: (..., h, w)."""
    rows, columns = (_first_pixels(*sizes) for sizes in zip(grid, mask.shape[-2:], strict=True))
    counted = np.add.reduceat(np.asarray(mask, dtype=bool), rows, axis=-2, dtype=np.int64)
    return np.asarray(np.add.reduceat(counted, columns, axis=-1))


def _area(ranks: IntArray, abnormal: BoolArray, weights: FloatArray | None = None) -> float:
    """Under the ROC curve; NaN with one class only."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(abnormal, ranks, sample_weight=weights)) if _two_classes(abnormal) else float("nan")


def _two_classes(abnormal: BoolArray) -> bool:
    return bool(abnormal.any() and not abnormal.all())


def _ranks(scores: FloatArray) -> IntArray:
    """The number of each score (N,) among the distinct ones: all that counts, where infinite scores are like others."""
    return np.unique(scores, return_inverse=True)[1]


def _with_ends(ranks: IntArray, abnormal: BoolArray) -> tuple[IntArray, BoolArray]:
    """With a normal frame below all others and an abnormal one above them."""
    return np.concatenate([[-1], ranks, [ranks.size]]), np.concatenate([[False], abnormal, [True]])


def _pooled(scores: Sequence[FloatArray], labels: Sequence[BoolArray]) -> tuple[IntArray, BoolArray]:
    """Ranks and labels (N,) of the frames of all videos."""
    pairs = _pairs(scores, labels)
    values = np.concatenate([np.empty(0), *(score for score, _ in pairs)])
    return _ranks(values), np.concatenate([np.empty(0, dtype=bool), *(label for _, label in pairs)])


def _pairs(scores: Sequence[FloatArray], labels: Sequence[BoolArray]) -> list[tuple[FloatArray, BoolArray]]:
    if len(scores) != len(labels):
        raise DataError(
            f"expected labels for every scored video, found {len(scores)} videos of scores and {len(labels)} "
            "of labels; pass the same videos in the same order"
        )
    return [_checked(number, score, label) for number, (score, label) in enumerate(zip(scores, labels, strict=True))]


def _checked(video: int, scores: FloatArray, labels: BoolArray) -> tuple[FloatArray, BoolArray]:
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.ndim != 1 or scores.shape != labels.shape:
        raise LabelError(
            f"video {video}: expected one score and one label for each frame, found shapes {scores.shape} "
            f"and {labels.shape}; score every frame of the file"
        )
    if np.isnan(scores).any():
        raise DataError(
            f"video {video}: expected numbers as scores, found NaN at frame {np.argmax(np.isnan(scores))}; "
            "give frames without a score a documented value"
        )
    if labels.dtype != bool and not np.isin(labels, (0, 1)).all():
        raise LabelError(f"video {video}: expected labels 0 and 1, found {labels.max()}; 1 = abnormal")
    return scores, labels.astype(bool)


def _cells(scores: FloatArray, mask: BoolArray) -> tuple[FloatArray, IntArray, IntArray]:
    """Scores of all cells of a video, and the abnormal and all pixels that each covers."""
    if np.ndim(scores) != 3 or np.ndim(mask) != 3 or len(scores) != len(mask):
        raise LabelError(
            f"expected a map (T, h, w) and a mask (T, H, W) of the same frames, found {np.shape(scores)} and "
            f"{np.shape(mask)}; leave out frames without masks on both sides"
        )
    grid = (int(np.shape(scores)[1]), int(np.shape(scores)[2]))
    abnormal = abnormal_pixels(mask, grid)
    heights, widths = (
        np.diff(_first_pixels(*sizes), append=sizes[1]) for sizes in zip(grid, mask.shape[1:], strict=True)
    )
    return np.asarray(scores), abnormal, np.broadcast_to(np.multiply.outer(heights, widths), abnormal.shape)


def _first_pixels(cells: int, pixels: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The first pixel of each cell, by pixel y -> cell y cells // pixels."""
    if cells > pixels:
        raise LabelError(
            f"expected a map no finer than its mask, found {cells} cells over {pixels} pixels; pool the map"
        )
    return -(-np.arange(cells, dtype=np.int64) * pixels // cells)


def _mean(values: Iterable[float]) -> float:
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")
