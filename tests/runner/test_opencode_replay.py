"""The OpenCode adapter with what a real server said, played by a program over real sockets."""

import contextlib
from dataclasses import replace

import pytest

from cortex_cli.runner.adapters import Outcome
from cortex_cli.runner.errors import AdapterError
from tests.support.replays import QUICK

DONE = "Done. " + " ".join(f"w{number}" for number in range(40))


def test_the_whole_work_is_told_and_ends(replays):
    attempt = replays.start("hello", model="fake/scripted")

    assert attempt.run.wait() == Outcome("succeeded")

    told, root = attempt.told, attempt.told.root
    assert told.wrong == []
    assert told.said(root) == [
        "I will plan the work first.", "Creating the file with the shell.", "Now the notes.", DONE
    ]  # fmt: skip
    assert told.said(root, "thinking") == ["The user wants a file. I will plan, then write it."]
    assert told.said(root, role="user") == ["Please make a hello file [[hello n=40]]"]
    assert told.of("todos")[-1] == [
        {"text": "Create hello.txt", "status": "completed"},
        {"text": "Write notes", "status": "completed"},
    ]
    assert len(told.of("todos")) == 2
    assert all(message["complete"] for message in told.messages.values())
    assert told.of("session_ended", root) == ["succeeded"]
    assert told.of("instance") == [("starting", None), ("running", None), ("stopped", None)]
    assert told.of("link") == ["connecting", "connected", "disconnected"]
    created, prompted = attempt.requests()
    assert created == ("/session", {"title": "A ticket"})
    assert prompted[0] == f"/session/{root}/prompt_async"
    assert prompted[1] == {
        "parts": [{"type": "text", "text": "do the work"}],
        "model": {"providerID": "fake", "modelID": "scripted"},
    }


def test_a_tool_is_told_as_it_runs(replays):
    attempt = replays.start("bashstream")

    attempt.run.wait()

    told, root = attempt.told, attempt.told.root
    assert ("working", "bash", "for i in 1 2 3 4;do echo line$i;sleep 0.4;done") in told.of("doing")
    [part] = [
        part
        for message in told.messages.values()
        for part in message["parts"]
        if part["type"] == "tool"
    ]
    assert part["input"]["command"].startswith("for i in")
    assert (part["text"], part["tool"], part["status"]) == (
        "line1\nline2\nline3\nline4\n", "bash", "complete"
    )  # fmt: skip
    assert [given for given in told.of("log") if given[0] == "tool"] == [
        ("tool", "for i in 1 2 3 4;do echo line$i;sleep 0.4;done", "bash")
    ]
    assert told.of("doing", root)[-1] == ("idle", None, None)


def test_a_permission_waits_for_a_person_and_the_answer_goes_back(replays):
    attempt = replays.start("perm_once")
    question = attempt.asked()
    told = attempt.told
    told.until(lambda told: told.of("status") == [True])
    [asked] = told.of("ask")
    assert (asked["kind"], asked["title"]) == ("permission", "bash: echo ok>p1.txt")
    assert [option["id"] for option in asked["options"]] == ["once", "always", "reject"]
    assert told.of("doing")[-1] == ("awaiting_input", "bash", "may it use bash?")
    with pytest.raises(AdapterError, match="once, always or reject"):
        attempt.run.answer(question, ["perhaps"], None)
    with pytest.raises(AdapterError, match="not open"):
        attempt.run.answer("per_unknown", ["once"], None)

    attempt.run.answer(question, ["once"], None)
    with contextlib.suppress(AdapterError):  # the work may be over; what counts is what is sent
        attempt.run.answer(question, ["once"], None)

    assert attempt.run.wait().status == "succeeded"
    assert attempt.requests()[2:] == [(f"/permission/{question}/reply", {"reply": "once"})]
    assert told.of("status") == [True, False]
    assert told.of("withdrawn") == []


def test_a_refusal_carries_the_persons_words(replays):
    attempt = replays.start("perm_reject:1")
    question = attempt.asked()

    attempt.run.answer(question, ["reject"], "use another way")

    assert attempt.run.wait().status == "succeeded"
    assert attempt.requests()[-1][1] == {"reply": "reject", "message": "use another way"}
    assert any("use another way" in text for text in attempt.told.said(attempt.told.root, "tool"))
    assert "error" in {kind for kind, _, _ in attempt.told.of("log")}


def test_a_turn_that_stops_in_the_middle_is_no_success(replays):
    attempt = replays.start("perm_reject:0")

    attempt.run.answer(attempt.asked(), ["reject"], None)

    outcome = attempt.run.wait()
    assert outcome.status == "failed"
    assert outcome.reason
    assert "in the middle" in outcome.reason


