-- The conditions of equity bars, a symbol, bar size and session a row.
equity_rows as (
    select bar_size, symbol, session, condition, reason, broker_code, retry_after
    from coverage
    where dataset = 'equity_bars' and con_id = 0 and bar_size in (select unnest($sizes::varchar[]))
      and symbol in (select symbol from wanted_symbols)
      and session between $begin::date and $end::date),
equity_present as (
    select distinct bar_size, symbol, session
    from equity_bars
    where bar_size in (select unnest($sizes::varchar[])) and symbol in (select symbol from wanted_symbols)
      and session between $begin::date and $end::date),
equity_wanted as (
    select z.bar_size, s.symbol, d.session
    from (select unnest($sizes::varchar[]) as bar_size) z
    cross join wanted_symbols s
    {first_equity_session}
    join all_sessions d on {since_first} and d.session <= $closed::date),
equity_joined as (
    select w.bar_size, w.symbol, w.session, r.reason, r.broker_code,
           coalesce(r.condition = 'complete' and p.session is null, false) as gone,
           case when r.condition is null or (r.condition = 'complete' and p.session is null) then 'pending'
                else r.condition
           end as condition,
           case when r.condition is not null then r.retry_after end as retry_after,
           r.condition is null as unknown
    from equity_wanted w
    left join equity_rows r on r.bar_size = w.bar_size and r.symbol = w.symbol and r.session = w.session
    left join equity_present p on p.bar_size = w.bar_size and p.symbol = w.symbol and p.session = w.session),
equity_bars_conditions as (
    select 'equity_bars' as dataset, bar_size, symbol, session, condition,
           case when unknown then {not_collected} when gone then {gone} else reason end as reason,
           broker_code, retry_after, 1::bigint as instruments,
           (condition in ('complete', 'no_trades'))::bigint as complete,
           (condition not in ({settled})
            and (retry_after is null or retry_after <= $now::timestamptz))::bigint as askable,
           null::date as expires
    from equity_joined)
