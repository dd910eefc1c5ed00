"""Sharing work out among cores: each job once, whoever does it, and what goes wrong is told."""

from __future__ import annotations

import os
import threading
import time

import pytest

from pipelines.core import cores
from pipelines.core.cores import available_cores, on_all_cores


@pytest.mark.parametrize("jobs", [0, 1, 2, 7, 100])
@pytest.mark.parametrize("count", [1, 2, 5, None])
def test_every_job_is_done_once_and_before_it_returns(jobs: int, count: int | None) -> None:
    done: list[int] = []
    on_all_cores(done.append, jobs, count)
    assert sorted(done) == list(range(jobs))


def test_several_threads_work_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two jobs that wait for one another end only where both are under way."""
    monkeypatch.setattr(cores, "available_cores", lambda: 2)
    cores._pool.cache_clear()
    meeting = threading.Barrier(2, timeout=20)
    on_all_cores(lambda job: meeting.wait(), 2)
    cores._pool.cache_clear()


def test_what_a_job_raises_is_raised_on_any_thread() -> None:
    here = threading.get_ident()

    def fails_elsewhere(job: int) -> None:
        time.sleep(0.01)
        if threading.get_ident() != here:
            raise ArithmeticError("elsewhere")

    def fails_here(job: int) -> None:
        raise ArithmeticError("here")

    with pytest.raises(ArithmeticError, match="here"):
        on_all_cores(fails_here, 4, 1)
    if available_cores() > 1:
        with pytest.raises(ArithmeticError, match="elsewhere"):
            on_all_cores(fails_elsewhere, 50, 2)


def test_many_may_share_the_same_helpers() -> None:
    """Work shared out from many threads at once, as when frames are read side by side, comes to an end."""
    totals: list[int] = []

    def share(number: int) -> None:
        done: list[int] = []
        on_all_cores(done.append, 20)
        totals.append(len(done))

    threads = [threading.Thread(target=share, args=(k,)) for k in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert totals == [20] * 12


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_has_helpers_of_its_own() -> None:
    """The parent's threads are gone in a child; waiting for them would never end."""
    on_all_cores(lambda job: None, 4)
    child = os.fork()
    if child == 0:
        done: list[int] = []
        on_all_cores(done.append, 8)
        os._exit(0 if sorted(done) == list(range(8)) else 1)
    for _ in range(200):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        time.sleep(0.05)
    else:
        os.kill(child, 9)
    assert ended and status == 0
