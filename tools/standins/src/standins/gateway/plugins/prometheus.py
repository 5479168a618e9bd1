"""prometheus: which figures are kept. They are served by the status listener, never to those who shop."""

from typing import Literal

from standins.gateway.strict import Strict


class Config(Strict):
    per_consumer: Literal[False]
    status_code_metrics: Literal[True]
    latency_metrics: Literal[True]
    bandwidth_metrics: Literal[False]
    upstream_health_metrics: Literal[False]
    ai_metrics: Literal[False]


class Entry(Strict):
    name: Literal["prometheus"]
    config: Config
