"""Settings: frozen, typed; what is unknown fails with the nearest right name.

The defaults are those of the base that ships, for real cameras, but for what the preset ``default`` says. A preset is
a TOML file that says what it changes.

>>> load_config("default", ["meta.inner_steps=3"]).meta.inner_steps
3
"""

import hashlib
import json
import reprlib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from metavad.arguments import checked
from metavad.errors import ConfigError, nearest
from metavad.shipped import shipped

__all__ = [
    "ALARMS",
    "LONGEST_SHOT",
    "MOST_SHOTS",
    "AdaptationConfig",
    "Alarms",
    "AppearanceConfig",
    "Config",
    "DataConfig",
    "DissociationConfig",
    "EmbeddingConfig",
    "FlowConfig",
    "FlowDensityConfig",
    "FlowPatchesConfig",
    "MetaConfig",
    "PatchesConfig",
    "PopulationConfig",
    "PoseConfig",
    "PredictionConfig",
    "RegionsConfig",
    "ScoringConfig",
    "config_of",
    "first_difference",
    "load_config",
    "plugin_settings",
]

Settings = TypeVar("Settings", bound=BaseModel)
Positive = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Width = Annotated[int, Field(ge=1, le=8192)]
"""Of a layer, or pixels of a picture's side: what memory grows with."""
ALARMS = 1e-6, 86_400.0
"""A day: from one in millennia to one a second."""
Alarms = Annotated[float, Field(ge=ALARMS[0], le=ALARMS[1])]
MOST_SHOTS, LONGEST_SHOT = 10_000, 1000
"""Clips that are shown, and frames of one, at most: all of them are held at once."""
Shots = Annotated[int, Field(ge=1, le=MOST_SHOTS)]


def _rising(numbers: tuple[int, ...]) -> tuple[int, ...]:
    if list(numbers) != sorted(set(numbers)):
        raise ValueError("expected numbers that rise")
    return numbers


def _range(numbers: tuple[int, int]) -> tuple[int, int]:
    if numbers[0] > numbers[1]:
        raise ValueError("expected the least and the most")
    return numbers


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataConfig(_Section):
    """Working size and rate, and what a clip is."""

    rate: Annotated[float, Field(gt=0, le=1000)] = 10.0
    """Ticks per second at which everything is computed."""
    short_side: Width = 240
    """Pixels of the shorter side of the working picture; the aspect ratio is kept. Small pictures stay smaller."""
    rows: Annotated[int, Field(ge=1, le=1024)] = 30
    """Grid cells along the shorter side; all experts' score maps meet on this grid."""
    clip_frames: Annotated[int, Field(ge=2, le=LONGEST_SHOT)] = 16
    """Frames of the file in one clip (a shot)."""


class FlowConfig(_Section):
    """How optical flow is computed, for every expert that reads it or regions."""

    horizon: Seconds = 0.2
    """Seconds over which motion is measured; ``flow_patches`` stacks it from tick to tick."""
    method: Literal["dis", "dis-fast", "farneback", "raft-small"] = "dis"
    weights: str = ""
    """File with the weights of a method that needs any (raft-small)."""
    steady: Literal["off", "mean", "robust"] = "off"
    """Take the camera's own motion out: the mean of the picture, or a shift, turn and zoom that most of it follows."""


class FlowDensityConfig(_Section):
    """The density of optical flow."""

    hidden: Width = 32
    """Width of the network that gives the spline of a row."""
    cells: Count = 2048
    """Cells drawn of a sample for one evaluation of the loss."""


