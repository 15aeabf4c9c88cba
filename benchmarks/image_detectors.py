"""PatchCore and PaDiM, as anomalib has them, beside `patches` and the default experts: the same clips and frames.

All but the default experts see the same numbers: the features of patches of EfficientNet-Lite0 as metavad computes
them (152 channels at stride 16, five times a second). PatchCore keeps 10 % of the clips' patches (greedy coreset) and
weighs the distance of the farthest patch by its nine neighbours (Roth et al. 2022); PaDiM has a Gaussian of 100 random
channels at each place (Defard et al. 2021). Their frame score is anomalib's own; it holds until the next look. Frame
scores are then smoothed as those of a detector are (0.9 s of past, 0.5 s ahead), and once not at all. Micro AUC over
all frames of the test videos; draws of clips are those of `metavad benchmark`.

The last table is time for a frame of the first camera's first test video, features included and decoding left out, of
all methods in turns. A record that is there already is gone on with. anomalib has to be installed beside metavad
(`pip install anomalib==2.2.0`); no weights are downloaded. `patches` alone is of a base that was trained with it, where
one is given (`--patches-base`).

    python benchmarks/image_detectors.py ped2@10 umn@10 benchmarks/suites/falls.toml@3 --draws 2 --json FILE
"""

import argparse
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from labelled_videos import Seen, auc_of, seen_of
from record import ScriptRecord, begin, busy, options, record_of, write
from torch import Tensor, nn
from torch.nn import functional

from metavad.benchmark.record import read_record
from metavad.episodes import draw_shots
from metavad.features.backbones.torchvision import imported
from metavad.features.library import Library, features_of, sample_of, stream
from metavad.features.patches import STEPS
from metavad.normality.accumulation import smooth
from metavad.normality.base import Base, load_base
from metavad.normality.fit import fit
from metavad.normality.methods import Adapted
from metavad.normality.model import SceneModel
from metavad.scenes.cache import Store
from metavad.scenes.scene import Scene
from metavad.scenes.video import read_frames, tick_frames
from metavad.scoring.stream import hold, score_features
from metavad.threads import one_thread
from metavad.types import ByteArray, FloatArray
from metavad.workflows.suites import open_suite

METHODS = ["default", "patchcore", "padim"]
LAYER = "patches"
CORESET, CHANNELS = 0.1, 100
AT_ONCE = 32
TIMED, TURNS = 40, 3
"""Ticks that time is measured on, and how often."""

Scores = tuple[FloatArray, FloatArray]
"""Of the frames of a video, smoothed and as they are."""


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = options(__doc__)
    parser.add_argument("cameras", nargs="+", metavar="SUITE@K", type=_cameras)
    parser.add_argument(
        "--patches-base", type=Path, help="a base of the preset patches; `patches` by itself is added then"
    )
    parser.add_argument("--draws", type=int, default=1)
    return parser


def _cameras(text: str) -> tuple[str, int]:
    suite, at, shots = text.rpartition("@")
    if not (at and shots.isdigit()):
        raise argparse.ArgumentTypeError(f"expected a suite and its K, such as ped2@10, found {text}")
    return suite, int(shots)


def main() -> None:
    """Score, print, write the record."""
    given = begin(arguments())
    base = load_base(given.base)
    patches = None if given.patches_base is None else load_base(given.patches_base).only(["patches"])
    methods = METHODS if patches is None else [*METHODS, "patches"]
    imported()  # torchvision without its compiled operators, which anomalib imports too
    cameras = [
        (_Camera(scene, base, patches), scene.key, shots)
        for name, shots in given.cameras
        for scene in open_suite(name).scenes
    ]
    before = _before(given.json)
    facts = {"patches_base": patches and patches.digest, "anomalib": version("anomalib"), **busy()}
    rows, times = (list(before.rows), before.facts["times"]) if before else ([], {})
    commands = [] if before is None else [before.command] if isinstance(before.command, str) else before.command

    def keep() -> None:
        record = record_of(rows, base=base.digest, times=times, **facts)
        each = list(dict.fromkeys([*commands, str(record.command)]))
        write(given.json, record.model_copy(update={"command": each if len(each) > 1 else each[0]}))

    for draw in range(given.draws):
        for camera, key, shots in cameras:
            known = {row["method"] for row in rows if (row["camera"], row["draw"]) == (key, draw)}
            for name, (smoothed, raw) in camera.aucs(shots, draw, [name for name in methods if name not in known]):
                rows.append({"camera": key, "shots": shots, "draw": draw, "method": name})
                rows[-1] |= {"auc": round(smoothed, 4), "auc_unsmoothed": round(raw, 4)}
                print(key, shots, draw, name, f"{smoothed:.3f} {raw:.3f}", flush=True)
            keep()
    times = times or cameras[0][0].times(cameras[0][2], methods)
    keep()
    _print(methods, rows, times)


