"""Limits as pure meters: a rule is violated exactly when the broker would say so, never because the simulator was
slow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.simulator.limits import Arrival, Gauge, Limits, SmallBarMeter, Window


def at(seconds: float) -> Arrival:
    return Arrival(seconds, seconds)


def test_fifty_messages_a_second_pass_and_one_more_does_not() -> None:
    window = Window(50, 1.0)
    assert [window.add(at(i / 100)) for i in range(50)] == [0] * 50
    assert window.add(at(0.6)) == 51
    assert window.add(at(2.0)) == 0


@given(st.lists(st.floats(0, 100), min_size=1, max_size=200), st.integers(1, 20), st.floats(0.5, 10))
def test_a_window_agrees_with_counting_by_hand(times: list[float], capacity: int, seconds: float) -> None:
    window, times = Window(capacity, seconds), sorted(times)
    for i, now in enumerate(times):
        inside = sum(1 for earlier in times[: i + 1] if now - earlier < seconds)
        assert window.add(at(now)) == (inside if inside > capacity else 0)


@given(st.lists(st.floats(0, 3), min_size=1, max_size=40))
def test_a_stall_of_the_simulator_is_no_violation_of_the_client(pauses: list[float]) -> None:
    """A client sends 48 a second; the simulator looks at its socket only now and then, for up to 3 s not at all."""
    window, sent, read, looked = Window(50, 1.0), 0, 0.0, 0.0
    for pause in pauses:
        read += pause
        while sent / 48 <= read:
            assert not window.add(Arrival(looked, read))
            sent += 1
        looked = read


@given(st.lists(st.floats(0, 0.01), min_size=60, max_size=60))
def test_a_flood_is_a_violation_however_it_is_read(pauses: list[float]) -> None:
    window, now = Window(50, 1.0), 0.0
    over = 0
    for pause in pauses:
        over, now = window.add(Arrival(now, now + pause)), now + pause
    assert over


def test_waiting_for_room() -> None:
    window = Window(2, 1.0)
    window.add(at(0.0))
    window.add(at(0.25))
    assert window.wait(0.5) == pytest.approx(0.5)
    assert window.wait(1.0) == 0.0


def test_identical_small_bar_requests() -> None:
    meter = SmallBarMeter(Limits())
    assert meter.add(at(0), "A/TRADES", "q") == ""
    assert "identical" in meter.add(at(14.9), "A/TRADES", "q")
    assert meter.add(at(30), "A/TRADES", "q") == ""


def test_six_for_one_contract_within_two_seconds() -> None:
    meter = SmallBarMeter(Limits())
    assert not any(meter.add(at(i / 10), "A/TRADES", f"q{i}") for i in range(5))
    assert not meter.add(at(0.5), "A/BID", "other tick type")
    assert "6 requests for one contract" in meter.add(at(0.6), "A/TRADES", "q6")
    assert not meter.add(at(5), "A/TRADES", "q7")


def test_sixty_in_ten_minutes_and_bid_ask_counts_twice() -> None:
    meter = SmallBarMeter(Limits())
    assert not any(meter.add(at(9 * i), f"c{i}", f"q{i}", weight=2) for i in range(30))
    assert "62 requests" in meter.add(at(280), "x", "x", weight=2)
    assert not meter.add(at(700), "y", "y")


def test_a_gauge_counts_even_what_it_refuses() -> None:
    gauge = Gauge(1)
    assert gauge.take()
    assert not gauge.take()
    gauge.give()
    assert gauge.used == 1
