"""``metavad meta-train``: runs, resuming, and what it refuses."""

import json
import shutil
import signal

import pytest

SETTINGS = ["meta.outer_steps=2", "meta.control_steps=1", "meta.validate_every=1"]


@pytest.fixture
def train(metavad, cameras, tiny_config, tmp_path):
    """meta-train with the tiny settings, as a file."""
    plain = tiny_config.model_dump(mode="json")
    lines = [f"experts = {json.dumps(plain.pop('experts'))}"]
    for section, values in plain.items():
        lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    (tmp_path / "tiny.toml").write_text("\n".join(lines))

    def run(*arguments: object):
        sets = [part for text in SETTINGS for part in ("--set", text)]
        return metavad("meta-train", "--scenes", cameras, "--config", "tiny.toml", *sets, *arguments)

    return run


def test_a_stopped_run_goes_on_exactly(train, metavad, tmp_path, monkeypatch):
    whole = train("--out", "whole")
    assert whole.code == 0, whole.err
    assert "whole/base" in whole.out

    stopped = _stopped_after_one_step(train, monkeypatch)
    assert stopped.code == 130
    assert "--resume --out broken" in stopped.line
    assert not (tmp_path / "broken" / "base").exists()

    assert train("--out", "broken", "--resume").code == 0
    made = [(tmp_path / name / "base" / "base.safetensors").read_bytes() for name in ("whole", "broken")]
    assert made[0] == made[1]
    logs = {stage: tmp_path / "broken" / stage / "steps.jsonl" for stage in ("maml", "control")}
    steps = {stage: [json.loads(line)["step"] for line in log.read_text().splitlines()] for stage, log in logs.items()}
    assert steps == {"maml": [1, 2], "control": [1]}
    assert all((log.parent / "curves.png").is_file() for log in logs.values())

    again = train("--out", "broken", "--resume")
    assert again.code == 0
    taken = train("--out", "broken")
    assert (taken.code, "free place" in taken.line) == (1, True)
    other = train("--out", "broken", "--resume", "--seed", 9)
    assert (other.code, "found seed = 9, begun with 0" in other.line) == (2, True)


@pytest.fixture
def finished(tiny_run, tmp_path):
    """A copy of a complete run."""
    shutil.copytree(tiny_run, tmp_path / "done")
    return tmp_path / "done"


def _settings(run):
    """``--set`` of every setting that the run was begun with."""
    config = json.loads((run / "run.json").read_text())["config"]
    experts = config.pop("experts")
    leaves = {f"{name}.{key}": value for name, section in config.items() for key, value in section.items()}
    sets = [f"{key}={json.dumps(value)}" for key, value in {"experts": experts, **leaves}.items()]
    return [part for text in sets for part in ("--set", text)]


def test_a_finished_run_is_opened_by_the_settings_that_made_it(metavad, cameras, finished):
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    arguments = ["meta-train", "--scenes", cameras, *_settings(finished), "--resume", "--out", finished]
    assert metavad(*arguments).code == 0
    for change, message in (
        (["--set", "meta.outer_steps=3"], "meta.outer_steps = 3, begun with 2"),
        (["--set", "flow_density.cells=127"], "flow_density.cells = 127, begun with 128"),
        (["--set", "scoring.top=0.01"], "scoring.top = 0.01, begun with 0.005"),
        (["--set", 'experts=["prediction"]'], 'experts = ["prediction"], begun with ["prediction", "flow_density"'),
        (["--seed", "1"], "seed = 1, begun with 0"),
    ):
        result = metavad(*arguments, *change)
        assert (result.code, f"found {message}" in result.line) == (2, True), result.line
        assert "begin a new run with another --out" in result.line
    assert before == {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}


def test_a_run_goes_on_with_the_cameras_that_it_began_with(metavad, cameras, finished, tmp_path):
    shutil.copytree(cameras.parent, tmp_path / "site")
    arguments = ["meta-train", *_settings(finished), "--resume", "--out", finished, "--scenes"]
    assert metavad(*arguments, "site/suite.toml").code == 0  # wherever they lie
    fewer = metavad(*arguments, "site/suite.toml:camera-000,site/suite.toml:camera-001")
    assert (fewer.code, "footage.site:camera-002 = nothing, begun with" in fewer.line) == (2, True)
    video = tmp_path / "site" / "camera-001" / "normal" / "normal-00.mp4"
    shutil.copy(tmp_path / "site" / "camera-001" / "normal" / "normal-01.mp4", video)
    other = metavad(*arguments, "site/suite.toml")
    assert (other.code, "found footage.site:camera-001 = " in other.line) == (2, True)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"scenes": ["a"], "seed": 0, "config": {}}', '{"seed": 0}'])
def test_a_run_of_another_version_is_one_line(metavad, cameras, finished, text):
    (finished / "run.json").write_text(text)
    result = metavad("meta-train", "--scenes", cameras, "--resume", "--out", finished)
    assert (result.code, "another version of metavad; begin a new run" in result.line) == (1, True)


def _stopped_after_one_step(train, monkeypatch):
    from metavad.workflows import meta_train

    kept = meta_train.save_state

    def save_and_stop(run, state):
        kept(run, state)
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    try:
        with monkeypatch.context() as patched:
            patched.setattr(meta_train, "save_state", save_and_stop)
            return train("--out", "broken")
    finally:
        signal.signal(signal.SIGINT, before)


def test_nothing_to_resume(train):
    missing = train("--resume", "--out", "nowhere")
    assert (missing.code, "begin one without --resume" in missing.line) == (2, True)
    assert "found none" in train("--resume").line


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--set", "meta.iner_steps=3"], 2, "did you mean 'meta.inner_steps'"),
        (["--set", "meta.inner_steps"], 2, "expected section.key=value"),
        (["--config", "quik"], 2, "did you mean 'quick'"),
        (["--device", "tpu"], 2, "auto, cpu or cuda"),
        (["--scenes", "synthetc"], 2, "did you mean 'synthetic'"),
    ],
)
def test_mistyped(metavad, cameras, arguments, code, message, tmp_path):
    given = arguments if "--scenes" in arguments else ["--scenes", cameras, *arguments]
    result = metavad("meta-train", "--out", "run", *given)
    assert result.code == code
    assert message in result.line
    assert not (tmp_path / "run").exists()


def test_more_scenes_than_one_suite(metavad, cameras, tmp_path):
    both = f"{cameras}:camera-000,{cameras}:camera-0*"
    result = metavad("meta-train", "--scenes", both, "--config", "nothing.toml")
    assert result.code == 2  # the config comes first
    assert "nothing.toml" in result.line


def test_generated_cameras_without_test_videos_teach_no_weights(metavad, train, tmp_path):
    from metavad.synthetic import write_suite

    plain = write_suite(tmp_path / "plain", scenes=2, seed=5, size="tiny", test_videos=0)
    made = train("--scenes", plain, "--out", "plain-run")
    assert made.code == 0, made.err
