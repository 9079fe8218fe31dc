"""A report that is served: to this computer alone, anew each time, until it is ended."""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from urllib.parse import urlsplit

import pytest

from nnx.errors import OptionError
from nnx.report.serving import Server


@contextmanager
def serving(make) -> Iterator[Server]:
    server = Server(0, make)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()


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
