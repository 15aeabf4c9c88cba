"""The suite file that a label file completes: one line more, and all else as it was."""

import tomllib

import pytest

from metavad.scenes.datasets.labelling import Place, name_labels, with_labels
from metavad.scenes.suite import load_suite
from tests.footage import write_video

LINE = 'labels = { format = "intervals", path = "intervals.csv", unit = "frames" }'
SUITE = """# Mine.
title = "two cameras"

[[scenes]]
name = "gate"
normal = ["normal/*"]
test = [
  "test/*",
]
fps = 25  # a guess

[scenes.expect]
normal_videos = 3

[[scenes]]
name = "yard"  # behind the house
test = ["yard/*"]
# no labels found; for example: labels = {}

[[archives]]
url = "https://host/a.zip"
"""


@pytest.mark.parametrize(("scene", "number"), [("gate", 0), ("yard", 1)])
def test_one_line_is_added_to_the_scene(scene, number):
    found = with_labels(SUITE, scene, LINE)
    before, after = tomllib.loads(SUITE), tomllib.loads(found)
    assert after["scenes"][number].pop("labels") == {"format": "intervals", "path": "intervals.csv", "unit": "frames"}
    assert after == before
    assert [line for line in SUITE.splitlines() if line not in found.splitlines()] == (
        [] if scene == "gate" else ["# no labels found; for example: labels = {}"]
    )


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_suite_written_by_another_editor_is_completed(tmp_path, encoding):
    write_video(tmp_path / "yard" / "a.mp4")
    (tmp_path / "suite.toml").write_text('[[scenes]]\nname = "yard"\ntest = ["yard/*"]\n', encoding=encoding)
    place = Place(tmp_path / "suite.toml", load_suite(str(tmp_path)).scenes[0])
    assert name_labels(place, tmp_path / "intervals.csv")
    assert load_suite(str(tmp_path)).scenes[0].labels is not None


def test_what_is_no_table_of_its_own_stays_as_it_is():
    assert with_labels(SUITE, "roof", LINE) is None
    assert with_labels('scenes = [{ name = "gate" }]\n', "gate", LINE) is None
    assert with_labels("[[scenes]\n", "gate", LINE) is None
