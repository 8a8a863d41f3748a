-- Contracts that were named, selected or not; their terms are those of the newest chain that lists them.
named_contracts as (
    select symbol, con_id, max(session) as snapshot, arg_max(expiry, session) as expiry,
           arg_max(least(expiry, coalesce(try_strptime(last_trade[:8], '%Y%m%d')::date, expiry)), session) as last_day
    from option_chains
    where con_id in (select unnest($con_ids::bigint[])) and symbol in (select symbol from wanted_symbols)
    group by symbol, con_id),
contracts_wanted as (
    select w.symbol, w.session, n.con_id, n.expiry, n.snapshot
    from option_wanted w
    join named_contracts n on n.symbol = w.symbol and n.last_day >= w.session)
