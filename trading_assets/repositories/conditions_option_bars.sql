-- The conditions of option bars: of each contract (`option_ranked`), and rolled up to a symbol and session.
option_wanted as (
    select s.symbol, d.session
    from wanted_symbols s
    {first_option_session}
    join all_sessions d on {since_first} and d.session <= $closed::date),

unselected as (
    select symbol, session, reason
    from coverage
    where dataset = 'option_chains' and con_id = 0 and condition = 'nothing_selected'
      and symbol in (select symbol from wanted_symbols)),

-- The contracts of a session: those that the nearest chain at or after it selects, and those of the chain before it;
-- of a session whose own chain selects nothing, those of the chain before it alone.
chain_sessions as (
    select distinct symbol, session
    from option_chains
    where selected and session >= $begin::date and symbol in (select symbol from wanted_symbols)
    union all
    select symbol, max(session)
    from option_chains
    where selected and session < $begin::date and symbol in (select symbol from wanted_symbols)
    group by symbol),
answering as (
    select w.symbol, w.session, b.session as before, if(u.symbol is null, a.session, null) as after
    from option_wanted w
    asof left join chain_sessions b on b.symbol = w.symbol and w.session > b.session
    asof left join chain_sessions a on a.symbol = w.symbol and w.session <= a.session
    left join unselected u on u.symbol = w.symbol and u.session = w.session),
used as (
    select symbol, session, coalesce(after, before) as snapshot from answering where coalesce(after, before) is not null
    union
    select symbol, session, before from answering where before is not null and after is distinct from session),
selected_contracts as (
    select o.symbol, o.session as snapshot, o.con_id, o.expiry,
           least(o.expiry, coalesce(try_strptime(o.last_trade[:8], '%Y%m%d')::date, o.expiry)) as last_day
    from option_chains o
    semi join used u on o.symbol = u.symbol and o.session = u.snapshot
    where o.selected),
{contracts_wanted},

-- What is recorded and stored of each.
option_rows as (
    select symbol, con_id, session, condition, reason, broker_code, retry_after
    from coverage
    where dataset = 'option_bars' and bar_size = '{option_size}' and symbol in (select symbol from wanted_symbols)
      and session between $begin::date and $end::date),
option_present as (
    select distinct con_id, session
    from option_bars
    where bar_size = '{option_size}' and symbol in (select symbol from wanted_symbols)
      and session between $begin::date and $end::date),
option_joined as (
    select w.symbol, w.session, w.con_id, w.expiry, w.snapshot,
           w.expiry < $today::date as expired,
           r.condition as recorded, r.reason, r.broker_code, r.retry_after,
           coalesce(r.condition = 'complete' and p.con_id is null, false) as gone,
           coalesce(r.condition, 'pending') not in ({settled}) as unsettled,
           coalesce(r.retry_after > $now::timestamptz, false) as waits
    from contracts_wanted w
    left join option_rows r on r.symbol = w.symbol and r.con_id = w.con_id and r.session = w.session
    left join option_present p on p.con_id = w.con_id and p.session = w.session),
option_answered as (
    select symbol, session, con_id, expiry, expired, snapshot, broker_code, retry_after, recorded,
           reason as recorded_reason, waits,
           expired and not waits and recorded is distinct from 'partial' and (gone or unsettled) as lost,
           case when unsettled and expired then 'expired_lost'
                when gone then if(expired, 'expired_lost', 'pending')
                else coalesce(recorded, 'pending')
           end as condition,
           case when unsettled and expired then {lost_contract}
                when recorded is null then {not_collected}
                when gone then if(expired, {lost_contract}, {gone})
                else reason
           end as reason
    from option_joined),
option_ranked as (
    select *, case condition {ranks} end as rank,
           condition not in ({settled})
               and (retry_after is null or retry_after <= $now::timestamptz) as may_ask
    from option_answered),
lacking_contracts as (select symbol, session, con_id, expiry from option_ranked where may_ask),

