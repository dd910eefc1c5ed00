"""A participant in a real browser: the page is opened, answered by keys and clicks, and sends what it stored.

Chromium or Chrome is looked for as $ANR_BROWSER or on the path; without one these tests skip.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from study_helpers import SECONDS, chooses, made, write_methods

from pipelines.studying.analysis import Rules, analysed
from pipelines.studying.results import read_participant
from pipelines.studying.study import Study

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0")
WAIT_S = 90.0
# Chooses what RIGHT says for each set of clips, by key or by click in turn, and tries to answer too early.
DRIVER = """
const shownIds = () => Array.from(document.querySelectorAll("#grid video"), (v) => v.src.match(/([0-9a-f]+).mp4/)[1]);
const key = (name) => document.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
let turn = 0;
setInterval(() => {
  const by = (id) => document.getElementById(id);
  if (!by("intro").hidden) { by("agree").click(); by("start").click(); return; }
  if (by("trial").hidden) return;
  const tiles = document.querySelectorAll("#grid .tile");
  if (!tiles.length || tiles[0].querySelector("input").disabled) { key("1"); key("Enter"); return; }
  const place = shownIds().findIndex((id) => RIGHT.includes(id));
  const press = (on) => { on.dispatchEvent(new PointerEvent("pointerdown", { bubbles: true })); on.click(); };
  if (turn % 2) { press(tiles[place]); press(by("next")); } else { key(String(place + 1)); key("Enter"); }
  turn += 1;
}, 60);
"""


class Host(SimpleHTTPRequestHandler):
    """Hands out the page with a participant built in, and takes the answers."""

    def __init__(self, *given: Any, driver: str, answers: queue.Queue[bytes], **more: Any) -> None:
        self.driver, self.answers = driver, answers
        super().__init__(*given, **more)

    def do_GET(self) -> None:
        if self.path != "/study.js":
            super().do_GET()
            return
        body = (Path(self.directory) / "study.js").read_bytes() + self.driver.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/javascript")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.answers.put(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def browser() -> str:
    program = os.environ.get("ANR_BROWSER") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not program:
        pytest.skip("no Chromium or Chrome is here ($ANR_BROWSER, or on the path)")
    return program


@pytest.fixture
def page(tmp_path: Path) -> Iterator[tuple[Study, str, queue.Queue[bytes]]]:
    """A study of two methods on a server of its own, and where its answers arrive."""
    answers: queue.Queue[bytes] = queue.Queue()
    folder, handing_out = tmp_path / "study", {"driver": ""}
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *given: Host(
        *given, directory=str(folder / "page"), answers=answers, **handing_out))
    address = f"http://127.0.0.1:{server.server_address[1]}"
    videos = write_methods(tmp_path, {"ours": (40, 140, 60), "theirs": (200, 60, 60)}, ("ada-dance", "ada-walk"))
    study = made(folder, videos, checks=1, repeats=1, post=f"{address}/answers", height=80)
    choose = chooses(study, "ours")
    handing_out["driver"] = f"const RIGHT = {json.dumps([choose(trial) for trial in study.trials.values()])};{DRIVER}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield study, f"{address}/index.html?participant=w-17", answers
    server.shutdown()
    server.server_close()


def test_a_participant_answers_and_what_arrives_can_be_analysed(
        browser: str, page: tuple[Study, str, queue.Queue[bytes]], tmp_path: Path) -> None:
    study, address, answers = page
    running = subprocess.Popen([browser, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", address],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        stored = answers.get(timeout=WAIT_S)
    finally:
        running.terminate()
        running.wait()
    (tmp_path / "answers.json").write_bytes(stored)
    participant = read_participant(tmp_path / "answers.json", study)
    assert participant.given == "w-17" and len(participant.answers) == 4
    assert {answer.by for answer in participant.answers} == {"keyboard", "pointer"}
    assert all(answer.showings == 1 and answer.shown_ms >= 900 * SECONDS for answer in participant.answers)
    found = analysed(study, [participant], Rules(resamples=200))
    assert found["shares"]["ours"]["share"] == 1.0 and found["attention"][0]["missed"] == 0
