"""No schedule of the pacing arithmetic ever exceeds a limit of the broker."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from trading_assets.broker.pacing import LATE_LIMIT
from trading_assets.broker.pacing_rules import (
    SmallRules,
    SmallSend,
    Stake,
    fair_share,
    message_slots,
    rebalanced,
    small_ready_at,
)

RULES = SmallRules(in_burst=5, in_long=57, identical=16.0)
BROKER_RATE = 50


@given(
    asks=st.lists(st.tuples(st.floats(0, 0.5), st.integers(1, 8)), min_size=1, max_size=60),
    lateness=st.lists(st.floats(0, LATE_LIMIT), min_size=8, max_size=8),
)
def test_any_second_holds_at_most_what_the_broker_allows(asks: list[tuple[float, int]], lateness: list[float]) -> None:
    """However processes ask, and however late each message leaves within its limit."""
    now = 0.0
    recent: list[float] = []
    sent: list[float] = []
    for pause, count in asks:
        now += pause
        slots, recent = message_slots(recent, now, 48.0, count)
        assert slots == sorted(slots)
        assert slots[0] >= now
        sent += [at + lateness[(len(sent) + i) % len(lateness)] for i, at in enumerate(slots)]
    sent.sort()
    for i, first in enumerate(sent):
        assert sum(1 for at in sent[i:] if at < first + 1.0) <= BROKER_RATE


def test_a_steady_demand_gets_the_full_rate_and_a_stall_is_made_up_for() -> None:
    recent: list[float] = []
    last = 0.0
    for _ in range(480):
        [at], recent = message_slots(recent, last + (0.2 if _ == 240 else 0.0), 48.0, 1)
        last = at
    assert last < 10.0


sends = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 2), st.sampled_from([1, 2]), st.floats(0, 20)),
    min_size=1,
    max_size=120,
)


@given(sends)
def test_small_bar_rules_hold_for_every_order_of_requests(requests: list[tuple[int, int, int, float]]) -> None:
    now = 0.0
    history: list[SmallSend] = []
    for question, contract, weight, pause in requests:
        now += pause
        key, tick = f"{contract}:{question}", f"{contract}"
        at = small_ready_at(history, key, tick, weight, now, RULES)
        assert at >= now
        history.append(SmallSend(at, key, tick, weight))
        now = at
    for i, send in enumerate(history):
        later = history[i:]
        assert sum(s.weight for s in later if s.at < send.at + 600.0) <= 60
        assert sum(1 for s in later if s.contract_tick_key == send.contract_tick_key and s.at < send.at + 2.0) <= 5
        assert all(s.at >= send.at + 15.0 for s in later[1:] if s.key == send.key)


def test_small_bar_requests_go_at_once_while_nothing_forbids_it() -> None:
    history = [SmallSend(float(i), f"k{i}", f"c{i}", 1) for i in range(56)]
    assert small_ready_at(history, "new", "cnew", 1, 56.0, RULES) == 56.0
    assert small_ready_at(history, "new", "cnew", 2, 56.0, RULES) > 600.0


@given(st.integers(0, 60), st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.integers(0, 80), max_size=8))
def test_fair_share(limit: int, wants: dict[str, int]) -> None:
    shares = fair_share(limit, wants)
    assert sum(shares.values()) == min(limit, sum(wants.values()))
    assert all(0 <= shares[name] <= want for name, want in wants.items())
    unsatisfied = [shares[name] for name, want in wants.items() if shares[name] < want]
    if unsatisfied:
        assert max(unsatisfied) - min(unsatisfied) <= 1
        assert max(shares.values()) <= max(unsatisfied) + 1


@given(
    st.integers(1, 50),
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 40), st.integers(0, 50)), max_size=80),
)
def test_slots_held_by_all_processes_never_exceed_the_limit(limit: int, steps: list[tuple[str, int, int]]) -> None:
    """Processes look in any order, with any demand; each uses what its target allows and gets back some of it."""
    stakes: dict[str, Stake] = {}
    used: Counter[str] = Counter()
    for name, done, waiting in steps:
        used[name] = max(0, used[name] - done)
        others = {other: stake for other, stake in stakes.items() if other != name}
        held, target = rebalanced(limit, name, used[name], waiting, others)
        stakes[name] = Stake(held, used[name] + waiting)
        used[name] = max(used[name], min(target, used[name] + waiting))
        assert used[name] <= held
        assert sum(stake.held for stake in stakes.values()) <= limit
        assert sum(used.values()) <= limit


def test_a_newcomer_gets_its_share_as_answers_come() -> None:
    stakes = {"a": Stake(49, 1000)}
    held, _ = rebalanced(49, "b", 0, 1000, stakes)
    assert held == 0
    stakes["b"] = Stake(held, 1000)
    held, target = rebalanced(49, "a", 49, 951, {"b": stakes["b"]})
    assert (held, target) == (49, 25)
    held, target = rebalanced(49, "a", 25, 951, {"b": stakes["b"]})
    assert (held, target) == (25, 25)
    assert rebalanced(49, "b", 0, 1000, {"a": Stake(25, 1000)}) == (24, 24)