class FlowPatchesConfig(_Section):
    """The density of patches of stacked flow (pixels are those of the working picture)."""

    patch: tuple[Width, Width] = (24, 18)
    """Width and height of a patch in pixels; multiples of ``3 * 2**levels``."""
    stack: Annotated[int, Field(ge=1, le=20)] = 4
    """Frames (ticks) of flow in one input: twice as many channels."""
    stacking: Literal["plain", "trajectory", "bidirectional"] = "plain"
    """Displacements at one place, along the path through it, or half of them backwards in time."""
    overlap: bool = True
    """Patches half overlap; without, scoring is about four times as fast and places are coarser."""
    steps: Annotated[int, Field(ge=1, le=256)] = 4
    """K: steps of flow on each level."""
    levels: Annotated[int, Field(ge=1, le=8)] = 1
    """L: levels, each on a quarter of the places with four times the channels."""
    hidden: Width = 32
    """Channels of the networks within the couplings."""
    patches: Count = 256
    """Patches drawn of a sample for one evaluation of the loss."""


class EmbeddingConfig(_Section):
    """Embeddings of a space-time network, and the densities over them."""

    backbone: str = "tiny"
    """``tiny``, ``slowfast_r50``, ``timesformer``, or a video model of torchvision by name, such as r2plus1d_18."""
    weights: str = ""
    """A file; ``default``: the published ones; ``random``. Empty: what ships (``tiny`` alone)."""
    horizon: Seconds = 0.6
    """Seconds of the past over which the backbone's frames are spread."""
    every: Count = 1
    """Ticks from one embedding to the next; between them the last one holds."""
    code: Width = 128
    """Numbers that the autoencoder has to describe an embedding by."""
    hidden: Width = 256
    """Width of its hidden layer."""
    draws: Count = 64
    """Ticks drawn of a sample for one evaluation of the loss, and kept as memory."""
    memory: Literal["neighbours", "centroids"] = "neighbours"
    """What of the shots ``embedding_memory`` measures the distance to."""
    centroids: Count = 8
    unfrozen: Annotated[int, Field(ge=0)] = 0
    """Last blocks of the backbone that ``embedding`` has as its own: they are meta-learned and adapt. 0: frozen."""


class PatchesConfig(_Section):
    """What is there, patch by patch, to a network that has seen real pictures."""

    short_side: Annotated[int, Field(ge=16, le=2048)] = 240
    """Pixels of the shorter side of what the network sees; rounded to whole patches of 16."""
    rate: Positive = 5.0
    """Times a second at most that the network looks."""
    dimension: Annotated[int, Field(ge=1, le=152)] = 32
    """Numbers that the learned projection leaves of a patch's 152."""
    memory: Count = 128
    """Vectors that are remembered at each place; of more, those that lie farthest apart."""
    cells: Annotated[int, Field(ge=2, le=4096)] = 64
    """Patches drawn of a sample for one evaluation of the loss."""


class PredictionConfig(_Section):
    """The future-frame predictor."""

    short_side: Width = 60
    """Pixels of the shorter side of the frames it predicts."""
    channels: Width = 16
    """Channels of the U-Net's first level."""
    windows: Count = 12
    """Windows drawn of a sample for one evaluation of the loss."""
    intensity_weight: Weight = 1.0
    """Weight of the intensity loss."""
    gradient_weight: Weight = 1.0
    """Weight of the gradient loss beside the intensity loss."""
    flow_weight: Weight = 0.0
    """Weight of the difference between the motion to the predicted and to the true frame."""
    adversarial_weight: Weight = 0.0
    """Weight of convincing a patch discriminator, which is meta-learned beside it and never adapts; 0: none."""
    attention: Literal["none", "channel", "self"] = "none"
    """Attention on the coarse level of the U-Net."""
    prototypes: Annotated[int, Field(ge=0, le=8192)] = 0
    """Vectors of a memory on the coarse level; 0: none."""


class DissociationConfig(_Section):
    """Two autoencoders, of the picture and of its change, and clusters over their codes."""

    channels: Annotated[int, Field(ge=4, le=8192, multiple_of=4)] = 12
    """Channels of each encoder's first level."""
    code: Width = 16
    """Channels of each of the two codes."""
    clusters: Width = 32
    """Centres of the joined codes."""
    difference_weight: Weight = 1.0
    """Weight of the difference loss beside the reconstruction loss."""
    cluster_weight: Weight = 0.1
    """Weight of the squared distance to the cluster centres."""