def test_a_question_gets_its_labels_back(replays):
    attempt = replays.start("question")
    question = attempt.asked()
    [asked] = attempt.told.of("ask")
    assert (asked["title"], asked["detail"]) == ("Colour", "Which colour do you want?")
    assert asked["options"] == [{"id": "0", "label": "Red"}, {"id": "1", "label": "Blue"}]

    attempt.run.answer(question, ["0"], None)

    assert attempt.run.wait().status == "succeeded"
    assert attempt.requests()[-1][1] == {"answers": [["Red"]]}


def test_what_was_answered_elsewhere_is_withdrawn(replays):
    attempt = replays.start("question:1")

    attempt.run.wait()

    asked = [call.key for call in attempt.told.calls if call.name == "ask"]
    assert [call.key for call in attempt.told.calls if call.name == "withdrawn"] == asked
    assert len(asked) == 1


def test_a_sub_agent_is_a_child_session(replays):
    attempt = replays.start("task")

    assert attempt.run.wait().status == "succeeded"

    told, root = attempt.told, attempt.told.root
    child = next(call for call in told.calls if call.name == "session" and call.key != root)
    assert child.given["parent"] == root
    assert (child.given["title"], child.given["agent"]) == (
        "Count words (@general subagent)", "general"
    )  # fmt: skip
    assert told.said(child.key) == ["Running a command.", "Command finished."]
    assert told.said(root) == ["Delegating to a subagent.", "The subagent is done."]
    ended = [call.key for call in told.calls if call.name == "session_ended"]
    assert ended == [child.key, root]
    assert told.wrong == []


def test_an_abort_waits_for_a_person_who_prompts_again(replays):
    attempt = replays.start("abort")
    attempt.told.until(lambda told: told.said(told.root))

    attempt.run.abort(None)
    attempt.told.until(lambda told: told.of("status") == [True])
    attempt.run.prompt("and now?", None)

    assert attempt.run.wait().status == "succeeded"
    told = attempt.told
    assert told.said(told.root)[-1] == "Understood."
    assert told.said(told.root)[0].startswith("w0 w1 ")
    # The board has the second one already: it was written there.
    assert told.said(told.root, role="user") == ["stream [[stream n=2000 ms=10]]"]
    assert told.of("status") == [True, False]


def test_an_abort_withdraws_what_was_asked_and_ends_nothing(replays):
    attempt = replays.start("question", timing=replace(QUICK, settle_s=0.0))
    question = attempt.asked()

    attempt.run.abort(None)

    attempt.told.until(lambda told: told.of("withdrawn", question))
    with pytest.raises(AdapterError, match="not open"):
        attempt.run.answer(question, ["0"], None)
    attempt.told.until(lambda told: told.of("doing")[-1] == ("idle", None, None))
    # The board takes it that the withdrawal ended the waiting.
    attempt.told.until(lambda told: told.of("status") == [True, True])
    calls = [call.name for call in attempt.told.calls if call.name in ("status", "withdrawn")]
    assert calls == ["status", "withdrawn", "status"]
    attempt.run.stop()
    assert attempt.run.wait() == Outcome("cancelled")


def test_a_sub_agent_that_is_prompted_stays_the_one_it_is(replays):
    attempt = replays.start("task", model="fake/scripted", timing=replace(QUICK, settle_s=20))
    told = attempt.told
    [child] = told.until(
        lambda told: [c.key for c in told.calls if c.name == "session" and c.given["parent"]][:1]
    )

    attempt.run.prompt("and more?", child)
    attempt.run.stop()
    attempt.run.wait()

    assert attempt.requests()[-1] == (
        f"/session/{child}/prompt_async",
        {"parts": [{"type": "text", "text": "and more?"}], "agent": "general"},
    )


def test_the_models_error_is_the_reason(replays):
    attempt = replays.start("httperr:0")

    assert attempt.run.wait() == Outcome("failed", "scripted failure 400")

    told = attempt.told
    assert ("error", "scripted failure 400", None) in told.of("log")
    assert told.of("doing")[-1] == ("error", None, "scripted failure 400")
    assert told.of("session_ended", told.root) == ["failed"]


def test_repeated_attempts_are_shown_and_a_stop_ends_them(replays):
    attempt = replays.start("httperr:2")
    attempt.told.until(
        lambda told: ("working", None, "trying again (3): scripted failure 429") in told.of("doing")
    )

    attempt.run.stop()

    assert attempt.run.wait() == Outcome("cancelled")
    assert attempt.told.of("instance")[-1] == ("stopped", None)
    with pytest.raises(AdapterError, match="over"):
        attempt.run.prompt("more", None)
