"""The underlyings of the generated market: a table of well-known ones, and rules that make any other symbol.

Here belong names, exchanges, contract ids and the few numbers that shape an underlying's path. What does not belong
here: the path itself (`paths`) and what options exist (`expiries`, `ladders`).

Any symbol of one to five capital letters, also with a share class ("BRK B"), is a listed stock. The symbols of
`UNKNOWN_SYMBOLS`, and everything of another form ("NOSUCH", "123"), are unknown: the server answers code 200.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from trading_assets.sessions import FIRST_SESSION
from trading_assets.simulator.generated.randomness import fraction, stable_hash
from trading_assets.simulator.market import ListedContract

UNKNOWN_SYMBOLS = frozenset({"ZZZZ", "ZZZZZ", "XXXXX", "WRONG"})
"""Well-formed symbols that this market does not list, so that a wrong symbol can be tried."""

_SYMBOL = re.compile(r"[A-Z]{1,5}( [A-Z])?")

FIRST_GENERATED_ID = 1 << 28
"""Contract ids of underlyings that are not in the table lie in [2^28, 2^29): above most real ids, below the options'
areas."""


@dataclass(frozen=True, slots=True)
class OptionClass:
    """A trading class of an underlying's options.

    `schedule` names the expiry calendar (`expiries`): "monthly", "weekly", "daily", "am_monthly" or "vix".
    `slot` numbers the class among the built-in ones (None: not built in); contract ids are made from it (`ladders`).
    `tick` is the price increment in dollars; `liquidity` scales volumes (1.0 = a large, active stock).
    """

    name: str
    symbol: str
    schedule: str
    slot: int | None
    tick: float
    liquidity: float


@dataclass(frozen=True, slots=True)
class Underlying:
    """A stock, ETF or index and the numbers its path is made from.

    `start_price` in dollars at `first` (the listing date); `growth` and `volatility` a year, per 1.00; `reversion` per
    session (pull of the log-price to its trend); a close above `split_above` dollars brings a split (0: never);
    `dividend_yield` a year, per 1.00; `volume` is the usual number of shares a session (0: an index).
    """

    contract: ListedContract
    first: date
    start_price: float
    growth: float
    volatility: float
    reversion: float
    split_above: float
    dividend_yield: float
    volume: int
    option_classes: tuple[OptionClass, ...]

    @property
    def symbol(self) -> str:
        """The symbol."""
        return self.contract.symbol

    @property
    def is_index(self) -> bool:
        """Whether it is an index: no volume, no quotes."""
        return self.contract.sec_type == "IND"


# Rows are only ever added at the end of _STOCKS: a class's place gives its slot, and contract ids are made from slots.
# symbol | name | exchange | broker's contract id (0: none known, one is made) | first year | price then | growth |
# volatility | split above | yield | million shares | option schedule | liquidity | industry
_STOCKS = """
AAPL|APPLE INC|NASDAQ|265598|1998|60|.13|.29|330|.006|55|weekly|3|Technology
MSFT|MICROSOFT CORP|NASDAQ|272093|1998|80|.11|.25|480|.009|25|weekly|2|Technology
GOOGL|ALPHABET INC-CL A|NASDAQ|208813719|2004|85|.13|.28|650|.004|28|weekly|1.5|Communications
GOOG|ALPHABET INC-CL C|NASDAQ|208813720|2014|280|.12|.28|700|.004|20|weekly|1.2|Communications
AMZN|AMAZON.COM INC|NASDAQ|3691937|1998|60|.15|.33|900|0|45|weekly|2|Communications
NVDA|NVIDIA CORP|NASDAQ|4815747|1999|30|.19|.45|500|.0005|220|weekly|3|Technology
META|META PLATFORMS INC|NASDAQ|107113386|2012|40|.18|.36|900|.003|16|weekly|1.5|Communications
TSLA|TESLA INC|NASDAQ|76792991|2010|30|.22|.52|650|0|100|weekly|3|Consumer, Cyclical
IBM|INTL BUSINESS MACHINES CORP|NYSE|8314|1998|105|.03|.23|400|.035|5|weekly|.5|Technology
BAC|BANK OF AMERICA CORP|NYSE|10098|1998|60|-.01|.30|300|.024|40|weekly|.8|Financial
AIG|AMERICAN INTERNATIONAL GROUP|NYSE|0|1998|75|-.01|.33|300|.022|5|weekly|.3|Financial
JPM|JPMORGAN CHASE & CO|NYSE|1520593|1998|50|.05|.26|350|.024|10|weekly|.8|Financial
NFLX|NETFLIX INC|NASDAQ|15124833|2002|16|.20|.42|900|0|5|weekly|1|Communications
INTC|INTEL CORP|NASDAQ|270639|1998|72|-.02|.32|300|.015|50|weekly|.8|Technology
AMD|ADVANCED MICRO DEVICES|NASDAQ|4391|1998|18|.08|.48|300|0|60|weekly|2|Technology
CSCO|CISCO SYSTEMS INC|NASDAQ|268084|1998|56|.01|.26|300|.03|20|weekly|.4|Communications
ORCL|ORACLE CORP|NYSE|0|1998|24|.07|.28|300|.012|9|weekly|.4|Technology
ADBE|ADOBE INC|NASDAQ|265768|1998|41|.11|.33|900|0|3|weekly|.4|Technology
CRM|SALESFORCE INC|NYSE|0|2004|16|.13|.34|900|.005|6|weekly|.4|Technology
BA|BOEING CO/THE|NYSE|4762|1998|49|.06|.32|600|0|7|weekly|.6|Industrial
GE|GENERAL ELECTRIC|NYSE|0|1998|74|.01|.29|400|.006|6|weekly|.3|Industrial
KO|COCA-COLA CO/THE|NYSE|8894|1998|66|.01|.16|300|.029|14|weekly|.2|Consumer, Non-cyclical
DIS|WALT DISNEY CO/THE|NYSE|6459|1998|32|.04|.27|300|.008|10|weekly|.5|Communications
XOM|EXXON MOBIL CORP|NYSE|13977|1998|60|.03|.24|300|.033|16|weekly|.4|Energy
CVX|CHEVRON CORP|NYSE|5684|1998|77|.03|.24|300|.041|8|weekly|.3|Energy
WMT|WALMART INC|NYSE|13824|1998|40|.05|.19|300|.012|16|weekly|.3|Consumer, Cyclical
JNJ|JOHNSON & JOHNSON|NYSE|8719|1998|66|.04|.16|400|.03|7|weekly|.2|Consumer, Non-cyclical
PG|PROCTER & GAMBLE CO/THE|NYSE|0|1998|80|.03|.16|400|.024|7|weekly|.2|Consumer, Non-cyclical
PFE|PFIZER INC|NYSE|11031|1998|75|-.03|.23|300|.055|38|weekly|.3|Consumer, Non-cyclical
HD|HOME DEPOT INC|NYSE|7930|1998|58|.07|.24|700|.024|4|weekly|.3|Consumer, Cyclical
MCD|MCDONALD'S CORP|NYSE|9408|1998|47|.07|.18|500|.023|3|weekly|.2|Consumer, Cyclical
GS|GOLDMAN SACHS GROUP INC|NYSE|4627828|1999|70|.07|.28|900|.022|2|weekly|.3|Financial
C|CITIGROUP INC|NYSE|87335484|1998|54|.0|.33|300|.03|14|weekly|.4|Financial
F|FORD MOTOR CO|NYSE|9599491|1998|48|-.05|.36|300|.05|55|weekly|.4|Consumer, Cyclical
T|AT&T INC|NYSE|37018770|1998|36|-.02|.21|300|.055|35|weekly|.3|Communications
V|VISA INC-CLASS A SHARES|NYSE|49462172|2008|44|.11|.22|500|.007|7|weekly|.3|Financial
BRK B|BERKSHIRE HATHAWAY INC-CL B|NYSE|72063691|1998|120|.06|.18|0|0|4|weekly|.2|Financial
SPY|SPDR S&P 500 ETF TRUST|ARCA|756733|1998|97.5|.066|.165|0|.013|75|daily|4|ETF
QQQ|INVESCO QQQ TRUST SERIES 1|NASDAQ|320227571|1999|100|.06|.22|0|.006|45|daily|3|ETF
IWM|ISHARES RUSSELL 2000 ETF|ARCA|9579970|2000|88|.04|.21|0|.012|30|daily|1.5|ETF
DIA|SPDR DJIA TRUST|ARCA|73128548|1998|79|.06|.16|0|.017|4|weekly|.3|ETF
GLD|SPDR GOLD SHARES|ARCA|51529211|2004|45|.07|.16|0|0|8|weekly|.5|ETF
TLT|ISHARES 20+ YEAR TREASURY BD|NASDAQ|15547841|2002|83|.01|.14|0|.035|30|weekly|.5|ETF
"""

# symbol | name | exchange | contract id | level 1998 | growth | volatility | reversion | (class:schedule:liquidity ...)
_INDICES = """
SPX|S&P 500 Stock Index|CBOE|416904|975|.066|.165|.0015|SPX:am_monthly:1.5,SPXW:daily:3
NDX|NASDAQ 100 Stock Index|NASDAQ|416843|1000|.11|.22|.0015|NDX:am_monthly:.2,NDXP:daily:.3
RUT|Russell 2000 Stock Index|RUSSELL|416888|435|.055|.21|.0015|RUT:am_monthly:.2,RUTW:weekly:.3
VIX|CBOE Volatility Index|CBOE|13455763|20|.0|.95|.02|VIX:vix:1.5
DJX|1/100 Dow Jones Industrial Average|CBOE|0|79|.06|.16|.0015|DJX:am_monthly:.05
"""

_STOCK_EXCHANGES = "SMART,AMEX,NYSE,CBOE,PHLX,ISE,CHX,ARCA,ISLAND,DRCTEDGE,BEX,BATS,EDGEA,BYX,IEX,PSX"
OPTION_EXCHANGES = "SMART,AMEX,CBOE,PHLX,PSE,ISE,BOX,BATS,NASDAQOM,CBOE2,NASDAQBX,MIAX,GEMINI,EDGX,MERCURY,PEARL"

_REVERSION = 0.0014
"""Half-life of a stock's distance from its trend: about 500 sessions, so that prices stay plausible for decades."""


