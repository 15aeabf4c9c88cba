"""Pictures of docs/figures.md and docs/explanation/traps.md; metavad.evaluation computes what they say in numbers.

python docs/pictures/draw.py
"""

import io
import re
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy import ndimage

from metavad.evaluation import (
    auc_difference,
    average_precision,
    chance_precision,
    equal_error_rate,
    macro_auc,
    micro_auc,
    pixel_auc,
    rbdc_tbdc,
)
from metavad.normality.accumulation import smooth
from metavad.report.plots import INK

TRUTH, OURS, OTHER, ALARM, MUTED = (INK[name] for name in ("truth", "adapted", "fine-tune", "alarm", "muted"))


def main() -> None:
    """Draw all, each into its file."""
    for name, draw in PICTURES.items():
        picture = Figure(figsize=(6.4, 2.3), layout="constrained")
        draw(picture)
        for axes in picture.axes:
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize=8, colors=MUTED)
            axes.title.set_fontsize(9)
            axes.xaxis.label.set_fontsize(8.5)
            axes.yaxis.label.set_fontsize(8.5)
        Path(__file__).with_name(f"{name}.svg").write_text(svg(picture), encoding="utf-8")


def svg(picture: Figure) -> str:
    """The same text for the same figure."""
    text = io.StringIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "metavad"}):
        picture.savefig(text, format="svg", metadata=nothing)
    return re.sub(r"^.*?(?=<svg)", "", text.getvalue(), count=1, flags=re.DOTALL)


def event(axes: Axes, start: float, end: float) -> None:
    """What is abnormal by the labels."""
    axes.axvspan(start, end, color=TRUTH, alpha=0.25, lw=0)


def plain(axes: Axes, title: str, ylabel: str = "") -> None:
    """A title, and no numbers where only the shape matters."""
    axes.set_title(title, loc="left")
    axes.set_ylabel(ylabel)
    axes.set_yticks([])


def micro_macro(picture: Figure) -> None:
    """Two videos on different levels."""
    scores = [np.array([1.0, 1.2, 1, 3, 3.2, 1.1]), np.array([5.0, 5.2, 5.1, 7, 7.2, 5])]
    labels = [np.array([0, 0, 0, 1, 1, 0], bool)] * 2
    axes = picture.subplots(1, 2, sharey=True)
    for number, each in enumerate(axes):
        event(each, 2.5, 4.5)
        each.plot(scores[number], "o-", color=OURS)
        each.set_title(
            f"video {number + 1}: its own AUC {macro_auc([scores[number]], [labels[number]]):.2f}", loc="left"
        )
        each.set_xlabel("frame")
    axes[0].axhline(4, color=ALARM, ls="--", lw=1)
    axes[1].axhline(4, color=ALARM, ls="--", lw=1)
    macro = f"{macro_auc(scores, labels):.2f}"
    picture.suptitle(
        f"micro AUC {micro_auc(scores, labels):.2f}: no threshold serves both; macro AUC {macro}",
        fontsize=9,
    )


def eer(picture: Figure) -> None:
    """Between two corners of a coarse curve."""
    scores, labels = [np.array([0, 0, 0, 1, 1, 1, 1, 2, 2, 2.0])], [np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 0], bool)]
    rate = equal_error_rate(scores, labels)
    false = [np.mean(scores[0][~labels[0]] >= level) for level in (3, 2, 1, 0)]
    true = [np.mean(scores[0][labels[0]] >= level) for level in (3, 2, 1, 0)]
    axes = picture.subplots()
    axes.fill_between(false, true, color=OURS, alpha=0.12, lw=0)
    axes.plot(false, true, "o-", color=OURS)
    axes.plot([0, 1], [1, 0], ls="--", color=MUTED, lw=1)
    axes.plot([rate], [1 - rate], "s", color=ALARM)
    axes.annotate(f"EER {rate:.2f}, between corners", (rate, 1 - rate), (0.52, 0.8), fontsize=9)
    axes.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(0, 1), ylim=(0, 1.03))
    axes.set_title(f"the area is the AUC, {micro_auc(scores, labels):.2f}", loc="left")


