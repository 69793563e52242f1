"""What scripts/bench counts, computes and draws; the measuring itself needs a quiet machine."""

import math
import socket
import sys
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import pytest

from scripts.bench_suite import http, load, page, plot, report
from scripts.bench_suite.pty_program import Screen
from scripts.bench_suite.rows import fanout

STEP = {
    "rate": 8.0, "events_per_s": 8.0, "deliveries_per_s": 8000.0, "p50_ms": 1.0, "p99_ms": 3.0,
    "kept_up": 1.0,
}  # fmt: skip
ROW_A = {
    "p99_below_250_ms": 812_345.0, "saturated_250": True, "p99_below_50_ms": 0.0,
    "saturated_50": False, "steps": [STEP, {**STEP, "rate": 16.0, "deliveries_per_s": 16e3}],
}  # fmt: skip
ROW_B = {
    "deliveries_per_s": 150_000.0, "client_cpu": 0.4, "others_cpu": 0.0, "server_cpu": 0.99,
    "lost": 0.1, "events_per_s": 1500.0, "cpu_us_per_event": 650.0,
}  # fmt: skip


@pytest.fixture
def received():
    """Give blocks to one sampled subscriber; returns its crowd."""
    listener = socket.create_server(("127.0.0.1", 0))
    loop = load.Loop()
    crowd = load.Crowd(loop, listener.getsockname()[1], b"GET / HTTP/1.1\r\n\r\n")

    def deliver(blocks):
        loop.until(lambda: crowd.connect(1, 1, 5, greets=False), 5)
        peer, _ = listener.accept()
        for block in blocks:
            peer.sendall(block)
            wanted = crowd.bytes + len(block)
            loop.until(lambda wanted=wanted: crowd.bytes == wanted, 5)
        peer.close()
        loop.until(lambda: crowd.lost == 1, 5)
        return crowd

    yield deliver
    loop.close()
    listener.close()


def test_every_event_is_counted_once_wherever_a_block_is_cut(received):
    event = b"data: " + load.mark() + b" text\n\n"
    cuts = [event[:at] for at in range(1, len(event))], [event[at:] for at in range(1, len(event))]
    blocks = [part for pair in zip(*cuts, strict=True) for part in pair]
    crowd = received([*blocks, event * 50])
    assert crowd.received == len(event) - 1 + 50
    assert crowd.bytes == sum(map(len, blocks)) + 50 * len(event)


def test_latency_is_the_time_since_the_one_in_the_event(received):
    crowd = received([load.MARK + b"%016d" % (load.now_us() - 70_000)])
    (latency_us,) = crowd.latencies_us
    assert 70_000 <= latency_us < 1_000_000


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 201 Created\r\nContent-Length: 3\r\n\r\nabc", 46),
        (b"HTTP/1.1 201 Created\r\ncontent-length:3\r\n\r\nab", None),
        (b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n", 38),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", None),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", 58),
        (b"HTTP/1.1 200 OK\r\nContent-Le", None),
    ],
)
def test_the_end_of_an_answer_is_known(answer, expected):
    assert http.answer_length(answer) == expected


@pytest.mark.parametrize("limit", [8.0, 50.0, 333.0, 2500.0])
def test_the_search_comes_close_to_the_highest_rate_that_passes(limit):
    found = fanout._search(lambda rate: rate <= limit, [], 1.06)
    assert limit / 1.07 <= found <= limit
    again = fanout._search(lambda rate: rate <= limit / 4, [8.0, found, found * 2], 1.06)
    assert again is None if limit / 4 < 8 else limit / 4 / 1.07 <= again <= limit / 4


def test_a_hiccup_at_the_lowest_rate_does_not_end_the_search():
    assert fanout._search(lambda rate: 8 < rate <= 100, [], 1.06) > 90


def test_nothing_passes_then_nothing_is_found():
    assert fanout._search(lambda rate: False, [], 1.06) is None


def test_percentiles():
    assert fanout.percentile(range(100), 0.5) == 50
    assert fanout.percentile(range(100), 0.99) == 99
    assert fanout.percentile([], 0.5) == math.inf


