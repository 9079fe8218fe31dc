"""Finding, checking and downloading files: nothing wrong is used, nothing half-written stays."""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from urllib.request import Request

import pytest

from nnx import datasets
from nnx.datasets import catalogue, download, folders
from nnx.datasets.catalogue import DataFile, Entry
from nnx.errors import DatasetUnavailableError, FileFormatError, OptionError

CONTENT = bytes(range(256)) * 600  # more than one chunk of a download
FIRST, SECOND = "https://first.example/toy.bin", "https://second.example/toy.bin"
FILE = DataFile("toy/toy.bin", len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), (FIRST, SECOND))
Serve = Callable[[dict[str, bytes | BaseException]], list[str]]


def toy(*files: DataFile) -> Entry:
    return Entry("toy", "A toy", "nobody", "none", "https://toy.example/", ("a",), files)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no NNX_DATA, no network, and a data set `toy` of one file."""
    monkeypatch.delenv("NNX_DATA", raising=False)
    monkeypatch.setattr("nnx.datasets.files.cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(download, "open_url", lambda url: pytest.fail(f"opened {url}"))
    monkeypatch.setitem(catalogue._ENTRIES, "toy", toy(FILE))
    return tmp_path / "cache"


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Answer each address with the given bytes or error; return the list of addresses asked."""

    def start(answers: dict[str, bytes | BaseException]) -> list[str]:
        asked: list[str] = []

        def open_url(url: str) -> io.BytesIO:
            asked.append(url)
            answer = answers[url]
            if isinstance(answer, BaseException):
                raise answer
            return io.BytesIO(answer)

        monkeypatch.setattr(download, "open_url", open_url)
        return asked

    return start


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_download_is_kept_and_not_repeated(cache: Path, serve: Serve) -> None:
    asked = serve({FIRST: CONTENT})
    assert datasets.status("toy") == "not here"
    for _ in range(2):
        (path,) = datasets.fetch("toy")
        assert path.read_bytes() == CONTENT
    assert asked == [FIRST]
    assert datasets.status("toy") == "cache"
    assert files_below(cache) == ["toy/toy.bin"]


def test_the_second_address_is_tried_when_the_first_fails(serve: Serve) -> None:
    asked = serve({FIRST: TimeoutError("timed out"), SECOND: CONTENT})
    assert datasets.fetch("toy")[0].read_bytes() == CONTENT
    assert asked == [FIRST, SECOND]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (CONTENT[:-1], "expected 153,600 bytes, got 153,599"),
        (CONTENT + b"!", "expected 153,600 bytes, got more"),
        (CONTENT[:-1] + b"!", "expected SHA-256 .*, got "),
        (b"", "got 0"),
        (OSError("Name or service not known"), "Name or service not known"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_a_wrong_answer_leaves_nothing_behind_and_the_error_says_why(
    cache: Path, serve: Serve, answer: bytes | BaseException, reason: str
) -> None:
    serve({FIRST: answer, SECOND: answer})
    with pytest.raises(DatasetUnavailableError, match=reason) as caught:
        datasets.fetch("toy")
    for part in ("'toy'", "NNX_DATA (not set)", str(cache), FIRST, SECOND, "set NNX_DATA", FILE.sha256):
        assert part in str(caught.value)
    assert files_below(cache) == []


def test_an_endless_answer_is_cut_off_at_the_declared_size(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(io.BytesIO):
        given = 0

        def read(self, size: int | None = -1, /) -> bytes:
            assert size is not None
            Endless.given += size
            return bytes(size)

    monkeypatch.setattr(download, "open_url", lambda _url: Endless())
    with pytest.raises(DatasetUnavailableError, match="got more"):
        datasets.fetch("toy")
    assert Endless.given < 2 * len(FILE.urls) * len(CONTENT)
    assert files_below(cache) == []


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), ConnectionResetError("reset by peer")])
def test_an_interrupted_download_leaves_nothing_half_written(
    cache: Path, monkeypatch: pytest.MonkeyPatch, interruption: BaseException
) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell():
                assert files_below(cache) != []  # it was indeed under way
                raise interruption
            return super().read(size)

    monkeypatch.setattr(download, "open_url", lambda _url: Broken(CONTENT))
    with pytest.raises((KeyboardInterrupt, DatasetUnavailableError)):
        datasets.fetch("toy")
    assert files_below(cache) == []