def underlying(symbol: str) -> Underlying | None:
    """The underlying of a symbol; None if this market does not list it."""
    known = builtin().get(symbol)
    if known is not None or symbol in UNKNOWN_SYMBOLS or not _SYMBOL.fullmatch(symbol):
        return known
    return _made(symbol)


@lru_cache(maxsize=1)
def builtin() -> dict[str, Underlying]:
    """The table of well-known underlyings by symbol. At most 64 trading classes in all (`ladders`)."""
    found: dict[str, Underlying] = {}
    slot = 0
    for line in _INDICES.split("\n"):
        if not line:
            continue
        symbol, name, exchange, con_id, level, growth, volatility, reversion, words = line.split("|")
        classes = []
        for word in words.split(","):
            class_name, schedule, liquidity = word.split(":")
            classes.append(OptionClass(class_name, symbol, schedule, slot, 0.05, float(liquidity)))
            slot += 1
        contract = ListedContract(
            con_id=int(con_id) or _made_id(symbol), symbol=symbol, sec_type="IND", exchange=exchange,
            primary_exchange="", currency="USD",
            local_symbol=symbol, trading_class=symbol, long_name=name, min_tick=0.01, industry="Indices",
            category="Broad Range Equity Index",
            subcategory="*", market_name=symbol, valid_exchanges=exchange,
        )  # fmt: skip
        found[symbol] = Underlying(
            contract,
            FIRST_SESSION,
            float(level),
            float(growth),
            float(volatility),
            float(reversion),
            0.0,
            0.0,
            0,
            tuple(classes),
        )
    for line in _STOCKS.split("\n"):
        if not line:
            continue
        (
            symbol,
            name,
            exchange,
            con_id,
            year,
            price,
            growth,
            volatility,
            split,
            dividend,
            volume,
            schedule,
            liquidity,
            industry,
        ) = line.split("|")
        first = (
            FIRST_SESSION
            if year == "1998"
            else date(int(year), 1 + stable_hash(symbol, "month") % 12, 1 + stable_hash(symbol, "day") % 28)
        )
        contract = _stock(symbol, name, exchange, int(con_id) or _made_id(symbol), industry)
        option_class = OptionClass(symbol.replace(" ", ""), symbol, schedule, slot, 0.01, float(liquidity))
        slot += 1
        found[symbol] = Underlying(
            contract, first, float(price), float(growth), float(volatility), _REVERSION, float(split), float(dividend),
            int(float(volume) * 1e6), (option_class,),
        )  # fmt: skip
    return found