def precision(picture: Figure) -> None:
    """The same ranking among few and among many abnormal frames."""
    generator = np.random.default_rng(0)
    shares = np.linspace(0.05, 0.9, 18)
    found, chance = [], []
    for share in shares:
        labels = [np.arange(4000) < 4000 * share]
        scores = [generator.normal(size=4000) + labels[0]]
        found.append(average_precision(scores, labels))
        chance.append(chance_precision(labels))
    axes = picture.subplots()
    axes.plot(shares, found, color=OURS, label="a score with AUC 0.76")
    axes.plot(shares, chance, "--", color=MUTED, label="a score that knows nothing")
    for name, share in (("NWPU", 0.17), ("Avenue", 0.24), ("ShanghaiTech", 0.425), ("Ped2", 0.82)):
        axes.axvline(share, color=TRUTH, lw=0.8)
        axes.text(share + 0.005, 0.06, name, rotation=90, fontsize=8, color=MUTED)
    axes.set(xlabel="share of abnormal frames", ylabel="average precision", ylim=(0, 1))
    axes.legend(frameon=False, fontsize=8.5)


def pixels(picture: Figure) -> None:
    """Cells over a mask: a pixel has the score of its cell."""
    mask = np.zeros((1, 24, 48), bool)
    mask[0, 8:20, 14:26] = True
    right, beside = np.full((1, 6, 12), 0.1), np.full((1, 6, 12), 0.1)
    right[0, 2:5, 3:6], beside[0, 2:5, 8:11] = 1, 1
    for axes, scores in zip(picture.subplots(1, 2), (right, beside), strict=True):
        axes.imshow(np.kron(scores[0], np.ones((4, 4))), cmap="Blues", vmin=0, vmax=1.6, extent=(0, 48, 24, 0))
        axes.add_patch(Rectangle((14, 8), 12, 12, fill=False, color=ALARM, lw=2))
        axes.set(xticks=range(0, 49, 4), yticks=range(0, 25, 4), xticklabels=[], yticklabels=[])
        axes.grid(color="white", lw=0.6)
        axes.set_title(f"pixel AUC {pixel_auc([scores], [mask]):.2f}", loc="left")


def alarms(picture: Figure) -> None:
    """False alarm, delay, and an alarm that began before."""
    axes = picture.subplots()
    for start, end in ((8, 20), (26, 34), (40, 46)):
        axes.broken_barh([(start, end - start)], (1.1, 0.6), color=TRUTH, alpha=0.6)
    for start, end in ((2, 4), (12, 19), (24, 31)):
        axes.broken_barh([(start, end - start)], (0.2, 0.6), color=ALARM)
    axes.annotate("", (12, 0.95), (8, 0.95), arrowprops={"arrowstyle": "<->", "color": MUTED})
    axes.text(8.3, 1.78, "delay 4 s", fontsize=9)
    axes.text(26.3, 1.78, "began before: 0 s", fontsize=9)
    axes.text(40.3, 1.78, "missed", fontsize=9)
    axes.text(1.6, 0.86, "false alarm", fontsize=9)
    axes.set(yticks=[0.5, 1.4], yticklabels=["alarms", "truth"], xlim=(0, 48), ylim=(0, 2.2), xlabel="seconds")


def latency(picture: Figure) -> None:
    """The score of a frame waits for the frames that smoothing looks ahead."""
    axes = picture.subplots()
    axes.plot(np.arange(0, 2.01, 0.1), np.zeros(21), "|", color=MUTED, ms=12)
    axes.axvspan(0.1, 1.0, ymin=0.25, ymax=0.5, color=OURS, alpha=0.25)
    axes.axvspan(1.0, 1.5, ymin=0.25, ymax=0.5, color=ALARM, alpha=0.25)
    axes.plot([1.0], [0], "o", color=OURS, ms=9)
    axes.annotate("", (1.65, 0.65), (1.0, 0.65), arrowprops={"arrowstyle": "->", "color": MUTED})
    axes.text(0.3, -0.62, "0.9 s of past", fontsize=9, color=OURS)
    axes.text(1.02, -0.62, "0.5 s ahead", fontsize=9, color=ALARM)
    axes.text(1.0, 0.74, "its score is given here: look-ahead, the next tick, computing", fontsize=9)
    axes.set(xlabel="seconds", xlim=(0, 2.6), ylim=(-1, 1.1))
    plain(axes, "")


