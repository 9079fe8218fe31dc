"""A report that is served: to this computer alone, anew each time, until it is ended."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from urllib.parse import urlsplit

import pytest
from support import experiment_reports
from support.pages import Reader

from nnx.errors import OptionError
from nnx.report import serving as serving_module
from nnx.report.finding import find
from nnx.report.page import make
from nnx.report.serving import Server


@contextmanager
def serving(page: Callable[[], str], port: int = 0) -> Iterator[Server]:
    server = Server(port, page)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def get(server: Server, path: str = "/", **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_the_page_is_made_anew_for_each_reload():
    numbers = count(1)
    with serving(lambda: f"<p>{next(numbers)}</p>") as server:
        assert [get(server) for _ in range(2)] == [(200, "<p>1</p>"), (200, "<p>2</p>")]


def test_nothing_but_the_page_is_served_and_only_under_names_of_this_computer():
    with serving(lambda: "page") as server:
        assert get(server, "/../etc/passwd")[0] == 404
        assert get(server, Host="example.org")[0] == 403
        assert get(server, Host=f"localhost:{server.server_port}")[0] == 200
        assert server.server_address[0] == "127.0.0.1"


def test_of_the_port_that_browsers_leave_out_the_name_is_enough(monkeypatch):
    monkeypatch.setattr(serving_module, "HTTP_PORT", free := free_port())
    with serving(lambda: "page", free) as server:
        for name in ("127.0.0.1", "localhost", "LocalHost", f"LOCALHOST:{free}"):
            assert get(server, Host=name)[0] == 200
        assert get(server, Host="example.org")[0] == 403
    with serving(lambda: "page") as server:
        assert get(server, Host="localhost")[0] == 403


def test_files_that_go_bad_between_two_reloads_are_told_and_the_next_whole_ones_shown(tmp_path):
    folder, named = tmp_path / "runs", tmp_path / "report.json"
    folder.mkdir()
    report = json.dumps(experiment_reports.sample().to_json())
    for path in (named, folder / "found.json"):
        path.write_text(report)
    with serving(lambda: make(find([folder, named])).html()) as server:
        assert get(server)[0] == 200
        (folder / "found.json").write_text(report[:100])
        status, text = get(server)
        assert (status, "runs/found.json: it is neither HDF5 nor JSON" in text) == (200, True)
        named.write_text("<script>")
        status, text = get(server)
        assert (status, "it is neither HDF5 nor JSON" in text) == (500, True)
        named.unlink()
        status, text = get(server)
        assert (status, "PATHS must exist, got &#x27;" in text) == (500, True)
        named.write_text(report)
        assert get(server)[0] == 200


def test_a_sentence_about_a_file_is_text_for_the_browser_whatever_the_file_is_called():
    def fail() -> str:
        raise OptionError("PATHS must exist, got '<script>alert(1)</script>'")

    with serving(fail) as server:
        status, text = get(server)
    assert status == 500
    assert "script" not in {tag for tag, _ in Reader(text).tags}
    assert "got '<script>alert(1)</script>'" in "".join(Reader(text).text)


def test_a_browser_that_goes_away_leaves_no_trace_on_the_terminal(capsys):
    with serving(lambda: "page" * 5_000_000) as server:
        for _ in range(3):
            gone = socket.create_connection(("127.0.0.1", server.server_port))
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, not an end
            gone.sendall(f"GET / HTTP/1.1\r\nHost: localhost:{server.server_port}\r\n\r\n".encode())
            gone.recv(10)
            gone.close()
        assert get(server)[0] == 200
    assert capsys.readouterr().err == ""


def test_a_connection_that_says_nothing_keeps_nobody_waiting():
    with serving(lambda: "page") as server:
        silent = http.client.HTTPConnection("127.0.0.1", server.server_port)
        silent.connect()
        assert get(server)[0] == 200
        silent.close()


def test_a_port_that_is_taken_is_told_with_what_to_do():
    with serving(lambda: "page") as server:
        port = server.server_port
        with pytest.raises(OptionError, match=rf"--port {port} cannot be used: .* Give another, or 0 for any"):
            Server(port, lambda: "page")


@pytest.mark.skipif(sys.platform == "win32", reason="a Ctrl-C cannot be sent to one process there")
def test_the_command_tells_the_address_and_ends_in_order_at_a_ctrl_c(tmp_path):
    code = "from nnx.cli import main; main()"
    command = [sys.executable, "-c", code, "report", ".", "--serve", "--port", "0"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        address = urlsplit(line.split()[1])
        assert address.hostname == "127.0.0.1"
        connection = http.client.HTTPConnection("127.0.0.1", address.port, timeout=10)
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert (answer.status, b"nnx report" in answer.read()) == (200, True)
        connection.close()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, errors) == (0, "")
    assert list(tmp_path.iterdir()) == []  # nothing is written unless --out says so
