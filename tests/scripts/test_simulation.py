"""The capacity model's arithmetic, and the simulation of its queues."""

from dataclasses import replace

import pytest

from scripts.simulation import capacity, costs, study, validation
from scripts.simulation.capacity import Load, Machine
from scripts.simulation.costs import Costs
from scripts.simulation.queues import Scenario, Simulation

PRICES = Costs(
    mutation=1000, local_mutation=800, local_commit=200, wake=10, delivery=1, tailer=100,
    turn=200, statements=100, connect=1000, resume=500, snapshot_build=5000, notify_ms=1,
    connection_kib=16,
    worker_mib=100, event_bytes=500,
)  # fmt: skip
QUIET = Load(boards=100, subscribers=10, rate=0.1)


def run(load, workers=1, seed=1, prices=PRICES, **scenario):
    return Simulation(Scenario(load, workers, **scenario), prices, seed).run()


def test_fan_out_costs_are_found_again_in_points_that_were_made_from_them():
    wake, delivery, mutation = 12.0, 0.7, 900.0
    points = []
    for rate, streams in ((20, 100), (10, 1000), (100, 1000), (300, 1000), (1200, 100)):
        each = wake / costs.joined_paced(rate, streams, wake, delivery) + delivery
        points.append(costs.Point(rate, streams, mutation + streams * each))
    found = costs.fan_out(points, mutation)
    assert found == (pytest.approx(wake, rel=0.02), pytest.approx(delivery, rel=0.05))


def test_a_round_joins_what_comes_in_its_window_and_a_long_round_has_a_long_one():
    assert costs.joined(0.001, 10, wake=10, delivery=0) == pytest.approx(1, abs=1e-4)
    assert costs.joined(1000, 10, wake=10, delivery=0) == pytest.approx(1 + 1000 * costs.WINDOW_S)
    assert costs.joined(1000, 1000, wake=10, delivery=0) == pytest.approx(
        1 + 1000 * costs.SHARE * 0.01
    )


def test_a_workers_core_is_the_sum_of_what_it_does():
    load = Load(boards=10, subscribers=100, rate=2)
    parts = capacity.worker_cpu(2, load, PRICES)
    assert parts["changes"] == pytest.approx(20 / 2 * 1000e-6)
    assert parts["following the log"] == pytest.approx(20 * 100e-6)
    assert parts["deliveries"] == pytest.approx(
        20 * 100 / 2 * (10 / (1 + 2 * costs.WINDOW_S) + 1) * 1e-6
    )
    assert parts["heartbeats"] == pytest.approx(1000 / 2 / 15 * 10e-6)


def test_more_workers_share_everything_but_following_the_log():
    one, many = (capacity.worker_cpu(n, QUIET, PRICES) for n in (1, 4))
    assert many.pop("following the log") == one.pop("following the log")
    assert many == {name: pytest.approx(share / 4) for name, share in one.items()}


@pytest.mark.parametrize("load", [QUIET, Load(1000, 100, 1), Load(10_000, 100, 0.05)])
def test_the_number_of_workers_is_enough_and_one_less_is_not(load):
    needed = capacity.workers_for(load, PRICES)

    def fits(workers):
        core = sum(capacity.worker_cpu(workers, load, PRICES).values())
        return core <= capacity.TARGET and load.streams <= workers * capacity.STREAMS_OF_A_WORKER

    assert fits(needed)
    assert needed == 1 or not fits(needed - 1)


def test_no_number_of_workers_is_enough_when_following_the_log_fills_a_core():
    assert capacity.workers_for(Load(10_000, 1, 0.8), PRICES) is None
    assert capacity.workers_for(Load(10_000, 1, 0.8), replace(PRICES, tailer=10)) is not None


def test_what_is_used_up_first_is_used_up_at_the_factor_that_is_named():
    load, machine = Load(1000, 100, 0.5), Machine()
    workers = capacity.workers_for(load, PRICES)
    name, factor = capacity.first_limit(workers, 1, load, PRICES, machine)
    used = capacity.utilisation(workers, 1, load.times(factor), PRICES, machine)
    assert used[name] == pytest.approx(1, rel=1e-6)
    slow = replace(PRICES, statements=3000)
    name, factor = capacity.first_limit(workers * 50, 9, load, slow, machine)
    assert name == capacity.DATABASE
    assert capacity.database(workers * 50, load.times(factor), slow) == pytest.approx(1)