def bootstrap(picture: Figure) -> None:
    """Whole videos are drawn again, the same for both methods."""
    generator = np.random.default_rng(1)
    labels = [np.arange(200) % 200 > 150 for _ in range(12)]
    hard = [generator.normal(size=200) for _ in labels]
    ours = [one + 1.3 * label + generator.normal(scale=0.5, size=200) for one, label in zip(hard, labels, strict=True)]
    theirs = [
        one + 1.0 * label + generator.normal(scale=0.5, size=200) for one, label in zip(hard, labels, strict=True)
    ]
    axes = picture.subplots()
    for place, count in enumerate((3, 6, 12)):
        found = auc_difference(
            ours[:count], theirs[:count], labels[:count], generator=np.random.default_rng(0), resamples=2000
        )
        axes.plot([found.low, found.high], [place, place], color=OURS, lw=3, solid_capstyle="butt")
        axes.plot([found.value], [place], "o", color=OURS)
        verdict = "certain" if found.certain else "no statement"
        axes.text(found.high + 0.002, place, f"{count} videos: {verdict}", va="center", fontsize=9)
    axes.axvline(0, color=ALARM, ls="--", lw=1)
    axes.set(xlabel="AUC of one method minus that of the other, 95 % interval", ylim=(-0.6, 2.6), xlim=(-0.02, 0.12))
    axes.set_yticks([])


def position(picture: Figure) -> None:
    """A score without pixels, on clips cut around their event."""
    time = np.arange(200)
    labels = [(time > 60) & (time < 150), (time > 40) & (time < 120), time > 90]
    middle = 1 - np.abs(2 * time / 199 - 1)
    axes = picture.subplots(1, 3, sharey=True)
    for each, label in zip(axes, labels, strict=True):
        event(each, np.argmax(label), 199 - np.argmax(label[::-1]))
        each.plot(time, middle, color=OURS)
        each.set_title(f"AUC {micro_auc([middle], [label]):.2f}", loc="left")
        each.set_yticks([])
        each.set_xlabel("frame")


def padding(picture: Figure) -> None:
    """Noise, with more and more clips of one class."""
    generator = np.random.default_rng(0)
    counts, padded, skipped = range(0, 11, 2), [], []
    for count in counts:
        labels = [np.ones(100, bool) if n < count else np.arange(100) > 60 for n in range(12)]
        draws = [[generator.normal(size=100) for _ in labels] for _ in range(30)]
        padded.append(np.mean([macro_auc(draw, labels, padded=True) for draw in draws]))
        skipped.append(np.mean([macro_auc(draw, labels) for draw in draws]))
    axes = picture.subplots()
    axes.plot(counts, padded, "o-", color=ALARM, label="padded")
    axes.plot(counts, skipped, "s-", color=OURS, label="skipped")
    axes.axvline(4, color=TRUTH, lw=1)
    axes.text(4.1, 0.9, "Ped2", fontsize=8.5, color=MUTED)
    axes.set(xlabel="of 12 clips, abnormal throughout", ylabel="macro AUC of noise", ylim=(0.4, 1))
    axes.legend(frameon=False, fontsize=8.5)


def shots(picture: Figure) -> None:
    """Where shots come from."""
    axes = picture.subplots()
    axes.broken_barh([(0, 60)], (2.1, 0.5), color=INK["line"])
    axes.broken_barh([(4, 5), (18, 5), (33, 5), (49, 5)], (2.1, 0.5), color=OURS)
    for row, abnormal in ((1.2, (0, 40)), (0.4, (12, 30))):
        axes.broken_barh([(0, 50)], (row, 0.5), color=INK["line"])
        axes.broken_barh([(abnormal[0], abnormal[1] - abnormal[0])], (row, 0.5), color=TRUTH, alpha=0.6)
        axes.broken_barh([(0, 8)], (row, 0.5), facecolor="none", edgecolor=ALARM, lw=2)
    axes.text(61, 2.25, "normal footage: our shots", fontsize=9, va="center")
    axes.text(51, 1.45, "first frames: the event is learned as normal", fontsize=9, va="center")
    axes.text(51, 0.65, "first frames: fewer frames are scored with more shots", fontsize=9, va="center")
    axes.set(xlim=(0, 112), ylim=(0.2, 2.8), xticks=[], yticks=[])