def _before(path: Path | None) -> ScriptRecord | None:
    """The record that is gone on with, where there is one."""
    return read_record(path, ScriptRecord) if path and path.is_file() else None


class _Given(nn.Module):
    """Stands for anomalib's network: gives the features that were computed before, whatever the picture."""

    rows: Tensor

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        return {LAYER: self.rows}


class _Blur(nn.Module):
    """A Gaussian blur in two passes."""

    def __init__(self, kernel: Tensor) -> None:
        super().__init__()
        self.across, self.down = kernel[:1, :1].sum(2, keepdim=True), kernel[:1, :1].sum(3, keepdim=True)

    def forward(self, maps: Tensor) -> Tensor:
        reach = self.across.shape[-1] // 2
        padded = functional.pad(maps, [reach] * 4, mode="reflect")
        return functional.conv2d(functional.conv2d(padded, self.across), self.down)


class _NoMap(nn.Module):
    """Draws no map of scores of patches."""

    def forward(self, scores: Tensor, size: Sequence[int]) -> Tensor:
        return scores


@dataclass
class _Image:
    """A detector of anomalib over rows (N, 152, h, w)."""

    model: Any
    size: tuple[int, int]
    """Of the working pictures, on which anomalib draws its maps."""

    @one_thread()
    def __call__(self, rows: ByteArray | Tensor) -> Any:
        self.model.feature_extractor.rows = torch.as_tensor(rows).view(torch.int8).float() / STEPS
        with torch.no_grad():
            return self.model(torch.zeros(len(rows), 1, *self.size))

    def hurry(self) -> None:
        """The same scores without what makes anomalib slow: PatchCore's map, which no score needs, and a dense blur."""
        maps = self.model.anomaly_map_generator
        if hasattr(self.model, "gaussian"):
            maps.blur = _Blur(maps.blur.kernel)
        else:
            self.model.anomaly_map_generator = _NoMap()

    def scores(self, rows: ByteArray) -> FloatArray:
        """One for each row (N,); rows that are the same as the one before are not looked at again."""
        new = np.r_[True, (rows[1:] != rows[:-1]).any((1, 2, 3))]
        looked = rows[new]
        parts = [self(looked[first : first + AT_ONCE]).pred_score for first in range(0, len(looked), AT_ONCE)]
        return np.asarray(torch.cat([part.flatten() for part in parts]).double().numpy()[new.cumsum() - 1])


def _image(name: str, rows: Tensor, size: tuple[int, int], seed: int) -> _Image:
    """PatchCore or PaDiM of rows (N, 152, h, w) of normal clips."""
    from anomalib.models.image.padim.torch_model import PadimModel
    from anomalib.models.image.patchcore.torch_model import PatchcoreModel

    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - anomalib's projection draws from it
    if name == "patchcore":
        model: Any = PatchcoreModel(["layer2"], "resnet18", pre_trained=False)
        model.feature_pooler = nn.Identity()  # the rows are averaged over 3 x 3 already
    else:
        model = PadimModel("resnet18", ["layer2"], pre_trained=False, n_features=CHANNELS)
        model.idx = torch.tensor(random.sample(range(rows.shape[1]), CHANNELS))
    model.layers, model.feature_extractor = [LAYER], _Given()
    model.train()
    found = _Image(model, size)
    found(rows)
    model.subsample_embedding(sampling_ratio=CORESET) if name == "patchcore" else model.fit()
    model.eval()
    return found


