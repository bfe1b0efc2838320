"""Steps: back and forward through what a panel has shown; dragging a slider makes one step."""

from __future__ import annotations

import random

import pytest

from cbirlab.widgets.parts.steps import MOST_FOUND, MOST_STEPS, REST, Steps


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now

    def rest(self) -> None:
        self.now += 2 * REST


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def steps(clock):
    return Steps(clock)


def shown(steps, clock, *states):
    for state in states:
        clock.rest()
        steps.keep(state, state, f"found {state}")


def test_one_goes_back_and_forward(steps, clock):
    assert (steps.back(), steps.forward(), steps.ways) == (None, None, (False, False))
    shown(steps, clock, 1, 2, 3)
    assert [steps.back(), steps.back(), steps.back()] == [2, 1, None]
    assert steps.ways == (False, True)
    assert [steps.forward(), steps.forward(), steps.forward()] == [2, 3, None]


def test_what_was_gone_back_from_is_forgotten_by_a_new_move(steps, clock):
    shown(steps, clock, 1, 2, 3)
    steps.back()
    steps.keep(2, 2, "found 2")  # the panel draws what it went back to
    assert steps.ways == (True, True)
    shown(steps, clock, 4)
    assert (steps.ways, steps.back(), steps.back()) == ((True, False), 2, 1)


def test_the_way_of_a_slider_is_one_step(steps, clock):
    shown(steps, clock, 1)
    clock.rest()
    for state in (2, 3, 4, 5):
        assert steps.before(state) == "found 1"
        steps.keep(state, state, f"found {state}")
        clock.now += REST / 4
    assert steps.before(5) == "found 1"
    assert steps.back() == 1


def test_a_slider_that_comes_back_makes_no_step(steps, clock):
    shown(steps, clock, 1, 2)
    clock.rest()
    steps.keep(3, 3, "found 3")
    steps.keep(2, 2, "found 2")
    assert (steps.back(), steps.back()) == (1, None)


def test_old_findings_and_old_steps_are_dropped(steps, clock):
    shown(steps, clock, *range(2 * MOST_STEPS))
    clock.rest()
    kept = [one for one in steps._steps if one.found is not None]
    assert (len(steps._steps), len(kept)) == (MOST_STEPS, MOST_FOUND + 1)
    assert steps.before(2 * MOST_STEPS) == f"found {2 * MOST_STEPS - 1}"


def test_going_back_through_all_steps_keeps_few_findings(steps, clock):
    shown(steps, clock, *range(50))
    for state in range(48, -1, -1):
        assert steps.back() == state
        steps.keep(state, state, f"found {state}")  # the panel draws what it went back to
        assert sum(one.found is not None for one in steps._steps) <= 2 * MOST_FOUND + 1
    assert steps.before(0) is None


def test_any_moves_against_a_plain_list(steps, clock):
    draw, past, future = random.Random(0), [], []
    for _ in range(2000):
        way = draw.choice(["new", "new", "back", "forward"])
        if way == "new":
            state = draw.randrange(5)
            shown(steps, clock, state)
            if not past or past[-1] != state:
                past, future = [*past, state][-MOST_STEPS:], []
        elif way == "back":
            wanted = past[-2] if len(past) > 1 else None
            assert steps.back() == wanted
            if len(past) > 1:
                future.append(past.pop())
        else:
            assert steps.forward() == (future[-1] if future else None)
            if future:
                past.append(future.pop())
        assert steps.ways == (len(past) > 1, bool(future))
