"""README and docs: commands parse, code runs, figures are those of the records, sentences are short, links lead on."""

import re
import shlex
from pathlib import Path

import pytest
import typer

import metavad
from metavad.benchmark.protocol import METHODS
from metavad.benchmark.record import BenchmarkRecord, read_record
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
    """What the Python of the pages finds in its folder: normal videos, a new one, and a suite file."""
    camera = cameras.parent / "camera-000"
    (tmp_path / "lobby").symlink_to(camera / "normal")
    (tmp_path / "today.mp4").symlink_to(next((camera / "test").glob("*.mp4")))
    first = cameras.read_text().split("[[scenes]]")[1].replace('root = "camera-000"', f'root = "{camera}"')
    (tmp_path / "mysite.toml").write_text(f"[[scenes]]{first}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def python_blocks(page):
    """The blocks of one page as one program."""
    return compile("\n".join(blocks(PAGES[page], "python")), page, "exec")


def test_the_python_of_the_readme_finds_events_with_the_base_that_ships(site, capsys):
    (block,) = blocks(README, "python")
    assert block.splitlines()[3] == "base = metavad.load_base()"
    assert len(block.splitlines()) <= 12
    names = {}
    exec(python_blocks("README.md"), names)
    detector, frames = names["detector"], names["frames"]
    assert (detector.base, len(detector.shots)) == (metavad.load_base().digest, 10)
    assert (detector.scene, detector.promise.alarms_per_day) == ("lobby", 5)
    over = max(frame.score for frame in frames) > detector.threshold
    assert bool(capsys.readouterr().out) == over


def test_the_python_how_to_runs_to_its_end(site, cameras, tiny_base, monkeypatch, capsys):
    """As it stands, but for the generated cameras and the training, which are tiny and done already."""
    made = []

    def meta_train(scenes, config, *, run):
        made.append((scenes, config, run))
        return tiny_base

    monkeypatch.setattr(metavad, "meta_train", meta_train, raising=False)
    text = "\n".join(blocks(PAGES["docs/how-to/use-from-python.md"], "python"))
    exec(compile(text.replace('"synthetic"', repr(str(cameras))), "use-from-python.md", "exec"), {})
    ((scenes, config, run),) = made
    assert (len(scenes), config, run) == (3, load_config("quick"), Path("runs/first"))
    detector = metavad.load_detector(site / "detectors" / "lobby")
    assert (detector.scene, len(detector.shots), detector.promise.alarms_per_day) == ("lobby", 10, 5)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[-2:]]
    assert [row[:3] for row in rows] == [["camera-000", "zero-shot", "0"], ["camera-000", "adapted", "10"]]
    assert all(0 <= float(row[3]) <= 1 for row in rows)


def test_the_first_table_of_the_readme_is_the_record():
    record = read_record(ROOT / "benchmarks" / "real-ped2-umn.json", BenchmarkRecord)
    auc = {(row.scene, row.method, row.shots): 100 * row.micro_auc for row in record.rows}
    kept = [("zero-shot", 0), ("adapted", 1), ("adapted", 10), ("adapted", 50)]
    columns = [[auc[scene, *way] for scene in ("ped2", "lawn", "indoor", "plaza")] for way in kept]
    expected = [*zip(*columns, strict=True), [sum(column) / 4 for column in columns]]
    table = re.search(r"^\|.*\n\|[-:| ]+\n((?:\|.*\n)+)", README, re.MULTILINE)[1]
    printed = [row.strip("| ").split(" | ")[1:] for row in table.splitlines()]
    assert printed == [[f"{value:.1f}" for value in row] for row in expected]


# --- pages for people ----------------------------------------------------------------------------------------


def without_code(text):
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)


def words_read(text):
    """Words of prose and tables; not of code, nor of the addresses of links and pictures."""
    shown = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", without_code(text))
    return [word for word in re.sub(r"<!--.*?-->", "", shown).split() if re.search(r"\w", word)]