def test_a_failed_refresh_keeps_no_damaged_copy_in_use(cache: Path, serve: Serve) -> None:
    (cache / "toy").mkdir(parents=True)
    (cache / "toy/toy.bin").write_bytes(b"damaged")
    assert datasets.status("toy") == "damaged"
    serve({FIRST: OSError("no network"), SECOND: OSError("no network")})
    with pytest.raises(
        DatasetUnavailableError, match="copy in the cache is damaged: expected 153,600 bytes, got 7"
    ):
        datasets.fetch("toy")
    serve({FIRST: CONTENT})
    assert datasets.fetch("toy")[0].read_bytes() == CONTENT
    assert datasets.status("toy") == "cache"


def test_plain_http_is_refused_before_anything_is_opened(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = DataFile(FILE.path, FILE.size, FILE.sha256, ("http://first.example/toy.bin", "file:///etc/hosts"))
    monkeypatch.setitem(catalogue._ENTRIES, "toy", toy(plain))
    with pytest.raises(DatasetUnavailableError, match=r"only https addresses are used, got 'http://.*'file://"):
        datasets.fetch("toy")
    assert files_below(cache) == []


def test_a_redirection_to_plain_http_is_refused_and_one_to_https_followed() -> None:
    handler, request = download.HttpsRedirects(), Request(FIRST)
    followed = handler.redirect_request(request, io.BytesIO(), 302, "Found", Message(), SECOND)  # type: ignore[arg-type]
    assert followed is not None
    assert followed.full_url == SECOND
    with pytest.raises(Exception, match="only https addresses"):
        handler.redirect_request(request, io.BytesIO(), 302, "Found", Message(), "http://first.example/")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "path", ["../outside.bin", "toy/../../outside.bin", "/tmp/outside.bin", "link/outside.bin"]
)
def test_no_path_leads_out_of_the_cache(
    path: str, cache: Path, tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.mkdir()
    (cache / "link").symlink_to(tmp_path)
    serve({FIRST: CONTENT})
    monkeypatch.setitem(catalogue._ENTRIES, "toy", toy(DataFile(path, FILE.size, FILE.sha256, (FIRST,))))
    with pytest.raises(OptionError, match="must lie inside"):
        datasets.fetch("toy")
    assert list(tmp_path.rglob("outside.bin")) == []


def test_an_unwritable_cache_is_reported_with_its_reason(cache: Path, serve: Serve) -> None:
    cache.write_text("a file where the folder should be")
    serve({FIRST: CONTENT, SECOND: CONTENT})
    with pytest.raises(DatasetUnavailableError, match=r"set NNX_DATA.*(File exists|Not a directory)"):
        datasets.fetch("toy")


def test_nnx_data_comes_before_the_cache(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (cache, tmp_path / "mine"):
        (folder / "toy").mkdir(parents=True)
        (folder / "toy/toy.bin").write_bytes(CONTENT)
    assert datasets.status("toy") == "cache"
    monkeypatch.setenv("NNX_DATA", str(tmp_path / "mine"))
    assert datasets.status("toy") == "NNX_DATA"
    assert datasets.fetch("toy") == (tmp_path / "mine/toy/toy.bin",)


def test_a_foreign_file_in_nnx_data_is_refused_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "toy").mkdir()
    mine = tmp_path / "toy/toy.bin"
    mine.write_bytes(CONTENT[::-1])
    monkeypatch.setenv("NNX_DATA", str(tmp_path))
    assert datasets.status("toy") == "damaged"
    with pytest.raises(FileFormatError, match=f"{mine} is not .*expected SHA-256 .*replace it by {FIRST}"):
        datasets.fetch("toy")
    assert mine.read_bytes() == CONTENT[::-1]


def test_a_file_changed_after_it_was_checked_is_checked_again(tmp_path: Path) -> None:
    path = tmp_path / "toy.bin"
    path.write_bytes(CONTENT)
    assert folders.fault(path, FILE) is None
    path.write_bytes(CONTENT[::-1])
    assert "expected SHA-256" in str(folders.fault(path, FILE))


def test_a_checked_file_is_read_once_per_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "toy.bin"
    path.write_bytes(CONTENT)
    assert folders.fault(path, FILE) is None
    monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("read again"))
    assert folders.fault(path, FILE) is None


def test_a_set_without_an_address_names_its_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalogue._ENTRIES, "toy", toy(DataFile(FILE.path, FILE.size, FILE.sha256)))
    with pytest.raises(DatasetUnavailableError, match=r"no address to download it from.*https://toy.example/"):
        datasets.fetch("toy")


def test_a_bar_is_drawn_only_on_a_terminal(
    serve: Serve, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    serve({FIRST: CONTENT})
    datasets.fetch("toy")
    assert capsys.readouterr() == ("", "")
    (cache / "toy/toy.bin").unlink()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    datasets.fetch("toy")
    out, err = capsys.readouterr()
    assert out == ""
    assert "toy/toy.bin" in err
    assert "153.6/153.6 kB" in err
