"""The settings of the broker side: which broker, how it is reached, how long it is waited for, how fast it is asked."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_settings import BaseSettings

DEFAULT_TWS_PORT = 7497
"""TWS with a paper account: the safe one of the broker's four usual ports."""


class BrokerKind(StrEnum):
    """Which broker the platform talks to."""

    SIMULATED = "simulated"
    TWS = "tws"


class Gateway(BaseModel):
    """One of several logins: a TWS or IB Gateway, known by its name. A limit that is None is that of the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,31}$")
    host: str = "127.0.0.1"
    port: int = Field(ge=1, le=65535)
    messages_per_second: float | None = Field(default=None, gt=0)
    open_history_requests: int | None = Field(default=None, ge=1)
    market_data_lines: int | None = Field(default=None, ge=1)
    small_bar_requests_in_10_min: int | None = Field(default=None, ge=1)

    @property
    def limits(self) -> dict[str, Any]:
        """The limits of its own by the name of their setting."""
        return self.model_dump(exclude={"name", "host", "port"}, exclude_none=True)


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
    gateways: tuple[Gateway, ...] = Field(
        default=(),
        examples=[[{"name": "east", "port": 4001}, {"name": "west", "host": "10.0.0.7", "port": 4001}]],
        description=(
            "Several logins in place of IB_HOST and IB_PORT: each a name, host, port and, where they differ, limits"
            " (messages_per_second, open_history_requests, market_data_lines, small_bar_requests_in_10_min). The"
            " symbols are divided among them. JSON in the environment, [[gateways]] in the file."
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

    @field_validator("gateways")
    @classmethod
    def _gateways_differ(cls, value: tuple[Gateway, ...]) -> tuple[Gateway, ...]:
        for what, given in (
            ("name", [gateway.name.lower() for gateway in value]),
            ("address", [f"{gateway.host.lower()}:{gateway.port}" for gateway in value]),
        ):
            twice = sorted(one for one, count in Counter(given).items() if count > 1)
            if twice:
                raise ValueError(
                    f"TRADING_ASSETS_GATEWAYS has two gateways of the {what} {twice[0]}: each is one login of its own."
                )
        return value

    @model_validator(mode="after")
    def _gateways_or_one_port(self) -> Self:
        if self.gateways and self.ib_port is not None:
            raise ValueError(
                "TRADING_ASSETS_GATEWAYS and TRADING_ASSETS_IB_PORT are both set: make that TWS one of the gateways,"
                " and take TRADING_ASSETS_IB_PORT away."
            )
        return self

    def each_gateway(self) -> tuple[Self, ...]:
        """These settings once for each gateway, with that gateway alone and its limits; without gateways the settings
        themselves."""
        return tuple(self.model_copy(update={"gateways": (one,), **one.limits}) for one in self.gateways) or (self,)

    @property
    def gateway_name(self) -> str | None:
        """The name of the only or first gateway; None without gateways."""
        return self.gateways[0].name if self.gateways else None

    @property
    def endpoint(self) -> tuple[str, int] | None:
        """Host and port of the broker, of several gateways the first's; None with the simulated broker and no port:
        then a simulator is started inside the process."""
        if self.gateways:
            return self.gateways[0].host, self.gateways[0].port
        if self.ib_port is not None:
            return self.ib_host, self.ib_port
        return None if self.broker is BrokerKind.SIMULATED else (self.ib_host, DEFAULT_TWS_PORT)

    @property
    def delayed(self) -> bool:
        """Whether delayed market data is asked for."""
        return self.market_data == "delayed"
