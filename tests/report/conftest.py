import pytest


def row(scene, method, shots, value, spread=None, **more):
    figures = {"micro_auc": round(value, 3), "micro_auc_std": spread, "macro_auc": None, "eer": 1 - value}
    return {"suite": "held-out", "scene": scene, "method": method, "shots": shots, "draws": 5, **figures, **more}


@pytest.fixture
def record():
    """Two scenes, K = 1 and 10; made up. The order of rows is not that of tables."""
    rows = []
    for scene, low in (("ped_2", 0.9), ("lawn", 0.8)):
        for shots, gain in ((10, 0.08), (1, 0.04)):
            rows.append(row(scene, "adapted", shots, low + gain, 0.01, adapt_seconds=0.2 * shots, fps=185.0))
            rows.append(row(scene, "fine-tune", shots, low + gain / 2, 0.02))
            rows.append(row(scene, "wrong-scene", shots, low - 0.01, 0.0))
        rows.append(row(scene, "zero-shot", 0, low))
        rows.append(row(scene, "motion", 0, low - 0.05))
        rows.append(row(scene, "position", 0, 0.55))
    return {
        "metavad": "0.1.0",
        "command": "metavad benchmark base --suite held-out <b>",
        "base": "base-1",
        "config": {"rate": 10},
        "versions": {"torch": "2.13.0"},
        "seed": 7,
        "rows": rows,
    }
