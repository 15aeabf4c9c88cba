"""``metavad benchmark`` on a suite of classes, from clips on disk to the table and back."""

import csv
import io
import json

import av
import numpy as np
import pytest

from tests.conftest import TINY

CLIPS = 6
SUITE = '[recognition]\nroot = "clips"\nallowed = ["still", "dark"]\n'
ASKED = ["--draws", "2", "--shots", "0,1,3", "--methods", "zero-shot,refit,adapted"]


def write_clip(path, way, seed, *, ticks=12, size=(48, 64)):
    """A picture that stands still, bright or dark, or one that is another in every frame."""
    generator = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        for tick in range(ticks):
            if tick == 0 or way == "flicker":
                blocks = generator.integers(0, 120, (size[0] // 8, size[1] // 8)) + (100 if way == "still" else 0)
                picture = np.kron(blocks, np.ones((8, 8))).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="gray")
            frame.pts = tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Two allowed classes and a forbidden one, of pictures of two sizes."""
    folder = tmp_path_factory.mktemp("clips")
    for number, way in enumerate(("still", "dark", "flicker")):
        for clip in range(CLIPS):
            size = (48, 64) if clip % 2 else (64, 48)
            write_clip(folder / way / f"{clip}.mp4", way, 10 * number + clip, size=size, ticks=8 + 2 * clip)
    return folder


@pytest.fixture(scope="module")
def base(cameras, tmp_path_factory):
    """A base with the preset ``embedding``, its last block unfrozen, and an expert that reads no embedding."""
    from metavad.config import load_config
    from metavad.scenes.suite import load_suite
    from metavad.workflows.meta_train import meta_train

    run = tmp_path_factory.mktemp("runs") / "embedding"
    sets = [*TINY, "embedding.hidden=8", "embedding.code=4", "embedding.unfrozen=1"]
    experts = 'experts=["prediction","embedding","embedding_memory"]'
    meta_train(load_suite(str(cameras)).scenes, load_config("embedding", [*sets, experts]), run=run)
    return run


@pytest.fixture
def suite(clips, tmp_path):
    (tmp_path / "clips").symlink_to(clips)
    (tmp_path / "gym.toml").write_text(SUITE)
    return tmp_path / "gym.toml"


def test_record_and_table(metavad, suite, base, tmp_path):
    result = metavad("benchmark", "--target", "gym.toml", "--base", base, *ASKED, "--json", "found.json")
    assert result.code == 0, result.err
    assert "left out, since only shown clips say which classes are allowed: zero-shot, K = 0" in result.out
    assert "6 of 2 allowed classes, 6 of 1 forbidden ones" in result.out
    record = json.loads((tmp_path / "found.json").read_text())
    assert [(each["name"], each["allowed"], each["train"], each["test"]) for each in record["classes"]] == [
        ("dark", True, 3, 3),
        ("flicker", False, 0, 6),
        ("still", True, 3, 3),
    ]
    rows = {(row["method"], row["score"], row["shots"]): row for row in record["rows"]}
    scores = ("embedding", "embedding_memory", "together")
    assert set(rows) == {(method, score, k) for method in ("refit", "adapted") for score in scores for k in (1, 3)}
    for row in rows.values():
        mean = (row["allowed_accepted"] + row["forbidden_flagged"]) / 2
        assert row["balanced_accuracy"] == pytest.approx(mean)
        assert row["forbidden_flagged"] == pytest.approx(row["flagged"]["flicker"])
        assert row["allowed_accepted"] == pytest.approx(1 - (row["flagged"]["dark"] + row["flagged"]["still"]) / 2)
    assert rows["adapted", "embedding_memory", 3]["auc"] > 0.95
    assert rows["adapted", "embedding_memory", 3]["forbidden_flagged"] > 0.95


def test_the_same_for_papers_and_again(metavad, suite, base, tmp_path):
    asked = [
        "benchmark",
        "--target",
        "gym.toml",
        "--base",
        base,
        "--draws",
        "1",
        "--shots",
        "2",
        "--methods",
        "adapted",
    ]
    text = metavad(*asked, "--format", "csv", "--json", "found.json").out
    rows = json.loads((tmp_path / "found.json").read_text())["rows"]
    table = list(csv.DictReader(io.StringIO(text)))
    assert [row["auc"] for row in table] == [str(row["auc"]) for row in rows]
    assert [row["flagged flicker"] for row in table] == [str(row["flagged"]["flicker"]) for row in rows]
    assert metavad(*asked, "--format", "markdown").out.startswith("| method | score | K | allowed accepted |")
    assert metavad(*asked, "--format", "latex").out.count(r"\begin{tabular}{llrrrrr}") == 1
    same = metavad("benchmark", "--reproduce", "found.json")
    assert (same.code, "found.json: matches, 3 rows" in same.out) == (0, True), same.err
    record = json.loads((tmp_path / "found.json").read_text())
    record["rows"][1]["auc"] -= 0.1
    (tmp_path / "other.json").write_text(json.dumps(record))
    other = metavad("benchmark", "--reproduce", "other.json")
    assert (other.code, "adapted embedding_memory K=2: auc was" in other.out) == (1, True)


@pytest.mark.parametrize(
    ("file_text", "arguments", "code", "message"),
    [
        (SUITE.replace("dark", "drak"), [], 1, "no 'drak'; did you mean 'dark'"),
        ('[recognition]\nroot = "clips"\nallowed = []\n', [], 1, "expected at least one class, found none"),
        (SUITE.replace('"dark"', '"dark", "flicker"'), [], 1, "expected a class that is not allowed, found none"),
        (SUITE.replace("allowed =", "alowed ="), [], 1, "did you mean 'allowed'"),
        (SUITE + 'train = "train"\n', [], 1, "expected train and test, or neither"),
        (SUITE.replace('"clips"', '"clibs"'), [], 1, "expected folders of classes under"),
        (SUITE + "[[scenes]]\nname = 'a'\nnormal = ['*.mp4']\n", [], 1, "expected one of [[scenes]]"),
        (SUITE, ["--shots", "4"], 1, "class 'dark': expected 4 training clips, found 3"),
        (SUITE, ["--shots", "0"], 2, "expected shots of 1 to"),
        (SUITE, ["--methods", "position"], 2, "methods of fine-tune, refit, adapted"),
        (SUITE, ["--html", "page.html"], 2, "--html: expected cameras, found the classes of gym"),
        (SUITE, ["--target", "gym.toml,ped2"], 2, "gym: expected cameras, found folders of classes"),
    ],
)
def test_refused(metavad, suite, base, tmp_path, file_text, arguments, code, message):
    suite.write_text(file_text)
    result = metavad(
        "benchmark", "--target", "gym.toml", "--base", base, "--shots", "1", *arguments, "--json", "a.json"
    )
    assert result.code == code, result.err
    assert message in result.line
    assert not (tmp_path / "a.json").exists()


def test_a_base_without_embeddings(metavad, suite, tiny_run):
    result = metavad("benchmark", "--target", "gym.toml", "--base", tiny_run)
    assert result.code == 1
    assert "expected an expert of embeddings, found" in result.line


def test_classes_that_cannot_be_tested(metavad, base, tmp_path):
    (tmp_path / "gym.toml").write_text(SUITE.replace(', "dark"', ""))
    write_clip(tmp_path / "clips" / "still" / "one.mp4", "still", 0)

    def refused():
        return metavad("benchmark", "--target", "gym.toml", "--base", base, "--shots", "1").line

    assert "expected a class that is not allowed, found none" in refused()
    (tmp_path / "clips" / "empty").mkdir()
    assert "empty: expected clips of a class, found none" in refused()
    write_clip(tmp_path / "clips" / "empty" / "short.mp4", "still", 1, ticks=1)
    assert "class 'still': expected two clips" in refused()
    write_clip(tmp_path / "clips" / "still" / "two.mp4", "still", 0)
    assert "short.mp4: expected a clip of several frames" in refused()


def test_what_reads_cameras_says_so(metavad, suite):
    for command in (["data", "check", "gym.toml"], ["meta-train", "--scenes", "gym.toml", "--out", "run"]):
        result = metavad(*command)
        assert result.code == 2, result.err
        assert "gym: expected cameras, found folders of classes" in result.line
