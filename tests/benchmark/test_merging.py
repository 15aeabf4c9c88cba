"""Records that belong together as one; those that do not, refused in a line that says why."""

import pytest

from metavad.benchmark.merging import merged, narrowed
from metavad.errors import DataError, UsageError
from tests.records import changed, difference_of, record_of, row_of, scene_of


def record_on(scene, value=0.5, **more):
    rows = [row_of(scene, "zero-shot", 0, value), row_of(scene, "adapted", 10, value + 0.1)]
    gain = difference_of("adapted", 10, "zero-shot", certain=False, scene=scene, value=0.1)
    return record_of(rows, [gain], [scene_of(f"held-out:{scene}")], target=f"held-out:{scene}", **more)


def test_scenes_of_two_records_stand_side_by_side_and_their_mean_is_made_anew():
    found = merged([("a.json", record_on("lawn", 0.5)), ("b.json", record_on("plaza", 0.7))])
    assert [scene.scene for scene in found.scenes] == ["held-out:lawn", "held-out:plaza"]
    assert [row.name for row in found.rows] == [
        "held-out:lawn zero-shot K=0",
        "held-out:lawn adapted K=10",
        "held-out:plaza zero-shot K=0",
        "held-out:plaza adapted K=10",
    ]
    assert found.target == "held-out:lawn,held-out:plaza"
    (mean,) = [each for each in found.differences if each.scenes]
    assert (mean.value, mean.scenes, mean.certain) == (pytest.approx(0.1), 2, False)
    assert {(each.method, each.scenes): each.value for each in found.means} == {
        ("zero-shot", 2): pytest.approx(0.6),
        ("adapted", 2): pytest.approx(0.7),
    }
    assert all(each.low is None for each in found.means)  # two scenes are too few for an interval


def test_the_mean_over_enough_scenes_has_an_interval():
    each = [(f"{n}.json", record_on(f"camera-{n}", 0.5 + n / 100)) for n in range(6)]
    mean = next(each for each in merged(each).means if each.method == "adapted")
    assert 0.6 <= mean.low < mean.value < mean.high <= 0.65


def test_more_shots_of_the_same_scene_are_columns_of_it():
    fewer = record_of([row_of("lawn", "adapted", 1, 0.4)], (), [scene_of("held-out:lawn")], shots=(1,))
    found = merged([("a", changed(record_on("lawn"), shots=(0, 10))), ("b", fewer)])
    assert found.shots == (0, 1, 10)
    assert len(found.rows) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"base": "base-2"},
            "b.json: expected the same base as a.json has, base-1, found base-2; make a table of each",
        ),
        ({"shot_frames": 5}, "expected the same frames in a shot as a.json has, 16, found 5"),
        ({"draws": 2}, "the same draws as a.json has, 5, found 2"),
        ({"seed": 1}, "the same seed as a.json has, 7, found 1"),
        ({"paper_protocol": True}, "the same --paper-protocol as a.json has, False, found True"),
        (
            {"scenes": (scene_of("held-out:lawn", "masks"),)},
            "set of labels of held-out:lawn as a.json has, None, found",
        ),
        ({"rows": (row_of("lawn", "adapted", 10, 0.9),)}, "micro_auc of held-out:lawn adapted K=10 as a.json has, 0.6"),
    ],
)
def test_what_does_not_belong_together_is_refused_with_what_differs(change, message):
    with pytest.raises(DataError, match=r"^b\.json: ") as refused:
        merged([("a.json", record_on("lawn")), ("b.json", changed(record_on("lawn"), **change))])
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_second_and_the_third_are_held_against_each_other():
    other = record_of([row_of("lawn", "motion", 0, 0.4)], (), [scene_of("held-out:lawn", "masks")])
    with pytest.raises(DataError, match=r"c\.json: expected the same set of labels of held-out:lawn as b\.json has"):
        merged([("a.json", record_on("plaza")), ("b.json", record_on("lawn")), ("c.json", other)])


def test_what_depends_on_the_machine_may_differ():
    slow = record_on("lawn")
    slow = changed(slow, rows=tuple(changed(row, adapt_seconds=9.0) for row in slow.rows))
    assert len(merged([("a", record_on("lawn")), ("b", slow)]).rows) == 2


def test_methods_and_shots_can_be_chosen():
    record = record_on("lawn")
    assert [row.method for row in narrowed(record, methods=("adapted",)).rows] == ["adapted"]
    assert [row.method for row in narrowed(record, shots=(10,)).rows] == ["zero-shot", "adapted"]
    assert [row.method for row in narrowed(record, shots=(1,)).rows] == ["zero-shot"]
    with pytest.raises(UsageError, match="did you mean 'adapted'"):
        narrowed(record, methods=("adaptd",))
    with pytest.raises(UsageError, match="found 3; known: 0, 1, 10"):
        narrowed(record, shots=(3,))
