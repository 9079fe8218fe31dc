"""What a process holds does not grow with the number of fits and saves; `python -m tests.growth` runs 10,000."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from tests.growth.__main__ import main
from tests.growth.measures import Held, grown_between

PROGRAM = """
import dataclasses, json, pathlib, sys
from tests.growth.measures import held
from tests.growth.runs import run

folder = pathlib.Path(sys.argv[1])
for count in (32, 96):
    for number in range(count):
        run(number % 16, folder)  # the same shapes again and again: caches have nothing new to learn
    print(json.dumps(dataclasses.asdict(held())))
"""


def test_fits_and_saves_leave_no_file_no_thread_no_object_and_no_memory_behind(tmp_path: Path) -> None:
    told = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]  # what other tests have freed would hide what grows
    done = subprocess.run(command, env=told, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    before, after = (Held(**json.loads(line)) for line in done.stdout.splitlines())
    assert (after.files, after.threads) == (before.files, before.threads)
    assert after.objects <= before.objects + 10
    assert after.resident <= before.resident + (8 << 20), "what the system counts goes up and down by itself"


def test_what_grows_is_named_with_its_numbers() -> None:
    one = Held(resident=1000, traced=1000, objects=1000, files=5, threads=1)
    assert grown_between(one, one) == []
    assert grown_between(one, replace(one, files=6)) == ["files grew from 5 to 6, by more than 0%."]
    assert grown_between(one, replace(one, resident=1200, threads=2)) == [
        "resident grew from 1000 to 1200, by more than 5%.",
        "threads grew from 1 to 2, by more than 0%.",
    ]


@pytest.mark.usefixtures("threads_restored")
def test_the_command_prints_a_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["tests.growth", "--count", "10", "--traced"])
    main()  # so few runs fill caches, and say nothing about growth
    tracemalloc.stop()
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "| runs | seconds | resident MiB | traced MiB | objects | files | threads |"
    assert [line.split()[1] for line in printed[2:]] == [str(count) for count in range(1, 11)]