def choosing(picture: Figure) -> None:
    """The best of many settings that know nothing."""
    generator = np.random.default_rng(0)
    lengths = [180, 180, 150, 180, 150, 180, 180, 180, 120, 150, 180, 180]
    labels = [np.arange(n) >= n * generator.uniform(0, 0.6) for n in lengths]
    tries = np.array([micro_auc([_slow(generator, n) for n in lengths], labels) for _ in range(400)])
    counts = (1, 2, 5, 10, 20, 50, 100)
    best = [np.mean([generator.choice(tries, count, replace=False).max() for _ in range(200)]) for count in counts]
    axes = picture.subplots()
    axes.plot(range(len(counts)), best, "o-", color=ALARM)
    axes.axhline(0.5, color=MUTED, ls="--", lw=1)
    axes.set_xticks(range(len(counts)), [str(count) for count in counts])
    axes.set(xlabel="settings tried on the test set, all of them slow noise", ylabel="best micro AUC")


def _slow(generator: np.random.Generator, frames: int) -> np.ndarray:
    return np.convolve(generator.normal(size=frames + 60), np.ones(60), "valid")[:frames]


def label_sets(picture: Figure) -> None:
    """Two labellings of one clip."""
    axes = picture.subplots()
    axes.broken_barh([(30, 18), (50, 9), (61, 14)], (1, 0.6), color=TRUTH, alpha=0.7)
    axes.broken_barh([(24, 58)], (0.1, 0.6), color=TRUTH, alpha=0.7)
    axes.set(yticks=[0.4, 1.3], yticklabels=["intervals", "masks, with holes"], xlim=(0, 100), xlabel="frame")


def banner(picture: Figure) -> None:
    """The label is in the picture."""
    axes = picture.subplots(1, 2)
    for each, cut in zip(axes, (False, True), strict=True):
        each.add_patch(Rectangle((0, 0), 320, 240, color=INK["line"]))
        each.add_patch(Rectangle((8, 9), 160, 17, color="white"))
        each.text(12, 22, "Abnormal Crowd Activity", fontsize=7, color=ALARM)
        for x in (60, 120, 200, 260):
            each.add_patch(Rectangle((x, 120 + x % 50), 12, 40, color=MUTED))
        if cut:
            each.add_patch(Rectangle((0, 0), 320, 30, facecolor="white", edgecolor=ALARM, hatch="///"))
        each.set(xlim=(0, 320), ylim=(240, 0), xticks=[], yticks=[], aspect="equal")
        each.set_title("30 rows cropped in every frame" if cut else "as distributed", loc="left")


def first_frames(picture: Figure) -> None:
    """What a window does not know yet."""
    axes = picture.subplots()
    event(axes, 0, 30)
    scores = 0.5 + 0.4 * (np.arange(80) < 30) + np.random.default_rng(0).normal(scale=0.05, size=80)
    axes.plot(np.arange(6, 80), scores[6:], color=OURS)
    axes.plot(np.arange(7), np.zeros(7), ":", color=ALARM)
    axes.text(0.4, 0.08, "unknown is not zero", fontsize=9, color=ALARM)
    axes.set(xlabel="frame of a clip that begins abnormal", ylim=(-0.05, 1.1))
    plain(axes, "", "score")


def ties(picture: Figure) -> None:
    """The same scores, three ways to read a tie."""
    labels = np.array([1] * 5 + [0] * 5, bool)
    lucky, unlucky, ours = ([0, 0, 1], [0, 1, 1]), ([0, 1, 1], [0, 0, 1]), ([0, 1], [0, 1])
    names = ("lucky order: 1.0", "unlucky order: 0.0", f"one threshold: {micro_auc([np.zeros(10)], [labels]):.1f}")
    axes = picture.subplots(1, 3, sharey=True)
    for each, (x, y), name in zip(axes, (lucky, unlucky, ours), names, strict=True):
        each.plot(x, y, color=OURS if name == names[-1] else ALARM, lw=2)
        each.set(xlabel="false positives", xlim=(-0.05, 1.05), ylim=(-0.05, 1.05), aspect="equal")
        each.set_title(name, loc="left")