def test_the_median_of_runs_is_taken_figure_by_figure():
    runs = [
        {"B": {"per_s": 1, "ok": False, "steps": [1]}},
        {"B": {"per_s": 9, "ok": True, "steps": [2]}, "C": {"absent": "broken"}},
        {"B": {"per_s": 4, "ok": False, "steps": []}, "C": {"p50_ms": 2.5}},
    ]
    merged = report.median(runs)
    assert merged == {"B": {"per_s": 4, "ok": True, "steps": [1, 2]}, "C": {"p50_ms": 2.5}}


def test_the_table_says_what_was_lost_absent_or_held_back_by_the_client():
    median = {"one": {"A": ROW_A, "B": ROW_B}, "two": {"A": {"absent": "no npm"}}}
    text = report.fanout_table(median)
    assert "| one | 812 k† / – | 150 k, lost 10% |" in text
    assert "| two | – |" in text
    assert report.FOOTNOTES[0] in text
    assert report.DOUBLE not in text
    assert "two, A: no npm" in report.absent_list(median)


@pytest.mark.parametrize("draw", [plot.bars, plot.latency])
def test_plots_are_well_formed_and_stay_inside(draw):
    drawn = ElementTree.fromstring(draw({"a<b": {"A": ROW_A, "B": ROW_B}, "absent": {}}))
    for element in drawn.iter():
        for name, most in (("x", plot.WIDTH), ("cx", plot.WIDTH), ("y", plot.HEIGHT)):
            assert 0 <= float(element.get(name, 0)) <= most


def test_the_page_is_written_from_the_results(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(page, "COSTS", tmp_path / "costs.json")
    machine = {
        "cpu": "A processor", "cores": 2, "memory_gib": 4, "system": "Linux", "python": "3.11",
        "fsync_ms": 0.2, "fsync_p99_ms": 9.5, "versions": {"gevent": "26"},
    }  # fmt: skip
    median = {"cortex": {"A": ROW_A, "B": ROW_B}}
    results = {
        "at": "2026-01-01T00:00", "quick": False, "machine": machine, "runs": [median] * 3,
        "median": median,
    }  # fmt: skip
    page.write(results, tmp_path)
    text = (tmp_path / "performance.md").read_text()
    assert "A processor" in text
    assert "medians of 3." in text
    assert "812 k†" in text
    assert "{{" not in text
    assert "not measured" in text
    assert (tmp_path / "performance-latency.svg").exists()
    assert (tmp_path / "costs.json").exists()


def test_rows_that_were_measured_again_are_joined_and_told():
    once = {"at": "now", "runs": [{"cortex": {"A": {"x": 1}, "C": {"x": 5}}}]}
    again = {"at": "later", "runs": [{"cortex": {"C": {"x": 1}}}, {"cortex": {"C": {"x": 3}}}]}
    joined = report.joined([once, again])
    assert joined["at"] == "now"
    assert joined["median"] == {"cortex": {"A": {"x": 1}, "C": {"x": 3}}}
    assert page._medians(joined["runs"]) == "medians of 1; of 3: C"
    assert page._medians(once["runs"]) == "medians of 1"


def test_the_terminals_table_has_our_worst_run_and_the_others():
    runs = [{"cortex": {"terminal": {"esc_p99_ms": ms, "watch_lines_per_s": ms}}} for ms in (3, 9)]
    runs[0]["Backlog.md"] = {"terminal": {"esc_p99_ms": 70.0}}
    runs[0]["kanban-tui"] = {"terminal": {"absent": "no PyPI"}}
    results = {"runs": runs, "median": report.median(runs)}
    text = report.terminal_table(results)
    assert "| Esc to paint, p99 ms | ≤ 30 | 6.0 | 9.0 | 70.0 |" in text
    assert "| lines/s of `watch --json` |  | 6.0 | 3.0 | – |" in text
    assert "kanban-tui" not in text
    assert "kanban-tui, terminal: no PyPI" in report.tables(results)
    assert report.terminal_table({"runs": [], "median": {}}) == ""


def test_a_key_is_timed_to_the_frame_that_holds_what_it_causes():
    program = (
        "import time; input(); print('early'); time.sleep(0.1); print('now'); input(); input()"
    )
    with closing(Screen([sys.executable, "-uc", program], {})) as screen:
        ms = screen.answer(b"\n", b"now")
        assert ms is not None
        assert ms >= 100
        assert "now" in screen.text()
        assert screen.answer(b"\n", b"never", wait_s=0.01) is None