class RegionsConfig(_Section):
    """What is looked at by itself: by ``velocity`` and ``appearance``."""

    source: Literal["motion", "grid", "boxes"] = "motion"
    """What moves or is not background; fixed windows; or the boxes of a detector."""
    count: Annotated[int, Field(ge=1, le=64)] = 16
    """Regions of one tick, the largest first."""
    detector: str = ""
    """Name of a known network or ONNX file: a detector of boxes (``source = "boxes"``)."""
    detector_side: Width = 416
    """Pixels of the square that the detector sees."""


class AppearanceConfig(_Section):
    """What ``appearance`` sees of a region."""

    features: Literal["gradients", "network"] = "gradients"
    """A histogram of gradients, or an output of a network."""
    network: str = ""
    """Name of a known network or ONNX file (``features = "network"``)."""
    layer: str = ""
    """Name of the tensor within it that is taken; empty: its first output."""
    network_side: Width = 64
    """Pixels of the square that the network sees."""
    mean: float = 0.0
    deviation: Positive = 1.0
    """Of the grey steps (0 to 255) that the network was trained with: it sees (pixel - mean) / deviation."""
    numbers: Width = 64
    """Numbers that are kept of its output."""
    prototypes: Width = 16
    """The base's memory: meta-learned codes of regions, neighbours beside those of the shots."""


class PoseConfig(_Section):
    """Poses of people, and the densities over them."""

    people: Annotated[int, Field(ge=1, le=256)] = 12
    """People of one tick, the largest first."""
    steps: Annotated[int, Field(ge=4, le=1024)] = 24
    """Poses in one window."""
    seconds: Seconds = 1.0
    """Length of a window."""
    sure: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Confidence under which a pose is left out."""
    network: str = ""
    """ONNX file of a network that finds poses in the pictures; empty: poses come from files beside the videos."""
    network_side: Width = 640
    """Pixels of the square that the network sees."""
    flow_steps: Annotated[int, Field(ge=1, le=256)] = 4
    """Couplings of the normalizing flow."""
    hidden: Width = 24
    """Channels of the networks within the couplings."""
    channels: Width = 24
    """Channels of the state-space layers that foresee poses."""
    windows: Count = 64
    """Windows drawn of a sample for one evaluation of a loss."""


class MetaConfig(_Section):
    """How the base is meta-learned."""

    algorithm: str = "maml"
    """One of ``metavad show algorithms``."""
    engine: Literal["torch-func", "batched", "learn2learn"] = "torch-func"
    """A scene at a time, scenes of one shape at once, or learn2learn at the wheel."""
    order: Literal[1, 2] = 2
    """Second-order meta-gradients, or first-order ones."""
    first_order_steps: Annotated[int, Field(ge=0)] = 0
    """Outer steps taken in first order before the second begins."""
    zero_shot: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share that the query loss before any inner step has in what is learned; that after has the rest."""
    multi_step_steps: Count = 100
    """Outer steps over which MAML++'s loss moves from all inner steps to the last."""
    step_sizes: Literal["auto", "fixed", "tensor", "element", "step"] = "auto"
    """What a step size is learned for; ``auto`` is the algorithm's own choice."""
    adapts: tuple[str, ...] = ("*",)
    """Patterns of the parameters that the inner loop changes."""
    inner_steps: Annotated[int, Field(ge=1, le=1000)] = 1
    """Steps of the inner loop, in training and on a new camera alike."""
    step_size: Positive = 0.01
    """Where the learned step sizes start."""
    outer_steps: Count = 200
    scenes_per_step: Annotated[int, Field(ge=1, le=10_000)] = 2
    shots: Annotated[tuple[Shots, Shots], AfterValidator(_range)] = (1, 10)
    """K is drawn from this range for each episode."""
    queries: Annotated[int, Field(ge=1, le=10_000)] = 4
    footage: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of each video's normal footage that is used, from its beginning."""
    learning_rate: Positive = 2e-3
    separation: Weight = 0.0
    """Weight of ranking abnormal query clips above normal ones, after adapting."""
    corruptions: tuple[Literal["skipped", "reversed", "faster", "moved", "foreign"], ...] = ()
    """With ``separation``, what is done to query clips to make pseudo-abnormal ones of them; each draws one."""
    clip_norm: Positive = 10.0
    """Largest norm of a meta-gradient."""
    validate_every: Count = 50
    validation_scenes: Annotated[int, Field(ge=0)] = 2
    """Scenes held out to choose when to stop."""
    validation_episodes: Count = 8
    """Episodes of those scenes, the same every time."""
    before_every: Count = 5
    """Outer steps between two measurements of the query loss before adapting, for the curves."""
    control_steps: Count = 100
    """Steps of the jointly trained control."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16 runs matrix work in 16 bits (autocast); parameters and step sizes stay in 32."""
    recompute: bool = False
    """Compute activations again in the backward pass instead of keeping them: less memory, more time."""


