import pytest

from tests.records import record_of, row_of


@pytest.fixture
def record():
    """Two scenes, K = 1 and 10; made up. The order of rows is not that of tables."""
    rows = []
    for scene, low in (("ped_2", 0.9), ("lawn", 0.8)):

        def row(method, shots, value, spread=None, scene=scene, **more):
            return row_of(scene, method, shots, round(value, 3), micro_auc_std=spread, eer=1 - value, **more)

        for shots, gain in ((10, 0.08), (1, 0.04)):
            rows.append(row("adapted", shots, low + gain, 0.01, adapt_seconds=0.2 * shots, fps=185.0))
            rows.append(row("fine-tune", shots, low + gain / 2, 0.02))
            rows.append(row("wrong-scene", shots, low - 0.01, 0.0))
        rows.append(row("zero-shot", 0, low))
        rows.append(row("motion", 0, low - 0.05))
        rows.append(row("position", 0, 0.55))
    return record_of(rows)
