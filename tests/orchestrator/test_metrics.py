"""What /metrics tells."""

from __future__ import annotations

from types import SimpleNamespace

from prometheus_client.parser import text_string_to_metric_families

from llm_orchestrator.background.log_writer import Tally
from llm_orchestrator.metrics import Metrics


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = metrics.render().decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_requests_and_tokens_are_counted_by_name() -> None:
    metrics = Metrics()
    for status in (200, 200, 502):
        metrics.observe_request(
            endpoint="/v1/chat/completions",
            model="large",
            provider="one",
            status=status,
            seconds=0.02,
            prompt_tokens=5,
            completion_tokens=7,
        )
    metrics.observe_request(
        endpoint="/v1/chat/completions", model=None, provider=None, status=404, seconds=0.001
    )
    found = samples(metrics)
    names = (("endpoint", "/v1/chat/completions"), ("model", "large"), ("provider", "one"))
    nobody = (("endpoint", "/v1/chat/completions"), ("model", ""), ("provider", ""))
    assert found["llm_requests_total", (*names, ("status", "200"))] == 2
    assert found["llm_requests_total", (*names, ("status", "502"))] == 1
    assert found["llm_requests_total", (*nobody, ("status", "404"))] == 1
    assert found["llm_request_seconds_count", names] == 3
    assert found["llm_request_seconds_bucket", tuple(sorted((*names, ("le", "0.025"))))] == 3
    tokens = (("kind", "completion"), ("model", "large"), ("provider", "one"))
    assert found["llm_tokens_total", tokens] == 21


def test_lost_logs_can_be_alerted_on() -> None:
    metrics = Metrics()
    metrics.watch_logs(SimpleNamespace(waiting=4, tally=Tally(9, 2, 3)))
    found = samples(metrics)
    assert found["llm_logs_waiting", ()] == 4
    assert found["llm_logs_written_total", ()] == 9
    assert found["llm_logs_dropped_total", (("why", "queue full"),)] == 2
    assert found["llm_logs_dropped_total", (("why", "database"),)] == 3


def test_a_provider_that_is_deleted_is_told_of_no_longer() -> None:
    metrics = Metrics()
    metrics.tell_health("one", False)
    metrics.tell_health("two", True)
    assert samples(metrics)["llm_provider_healthy", (("provider", "one"),)] == 0
    metrics.forget_provider("one")
    kept = [key for key in samples(metrics) if key[0] == "llm_provider_healthy"]
    assert kept == [("llm_provider_healthy", (("provider", "two"),))]


def test_two_applications_in_one_process_count_apart() -> None:
    one, two = Metrics(), Metrics()
    one.observe_attempt("p", "ok")
    one.observe_limited()
    assert samples(one)["llm_rate_limited_total", ()] == 1
    assert samples(two)["llm_rate_limited_total", ()] == 0
    assert not [key for key in samples(two) if key[0] == "llm_upstream_attempts_total"]


def test_what_a_provider_calls_its_errors_does_not_fill_memory() -> None:
    metrics = Metrics()
    for number in range(1000):
        metrics.observe_attempt("p", f"error-{number}")
    metrics.observe_attempt("p", "x" * 65)
    metrics.observe_attempt("p", "error-1")
    attempts = "llm_upstream_attempts_total"
    found = {key: value for key, value in samples(metrics).items() if key[0] == attempts}
    assert len(found) == 51
    assert sum(found.values()) == 1002