class PopulationConfig(_Section):
    """What is measured on meta-training scenes once the networks are trained."""

    shots: Annotated[tuple[Shots | Literal[0], ...], Field(min_length=1), AfterValidator(_rising)] = (0, 1, 3, 10, 30)
    """Numbers of shots for which normal scores are tabulated."""
    weigh: tuple[Shots | Literal[0], ...] = (0, 10)
    """Numbers of shots at which fusion weights are learned, where generated cameras have labels."""
    windows: Annotated[int, Field(ge=1, le=10_000)] = 6
    """Windows of other normal footage that are scored."""
    seconds: Annotated[float, Field(gt=0, le=3600)] = 4.0
    """Length of a window."""


class AdaptationConfig(_Section):
    """K-shot adaptation, whose inner loop is that of ``meta``."""

    folds: Annotated[int, Field(ge=1, le=1000)] = 2
    """Cross-fitting folds of the shots: stretches of time."""
    apart: Seconds = 5.0
    """Seconds after which a camera shows something else: clips of one video that are closer count for less."""
    alarms_per_day: Alarms = 10.0


class ScoringConfig(_Section):
    """From score maps to frame scores."""

    top: Annotated[float, Field(gt=0, le=1)] = 0.005
    """Share of cells, the highest, that make a frame's score."""
    past: Annotated[float, Field(ge=0, le=3600)] = 0.9
    future: Annotated[float, Field(ge=0, le=0.5)] = 0.5
    """Seconds averaged before and after a frame."""
    merge: Annotated[float, Field(ge=0, le=86_400)] = 1.0
    """Alarms closer than this, in seconds, are one event."""
    longest: Annotated[float, Field(gt=0, le=86_400)] = 300.0
    """Seconds after which an event ends. What still lasts is no alarm again, and does not hide what scores higher."""