def _stock(symbol: str, name: str, exchange: str, con_id: int, industry: str) -> ListedContract:
    etf = industry == "ETF"
    market = {"NASDAQ": "NMS"}.get(exchange, symbol.replace(" ", ""))
    exchanges = dict.fromkeys((*_STOCK_EXCHANGES.split(","), exchange))
    return ListedContract(
        con_id=con_id, symbol=symbol, sec_type="STK", exchange="SMART", primary_exchange=exchange, currency="USD",
        local_symbol=symbol, trading_class=market, long_name=name, min_tick=0.01,
        industry="" if etf else industry, category="" if etf else industry, subcategory="" if etf else industry,
        stock_type="ETF" if etf else "COMMON", market_name=market, valid_exchanges=",".join(exchanges),
    )  # fmt: skip


def _made_id(symbol: str) -> int:
    return FIRST_GENERATED_ID + stable_hash("underlying", symbol, bits=28)


@lru_cache(maxsize=4096)
def _made(symbol: str) -> Underlying:
    """A stock for a symbol that is not in the table. Independent of the market's seed, like a real listing."""

    def choose(purpose: str, low: float, high: float) -> float:
        return low + (high - low) * fraction("underlying", symbol, purpose)

    industries = (
        "Technology",
        "Financial",
        "Industrial",
        "Energy",
        "Consumer, Cyclical",
        "Consumer, Non-cyclical",
        "Communications",
        "Utilities",
    )
    later = fraction("underlying", symbol, "later") < 0.35
    first = (
        date(1998 + int(choose("year", 1, 18)), 1 + int(choose("month", 0, 12)), 1 + int(choose("day", 0, 28)))
        if later
        else FIRST_SESSION
    )
    contract = _stock(
        symbol,
        f"{symbol.replace(' ', '-')} HOLDINGS INC",
        "NASDAQ" if len(symbol) >= 4 else "NYSE",
        _made_id(symbol),
        industries[stable_hash("underlying", symbol, "industry") % len(industries)],
    )
    weekly = fraction("underlying", symbol, "weekly") < 0.5
    option_class = OptionClass(
        symbol.replace(" ", ""), symbol, "weekly" if weekly else "monthly", None, 0.01, choose("liquidity", 0.02, 0.4)
    )
    pays = fraction("underlying", symbol, "pays") < 0.6
    return Underlying(
        contract,
        first,
        start_price=round(choose("price", 15, 90), 2),
        growth=choose("growth", 0.0, 0.10),
        volatility=choose("volatility", 0.18, 0.50),
        reversion=_REVERSION,
        split_above=round(choose("split", 120, 500)),
        dividend_yield=choose("yield", 0.005, 0.04) if pays else 0.0,
        volume=int(10 ** choose("volume", 5.5, 7.0)),
        option_classes=(option_class,),
    )
