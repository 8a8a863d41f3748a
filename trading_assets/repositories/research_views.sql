-- Views for research over the datasets. Sessions are exchange dates, instants are UTC.

-- Daily option bars with days to expiry and the underlying's close of the same session. After a split the close is
-- restated and the strike is not: connect with `as_of` for both as they were known then.
create view daily_option_bars as
select o.session, o.symbol, o.con_id, o.local_symbol, o.trading_class, o.expiry, o.expiry - o.session as days_to_expiry,
       o.strike, o."right", o.multiplier, o.open, o.high, o.low, o.close, o.volume, o.bar_count,
       e.close as underlying_close
from option_bars o
left join equity_bars e on e.symbol = o.symbol and e.session = o.session and e.bar_size = '1 day'
where o.bar_size = '1 day';

-- The selected contracts of each chain with their quotes, and the underlying's daily bar of the session. After a split
-- the bar is restated and the chain is not: connect with `as_of` for both as they were known then.
create view chains_with_underlying as
select c.* exclude (collected_at, request_id), c.expiry - c.session as days_to_expiry, (c.bid + c.ask) / 2 as mid,
       e.open as underlying_open, e.high as underlying_high, e.low as underlying_low, e.close as underlying_close,
       e.volume as underlying_volume
from option_chains c
left join equity_bars e on e.symbol = c.symbol and e.session = c.session and e.bar_size = '1 day'
where c.selected;

-- Each option contract: its terms, the sessions in which chains list and select it, and those with a daily bar.
create view contract_calendar as
with listed as (
    select symbol, con_id, arg_max(local_symbol, session) as local_symbol,
           arg_max(trading_class, session) as trading_class, arg_max(expiry, session) as expiry,
           arg_max(strike, session) as strike, arg_max("right", session) as "right",
           arg_max(multiplier, session) as multiplier,
           min(session) as first_listed, max(session) as last_listed,
           min(session) filter (selected) as first_selected, max(session) filter (selected) as last_selected
    from option_chains group by symbol, con_id),
bars as (
    select symbol, con_id, min(session) as first_bar, max(session) as last_bar, count(distinct session) as bar_sessions
    from option_bars where bar_size = '1 day' group by symbol, con_id)
select l.*, b.first_bar, b.last_bar, coalesce(b.bar_sessions, 0) as bar_sessions
from listed l left join bars b using (symbol, con_id);

-- What is recorded of each session: instruments by dataset, bar size and condition.
create view coverage_by_day as
select session, dataset, bar_size, symbol, condition, count(*) as instruments
from coverage group by session, dataset, bar_size, symbol, condition;
