"""A report for the browsers of this computer alone."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTP_PORT
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from nnx.errors import NnxError, OptionError
from nnx.pages.page import POLICY, document
from nnx.pages.parts import paragraph

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
        ports = [f":{self.server_port}", *([""] if self.server_port == HTTP_PORT else [])]  # clients leave it out
        self.hosts = {f"{name}{port}" for name in (HOST, "localhost") for port in ports}

    def page(self) -> bytes:
        """Make the page; matplotlib draws for one thread at a time."""
        with self._one_at_a_time:
            return self._make().encode()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that goes away before it has its answer."""
        if not isinstance(sys.exc_info()[1], BrokenPipeError | ConnectionResetError):
            super().handle_error(request, client_address)

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
        if self.headers.get("Host", "").lower() not in self.server.hosts:
            self.send_error(403)
        elif self.path != "/":
            self.send_error(404)
        else:
            self._answer(*self._page())

    def _page(self) -> tuple[HTTPStatus, bytes]:
        """Return the page, or one that says why there is none: files come and go while it is served."""
        try:
            return HTTPStatus.OK, self.server.page()
        except (NnxError, OSError) as error:
            page = document("nnx report", f"<h1>nnx report</h1>\n{paragraph(str(error))}")
            return HTTPStatus.INTERNAL_SERVER_ERROR, page.encode()

    def _answer(self, status: HTTPStatus, page: bytes) -> None:
        self.send_response(status)
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