def test_changes_of_one_process_share_a_commit_when_the_turns_come_seldom():
    load = Load(boards=1000, subscribers=1, rate=4)
    apart = 4000 * (200 + 100) / 1e6
    assert capacity.database(1000, load, PRICES) == pytest.approx(apart)
    assert capacity.database(4, load, PRICES) == pytest.approx((4000 * 100 + 40 * 200) / 1e6)


def test_memory_grows_with_streams_and_workers():
    load = Load(1000, 1000, 0.1)
    streams_gib = 1_000_000 * 16 / 2**20
    assert capacity.memory_gib(10, load, PRICES) == pytest.approx(streams_gib + 1000 / 1024)
    assert capacity.machines_for(64, load, PRICES, Machine(cores=32)) == 2
    assert capacity.machines_for(1, load, PRICES, Machine(memory_gib=4)) == 5


@pytest.mark.parametrize(
    ("restart", "expected"),
    [("none", 0), ("worker", 112), ("machine", 1000), ("all", 1000), ("restore", 1000)],
)
def test_who_comes_back_comes_to_the_workers_that_are_left(restart, expected):
    assert study.cut_off(restart, Load(100, 100, 1), workers=10, machines=2) == expected


def test_the_same_seed_gives_the_same_answer_and_another_seed_another():
    first, again, other = (run(QUIET, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.delivery_s != other.delivery_s


def test_an_idle_server_delivers_in_the_time_of_the_steps_alone():
    found = run(Load(1, 1, 2), seconds=20)
    alone_s = (1000 + 300 + 1000 + 100 + 11) / 1e6  # change, commit, notify, tailer, write
    assert validation.percentile(found.delivery_s, 0.5) == pytest.approx(alone_s)


def test_the_simulated_core_is_as_busy_as_the_arithmetic_says():
    load = Load(boards=200, subscribers=50, rate=2)
    found = run(load, workers=2, seconds=20)
    parts = capacity.worker_cpu(2, load, PRICES)
    parts.pop("heartbeats")  # they are not simulated
    assert found.busy == pytest.approx(sum(parts.values()), rel=0.06)
    assert found.database_busy == pytest.approx(load.events * 300e-6, rel=0.06)


def test_events_of_one_board_within_a_window_share_a_write():
    load = Load(boards=1, subscribers=100, rate=400)
    found = run(load, local=True, seconds=20)
    alone = 400 * (PRICES.local_mutation + 100 * (PRICES.wake + PRICES.delivery)) / 1e6
    shared = costs.joined(400, 100, PRICES.wake, PRICES.delivery)
    expected = 400 * (PRICES.local_mutation + 100 * (PRICES.wake / shared + PRICES.delivery)) / 1e6
    assert found.busy == pytest.approx(expected, rel=0.15)
    assert found.busy < alone * 0.8


def test_streams_that_come_back_take_their_time_and_delay_the_others():
    calm, storm = run(QUIET), run(QUIET, cut=4000, jitter_s=1)
    assert calm.back_s == 0
    assert storm.back_s == pytest.approx(4000 * 500e-6, rel=0.1)
    waits = [validation.percentile(o, 0.9) for o in (calm.delivery_s, storm.storm_delivery_s)]
    assert waits[1] > waits[0] * 10


def test_a_state_is_built_once_a_board_for_all_streams_that_need_it():
    boards = QUIET.boards
    found = run(QUIET, cut=2000, jitter_s=0.5, fresh=True)
    assert found.back_s == pytest.approx((2000 * 1000 + boards * 5000) * 1e-6, rel=0.05)


def test_when_turns_come_seldom_the_changes_of_one_worker_share_one():
    slow = replace(PRICES, turn=50_000)
    found = run(Load(100, 1, 1), prices=slow, seconds=20)
    assert found.database_busy < 1  # 100 changes/s would take 5 s of every second one by one
    assert validation.percentile(found.delivery_s, 0.99) < 0.2


def test_the_answer_to_a_whole_question_names_its_limit():
    found = study.study(Load(1000, 100, 0.5), Machine(), PRICES, None, "machine", 1, 1, 1)
    assert found.enough
    assert found.workers == capacity.workers_for(found.load, PRICES)
    assert found.limit[1] > 1
    crowded = study.study(found.load, Machine(), PRICES, 1, "none", 1, 0.1, 1)
    assert not crowded.enough


def test_results_without_a_row_are_refused_by_its_name():
    with pytest.raises(costs.Incomplete, match="row A of cortex"):
        costs.from_results({"median": {"cortex": {}}})
