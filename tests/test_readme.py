"""What README and docs say is so: commands parse, the code runs, every key, format, method and suite is named."""

import re
import shlex
from pathlib import Path

import pytest
import typer

import metavad
from metavad.benchmark import METHODS
from metavad.cli import app
from metavad.config import load_config
from metavad.scenes.suite import about, load_suite
from metavad.shipped import shipped
from tests.footage import write_video

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "benchmarks").rglob("*.md"),
    ]
}


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def command_lines():
    """Commands in blocks, whole, and those inside a sentence, which may leave options out."""
    for page, text in PAGES.items():
        for block in blocks(text, r"\w*"):
            for line in block.replace("\\\n", " ").splitlines():
                for part in re.split(r"&&|;", line):
                    if words := shlex.split(part, comments=True) if part.strip().startswith("metavad ") else []:
                        yield pytest.param(words[1:], True, id=f"{page}: {' '.join(words)}")
        for words in re.findall(r"`metavad ([^`]+)`", text):
            yield pytest.param(shlex.split(words), False, id=f"{page}: {words}")


def found(arguments):
    """The command, its name, and what follows it."""
    command, name = typer.main.get_command(app), "metavad"
    while arguments and hasattr(command, "commands"):
        if arguments[0].startswith("-"):
            return command, name, arguments
        assert arguments[0] in command.commands, f"{name} has no command {arguments[0]}"
        command, name, arguments = command.commands[arguments[0]], f"{name} {arguments[0]}", arguments[1:]
    return command, name, arguments


@pytest.mark.parametrize(("arguments", "whole"), list(command_lines()))
def test_commands_exist_with_their_options(arguments, whole):
    command, name, rest = found(arguments)
    context = command.make_context(name, [], resilient_parsing=True)
    assert f"Usage: {name}" in command.get_help(context)
    options = {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
    assert {word.partition("=")[0] for word in rest if word.startswith("--")} <= options | {"--help"}
    if whole and "--help" not in rest:
        command.make_context(name, list(rest))


def test_the_two_commands_of_the_beginning():
    assert len(list(command_lines())) > 10
    marked = re.findall(r"<!-- (demo|tests) -->\n```sh\n(.*?)\n```", README)
    assert [name for name, _ in marked] == ["demo", "tests"]
    for _, line in marked:
        assert "-c constraints.txt" in line
        for file in re.findall(r"[\w-]+\.txt", line):
            assert (ROOT / file).is_file()
    assert marked[0][1].endswith("&& metavad demo")
    assert marked[1][1].endswith("&& pytest")


@pytest.fixture
def site(cameras, tmp_path, monkeypatch):
    """What the README's Python finds in its folder: normal videos, a new one, and a suite file."""
    camera = cameras.parent / "camera-000"
    (tmp_path / "lobby").symlink_to(camera / "normal")
    (tmp_path / "today.mp4").symlink_to(next((camera / "test").glob("*.mp4")))
    first = cameras.read_text().split("[[scenes]]")[1].replace('root = "camera-000"', f'root = "{camera}"')
    (tmp_path / "mysite.toml").write_text(f"[[scenes]]{first}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_python_block_is_the_whole_workflow(site, cameras, tiny_base, tiny_config, monkeypatch, capsys):
    """As it stands, but for the generated cameras and the training, which are tiny and done already."""
    made = []

    def meta_train(scenes, config, *, run):
        made.append((scenes, config, run))
        return tiny_base

    monkeypatch.setattr(metavad, "meta_train", meta_train, raising=False)
    (block,) = blocks(README, "python")
    assert len(block.splitlines()) <= 15
    exec(compile(block.replace('"synthetic"', repr(str(cameras))), "README.md", "exec"), {})
    ((scenes, config, run),) = made
    assert (len(scenes), config, run) == (3, load_config("quick"), Path("runs/first"))
    detector = metavad.load_detector(site / "detectors" / "lobby")
    assert (detector.scene, len(detector.shots), detector.promise.alarms_per_day) == ("files:lobby", 10, 5)
    rows = eval(capsys.readouterr().out.splitlines()[-1])
    assert [(row["scene"], row["method"], row["shots"], row["draws"]) for row in rows] == [
        ("camera-000", "zero-shot", 0, 1),
        ("camera-000", "adapted", 10, 2),
    ]


def test_the_suite_file_of_the_readme_is_read_as_said(tmp_path):
    from metavad.scenes.labels import frame_labels

    write_video(tmp_path / "lobby" / "normal" / "sunday.mp4")
    monday = write_video(tmp_path / "lobby" / "test" / "monday.mp4", range(200))
    (tmp_path / "mysite.toml").write_text(blocks(README, "toml")[0])
    (tmp_path / "lobby" / "intervals.csv").write_text(blocks(README, "csv")[0])
    (scene,) = load_suite(str(tmp_path / "mysite.toml")).scenes
    assert (scene.key, scene.crop.top, [video.name for video in scene.normal]) == ("mysite:lobby", 20, ["sunday"])
    assert scene.test[0].path == monday
    labels = frame_labels(scene, scene.test[0], 200)
    assert labels.nonzero()[0].tolist() == list(range(125, 170))


def test_every_key_and_format_of_a_suite_is_in_the_readme():
    from metavad.scenes import suite_file
    from metavad.scenes.labels import FORMATS, MASK_FORMATS, TRACK_FORMATS

    said = README.split("## Suite files")[1].split("\n## ")[0]
    keys = {key for table in suite_file._TABLES.values() for key in table.model_fields} | set(
        suite_file.SuiteTable.model_fields
    )
    outside = re.sub(r"^```.*?^```", "", said, flags=re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"\w[\w-]*", " ".join(re.findall(r"`[^`]+`", outside))))
    assert keys - named == set()
    assert {*FORMATS, *MASK_FORMATS, *TRACK_FORMATS} - named == set()


def test_every_method_expert_suite_and_kind_of_event_has_its_line():
    from metavad.experts import EXPERTS
    from metavad.synthetic import EVENT_KINDS

    for page, names in {
        "README.md": METHODS,
        "docs/experts.md": EXPERTS,
        "docs/suites.md": shipped("tasks"),
        "docs/generated-cameras.md": EVENT_KINDS,
    }.items():
        lines = re.findall(r"^\|? ?`([\w-]+)` ?\|", PAGES[page], re.MULTILINE)
        assert set(names) - set(lines) == set(), page


def test_every_picture_is_shown():
    pictures = {
        str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.*") if path.suffix in PICTURES
    }
    shown = {
        target.removeprefix("docs/")
        for text in PAGES.values()
        for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    }
    assert pictures - shown == set()


PICTURES = (".svg", ".jpg", ".png")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]+)", PAGES[page])
    for target in links:
        if not target.startswith(("http://", "https://")):
            assert (ROOT / page).parent.joinpath(target).exists(), target


@pytest.mark.parametrize("page", PAGES)
def test_anchors_are_headings(page):
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)]+)\)", PAGES[page]):
        if target.startswith("http"):
            continue
        text = (ROOT / page).parent.joinpath(target).read_text(encoding="utf-8") if target else PAGES[page]
        headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert anchor in anchors, anchor


@pytest.mark.parametrize("name", shipped("configs"))
def test_presets_load(name):
    assert load_config(name).experts


@pytest.mark.parametrize("name", shipped("tasks"))
def test_suites_say_what_they_are(name):
    suite = about(name)
    assert suite.name == name
    assert all((suite.title, suite.reference, suite.terms, suite.get))


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks" / "suites").glob("*.toml")), ids=lambda path: path.stem)
def test_suites_of_the_benchmarks_are_read(path):
    assert about(str(path)).title
