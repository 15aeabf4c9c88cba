"""Archives are hostile until proven otherwise; downloads are checked, and go on where they broke off."""

import hashlib
import http.server
import io
import os
import stat
import struct
import tarfile
import threading
import zipfile
import zlib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from metavad.errors import DataError, FullDiskError, OutputError, UsageError
from metavad.files import claimed
from metavad.scenes.datasets import download
from metavad.scenes.datasets.download import Limits, extract, fetch
from metavad.scenes.scene import Archive, Suite

# --- honest archives -----------------------------------------------------------------------------------------


def tar_of(path: Path, members: list[tuple[str, bytes]], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as container:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            container.addfile(info, io.BytesIO(content))
    return path


def zip_of(path: Path, members: list[tuple[str, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as container:
        for name, content in members:
            container.writestr(name, content)
    return path


HONEST = [("set/a/001.tif", b"one"), ("set/b c/Größe.txt", b"two"), ("read.me", b"three")]


@pytest.mark.parametrize("kind", ["w", "w:gz", "w:bz2", "w:xz", "zip"])
def test_what_is_honest_comes_out_whole(tmp_path, kind):
    archive = tmp_path / "archive"
    zip_of(archive, HONEST) if kind == "zip" else tar_of(archive, HONEST, kind)
    tops = extract(archive, tmp_path / "data")
    assert [top.name for top in tops] == ["read.me", "set"]
    for name, content in HONEST:
        assert (tmp_path / "data" / name).read_bytes() == content


def test_empty_folders_come_out(tmp_path):
    archive = zip_of(tmp_path / "a.zip", [("a/", b""), ("a/b/", b""), ("a/b/c", b"c")])
    extract(archive, tmp_path / "data")
    assert (tmp_path / "data/a/b/c").read_bytes() == b"c"


def test_a_folder_that_is_there_is_left_alone(tmp_path):
    archive = zip_of(tmp_path / "a.zip", HONEST)
    (tmp_path / "data" / "set").mkdir(parents=True)
    (tmp_path / "data" / "set" / "mine").write_text("mine")
    with pytest.raises(OutputError, match="free place"):
        extract(archive, tmp_path / "data")
    assert [path.name for path in (tmp_path / "data").rglob("*")] == ["set", "mine"]


def test_rights_of_the_archive_are_not_taken_over(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as container:
        info = tarfile.TarInfo("program")
        info.mode, info.uid, info.size = 0o6777, 12345, 1
        container.addfile(info, io.BytesIO(b"x"))
    (path,) = extract(tmp_path / "a.tar", tmp_path / "data")
    assert not path.stat().st_mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IXUSR)
    assert path.stat().st_uid == os.getuid()


# --- hostile archives ----------------------------------------------------------------------------------------


def tar_entry(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def special(*infos: tarfile.TarInfo):
    def write(path: Path) -> None:
        with tarfile.open(path, "w:gz") as container:
            for info in infos:
                container.addfile(info, io.BytesIO(bytes(info.size)) if info.size else None)

    return write


def named(*names: str, container=tar_of):
    return lambda path: container(path, [(name, b"evil") for name in names])


def zip_link(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as container:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        container.writestr(info, "/etc/passwd")


def zip_encrypted(path: Path) -> None:
    zip_of(path, [("secret", b"evil")])
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(data))


def zip_lying(path: Path) -> None:
    """The directory says one byte, the content has a megabyte."""
    zip_of(path, [("small", bytes(1 << 20))])
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = (1).to_bytes(4, "little")
    path.write_bytes(bytes(data))


def zip_damaged(path: Path) -> None:
    zip_of(path, [("a", os.urandom(4096))])
    data = bytearray(path.read_bytes())
    data[200:300] = bytes(100)
    path.write_bytes(bytes(data))


def torn(container):
    def write(path: Path) -> None:
        container(path, [("a", os.urandom(4096)), ("b", os.urandom(4096))])
        path.write_bytes(path.read_bytes()[:5000])

    return write


def large_header(path: Path) -> None:
    """A header that says its own text is 3 GB long: reading it would fill the memory."""
    info = tarfile.TarInfo("long")
    info.type, info.size = tarfile.XHDTYPE, 3 << 30
    path.write_bytes(info.tobuf(tarfile.USTAR_FORMAT) + bytes(2048))


def sparse(path: Path) -> None:
    info = tarfile.TarInfo("holes")
    info.type = tarfile.GNUTYPE_SPARSE
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[386:398] = b"00000000000\0"
    block[398:410] = b"00000000000\0"
    block[483:495] = b"77777777777\0"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    path.write_bytes(bytes(block) + bytes(1024))


HOSTILE = {
    "absolute": (named("/etc/evil"), "absolute"),
    "absolute in zip": (named("/etc/evil", container=zip_of), "absolute"),
    "parent": (named("../evil"), "leaves"),
    "parent inside": (named("a/../../evil"), "leaves"),
    "parent in zip": (named("a/../../evil", container=zip_of), "leaves"),
    "backslash": (named("..\\evil"), "backslash"),
    "drive": (named("C:/evil"), "colon"),
    "control character": (named("a\nb"), "control"),
    "escape sequence": (named("\x1b[2J"), "control"),
    "long name": (named("a" * 300), "too long"),
    "deep name": (named("a/" * 40 + "b"), "too long"),
    "symbolic link": (special(tar_entry("link", tarfile.SYMTYPE, "/etc")), "link"),
    "write through a link": (special(tar_entry("a", tarfile.SYMTYPE, ".."), tarfile.TarInfo("a/evil")), "link"),
    "hard link": (special(tarfile.TarInfo("a"), tar_entry("b", tarfile.LNKTYPE, "a")), "link"),
    "device": (special(tar_entry("dev", tarfile.CHRTYPE)), "device"),
    "block device": (special(tar_entry("dev", tarfile.BLKTYPE)), "device"),
    "pipe": (special(tar_entry("pipe", tarfile.FIFOTYPE)), "device"),
    "sparse": (sparse, "sparse"),
    "link in zip": (zip_link, "link"),
    "same name twice": (named("a", "a"), "again"),
    "file as folder": (named("a", "a/b"), "again|not both"),
    "folder as file": (named("a/b", "a"), "again|not both"),
    "encrypted": (zip_encrypted, "encrypted"),
    "lying size": (zip_lying, "damage"),
    "wrong content": (zip_damaged, "damage"),
    "torn tar": (torn(tar_of), "damage"),
    "torn zip": (torn(zip_of), "damage"),
    "no archive": (lambda path: path.write_bytes(b"<html>sign in first</html>" * 50), "damage"),
    "empty file": (lambda path: path.write_bytes(b""), "damage"),
    "large header": (large_header, "sane size"),
    "many members": (named(*(f"{n}" for n in range(60))), "at most 50 members"),
    "bomb": (lambda path: tar_of(path, [("a", bytes(300_000))]), "times the archive"),
    "bomb in zip": (lambda path: zip_of(path, [("a", bytes(300_000))]), "times the archive"),
    "too much": (lambda path: tar_of(path, [("a", os.urandom(900_000))]), "at most 800000 bytes"),
}
SMALL = Limits(members=50, bytes=800_000, ratio=100, ratio_from=100_000)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives_leave_nothing_behind(tmp_path, name):
    write, reason = HOSTILE[name]
    archive = tmp_path / "in" / "archive"
    archive.parent.mkdir()
    write(archive)
    with pytest.raises(DataError, match=reason) as caught:
        extract(archive, tmp_path / "out" / "data", SMALL)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "out").rglob("*")) == [tmp_path / "out" / "data"]
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out"}


@pytest.mark.parametrize("kind", ["w:gz", "w:bz2", "w:xz", "zip"])
@pytest.mark.parametrize("part", [slice(0, 40), slice(60, 90)])
def test_damage_names_the_archive(tmp_path, kind, part):
    archive = tmp_path / "archive"
    zip_of(archive, HONEST) if kind == "zip" else tar_of(archive, HONEST, kind)
    content = bytearray(archive.read_bytes())
    content[part] = bytes(byte ^ 255 for byte in content[part])
    archive.write_bytes(content)
    with pytest.raises(DataError, match=f"^{archive}: expected"):
        extract(archive, tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


def test_a_zip_whose_members_lie_before_its_beginning(tmp_path):
    content = bytearray(zip_of(tmp_path / "a.zip", HONEST).read_bytes())
    at = content.rindex(b"PK\x05\x06") + 16  # where the directory is said to begin
    content[at : at + 4] = struct.pack("<I", struct.unpack("<I", content[at : at + 4])[0] + 19)
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.zip: expected a whole archive"):
        extract(tmp_path / "a.zip", tmp_path / "data")


def test_an_archive_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="found nothing"):
        extract(tmp_path / "none.zip", tmp_path / "data")


def test_compressed_tar_of_zeros_stops_early(tmp_path):
    """The limit counts what comes out, so a bomb costs no more than the limit."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    info = tarfile.TarInfo("zeros")
    info.size = 1 << 40
    body = packer.compress(info.tobuf(tarfile.GNU_FORMAT)) + packer.compress(bytes(4 << 20)) + packer.flush()
    (tmp_path / "bomb.tgz").write_bytes(body)
    with pytest.raises(DataError, match="at most 800000 bytes"):
        extract(tmp_path / "bomb.tgz", tmp_path / "data", SMALL)


def large_directory(path: Path, members: int, message: int) -> None:
    """A .zip of so many empty files, whose end says another number of them."""
    letters = np.char.zfill(np.arange(members).astype("S7"), 7).view(np.uint8).reshape(-1, 7)
    heads = np.zeros((members, 46), np.uint8)
    heads[:, :4], heads[:, 28] = list(b"PK\x01\x02"), 7
    heads[:, 42:46] = (37 * np.arange(members, dtype="<u4")).view(np.uint8).reshape(-1, 4)
    first = np.zeros((members, 30), np.uint8)
    first[:, :4], first[:, 26] = list(b"PK\x03\x04"), 7
    body = np.hstack([first, letters]).tobytes()
    directory = np.hstack([heads, letters]).tobytes()
    start = len(body) + len(directory)
    wide = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, message, message, len(directory), len(body))
    place = b"PK\x06\x07" + struct.pack("<IQI", 0, start, 1)
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 65535, 65535, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    path.write_bytes(body + directory + wide + place + end)


def test_a_million_members_are_refused_before_they_are_read(tmp_path, monkeypatch):
    large_directory(tmp_path / "a.zip", 1_000_000, 1_000_000)
    monkeypatch.setattr(zipfile, "ZipInfo", None)  # what reading a member would make
    with pytest.raises(DataError, match="at most 500000 members"):
        extract(tmp_path / "a.zip", tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize("message", [3, 300])
def test_members_are_counted_whatever_the_archive_says(tmp_path, message):
    large_directory(tmp_path / "a.zip", 300, message)
    with pytest.raises(DataError, match="at most 50 members"):
        extract(tmp_path / "a.zip", tmp_path / "data", SMALL)
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize("container", [tar_of, zip_of])
def test_five_hundred_to_one_is_refused_by_default(tmp_path, container):
    container(tmp_path / "bomb", [("a", bytes(20_000_000))])
    assert (tmp_path / "bomb").stat().st_size < 20_000_000 / 500
    with pytest.raises(DataError, match="200 times the archive"):
        extract(tmp_path / "bomb", tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


# --- fetching ------------------------------------------------------------------------------------------------


class Server(http.server.ThreadingHTTPServer):
    """Serves one content on this machine; may break off, and may know nothing of ranges."""

    content = b""
    break_after: int | None = None
    ranges = True
    asked: list[str | None]
    odd = None
    """What to do instead of serving the content."""
    over: threading.Event


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        if self.server.odd is not None:
            self.close_connection = True
            with suppress(ConnectionError):
                self.server.odd(self)
            return
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        start = int(wanted.split("=")[1].rstrip("-")) if wanted and self.server.ranges else 0
        if start >= len(self.server.content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(self.server.content) - start))
        self.end_headers()
        stop, self.server.break_after = self.server.break_after, None
        self.wfile.write(self.server.content[start:stop])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    zip_of(tmp_path / "set.zip", [("set/a.txt", b"a"), ("set/noise", os.urandom(200_000))])
    with Server(("127.0.0.1", 0), Handler) as server:
        server.content, server.asked, server.over = (tmp_path / "set.zip").read_bytes(), [], threading.Event()
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def suite(server, monkeypatch):
    digest = hashlib.sha256(server.content).hexdigest()
    archive = Archive(url=f"http://127.0.0.1:{server.server_port}/set.zip", sha256=digest, creates="set")
    monkeypatch.setattr(download, "about", lambda name: Suite(name, "Any", (), archives=(archive,)))
    return archive


def test_fetch_checks_and_unpacks(tmp_path, server, suite, capfd):
    (folder,) = fetch("any", tmp_path / "data")
    assert (folder / "a.txt").read_text() == "a"
    assert fetch("any", tmp_path / "data") == [folder]
    assert len(server.asked) == 1
    assert capfd.readouterr() == ("", "")


def test_fetch_goes_on_where_it_broke_off(tmp_path, server, suite):
    server.break_after = 70_000
    with pytest.raises(DataError, match="go on"):
        fetch("any", tmp_path / "data")
    part = tmp_path / "data" / "archives" / "set.zip.part"
    assert part.stat().st_size == 70_000
    fetch("any", tmp_path / "data")
    assert server.asked == [None, "bytes=70000-"]
    assert not part.exists()


def test_fetch_starts_again_where_the_server_knows_no_ranges(tmp_path, server, suite):
    server.break_after, server.ranges = 70_000, False
    with pytest.raises(DataError, match="go on"):
        fetch("any", tmp_path / "data")
    (folder,) = fetch("any", tmp_path / "data")
    assert (folder / "a.txt").exists()


def test_a_part_that_is_whole_already(tmp_path, server, suite):
    part = tmp_path / "data" / "archives" / "set.zip.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(server.content)
    (folder,) = fetch("any", tmp_path / "data")
    assert (folder / "a.txt").exists()


def test_another_content_is_refused_and_not_unpacked(tmp_path, server, suite):
    server.content = server.content[:-1] + b"x"
    with pytest.raises(DataError, match="sha256"):
        fetch("any", tmp_path / "data")
    assert not (tmp_path / "data" / "set").exists()
    assert list((tmp_path / "data").rglob("*")) == []


def test_an_archive_on_disk_is_used_when_its_digest_is_right(tmp_path, server, suite):
    place = tmp_path / "data" / "archives"
    place.mkdir(parents=True)
    (place / "set.zip").write_bytes(server.content)
    fetch("any", tmp_path / "data", keep=False)
    assert server.asked == []
    assert not (place / "set.zip").exists()


def test_an_archive_on_disk_with_another_digest_is_fetched_again(tmp_path, server, suite):
    place = tmp_path / "data" / "archives"
    place.mkdir(parents=True)
    (place / "set.zip").write_bytes(b"half of it")
    (folder,) = fetch("any", tmp_path / "data")
    assert len(server.asked) == 1
    assert (folder / "a.txt").exists()


def test_a_server_that_does_not_answer(tmp_path, server, suite):
    server.shutdown()
    server.server_close()
    with pytest.raises(DataError, match="expected an answer") as caught:
        fetch("any", tmp_path / "data")
    assert "\n" not in str(caught.value)


def test_an_archive_that_unpacks_to_something_else(tmp_path, server, suite, monkeypatch):
    other = Archive(url=suite.url, sha256=suite.sha256, creates="other")
    monkeypatch.setattr(download, "about", lambda name: Suite(name, "Any", (), archives=(other,)))
    with pytest.raises(DataError, match="expected to unpack to 'other', found 'set' in it; mend `creates`"):
        fetch("any", tmp_path / "data")
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["archives"]


def test_a_dataset_without_archive_says_where_it_is(tmp_path):
    with pytest.raises(UsageError, match=r"msad-dataset\.github\.io.*academic"):
        fetch("msad", tmp_path)


# --- odd servers ---------------------------------------------------------------------------------------------


def answers(code):
    return lambda handler: handler.send_error(code)


def redirects(where):
    def odd(handler):
        handler.send_response(302)
        handler.send_header("Location", where)
        handler.end_headers()

    return odd


ONCE_MORE = "run the same command"


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410, 451])
def test_what_is_not_there_is_not_asked_for_again(tmp_path, server, suite, code):
    server.odd = answers(code)
    with pytest.raises(DataError, match=rf"expected a file, found {code} .*; get it from its authors") as caught:
        fetch("any", tmp_path / "data")
    assert ONCE_MORE not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("code", [408, 429, 500, 503])
def test_what_may_be_there_in_a_while_is(tmp_path, server, suite, code):
    server.odd = answers(code)
    with pytest.raises(DataError, match=ONCE_MORE):
        fetch("any", tmp_path / "data")


@pytest.mark.parametrize("where", ["file://{secret}", "ftp://127.0.0.1/set.zip", "data:,abc", "gopher://127.0.0.1/"])
@pytest.mark.parametrize("hops", [0, 1])
def test_nothing_but_the_web_is_read(tmp_path, server, suite, where, hops):
    (tmp_path / "secret").write_bytes(server.content)
    where = where.format(secret=tmp_path / "secret")

    def odd(handler):
        first = hops and not handler.path.endswith("again.zip")
        redirects(f"http://127.0.0.1:{server.server_port}/again.zip" if first else where)(handler)

    server.odd = odd
    with pytest.raises(DataError, match=r"found 302 .*; get it from its authors") as caught:
        fetch("any", tmp_path / "data")
    assert ONCE_MORE not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/a.zip", "/etc/passwd"])
def test_an_address_of_another_kind_is_refused(url):
    with pytest.raises(ValueError, match=r"\^https\?://"):
        Archive(url=url, sha256="0" * 64, creates="set")


def test_an_address_without_a_name_is_refused(tmp_path, monkeypatch):
    archive = Archive(url="http://127.0.0.1", sha256="0" * 64, creates="set")
    monkeypatch.setattr(download, "about", lambda name: Suite(name, "Any", (), archives=(archive,)))
    with pytest.raises(DataError, match="expected an address such as https"):
        fetch("any", tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_redirection_within_the_web_is_followed(tmp_path, server, suite):
    def odd(handler):
        server.odd = None
        redirects(f"http://127.0.0.1:{server.server_port}/elsewhere.zip")(handler)

    server.odd = odd
    (folder,) = fetch("any", tmp_path / "data")
    assert (folder / "a.txt").exists()


def test_redirections_in_a_circle_end(tmp_path, server, suite):
    server.odd = redirects("/set.zip")
    with pytest.raises(DataError, match="found 302") as caught:
        fetch("any", tmp_path / "data")
    assert "\n" not in str(caught.value)


@pytest.fixture
def impatient(monkeypatch):
    """Patience for a test."""

    def be(**limits):
        monkeypatch.setattr(download, "_PATIENCE", replace(download._PATIENCE, **limits))

    return be


def sends(length, content, pause=0.0):
    """An answer that says a length (or none), and sends the content again and again."""

    def odd(handler):
        handler.send_response(200)
        if length is not None:
            handler.send_header("Content-Length", str(length))
        handler.end_headers()
        while not handler.server.over.wait(pause):
            handler.wfile.write(content)

    return odd


@pytest.mark.parametrize("length", [None, 1 << 50, "many", "-3", "9" * 5000])
def test_more_than_any_dataset_has_is_refused(tmp_path, server, suite, impatient, length):
    impatient(bytes=1_000_000)
    server.odd = sends(length, bytes(1 << 16))
    with pytest.raises(DataError, match="at most 1,000,000 bytes, found a larger one; get it from") as caught:
        fetch("any", tmp_path / "data")
    assert ONCE_MORE not in str(caught.value)
    assert not (tmp_path / "data").exists()


def test_no_room_is_reported_before_anything_comes(tmp_path, server, suite, impatient):
    impatient(bytes=1 << 60)
    server.odd = sends(1 << 55, b"")
    with pytest.raises(FullDiskError, match=r"expected room for .* make room") as caught:
        fetch("any", tmp_path / "data")
    assert "\n" not in str(caught.value)


def drips_headers(handler):
    while not handler.server.over.wait(0.05):
        handler.wfile.write(b"H")


def drips_chunk_sizes(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    drips_headers(handler)


SLOW = {
    "silent": (lambda handler: handler.server.over.wait(), {"silence": 0.3}, "nothing new in 0.3 seconds|timed out"),
    "headers": (drips_headers, {"silence": 0.3}, "nothing new in 0.3 seconds"),
    "chunk sizes": (drips_chunk_sizes, {"silence": 0.3}, "nothing new in 0.3 seconds"),
    "hardly anything": (sends(None, b"x", 0.05), {"silence": 0.3}, "bytes in 0 seconds"),
    "for ever": (sends(None, bytes(1 << 12), 0.01), {"seconds": 0.3}, "still coming after"),
}


@pytest.mark.parametrize("kind", SLOW)
def test_nothing_is_waited_for_for_ever(tmp_path, server, suite, impatient, kind):
    server.odd, limits, message = SLOW[kind]
    impatient(**limits)
    with pytest.raises(DataError, match=message) as caught:
        fetch("any", tmp_path / "data")
    assert ONCE_MORE in str(caught.value)


def test_two_downloads_at_once_are_one_line_for_the_second(tmp_path, server, suite):
    with claimed(tmp_path / "data" / "archives" / "set.zip"), pytest.raises(OutputError, match="another run"):
        fetch("any", tmp_path / "data")
    assert server.asked == []


def test_what_a_killed_unpacking_left_is_swept(tmp_path, server, suite):
    left = tmp_path / "data" / ".set.zip.unfinished-abcd1234"
    left.mkdir(parents=True)
    (left / "half").touch()
    fetch("any", tmp_path / "data")
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["archives", "set"]
