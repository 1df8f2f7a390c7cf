"""What the experiments measure with: pages, histograms, pauses, markers."""

import pytest

from benchmarks.experiments import pages
from benchmarks.experiments.markers import Watch, latencies
from benchmarks.experiments.memory import slope
from benchmarks.experiments.topics import Pause, longest_pause

PAGE = """# HELP funnel_a_total Something.
# TYPE funnel_a_total counter
funnel_a_total{funnel="f",value="p1"} 3.0
funnel_a_total{funnel="f",value="p\\"2"} 4.0
funnel_a_total{funnel="g",value="p1"} 5.0
funnel_a_total_more{funnel="f"} 100.0
funnel_units{site="s"} 7
funnel_l_seconds_bucket{le="0.1",site="s"} 10.0
funnel_l_seconds_bucket{le="0.5",site="s"} 30.0
funnel_l_seconds_bucket{le="+Inf",site="s"} 40.0
"""


def test_samples_are_found_by_name_and_labels() -> None:
    assert pages.total(PAGE, "funnel_a_total") == 12.0
    assert pages.total(PAGE, "funnel_a_total", funnel="f") == 7.0
    assert [sample.labels["value"] for sample in pages.samples(PAGE, "funnel_a_total", funnel="f")] == ["p1", 'p\\"2']
    assert pages.total(PAGE, "funnel_units") == 7.0
    assert pages.total("", "funnel_units") == 0.0


def test_a_histogram_rises_and_is_read_as_prometheus_reads_it() -> None:
    after = pages.buckets(PAGE, "funnel_l_seconds")
    assert after == {0.1: 10.0, 0.5: 30.0, float("inf"): 40.0}
    assert pages.rise({0.1: 4.0, 0.5: 4.0, float("inf"): 4.0}, after) == {0.1: 6.0, 0.5: 26.0, float("inf"): 36.0}
    assert pages.histogram_quantile(after, 0.125) == pytest.approx(0.05)
    assert pages.histogram_quantile(after, 0.5) == pytest.approx(0.3)
    assert pages.histogram_quantile(after, 0.99) == 0.5
    with pytest.raises(ValueError, match="empty"):
        pages.histogram_quantile({0.1: 0.0, float("inf"): 0.0}, 0.5)


@pytest.mark.parametrize(
    ("times", "begin", "end", "pause"),
    [
        ([0.0, 1.0, 2.0, 5.0, 6.0], 0.5, 5.5, Pause(2.0, 5.0)),
        ([0.0, 2.5, 5.0], 1.0, 3.0, Pause(0.0, 2.5)),  # it began before what is looked at
        ([0.0, 2.0, 2.9, 9.0], 1.0, 3.0, Pause(0.0, 2.0)),  # the next span's pause is not this one's
        ([0.0, 1.0], 0.5, 9.0, Pause(1.0, 9.0)),  # nothing came any more
        ([], 2.0, 5.0, Pause(2.0, 5.0)),
    ],
)
def test_the_longest_pause_of_a_span(times: list[float], begin: float, end: float, pause: Pause) -> None:
    assert longest_pause(times, begin, end) == pause


def test_each_marker_meets_its_own_sight() -> None:
    sent, seen = {0: [1000, 2000, 3000], 1: [1500]}, {0: [1010, 2500, 3001], 1: [1600]}
    assert latencies(sent, seen) == [10, 500, 1, 100]
    assert latencies(sent, seen, skip=1) == [500, 1]
    with pytest.raises(AssertionError, match="partition 1: 0 of 1 markers"):
        latencies(sent, {0: seen[0]})


def test_markers_are_seen_once_each() -> None:
    looks = iter([{0: 1}, {0: 1, 1: 2}, {0: 3, 1: 2}])
    last = {0: 3, 1: 2}
    with Watch(lambda: next(looks, last), 0.001) as watch:
        while watch.looks < 5:
            pass
    assert {partition: len(times) for partition, times in watch.seen.items()} == last
    assert watch.seen[0] == sorted(watch.seen[0])
    assert watch.has(5)
    assert not watch.has(6)


def test_a_failing_look_is_told() -> None:
    def look() -> dict[int, int]:
        raise ValueError("Code: 60")

    with Watch(look, 0.001) as watch:
        while not watch.problem:
            pass
    with pytest.raises(AssertionError, match="Code: 60"):
        watch.has(0)


def test_the_slope_is_that_of_the_line_through_the_points() -> None:
    assert slope([(0, 100), (10, 5100), (20, 10100)]) == 500.0
