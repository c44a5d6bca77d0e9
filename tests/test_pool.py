"""The pool keeps what its lanes hold wherever they are moved."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from restore.models.pool import Lane, Pool
from restore.models.shape import Shape

SHAPE = Shape(
    layers=3, width=8, heads=2, groups=2, head_width=4, inner=8, vocabulary=10, positions=4096, theta=1e4, epsilon=1e-5
)  # fmt: skip

lengths = st.integers(min_value=1, max_value=400)
steps = st.lists(st.tuples(st.lists(lengths, max_size=4), st.integers(min_value=0, max_value=10)), max_size=8)


@given(steps)
def test_lanes_keep_what_they_hold_while_others_come_and_go(script: list[tuple[list[int], int]]) -> None:
    pool, held, count = Pool(SHAPE), list[tuple[Lane, np.ndarray]](), 0
    for coming, going in script:
        lanes = [Lane(tuple(range(length))) for length in coming]
        pool.fit(len(lanes), max((lane.room for lane in lanes), default=0))
        for lane in lanes:
            number, length = lane.enter(pool), len(lane.prompt)
            count += 1
            wrote = np.arange(6 * 2 * length * 4, dtype=np.float32).reshape(6, 2, length, 4) + count / 8
            pool.data[:, number, :, :length] = wrote
            held.append((lane, wrote))
        lanes = []
        lane = None  # type: ignore[assignment]
        del held[: going % (len(held) + 1)]
        pool.fit()
        assert [one.number for one in pool.live()] == sorted(one.number for one, _ in held)
        for lane, wrote in held:
            assert np.array_equal(pool.data[:, lane.number, :, : wrote.shape[2]], wrote)
        lane = None  # type: ignore[assignment]

