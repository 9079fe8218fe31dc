"""A report for the browsers of this computer alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from nnx.errors import OptionError
from nnx.pages.page import POLICY

HOST = "127.0.0.1"


class Server(ThreadingHTTPServer):
    """Answers with a page that is made anew each time.

    Attributes:
        address: where the page is.
    """

    daemon_threads = True

    def __init__(self, port: int, make: Callable[[], str]) -> None:
        """Take a port, or any that is free for 0.

        Raises:
            OptionError: it is taken, or not allowed.
        """
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise OptionError(
                f"--port {port} cannot be used: {error.strerror}. Give another, or 0 for any."
            ) from error
        self._make, self._one_at_a_time = make, threading.Lock()
        self.address = f"http://{HOST}:{self.server_port}/"
        self.hosts = {f"{name}:{self.server_port}" for name in (HOST, "localhost")}

    def page(self) -> bytes:
        """Make the page; matplotlib draws for one thread at a time."""
        with self._one_at_a_time:
            return self._make().encode()

    def run(self) -> None:
        """Answer until a Ctrl-C, which ends it in order."""
        try:
            self.serve_forever(poll_interval=0.1)
        except KeyboardInterrupt:
            pass
        finally:
            self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        # A page of another site may have its own name lead here, and would then read what this one says.
        if self.headers.get("Host") not in self.server.hosts:
            self.send_error(403)
        elif self.path != "/":
            self.send_error(404)
        else:
            self._answer(self.server.page())

    def _answer(self, page: bytes) -> None:
        self.send_response(200)
        headers = {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Length": str(len(page)),
            "Content-Security-Policy": POLICY,
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing of what is asked for."""
