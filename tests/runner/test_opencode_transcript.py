"""What is told of messages, and when; and what is asked."""

import pytest

from cortex_cli.runner.errors import AdapterError
from cortex_cli.runner.opencode.asks import Asks
from cortex_cli.runner.opencode.transcript import GATHER_S, Transcript
from cortex_cli.runner.redaction import Redactor
from tests.support.told import Told

INFO = {"id": "m", "role": "assistant", "time": {"created": 1}}


def text(words, end=None, part="p", kind="text"):
    time = {"start": 1} if end is None else {"start": 1, "end": end}
    return {"id": part, "messageID": "m", "type": kind, "text": words, "time": time}


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def transcript(told):
    return Transcript(told, Redactor(["hunter22"]))


def opened(transcript):
    """A message with an open part, told at 1.0."""
    transcript.info("s", INFO, 0.0)
    transcript.part("s", text(""), 0.0)
    transcript.tell(1.0)


def test_deltas_that_come_together_are_told_together(transcript, told):
    opened(transcript)

    for number in range(1000):
        transcript.delta("s", "m", "p", f"{number} ", 2.0)
        transcript.tell(2.0)
    assert told.of("delta") == []
    assert transcript.next_due() == pytest.approx(2.0 + GATHER_S)
    transcript.tell(2.0 + GATHER_S)

    [(_, part, offset, words)] = told.of("delta")
    assert (part, offset, len(words.split())) == (0, 0, 1000)
    assert transcript.next_due() is None


def test_a_secret_in_pieces_is_redacted_and_the_end_agrees(transcript, told):
    opened(transcript)
    for now, piece in enumerate(["say hun", "ter", "22 and ", "go"], start=2):
        transcript.delta("s", "m", "p", piece, now)
        transcript.tell(now + 0.5)
    assert told.texts["s", "m", 0] == "say [redacted] and "

    transcript.part("s", text("say hunter22 and go", end=2), 9.0)
    transcript.tell(9.0)

    assert told.texts["s", "m", 0] == "say [redacted] and go"
    assert "hunter" not in repr(told.calls)
    assert told.wrong == []


def test_an_end_that_differs_is_told_as_a_whole(transcript, told):
    opened(transcript)
    transcript.delta("s", "m", "p", "some text  ", 2.0)
    transcript.tell(3.0)

    transcript.part("s", text("some text", end=2), 4.0)  # OpenCode takes blanks off
    transcript.tell(4.0)

    assert told.texts["s", "m", 0] == "some text"
    assert told.messages["s", "m"]["parts"][0]["status"] == "complete"


def test_after_a_gap_an_open_part_waits_for_its_end(transcript, told):
    opened(transcript)
    transcript.delta("s", "m", "p", "one ", 2.0)
    transcript.missed()
    transcript.delta("s", "m", "p", "three ", 2.0)
    transcript.tell(3.0)
    assert told.texts["s", "m", 0] == "one "

    transcript.part("s", text("one two three ", end=2), 4.0)
    transcript.tell(4.0)
    assert told.texts["s", "m", 0] == "one two three "


def test_a_part_that_is_announced_after_a_gap_streams(transcript, told):
    opened(transcript)
    transcript.missed()  # it was fetched, then its announcement came

    transcript.part("s", text(""), 2.0)
    transcript.delta("s", "m", "p", "all of it ", 2.0)
    transcript.tell(3.0)

    assert told.texts["s", "m", 0] == "all of it "


def test_news_older_than_the_end_change_nothing(transcript, told):
    opened(transcript)
    transcript.part("s", text("whole", end=2), 2.0)
    transcript.info("s", {**INFO, "time": {"created": 1, "completed": 2}}, 2.0)
    transcript.tell(3.0)
    count = len(told.calls)

    transcript.delta("s", "m", "p", "whole", 4.0)
    transcript.part("s", text(""), 4.0)
    transcript.part("s", text("whole", end=2), 4.0)
    transcript.info("s", INFO, 4.0)
    transcript.tell(5.0)

    assert len(told.calls) == count


def test_parts_keep_their_place(transcript, told):
    opened(transcript)
    transcript.part("s", {"id": "step", "messageID": "m", "type": "step-start"}, 2.0)
    transcript.part("s", text("", part="q", kind="reasoning"), 2.0)
    transcript.removed("s", "m", "p", 2.0)
    transcript.delta("s", "m", "q", "hm", 2.0)
    transcript.part("s", text("hm", part="q", end=3), 2.0)
    transcript.tell(3.0)

    assert [part["type"] for part in told.messages["s", "m"]["parts"]] == ["text", "thinking"]
    assert told.texts["s", "m", 1] == "hm"


def test_a_part_before_its_message_waits_for_it(transcript, told):
    transcript.part("s", text("early", end=2), 0.0)
    transcript.tell(1.0)
    assert told.calls == []
    assert transcript.next_due() is None

    transcript.info("s", INFO, 2.0)
    transcript.tell(3.0)
    assert told.texts["s", "m", 0] == "early"


def test_growing_output_of_a_tool_is_told_twice_a_second_at_most(transcript, told):
    transcript.info("s", INFO, 0.0)
    for tenth in range(100):
        state = {"status": "running", "input": {}, "metadata": {"output": "x" * tenth}}
        part = {"id": "t", "messageID": "m", "type": "tool", "tool": "bash", "state": state}
        transcript.part("s", part, tenth / 10)
        transcript.tell(tenth / 10)

    assert 15 <= len(told.of("message")) <= 22


def test_several_questions_are_answered_together(told):
    asks = Asks(told, Redactor())
    one = {"question": "Which?", "header": "A", "options": [{"label": "Red"}, {"label": "Blue"}]}
    two = {**one, "header": "B", "multiple": True, "custom": False}
    asks.ask("question", {"id": "q", "sessionID": "s", "questions": [one, two]})
    assert [call.key for call in told.calls] == ["q.0", "q.1"]
    assert [(given["multiple"], given["free_text"]) for given in told.of("ask")] == [
        (False, True), (True, False)
    ]  # fmt: skip

    with pytest.raises(AdapterError, match="no option 7"):
        asks.take("q.1", ["7"], None)
    assert asks.take("q.1", ["0", "1"], None) is None
    answer = asks.take("q.0", [], "green")

    assert answer is not None
    assert (answer.path, answer.body) == (
        "/question/q/reply", {"answers": [["green"], ["Red", "Blue"]]}
    )  # fmt: skip


def test_what_is_gone_is_not_asked_again(told):
    asks = Asks(told, Redactor())
    request = {"id": "p", "sessionID": "s", "permission": "edit", "patterns": ["a"]}
    asks.ask("permission", request)
    asks.ask("permission", request)
    asks.gone("p")
    asks.gone("p")
    asks.ask("permission", request)

    assert [call.name for call in told.calls] == ["ask", "withdrawn"]