-- A symbol and session in one row: the worst condition of its contracts, and how many share it.
option_rolled as (
    select symbol, session, min(rank) as rank, count(*) as instruments, arg_min(reason, rank) as reason,
           arg_min_null(broker_code, rank) as broker_code,
           min(retry_after) filter (condition not in ({settled})) as retry_after,
           count(*) filter (condition in ('complete', 'no_trades')) as complete,
           count(*) filter (may_ask) as askable,
           min(expiry) filter (may_ask) as expires
    from option_ranked group by symbol, session),
option_counts as (select symbol, session, rank, count(*) as alike from option_ranked group by symbol, session, rank),

-- Where no contract is wanted, the chain says why.
chain_answers as (
    select symbol, arg_max(condition, session) as condition, arg_max(reason, session) as reason,
           arg_max_null(broker_code, session) as broker_code, arg_max_null(retry_after, session) as retry_after
    from coverage
    where dataset = 'option_chains' and con_id = 0 and symbol in (select symbol from wanted_symbols)
    group by symbol),
-- What the chain nearest to a session says, of those that were taken: after it, else before it.
taken_chains as (
    select symbol, session, condition, reason
    from coverage
    where dataset = 'option_chains' and con_id = 0 and condition in ('complete', 'partial', 'nothing_selected')
      and symbol in (select symbol from wanted_symbols)),
-- Symbols without equity bars whose answer about them is held for review: bars of their options wait for it.
held_bars as (
    select symbol, arg_max(reason, session) filter (contains(reason, {held})) as reason
    from coverage
    where dataset = 'equity_bars' and con_id = 0 and symbol in (select symbol from wanted_symbols)
    group by symbol having count(*) filter (condition in ({settled})) = 0 and reason is not null),
option_sources as (
    select w.symbol, w.session, r.* exclude (symbol, session), n.alike, r.symbol is not null as has_contracts,
           coalesce(ta.condition, tb.condition) = 'nothing_selected' as is_unselected,
           coalesce(ta.reason, tb.reason) as unselected_reason,
           u.symbol is null as has_no_chain, u.symbol is null and c.condition in ({refused}) as chain_refused,
           h.reason as held_reason, c.condition as chain_condition, c.reason as chain_reason,
           c.broker_code as chain_code, c.retry_after as chain_retry
    from option_wanted w
    left join option_rolled r on r.symbol = w.symbol and r.session = w.session
    left join option_counts n on n.symbol = r.symbol and n.session = r.session and n.rank = r.rank
    asof left join taken_chains tb on tb.symbol = w.symbol and w.session > tb.session
    asof left join taken_chains ta on ta.symbol = w.symbol and w.session <= ta.session
    left join chain_answers c on c.symbol = w.symbol
    left join held_bars h on h.symbol = w.symbol
    left join (select distinct symbol from chain_sessions) u on u.symbol = w.symbol),
option_bars_conditions as (
    select 'option_bars' as dataset, '{option_size}' as bar_size, symbol, session,
           case when has_contracts then [{by_rank}][rank + 1]
                when is_unselected or has_no_chain and chain_condition = 'nothing_selected' then 'nothing_selected'
                when chain_refused then chain_condition
                else 'pending'
           end as condition,
           case when held_reason is not null and has_contracts and [{by_rank}][rank + 1] = 'pending'
                then {waits_for_equity_bars} || held_reason
                when has_contracts and (reason = '' or instruments = 1) then reason
                when has_contracts then alike || ' of ' || instruments || ' contracts: ' || reason
                when is_unselected then unselected_reason
                when chain_refused or has_no_chain and chain_condition = 'nothing_selected' then chain_reason
                when has_no_chain then {nothing_selected}
                else {no_contract_alive}
           end as reason,
           case when has_contracts then broker_code when chain_refused then chain_code end as broker_code,
           case when has_contracts then retry_after when chain_refused then chain_retry end as retry_after,
           coalesce(instruments, 0) as instruments, coalesce(complete, 0) as complete,
           coalesce(askable, 0) as askable, expires
    from option_sources)
