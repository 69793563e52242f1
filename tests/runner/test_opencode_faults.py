"""The OpenCode adapter when frames, connections or the server are lost, and when news repeat."""

import os
import signal
import threading
from dataclasses import replace

import psutil
import pytest

from cortex_cli.runner.adapters import Outcome
from cortex_cli.runner.errors import AdapterError
from tests.support.replays import QUICK
from tests.support.server import wait_for
from tests.support.told import Told


def everything(told: Told):
    """What a reader has in the end, and what must be told exactly once."""
    log = sorted(given for given in told.of("log") if given[0] != "system")
    return (
        sorted(told.messages, key=lambda place: place[0]),  # in their order in each session
        [(place, told.kinds[place], text) for place, text in sorted(told.texts.items())],
        all(message["complete"] for message in told.messages.values()),
        told.of("todos")[-1:],
        [call for call in told.calls if call.name in ("ask", "withdrawn", "session_ended")],
        log,
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What is told of a scenario when nothing is lost, each played once."""
    from tests.support.replays import Replays

    known = {}

    def of(scenario):
        if scenario not in known:
            replays = Replays(tmp_path_factory.mktemp("undisturbed"))
            attempt = replays.start(scenario)
            if scenario.startswith("perm"):
                attempt.run.answer(attempt.asked(), ["once"], None)
            assert attempt.run.wait().status == "succeeded"
            replays.close()
            known[scenario] = everything(attempt.told)
        return known[scenario]

    return of


# In the middle of a text, over most of the work, just before the end.
@pytest.mark.parametrize(("cut", "lose"), [(20, 5), (45, 120), (215, 11)])
def test_a_lost_connection_loses_and_repeats_nothing(replays, undisturbed, cut, lose):
    attempt = replays.start("hello", "--cut", str(cut), "--lose", str(lose))

    assert attempt.run.wait().status == "succeeded"

    assert attempt.told.wrong == []
    assert everything(attempt.told) == undisturbed("hello")


def test_a_sub_agent_is_found_after_a_lost_connection(replays, undisturbed):
    attempt = replays.start("task", "--cut", "20", "--lose", "60")

    assert attempt.run.wait().status == "succeeded"

    assert attempt.told.wrong == []
    assert everything(attempt.told) == undisturbed("task")
    links = ["connecting", "connected", "disconnected", "connected", "disconnected"]
    assert attempt.told.of("link") == links


def test_a_permission_is_found_after_a_lost_connection(replays, undisturbed):
    attempt = replays.start("perm_once", "--cut", "15", "--lose", "23")

    attempt.run.answer(attempt.asked(), ["once"], None)

    assert attempt.run.wait().status == "succeeded"
    assert everything(attempt.told) == undisturbed("perm_once")


def test_lost_deltas_are_made_good_and_idle_may_be_said_twice(replays, undisturbed):
    attempt = replays.start("hello", "--drop", "3", "--twice")

    assert attempt.run.wait().status == "succeeded"

    assert everything(attempt.told) == undisturbed("hello")


def test_frames_that_come_in_pieces_are_put_together(replays, undisturbed):
    attempt = replays.start(
        "hello", "--pieces", "31", "--replace", "Now the notes", "N\u2028w thé n\U0001f600tes"
    )

    assert attempt.run.wait().status == "succeeded"

    assert "N\u2028w thé n\U0001f600tes." in attempt.told.said(attempt.told.root)
    assert attempt.told.wrong == []


def test_a_burst_is_told_whole_and_in_few_calls(replays):
    attempt = replays.start("hello", "--burst", "5000")

    assert attempt.run.wait().status == "succeeded"

    told = attempt.told
    assert told.said(told.root)[-1].endswith(" w4998 w4999")
    assert told.wrong == []
    assert len(told.of("delta")) + len(told.of("message")) < 200


def test_two_servers_with_the_same_ids_do_not_mix(replays):
    one = replays.start("hello", "--replace", "Done. ", "Done by one. ")
    two = replays.start("hello", "--replace", "Done. ", "Done by two. ")

    assert {one.run.wait().status, two.run.wait().status} == {"succeeded"}

    assert one.told.root == two.told.root
    assert one.told.said(one.told.root)[-1].startswith("Done by one. w0")
    assert two.told.said(two.told.root)[-1].startswith("Done by two. w0")
    assert one.told.texts.keys() == two.told.texts.keys()


def test_secrets_are_told_nowhere(replays):
    secret = "I will plan, then"  # runs over several deltas
    attempt = replays.start("hello", "--replace", "cat hello.txt", secret, secrets=(secret,))

    attempt.run.wait()

    told = attempt.told
    assert told.said(told.root, "thinking") == ["The user wants a file. [redacted] write it."]
    assert secret not in repr(told.calls)
    assert secret not in repr(told.messages)
    assert told.wrong == []


def test_nothing_is_left_of_an_attempt(replays):
    def descriptors():
        return len(os.listdir("/proc/self/fd"))

    replays.start("hello").run.wait()
    replays.close()
    threads, open_before = set(threading.enumerate()), descriptors()

    attempt = replays.start("hello", "--cut", "60", "--lose", "20")
    attempt.run.wait()
    pid = attempt.run._server._child.pid
    assert not psutil.pid_exists(pid)
    attempt.group.stop()

    wait_for(lambda: set(threading.enumerate()) <= threads, "its threads have ended")
    assert descriptors() <= open_before


def test_a_killed_server_fails_the_attempt_and_keeps_what_it_said(replays):
    attempt = replays.start("abort")
    attempt.told.until(lambda told: told.said(told.root))

    os.kill(attempt.run._server._child.pid, signal.SIGKILL)

    assert attempt.run.wait() == Outcome("failed", "OpenCode's server ended with signal 9.", -9)
    told = attempt.told
    assert told.said(told.root)[0].startswith("w0 w1 ")
    assert all(message["complete"] for message in told.messages.values())
    assert told.of("instance")[-1] == ("error", "OpenCode's server ended with signal 9.")
    assert told.of("session_ended", told.root) == ["failed"]


def test_a_server_that_is_not_well_is_shown_so(replays, tmp_path):
    sick = tmp_path / "sick"
    attempt = replays.start("perm_once", "--sick", str(sick))
    attempt.asked()

    sick.touch()
    attempt.told.until(lambda told: told.of("instance")[-1][0] == "unhealthy")
    sick.unlink()
    attempt.told.until(lambda told: told.of("instance")[-1] == ("running", None))

    attempt.run.stop()
    assert attempt.run.wait().status == "cancelled"


def test_a_server_that_stays_unwell_fails_the_attempt(replays, tmp_path):
    sick = tmp_path / "sick"
    attempt = replays.start(
        "perm_once", "--sick", str(sick), timing=replace(QUICK, unhealthy_s=0.2)
    )
    attempt.asked()

    sick.touch()

    outcome = attempt.run.wait()
    assert (outcome.status, outcome.reason) == (
        "failed",
        "OpenCode's server has stopped answering.",
    )


# The server says that it cannot have the port, or the other one there answers.
@pytest.mark.parametrize("how", ["--fail-once", "--stranger-once"])
def test_a_port_that_another_took_costs_another_try(replays, tmp_path, how):
    attempt = replays.start("hello", how, str(tmp_path / "tried"))

    assert attempt.run.wait().status == "succeeded"


def test_a_program_that_only_fails_says_why(replays):
    attempt = replays.start("hello", program="sh -c 'echo no licence here >&2; exit 3'")

    outcome = attempt.run.wait()

    assert outcome.status == "failed"
    assert outcome.reason == "OpenCode did not start: no licence here"
    assert attempt.told.of("instance")[-1][0] == "error"


def test_a_program_that_does_not_answer_is_given_up(replays):
    attempt = replays.start(
        "hello", program="sh -c 'echo busy; sleep 60'", timing=replace(QUICK, start_s=0.3)
    )

    assert attempt.run.wait() == Outcome("failed", "OpenCode did not answer within 0.3 s: busy")


def test_a_prompt_that_is_never_begun_is_no_success(replays):
    attempt = replays.start("hello", "--deaf", timing=replace(QUICK, begin_s=0.3))

    assert attempt.run.wait() == Outcome("failed", "OpenCode did not begin to work on the prompt.")


def test_a_program_that_is_not_there_is_an_error_at_once(replays):
    with pytest.raises(AdapterError, match="could not be started"):
        replays.start("hello", program="/nowhere/opencode")


def test_a_stop_while_it_starts_is_a_stop(replays):
    attempt = replays.start("hello", program="sh -c 'sleep 60'")

    attempt.run.stop()

    assert attempt.run.wait() == Outcome("cancelled")