def boxes(picture: Figure) -> None:
    """A hit, a miss beside a false positive, and two detections of one region."""
    truth = [(60.0, 40.0, 110.0, 100.0)] * 3
    found = [
        [(70.0, 45.0, 120.0, 105.0)],
        [(140.0, 60.0, 180.0, 110.0)],
        [(55.0, 45.0, 85.0, 95.0), (80.0, 35.0, 115.0, 90.0)],
    ]
    rows = [(frame, *box, 2.0 - frame / 2) for frame, here in enumerate(found) for box in here]
    tracks = np.array([(0, frame, *box) for frame, box in enumerate(truth)])
    regions, whole = rbdc_tbdc([tracks], [np.array(rows)], [3])
    names = ("hit: IoU of at least 0.1", "missed, and a false positive", "two hits count once")
    for axes, region, here, name in zip(picture.subplots(1, 3), truth, found, names, strict=True):
        for box, colour, dash in ((region, ALARM, "-"), *((each, OURS, "--") for each in here)):
            corner, size = (box[0], box[1]), (box[2] - box[0], box[3] - box[1])
            axes.add_patch(Rectangle(corner, *size, fill=False, ec=colour, ls=dash, lw=2))
        axes.set(xlim=(0, 200), ylim=(130, 0), xticks=[], yticks=[], aspect="equal")
        axes.set_title(name, loc="left", fontsize=9)
    picture.suptitle(f"one track over three frames: RBDC {regions:.2f}, TBDC {whole:.2f}", fontsize=9)


def min_max(picture: Figure) -> None:
    """Three clips with an event on levels of their own, and a quiet one, before and after."""
    generator = np.random.default_rng(1)
    labels = [
        np.isin(np.arange(60), np.arange(start, start + size)) for start, size in ((20, 18), (34, 14), (10, 20), (0, 0))
    ]
    levels = (1.0, 3.0, 5.0, 0.5)
    raw = [level + 1.6 * label + generator.normal(0, 0.25, 60) for level, label in zip(levels, labels, strict=True)]
    stretched = [(row - row.min()) / np.ptp(row) for row in raw]
    axes = picture.subplots(1, 2)
    for each, scores, name in zip(axes, (raw, stretched), ("as scored", "stretched to 0..1"), strict=True):
        for clip, (row, label) in enumerate(zip(scores, labels, strict=True)):
            where = 70 * clip + np.arange(60)
            each.plot(where, row, color=MUTED if clip == 3 else OURS, lw=1.2)
            if label.any():
                event(each, where[label][0], where[label][-1])
        area = micro_auc(scores[:3], labels[:3])
        each.set_title(f"{name}: AUC {area:.2f} on clips 1 to 3", loc="left", fontsize=8.5)
        each.set(xticks=[30, 100, 170, 240], xticklabels=["clip 1", "clip 2", "clip 3", "quiet"], yticks=[])
    axes[1].annotate(
        "an alarm in a quiet hour", (70 * 3 + int(stretched[3].argmax()), 1.0), (150, 1.13), fontsize=8, color=ALARM
    )
    axes[1].set_ylim(-0.05, 1.25)


def smoothing(picture: Figure) -> None:
    """What a centred window, ours, and one that looks back only make of a step."""
    frames = np.arange(240)
    step = ((frames >= 50) & (frames < 80)).astype(float)
    seconds = frames / 10
    lines = {
        "centred Gaussian of 7 frames": (ndimage.gaussian_filter1d(step, 7.0), OTHER, "-"),
        "ours, half a second ahead": (smooth(step, seconds, 0.9, 0.5), OURS, "-"),
        "causal": (smooth(step, seconds, 0.9, 0.0), INK["refit"], "--"),
    }
    axes = picture.subplots()
    event(axes, 5.0, 8.0)
    for name, (values, colour, dash) in lines.items():
        early = 5.0 - seconds[np.argmax(values > 0.05)]
        rise = f"rises {early:.1f} s before the event" if early > 0.05 else "never before it"
        axes.plot(seconds, values, color=colour, ls=dash, label=f"{name}: {rise}")
    axes.set(xlabel="seconds", ylabel="score", yticks=[], xlim=(1, 24))
    axes.legend(frameon=False, fontsize=8, loc="center right")


PICTURES: dict[str, Callable[[Figure], None]] = {
    "micro-macro": micro_macro,
    "eer": eer,
    "precision": precision,
    "rbdc": boxes,
    "pixels": pixels,
    "alarms": alarms,
    "latency": latency,
    "bootstrap": bootstrap,
    "position": position,
    "min-max": min_max,
    "smoothing": smoothing,
    "padding": padding,
    "shots": shots,
    "choosing": choosing,
    "label-sets": label_sets,
    "banner": banner,
    "first-frames": first_frames,
    "ties": ties,
}


if __name__ == "__main__":
    main()
