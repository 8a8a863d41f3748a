"""Rules of `option_greeks`: whether the prices that the volatilities belong to can all be true at once.

They look at quotes. Daily bars of an expiry close with trades of different times, which no such rule can judge.
"""

from __future__ import annotations

from trading_assets.validation.rule import Rule, Severity
from trading_assets.validation.rules.names import named

PRICE_TOLERANCE = "(0.05 + 0.001 * forward)"
"""Dollars by which middles of bid and ask may contradict each other: five ticks and 0.1 % of the underlying. Half the
spread of recorded SPX quotes is within it."""

NEAR_MONEY = 0.05
"""Largest distance of the strike from the forward (logarithm) at which two expiries are compared."""

CALENDAR_TOLERANCE = 0.03
"""Share by which the variance of the later expiry may be lower: the strikes compared are not quite the same."""

BROKER_DIFFERENCE = 0.02
"""Volatility points (per 1.00) from the broker's volatility."""

SMALLEST_DIFFERENCE = 0.01
"""Dollars: a difference that is worth less than one tick says nothing, as on the last day."""

NEAR_DELTAS = "between 0.1 and 0.9"
"""Between these every difference counts. Outside of them half a spread is often more than 0.02 of volatility: what no
bid and ask can tell is left out there."""

_QUOTES = "source = 'chain' and implied_volatility is not null"

RULES = (
    named("greeks_named", "option_greeks"),
    Rule(
        "convex_in_strike",
        "option_greeks",
        Severity.WARN,
        why=(
            "The price of an option cannot lie above the line between its neighbours in strike: one of three quotes is"
            " wrong or old, and so is its volatility."
        ),
        remedy="Leave the row out of a volatility surface; look at bid, ask and quoted_at of the three quotes.",
        rows=f"""select *, lag(strike) over w as lower, lag(price) over w as lower_price,
                        lead(strike) over w as upper, lead(price) over w as upper_price
                 from option_greeks where {_QUOTES}
                 window w as (partition by symbol, session, trading_class, expiry, multiplier, "right"
                              order by strike, con_id)""",
        holds=f"""price <= lower_price + (upper_price - lower_price) * (strike - lower) / (upper - lower)
                           + {PRICE_TOLERANCE}""",
        null_passes=True,  # the lowest and the highest strike have one neighbour
        shows=("local_symbol", "price", "lower_price", "upper_price"),
    ),
    Rule(
        "no_calendar_arbitrage",
        "option_greeks",
        Severity.WARN,
        why=(
            "Near the money the total variance (volatility squared x years) cannot fall with the time to expiry: one of"
            " the two expiries has wrong quotes, a wrong forward or a wrong time of settlement."
        ),
        remedy="Compare forward, years and quotes of the two expiries; leave the wrong one out of a surface.",
        rows=f"""with money as (
                     select g.*, implied_volatility * implied_volatility * years as variance,
                            if(a.symbol is null, '', trading_class || multiplier) as adjusted_class
                     from option_greeks g
                     left join adjusted_classes a using (symbol, session, trading_class, multiplier)
                     where {_QUOTES} and abs(ln(strike / forward)) <= {NEAR_MONEY}
                     qualify row_number() over (partition by symbol, session, trading_class, multiplier, expiry
                                                order by abs(ln(strike / forward)), "right", con_id) = 1)
                 select *, lag(expiry) over w as earlier_expiry, lag(variance) over w as earlier_variance
                 from money
                 window w as (partition by symbol, session, adjusted_class order by years, trading_class)""",
        holds=f"variance >= earlier_variance * (1 - {CALENDAR_TOLERANCE})",
        null_passes=True,  # the first expiry
        shows=("expiry", "variance", "earlier_expiry", "earlier_variance"),
    ),
    Rule(
        "quotes_in_parity",
        "option_greeks",
        Severity.WARN,
        why=(
            "Call and put of one strike differ by the discounted forward less the strike (American options: within the"
            " bounds that early exercise leaves): otherwise one of the two quotes, or the forward, is wrong."
        ),
        remedy="Look at forward_source and at the quotes of the pair; set `dividends` and `rate` where they are used.",
        rows="""select c.symbol, c.session, c.expiry, c.strike, c.price as call, p.price as put, c.model, c.forward,
                        case when c.model = 'black_76' then c.discount * (c.forward - c.strike)
                             else c.discount * c.forward - c.strike * greatest(c.discount, 1) end as least_difference,
                        case when c.model = 'black_76' then c.discount * (c.forward - c.strike)
                             else greatest(coalesce(c.underlying_price * if(a.symbol is null, 1, a.scale), 0),
                                           c.discount * c.forward)
                                  - c.strike * least(c.discount, 1) end as most_difference
                 from option_greeks c join option_greeks p
                   on p.symbol = c.symbol and p.session = c.session and p.trading_class = c.trading_class
                  and p.expiry = c.expiry and p.multiplier = c.multiplier and p.strike = c.strike
                  and p.source = c.source
                 left join adjusted_classes a
                   on a.symbol = c.symbol and a.session = c.session and a.trading_class = c.trading_class
                  and a.multiplier = c.multiplier
                 where c."right" = 'C' and p."right" = 'P' and c.source = 'chain'
                   and c.implied_volatility is not null and p.implied_volatility is not null""",
        holds=f"""call - put between least_difference - {PRICE_TOLERANCE} and most_difference + {PRICE_TOLERANCE}""",
        shows=("expiry", "strike", "call", "put", "forward"),
    ),
    Rule(
        "near_broker_volatility",
        "option_greeks",
        Severity.WARN,
        why=(
            f"A volatility {BROKER_DIFFERENCE} away from the broker's for the same quote comes from another forward,"
            " another dividend or another price than the broker's model has. Left out is what the quote cannot show: a"
            f" difference worth less than {SMALLEST_DIFFERENCE} dollars, and at deltas outside of 0.1 to 0.9 one worth"
            " less than half the spread of bid and ask."
        ),
        remedy="Compare price, underlying_price, dividends and forward with the broker's; set `dividends` and `rate`.",
        rows=f"""select g.*, abs(implied_volatility - broker_implied_volatility) as difference,
                        difference * 100 * g.vega as worth,
                        case when abs(g.delta) {NEAR_DELTAS} then 0 else coalesce(c.ask - c.bid, 0) / 2 end as unseen
                 from option_greeks g
                 left join (select session, con_id, bid, ask from option_chains) c using (session, con_id)
                 where {_QUOTES} and broker_implied_volatility is not null""",
        holds=f"difference <= {BROKER_DIFFERENCE} or worth < greatest({SMALLEST_DIFFERENCE}, unseen)",
        shows=("local_symbol", "implied_volatility", "broker_implied_volatility", "price", "vega"),
    ),
)
