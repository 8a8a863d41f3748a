"""The settings of the broker side: which broker, how it is reached, how long it is waited for, how fast it is asked."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

DEFAULT_TWS_PORT = 7497
"""TWS with a paper account: the safe one of the broker's four usual ports."""


class BrokerKind(StrEnum):
    """Which broker the platform talks to."""

    SIMULATED = "simulated"
    TWS = "tws"


class BrokerSettings(BaseSettings):
    """The part of `Settings` about the broker. Durations are seconds unless the name says otherwise."""

    broker: BrokerKind = Field(default=BrokerKind.SIMULATED, description="`simulated` or `tws`.")
    ib_host: str = Field(default="127.0.0.1", description="Host of TWS, IB Gateway or a running simulator.")
    ib_port: int | None = Field(
        default=None,
        description=(
            "Port; TWS 7497 paper / 7496 live, Gateway 4002 / 4001. Unset with the simulated broker: one is started"
            " inside the process."
        ),
    )
    ib_client_ids: tuple[int, int] = Field(
        default=(50, 79), description="Range of client ids that processes lease from, both ends included."
    )
    market_data: str = Field(
        default="live",
        pattern="^(live|delayed)$",
        description="Market data the account is subscribed to; a lake holds one of the two only.",
    )

    connect_timeout: float = Field(
        default=15.0, gt=0, description="Seconds to wait for the connection and its handshake."
    )
    contract_timeout: float = Field(
        default=120.0, gt=0, description="Seconds to wait for contract details; a whole expiry is slow."
    )
    history_timeout: float = Field(default=180.0, gt=0, description="Seconds to wait for historical bars.")
    quote_timeout: float = Field(
        default=11.0, gt=0, description="Seconds to wait for a quote to be complete (the broker's own snapshot limit)."
    )
    quote_quiet_time: float = Field(
        default=2.0,
        gt=0,
        description=(
            "Seconds without a new value after which a quote is taken as it is; values seldom come more than 0.5 s"
            " after their placeholders."
        ),
    )
    max_attempts: int = Field(
        default=4, ge=1, description="How often a request is sent in one run before its failure is reported."
    )
    reconnect_timeout: float = Field(
        default=300.0, ge=0, description="Seconds to keep reconnecting before a run fails as retryable."
    )

    enforce_pacing: bool = Field(
        default=True, description="Keep within the broker's limits. Switch off only against a simulator without limits."
    )
    messages_per_second: float = Field(
        default=48.0, gt=0, description="Messages a second, all processes together; the broker allows 50."
    )
    open_history_requests: int = Field(
        default=49, ge=1, description="Historical requests open at once; the broker allows 50."
    )
    market_data_lines: int = Field(
        default=95, ge=1, description="Market-data lines open at once; the broker allows 100 at least."
    )
    small_bar_requests_in_10_min: int = Field(
        default=57, ge=1, description="Requests for bars of 30 s or less in 600 s; the broker allows 60."
    )
    small_bar_requests_in_2_s: int = Field(
        default=5, ge=1, description="Such requests for one contract and tick type in 2 s; the sixth is a violation."
    )
    identical_interval: float = Field(
        default=16.0, ge=0, description="Seconds between identical small-bar requests; the broker refuses within 15."
    )

    failure_threshold: int = Field(default=5, ge=1, description="Failures in a row that open the circuit breaker.")
    recovery_timeout: float = Field(
        default=300.0, ge=0, description="Seconds an open breaker waits before one trial call."
    )

    @field_validator("ib_client_ids")
    @classmethod
    def _range_in_order(cls, value: tuple[int, int]) -> tuple[int, int]:
        if not 0 <= value[0] <= value[1]:
            raise ValueError(
                "TRADING_ASSETS_IB_CLIENT_IDS is the first and the last id to lease, for example [50, 79], not"
                f" {list(value)}."
            )
        return value

    @property
    def endpoint(self) -> tuple[str, int] | None:
        """Host and port of the broker; None with the simulated broker and no port: then a simulator is started inside
        the process."""
        if self.ib_port is not None:
            return self.ib_host, self.ib_port
        return None if self.broker is BrokerKind.SIMULATED else (self.ib_host, DEFAULT_TWS_PORT)

    @property
    def delayed(self) -> bool:
        """Whether delayed market data is asked for."""
        return self.market_data == "delayed"
