import pytest

from metavad.benchmark.protocol import METHODS
from metavad.errors import DataError
from metavad.report.grid import Cell, caption, known_figures, pivot, sources, summary
from tests.records import changed, difference_of, only_rows, record_of, row_of, scene_of, with_rows


def lines_of(record, scene, figure="micro_auc"):
    return {line.method: line.cells for line in dict(pivot(record, figure).groups)[scene]}


def is_motion_on_lawn(row):
    return (row.scene, row.method) == ("lawn", "motion")


def test_a_line_for_each_scene_and_method_a_column_for_each_number_of_shots(record):
    grid = pivot(record)
    assert grid.shots == (0, 1, 10)
    assert [scene for scene, _ in grid.groups] == ["ped_2", "lawn", "mean"]
    lines = lines_of(record, "ped_2")
    assert list(lines) == [method for method in METHODS if method != "refit"]
    assert lines["adapted"] == (None, Cell(0.94, 0.01, best=True), Cell(0.98, 0.01, best=True))
    assert lines["zero-shot"] == (Cell(0.9, None, best=True), None, None)
    assert lines["motion"][0].best is False


def test_the_mean_runs_over_scenes_where_everything_is_defined(record):
    assert lines_of(record, "mean")["adapted"][2].value == pytest.approx((0.98 + 0.88) / 2)
    other = with_rows(record, is_motion_on_lawn, micro_auc=None)
    assert pivot(other).averaged == 1
    assert lines_of(other, "mean")["adapted"][2].value == pytest.approx(0.98)
    assert "mean over 1 scene" in caption(pivot(other))


def test_what_no_scene_has_does_not_empty_the_mean(record):
    other = with_rows(record, lambda row: row.method == "wrong-scene", micro_auc=None)
    assert pivot(other).averaged == 2
    assert lines_of(other, "mean")["wrong-scene"][1] == Cell()
    assert lines_of(other, "mean")["adapted"][2].value == pytest.approx(0.93)


def test_one_scene_has_no_mean(record):
    assert [scene for scene, _ in pivot(only_rows(record, lambda row: row.scene == "lawn")).groups] == ["lawn"]


def test_a_scene_called_mean_is_not_the_mean():
    record = record_of([row_of(scene, "motion", 0, 0.5) for scene in ("mean", "lawn")])
    assert [scene for scene, _ in pivot(record).groups] == ["held-out/mean", "lawn", "mean"]


def test_what_is_undefined_is_a_dash_and_never_best(record):
    cells = lines_of(record, "lawn", "macro_auc")["adapted"]
    assert [str(cell) for cell in cells[1:]] == ["–", "–"]
    assert not any(cell.best for cell in cells[1:])
    assert lines_of(record, "mean", "macro_auc")["adapted"][1].value is None


def test_lower_is_best_where_lower_is_better(record):
    assert lines_of(record, "lawn", "eer")["adapted"][1].best
    assert "lower is better" in caption(pivot(record, "eer"))


def best(values, figure="micro_auc", **more):
    """The methods whose cell is marked, of one scene without clips: ``{method: value}``."""
    rows = [row_of("lawn", name, 0, **{figure: value}, **more.get(name, {})) for name, value in values.items()]
    (_, lines), *_ = pivot(record_of(rows), figure).groups
    return {line.method for line in lines if line.cells[0].best}


def test_the_best_is_marked_only_where_it_is_better():
    assert best({"position": 0.5, "motion": 0.7, "zero-shot": 0.8}) == {"zero-shot"}
    assert best({"position": 0.8, "motion": 0.8, "zero-shot": 0.8}) == set()
    # What is printed alike is marked alike.
    assert best({"position": 0.5, "motion": 0.79996, "zero-shot": 0.80004}) == {"motion", "zero-shot"}


def test_who_finds_nothing_is_never_the_best():
    missed = {"motion": 1.0, "zero-shot": 1.0}
    assert best(missed, "missed_events") == set()
    assert best({"motion": 1.0, "zero-shot": 0.75}, "missed_events") == {"zero-shot"}
    assert best({"motion": 0.0, "zero-shot": 0.0}, "rbdc") == set()
    quiet = {"motion": {"missed_events": 1.0}, "zero-shot": {"missed_events": 0.2}}
    alarms = {"motion": 0.0, "zero-shot": 3.0, "position": 5.0}
    assert best(alarms, "false_alarms_per_hour", **quiet) == {"zero-shot"}
    # Chance is of the footage, not of a method.
    assert best({"motion": 0.2, "zero-shot": 0.3}, "ap_chance") == set()


def test_scenes_of_several_suites_carry_the_suite(record):
    other = changed(record, rows=(changed(record.rows[0], suite="other"), *record.rows[1:]))
    assert [scene for scene, _ in pivot(other).groups][:2] == ["other/ped_2", "held-out/ped_2"]


def test_a_record_without_rows_is_an_error():
    with pytest.raises(DataError, match="expected a record with rows"):
        pivot(record_of([]))


def test_what_is_certain_is_marked(record):
    differences = [
        difference_of("adapted", 10, "zero-shot", certain=True),
        difference_of("adapted", 10, "fine-tune", certain=True),
        difference_of("adapted", 1, "zero-shot", certain=True),
        difference_of("adapted", 1, "fine-tune", certain=False),
    ]
    record = changed(record, differences=differences)
    marks = {scene: [cell.marks for cell in lines_of(record, scene)["adapted"][1:]] for scene in ("lawn", "ped_2")}
    assert marks == {"lawn": ["*", "*†"], "ped_2": ["", ""]}
    assert "* from zero-shot, † from fine-tune" in caption(pivot(record))
    # Intervals are of micro AUC: nothing is known about other figures.
    assert "leaves out 0" not in caption(pivot(record, "eer"))


def test_the_mean_is_marked_by_its_own_interval(record):
    """Only where it is over all scenes: the interval is."""
    of_mean = difference_of("adapted", 10, "zero-shot", certain=True, suite="", scene="mean")
    record = changed(record, differences=[of_mean])
    assert [cell.marks for cell in lines_of(record, "mean")["adapted"][1:]] == ["", "*"]
    assert [cell.marks for cell in lines_of(record, "lawn")["adapted"][1:]] == ["", ""]
    assert "over test videos, of the mean over scenes, leaves out 0" in caption(pivot(record))
    fewer = with_rows(record, is_motion_on_lawn, micro_auc=None)
    assert [cell.marks for cell in lines_of(fewer, "mean")["adapted"][1:]] == ["", ""]


def test_the_summary_has_every_figure_at_the_most_shots(record):
    record = changed(record, rows=(changed(record.rows[0], rbdc=0.25), *record.rows[1:]))
    found = summary(record)
    assert found.figures == tuple(known_figures(record)) == ("micro_auc", "eer", "rbdc", "adapt_seconds", "fps")
    assert [scene for scene, _ in found.groups] == ["ped_2", "lawn"]
    lines = {method: (shots, cells) for method, shots, cells in found.groups[0][1]}
    assert lines["adapted"][0] == 10
    assert [str(cell) for cell in lines["adapted"][1]] == ["98.0 ±1.0", "2.0", "25.0", "2.00", "185.0"]
    assert [str(cell) for cell in lines["position"][1]][2:] == ["–", "–", "–"]


def test_what_figures_rest_on_is_a_line_for_each_suite(record):
    scenes = [
        scene_of("avenue:avenue", "masks", "official"),
        scene_of("avenue:b", "masks", "official"),
        scene_of("x:y"),
    ]
    assert sources(changed(record, scenes=scenes)) == ["avenue: labels masks, layout official"]
