"""Start, memory, size and weight: what a first visit costs."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, Request, sync_playwright
from tests.bench.marks import Mark
from tests.bench.rig import kira_up

from kira.adapters.clock.system import SystemClock
from kira.adapters.vault.keyfile import open_vault
from kira.services.tokens import Tokens

ROOT = Path(__file__).parents[2]
NOBODY = "http://127.0.0.1:9"  # the discard port: no model server answers there
IDLE_SECONDS = 6


def start() -> list[Mark]:
    """Start five times on the same, warm data folder; then let the last one stand idle."""
    times, rss = [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        for attempt in range(6):
            began = time.perf_counter()
            with kira_up(Path(folder), NOBODY) as kira:
                if attempt:  # the first one makes the file and warms the disk
                    times.append(time.perf_counter() - began)
                if attempt == 5:
                    time.sleep(IDLE_SECONDS)
                    rss = kira.rss_mib()
    rule = "process start to the first 200 of /api/health, median of 5 after one warm-up"
    idle = f"RSS of all processes {IDLE_SECONDS} s after a start, no model server, nobody signed in"
    return [
        Mark("start to first 200", statistics.median(times), 1.0, "s", rule, peers="12.1 s; 5.9 s"),
        Mark("idle memory", rss, 90, "MiB", idle, peers="789; 310"),
    ]


def size() -> list[Mark]:
    """Install the run-time lock and the package into an empty folder and add up the bytes."""
    with tempfile.TemporaryDirectory() as folder:
        uv = [str(Path(sys.executable).with_name("uv")), "pip", "install", "-q", "--target", folder]
        python = ["--python", sys.executable, "--require-hashes", "--no-deps", "-r", str(ROOT / "locks" / "run.txt")]
        subprocess.run([*uv, *python], check=True)
        libraries = _bytes_of(Path(folder))
    package = _bytes_of(ROOT / "layers" / "kira" / "python" / "kira")
    rule = "run-time lock installed into an empty folder, plus the package with the built dashboard"
    total = (libraries + package) / 2**20
    return [Mark("installed size", total, 150, "MiB", rule, peers="2,930; 742")]


def weight() -> list[Mark]:
    """Load both pages in Chromium with an empty cache and count what came over the wire."""
    marks = []
    with tempfile.TemporaryDirectory() as folder, kira_up(Path(folder), NOBODY) as kira, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"])
        token = _token(Path(folder))
        for name, path in (("sign-in page", "/"), ("signed-in chat page", f"/?token={token}")):
            page = browser.new_context(service_workers="block").new_page()
            sizes = _load(page, kira.address + path)
            rule = "bodies and headers of all requests until the network is idle, empty cache, gzip or brotli as served"
            peers = "2,729 KB, 219 requests; -"
            marks.append(Mark(f"{name}, bytes", sum(sizes) / 1000, 80, "KB", rule, peers=peers))
            marks.append(Mark(f"{name}, requests", len(sizes), 12, "", rule, peers=peers))
        browser.close()
    return marks


def _load(page: Page, address: str) -> list[int]:
    """Load a page and return the bytes of each of its requests."""
    sizes: list[int] = []

    def count(request: Request) -> None:
        found = request.sizes()
        sizes.append(found["responseBodySize"] + found["responseHeadersSize"])

    page.on("requestfinished", count)
    page.goto(address)
    page.wait_for_load_state("networkidle")
    return sizes


def _bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _token(data: Path) -> str:
    return Tokens(open_vault(data), SystemClock()).local()
