"""The three commands of the README on a disk that holds the datasets as they are distributed, in miniature."""

import contextlib
import csv
import io
import json

import numpy as np
import pytest
import scipy.io

from tests.conftest import TINY
from tests.footage import write_image

SIZE = (48, 64)
SCENES = [f"{number:02d}" for number in range(1, 14)]


def moving(frames: int, seed: int, abnormal: slice = slice(0, 0)) -> np.ndarray:
    """Pictures (T, H, W) of a small square that walks; in the ``abnormal`` frames a large one runs."""
    noise = np.random.default_rng(seed)
    pictures = noise.integers(60, 90, (1, *SIZE)).repeat(frames, axis=0)
    for number in range(frames):
        fast = number in range(frames)[abnormal]
        side, speed = (14, 6) if fast else (6, 2)
        at = (seed * 7 + number * speed) % (SIZE[1] - side)
        pictures[number, 20 : 20 + side, at : at + side] = 220
    return pictures.astype(np.uint8)


def encode(path, pictures):
    """A file whose codec and suffix are those of the released one."""
    from fractions import Fraction

    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25, options={"qscale": "3"})
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        for place, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="gray")
            frame.pts, frame.time_base = place, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def junk(*folders):
    for folder in folders:
        (folder / ".DS_Store").write_bytes(b"\0\0junk")
        (folder / "._Thumbs").write_bytes(b"junk")


def shanghaitech(data):
    """Training is video, test is JPEG from 000.jpg on; camera 13 has no test video."""
    root = data / "shanghaitech"
    for n, scene in enumerate(SCENES):
        encode(root / "training" / "videos" / f"{scene}_001.avi", moving(90, n))
        if scene == "13":
            continue
        abnormal = slice(10, 20)
        for number, picture in enumerate(moving(30, n, abnormal)):
            write_image(root / "testing" / "frames" / f"{scene}_0014" / f"{number:03d}.jpg", picture)
        labels = np.zeros(30, np.uint8)
        labels[abnormal] = 1
        for kind, array in (("frame", labels), ("pixel", labels[:, None, None] * np.ones((1, *SIZE), np.uint8))):
            (root / "testing" / f"test_{kind}_mask").mkdir(parents=True, exist_ok=True)
            np.save(root / "testing" / f"test_{kind}_mask" / f"{scene}_0014.npy", array)
    junk(root, root / "training" / "videos", root / "testing" / "frames", root / "testing" / "frames" / "01_0014")


def avenue(data):
    """A space in a folder's name, padded videos, label files that are not padded."""
    root = data / "avenue"
    for number in (1, 2, 10):
        encode(root / "Avenue Dataset" / "training_videos" / f"{number:02d}.avi", moving(90, number))
        encode(root / "Avenue Dataset" / "testing_videos" / f"{number:02d}.avi", moving(50, number, slice(20, 35)))
        cells = np.empty((1, 50), object)
        for frame in range(50):
            mask = np.zeros(SIZE, np.uint8)
            mask[20:34, 10:40] = 20 <= frame < 35
            cells[0, frame] = mask
        place = root / "ground_truth_demo" / "testing_label_mask"
        place.mkdir(parents=True, exist_ok=True)
        scipy.io.savemat(place / f"{number}_label.mat", {"volLabel": cells})
    (root / "ground_truth_demo" / "ground_truth_show.m").write_text("% shows them\n")
    junk(root, root / "Avenue Dataset" / "testing_videos", root / "ground_truth_demo" / "testing_label_mask")


def ucsd(data, number):
    """TIFF from 001 on, masks beside the frames of some clips only, junk and editor backups everywhere."""
    root = data / "UCSD_Anomaly_Dataset.v1p2" / f"UCSDped{number}"
    for clip in (1, 2, 3):
        for side, abnormal in (("Train", slice(0, 0)), ("Test", slice(8, 20))):
            for frame, picture in enumerate(moving(40 if side == "Train" else 24, clip, abnormal), start=1):
                write_image(root / side / f"{side}{clip:03d}" / f"{frame:03d}.tif", picture)
    for frame in range(1, 25):
        mask = np.zeros(SIZE, np.uint8)
        mask[20:34, 10:40] = 255 * (9 <= frame <= 20)
        write_image(root / "Test" / "Test001_gt" / f"{frame:03d}.bmp", mask)
    lines = ["TestVideoFile = {};", *["TestVideoFile{end+1}.gt_frame = [9:20];"] * 3]
    (root / "Test" / f"UCSDped{number}.m").write_text("\n".join(lines))
    (root / "Test" / f"UCSDped{number}.m~").write_text("\n".join(lines[:2]))
    junk(root, root / "Train", root / "Test", root / "Test" / "Test001", root / "Test" / "Test001_gt")


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """A folder of datasets and an empty folder to work in."""
    data, place = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("work")
    shanghaitech(data)
    avenue(data)
    for number in (1, 2):
        ucsd(data, number)
    return data, place