class _Camera:
    """A camera under test."""

    def __init__(self, scene: Scene, base: Base, patches: Base | None) -> None:
        self._scene, self._base, self._patches = scene, base, patches
        looked = features_of(base.config, ["patches"]) if patches is None else patches.features
        self._plain, self._looked = (
            Library([scene], base.config.data, features, Store(), whole=False) for features in (base.features, looked)
        )

    def aucs(self, shots: int, draw: int, methods: Sequence[str]) -> Iterator[tuple[str, tuple[float, float]]]:
        """Micro AUC of each of these methods, smoothed and not."""
        for name, model in self._models(shots, draw, methods).items():
            if isinstance(model, _Image):
                model.hurry()
            seen = seen_of(self._plain if name == "default" else self._looked, self._scene)
            smoothed, raw = zip(*(self._scores(name, model, each) for each in seen), strict=True)
            yield name, (auc_of(smoothed, seen), auc_of(raw, seen))

    def times(self, shots: int, methods: Sequence[str]) -> dict[str, tuple[float, float]]:
        """Of each method the median milliseconds of a tick, features included, and of those of default in its turn."""
        video, library = self._scene.test[0], self._plain
        facts, data = library.facts(self._scene.key, "test", video.name), self._base.config.data
        ticks = tick_frames(facts.seconds, data.rate)[:TIMED]
        seconds = facts.seconds[ticks] - facts.seconds[ticks[0]]
        frames = read_frames(video, short_side=data.short_side, crop=self._scene.crop, every=ticks)
        images, models = [frame.image for frame in frames], self._models(shots, 0, methods)
        found: dict[str, list[float]] = {name: [] for name in models}
        for _ in range(TURNS + 1):
            for name, model in models.items():
                features = (library if name == "default" else self._looked).features
                started = time.perf_counter()
                reads = ["patches"] if isinstance(model, _Image) else list(features)
                rows = {each: np.stack(list(stream(features[each], images, seconds))) for each in reads}
                if isinstance(model, _Image):
                    model.scores(rows["patches"])
                else:
                    model.score(sample_of(features, rows, seconds, seconds))
                found[name].append(1000 * (time.perf_counter() - started) / len(ticks))
        turns = {name: np.array(each[1:]) for name, each in found.items()}  # the first warms up
        medians = {name: (np.median(each), np.median(each / turns["default"])) for name, each in turns.items()}
        return {name: (round(float(time), 2), round(float(share), 2)) for name, (time, share) in medians.items()}

    def _models(self, shots: int, draw: int, methods: Sequence[str]) -> dict[str, SceneModel | _Image]:
        """Each of these methods, shown the clips of one draw."""
        if not methods:
            return {}
        spans = self._plain.spans(self._scene.key)
        clips = draw_shots(spans, shots, self._base.config.data.clip_frames, draw).clips
        looked, grid = self._looked.sample(clips), self._plain.grid(self._scene.key)
        step = round(self._base.config.data.rate / self._base.config.patches.rate)
        rows = looked["patches"][:, ::step][looked.known["patches"][:, ::step]]
        size = tuple(self._looked.pictures(clips[0])[0][0].shape)
        makers: dict[str, Callable[[], SceneModel | _Image]] = {
            "default": lambda: fit(Adapted(self._base), self._plain.sample(clips), grid),
            "patches": lambda: fit(Adapted(self._trained()), looked, grid),
            "patchcore": lambda: _image("patchcore", rows, size, draw),
            "padim": lambda: _image("padim", rows, size, draw),
        }
        return {name: makers[name]() for name in methods}

    def _trained(self) -> Base:
        if self._patches is None:
            raise SystemExit("patches: expected a base of this preset, found none; give --patches-base")
        return self._patches

    def _scores(self, name: str, model: SceneModel | _Image, seen: Seen) -> Scores:
        """Of all frames of a test video."""
        features, scoring = seen.features, self._base.config.scoring
        if isinstance(model, _Image):
            raw = model.scores(features.rows["patches"])
            smoothed = smooth(raw, features.seconds, scoring.past, scoring.future, features.recordings)
        else:
            found = score_features(model, self._plain if name == "default" else self._looked, features)
            raw, smoothed = np.nan_to_num(found.raw), found.scores
        return hold(features.frames, smoothed, len(seen.labels)), hold(features.frames, raw, len(seen.labels))


def _print(methods: Sequence[str], rows: Sequence[Mapping[str, Any]], times: Mapping[str, tuple[float, float]]) -> None:
    """Mean over draws by camera, smoothed and (in brackets) not, and the times."""
    found = defaultdict[str, dict[str, list[tuple[float, float]]]](lambda: defaultdict(list))
    for row in rows:
        found[f"{row['camera']} ({row['shots']})"][row["method"]].append((row["auc"], row["auc_unsmoothed"]))
    print("| camera (K) | " + " | ".join(methods) + " |\n|:--|" + "--:|" * len(methods))
    for camera, each in found.items():
        means = {name: 100 * np.mean(aucs, 0) for name, aucs in each.items()}
        cells = [f"{means[name][0]:.1f} ({means[name][1]:.1f})" if name in means else "" for name in methods]
        print(f"| {camera} | " + " | ".join(cells) + " |")
    cells = [f"{each:.1f} ({share:.2f})" for each, share in times.values()]
    print("| milliseconds a tick (of those of default) | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