def sentences(text):
    """Of paragraphs and lists, each as its words; not of tables, headings and code, where a span is one word."""
    prose = re.sub(r"^\|.*$|^#.*$|^<!--.*$", "", without_code(text), flags=re.MULTILINE)
    prose = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", re.sub(r"`[^`]*`", "x", prose))
    for block in re.split(r"\n\s*\n|^\s*(?:[-*]|\d+\.) ", prose, flags=re.MULTILINE):
        for sentence in re.split(r"(?<=[.!?])[\"')*_]*\s+(?=[\"'(*_]*[A-Z0-9x])", block.strip()):
            if words := sentence.split():
                yield words


def test_sentences_are_counted_as_people_read_them():
    text = "# Not this\n\nOne two. Three `a b c` five!\n\n- six [seven](http://x)\n\n| no | no |\n\n```\nno\n```\n"
    assert [len(each) for each in sentences(text)] == [2, 3, 2]
    assert len(words_read(text)) == 2 + 2 + 5 + 2 + 2


def test_the_readme_is_short():
    assert len(words_read(README)) <= 900
    rows = [line for line in README.splitlines() if line.startswith("|")]
    assert rows
    assert max(row.count("|") - 1 for row in rows) <= 5
    assert README.count("![") == 2


@pytest.mark.parametrize("page", [page for page in PAGES if page != "benchmarks/looks.md"])
def test_sentences_are_short_on_average(page):
    """The log of looks is a table of notes."""
    lengths = [len(words) for words in sentences(PAGES[page])]
    assert sum(lengths) <= 25 * len(lengths)


def test_every_page_of_the_docs_is_of_one_kind():
    """The index has each page once, under the kind of its folder; the pages beside the index are reference."""
    index = PAGES["docs/index.md"]
    kinds = {"Tutorials": "tutorials", "How-to guides": "how-to", "Reference": ".", "Explanation": "explanation"}
    found = []
    for title, folder in kinds.items():
        part = index.split(f"## {title}")[1].split("\n## ")[0]
        pages = re.findall(r"\]\(([\w/-]+\.md)\)", part)
        assert {str(Path(page).parent) for page in pages} == {folder}
        found += pages
    assert sorted(f"docs/{page}" for page in found) == sorted(
        page for page in PAGES if page.startswith("docs/") and page != "docs/index.md"
    )


def test_the_suite_file_of_the_reference_is_read_as_reported(tmp_path):
    from metavad.scenes.labels import frame_labels

    write_video(tmp_path / "lobby" / "normal" / "sunday.mp4")
    monday = write_video(tmp_path / "lobby" / "test" / "monday.mp4", range(200))
    (tmp_path / "mysite.toml").write_text(blocks(PAGES["docs/suites.md"], "toml")[0])
    (tmp_path / "lobby" / "intervals.csv").write_text(blocks(PAGES["docs/suites.md"], "csv")[0])
    (scene,) = load_suite(str(tmp_path / "mysite.toml")).scenes
    assert (scene.key, scene.crop.top, [video.name for video in scene.normal]) == ("mysite:lobby", 20, ["sunday"])
    assert scene.test[0].path == monday
    labels = frame_labels(scene, scene.test[0], 200)
    assert labels.nonzero()[0].tolist() == list(range(125, 170))


def test_every_key_and_format_of_a_suite_is_in_the_reference():
    from metavad.scenes import suite_file
    from metavad.scenes.labels import FORMATS, MASK_FORMATS, TRACK_FORMATS

    stated = PAGES["docs/suites.md"].split("## Folders")[0]
    keys = {key for table in suite_file._TABLES.values() for key in table.model_fields} | set(
        suite_file.SuiteTable.model_fields
    )
    outside = re.sub(r"^```.*?^```", "", stated, flags=re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"\w[\w-]*", " ".join(re.findall(r"`[^`]+`", outside))))
    assert keys - named == set()
    assert {*FORMATS, *MASK_FORMATS, *TRACK_FORMATS} - named == set()


def test_every_method_expert_suite_and_kind_of_event_has_its_line():
    from metavad.experts import EXPERTS
    from metavad.synthetic import EVENT_KINDS

    for page, names in {
        "docs/protocol.md": METHODS,
        "docs/experts.md": EXPERTS,
        "docs/suites.md": shipped("tasks"),
        "docs/generated-cameras.md": EVENT_KINDS,
    }.items():
        lines = re.findall(r"^\|? ?`([\w-]+)` ?\|", PAGES[page], re.MULTILINE)
        assert set(names) - set(lines) == set(), page


def test_every_network_that_ships_has_its_line_and_the_example_is_a_table():
    import tomllib

    from metavad.features.networks.registry import Network, networks

    page = PAGES["docs/networks.md"]
    assert [name for name in networks() if f"`{name}`" not in page] == []
    example = Network.model_validate(tomllib.loads(re.findall(r"```toml\n(.*?)```", page, re.DOTALL)[0]))
    shipped_one = networks()["yolox-nano"].model_copy(update={"bytes": 0, "sha256": example.sha256})
    assert example == shipped_one


def test_the_layout_names_every_package_and_only_what_is_there():
    named = re.findall(r"`([\w/]+(?:/|\.py))`", PAGES["docs/layout.md"])
    assert [name for name in named if "/" in name and not (ROOT / name).exists()] == []
    packages = {f"metavad/{path.parent.name}/" for path in (ROOT / "metavad").glob("*/__init__.py")}
    assert packages - set(named) == set()


def test_every_word_of_the_glossary_has_a_source_and_every_method_is_a_word():
    rows = [line.strip("| ").split(" | ") for line in PAGES["docs/glossary.md"].splitlines() if line.startswith("| ")]
    assert {name.strip("`") for words, *_ in rows for name in words.split(", ")} >= {*METHODS, "shot", "support"}
    assert [row for row in rows[1:] if len(row) != 3 or "](http" not in row[2]] == []


def test_every_picture_is_shown():
    pictures = {
        path for folder in ("docs", "benchmarks") for path in (ROOT / folder).rglob("*.*") if path.suffix in PICTURES
    }
    linked = {
        (ROOT / page).parent.joinpath(target).resolve()
        for page, text in PAGES.items()
        for target in re.findall(r"\]\(([^)#\s]+)\)", text)
    }
    assert pictures - linked == set()


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