class Config(_Section):
    """All settings; a base and every record carry them."""

    experts: Annotated[tuple[str, ...], Field(min_length=1)] = (
        "prediction",
        "flow_density",
        "direction",
        "stillness",
    )
    data: DataConfig = DataConfig()
    flow: FlowConfig = FlowConfig()
    flow_patches: FlowPatchesConfig = FlowPatchesConfig()
    embedding: EmbeddingConfig = EmbeddingConfig()
    flow_density: FlowDensityConfig = FlowDensityConfig()
    patches: PatchesConfig = PatchesConfig()
    prediction: PredictionConfig = PredictionConfig()
    dissociation: DissociationConfig = DissociationConfig()
    regions: RegionsConfig = RegionsConfig()
    appearance: AppearanceConfig = AppearanceConfig()
    pose: PoseConfig = PoseConfig()
    meta: MetaConfig = MetaConfig()
    population: PopulationConfig = PopulationConfig()
    adaptation: AdaptationConfig = AdaptationConfig()
    scoring: ScoringConfig = ScoringConfig()
    plugins: dict[str, dict[str, Any]] = {}
    """Settings of experts from other packages, by the expert's name; :func:`plugin_settings` checks them."""

    @model_serializer(mode="wrap")
    def _without_empty(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without plugins the settings are written as if there were none."""
        values: dict[str, Any] = handler(self)
        if not self.plugins:
            values.pop("plugins", None)
        return values

    @property
    def digest(self) -> str:
        """sha256 of all settings, 12 digits."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@checked
def load_config(name_or_path: str | Path = "default", overrides: Sequence[str] = ()) -> Config:
    """A preset that ships, or a file of one's own, with overrides on top.

    Args:
        name_or_path: ``"default"``, ``"quick"`` and so on, or the path of a TOML file.
        overrides: such as ``"meta.inner_steps=3"``, the later ones win.

    Returns:
        The settings, checked and frozen.

    Raises:
        ConfigError: a setting that is unknown, of another type or out of range; it names the nearest known one.
    """
    values = _read(str(name_or_path))
    for override in overrides:
        _set(values, override)
    return config_of(values, str(name_or_path))


def config_of(values: Mapping[str, Any], source: str) -> Config:
    """Check plain values; an unknown key is named with the nearest right one."""
    try:
        return Config.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigError(f"{source}: {_first_problem(error, Config)}") from None


def plugin_settings(config: Config, name: str, kind: type[Settings]) -> Settings:
    """The settings of an expert from another package: the table ``[plugins.<name>]``, or its defaults.

    Args:
        config: what :meth:`Expert.build` was given.
        name: of the expert.
        kind: the pydantic model of its settings.

    Returns:
        An instance of ``kind``.

    Raises:
        ConfigError: a value that the model refuses, or a setting that it does not have.
    """
    values, prefix = config.plugins.get(name, {}), f"plugins.{name}."
    try:
        settings = kind.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_first_problem(error, kind, prefix)) from None
    for key in values if kind.model_config.get("extra", "ignore") == "ignore" else ():
        if key not in kind.model_fields:
            raise ConfigError(_unknown(prefix + key, kind, prefix))
    return settings


def first_difference(begun: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The first setting that is another one, with both values; none where all are the same.

    >>> first_difference({"meta": {"order": 2}, "seed": 0}, {"meta": {"order": 1}, "seed": 0})
    'meta.order = 1, begun with 2'
    """
    was, found = (dict(_leaves(values)) for values in (begun, now))
    for name in (*found, *was):
        if (name in was, was.get(name)) != (name in found, found.get(name)):
            values = [json.dumps(each[name]) if name in each else "nothing" for each in (found, was)]
            return f"{name} = {values[0]}, begun with {values[1]}"
    return None


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _read(name_or_path: str) -> dict[str, Any]:
    presets = shipped("configs")
    path = presets.get(name_or_path, Path(name_or_path))
    if not path.is_file():
        raise ConfigError(
            f"config {name_or_path!r}: expected a preset or a TOML file; {nearest(name_or_path, presets)}"
        )
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML ({error}); see `metavad show configs default`") from None


def _set(values: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals:
        raise ConfigError(f"--set {override!r}: expected section.key=value, e.g. meta.inner_steps=3")
    *sections, key = path.strip().split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise ConfigError(f"--set {override!r}: {section!r} is a setting, not a section")
    values[key] = _value(text.strip())


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _first_problem(error: ValidationError, kind: type[BaseModel], prefix: str = "") -> str:
    problem = error.errors()[0]
    where = prefix + ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return _unknown(where, kind, prefix)
    return f"{where} = {reprlib.repr(problem['input'])}: {problem['msg'].lower()}"


def _unknown(where: str, kind: type[BaseModel], prefix: str) -> str:
    return f"unknown setting {where!r}; {nearest(where, _names(kind, prefix))}"


def _names(section: type[BaseModel], prefix: str = "") -> list[str]:
    names = []
    for name, field in section.model_fields.items():
        names.append(prefix + name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            names += _names(field.annotation, f"{prefix}{name}.")
    return names