@pytest.fixture(scope="module")
def typed(disk):
    """What is typed, in one folder, with a default preset that trains in seconds; gives exit code and output."""
    import metavad.config
    from metavad.cli import main
    from metavad.config import load_config

    data, place = disk
    tiny = load_config("quick", [*TINY, "adaptation.folds=1", "population.shots=[0,10]"])
    (place / "tiny.toml").write_text(_toml(tiny.model_dump(mode="json")))
    presets = metavad.config.shipped("configs")

    def run(line: str):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(line.split()[1:])
        return code, out.getvalue(), err.getvalue()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metavad.config, "shipped", lambda kind: {**presets, "default": place / "tiny.toml"})
        patch.setenv("METAVAD_DATA", str(data))
        patch.chdir(place)
        yield run


def _toml(values: dict) -> str:
    """Sections of plain values, which JSON writes as TOML does."""
    top = [f"{key} = {json.dumps(value)}" for key, value in values.items() if not isinstance(value, dict)]
    for name, section in values.items():
        if isinstance(section, dict):
            top += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in section.items())]
    return "\n".join(top) + "\n"


@pytest.fixture(scope="module")
def trained(typed):
    code, out, err = typed("metavad meta-train --scenes shanghaitech")
    assert code == 0, err
    return out


def test_meta_train_on_thirteen_cameras(trained, disk):
    (run,) = (disk[1] / "runs").iterdir()
    footage = json.loads((run / "run.json").read_text())["footage"]
    assert list(footage) == [f"shanghaitech:{scene}" for scene in SCENES]
    assert (run / "base" / "base.safetensors").is_file()


def test_adapt_to_avenue(trained, typed, disk):
    code, _, err = typed("metavad adapt --target avenue --shots 10")
    assert code == 0, err
    facts = json.loads((disk[1] / "detectors" / "avenue" / "detector.json").read_text())
    assert (facts["scene"], len(facts["shots"])) == ("avenue:avenue", 10)


def test_benchmark_on_three_datasets(trained, typed):
    """Part of each dataset is there: enough to benchmark. Its labels are named, and Ped1's one mask is used."""
    code, out, err = typed("metavad benchmark --target avenue,ped1,ped2 --draws 2")
    assert code == 0, err
    for word in ("avenue/avenue", "ped1/ped1", "ped2/ped2", "K = 10", "mean over 3 scenes", "avenue: labels masks"):
        assert word in out
    code, again, _ = typed("metavad benchmark --target avenue,ped1,ped2 --draws 2 --format csv")  # from what is kept
    assert code == 0
    lines = [line for line in csv.DictReader(again.splitlines()) if line["scene"] != "mean" and not line["minus"]]
    rows = {(line["scene"], line["method"], line["shots"]) for line in lines}
    assert len(rows) == 3 * (3 + 3 * 4)
    for line in lines:
        assert line["draws"] == ("1" if line["shots"] == "0" else "2")
        if line["figure"] in ("pixel_auc", "rbdc"):
            assert bool(line["value"]) == (line["method"] != "position")


@pytest.mark.parametrize("name", ["shanghaitech", "shanghaitech-6-7", "avenue", "ped1", "ped2"])
def test_the_footage_is_whole(typed, name):
    """Fewer videos than the manifest says are warnings; nothing is an error."""
    code, out, err = typed(f"metavad data check {name}")
    assert code == 0, out + err
    assert "0 errors" in out


def test_the_list_says_what_is_there(typed):
    code, out, _ = typed("metavad data list")
    there = {line.split()[0]: line for line in out.splitlines()[1:]}
    assert code == 0
    assert "13 scenes, 25 videos (released)" in there["shanghaitech"]
    assert "1 scene, 6 videos (official)" in there["avenue"]
    assert "1 scene, 6 videos (official), no labels" in there["avenue-intervals"]
    assert "no" in there["msad"].split()
