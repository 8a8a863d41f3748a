-- The conditions of contracts and option chains, a dataset, symbol and session a row.
snapshot_datasets as (select name as dataset from (values {snapshots}) as listed(name)),
snapshot_rows as (
    select dataset, symbol, session, condition, reason, broker_code, retry_after, request_id
    from coverage
    where dataset in (select dataset from snapshot_datasets) and con_id = 0 and bar_size = ''
      and symbol in (select symbol from wanted_symbols)),
snapshot_present as (
    {snapshots_present}),
snapshot_wanted as (
    select n.dataset, s.symbol, d.session
    from snapshot_datasets n
    cross join wanted_symbols s
    left join marks m on m.dataset = n.dataset and m.symbol = s.symbol and m.bar_size = ''
    left join set_up u on u.symbol = s.symbol
    join all_sessions d on d.session >= coalesce(m.first_session, u.first_session)),
-- What the broker answered when it was asked: that there is such a contract (options are listed), or that there is none.
snapshot_replies as (
    select r.dataset, r.symbol, r.session, r.condition = 'no_contract' as denied, p.con_id
    from snapshot_rows r
    left join snapshot_present p on p.dataset = r.dataset and p.symbol = r.symbol and p.session = r.session
    where r.request_id > 0
      and (r.condition = 'no_contract' or r.condition in ('complete', 'partial') and p.session is not null
           or r.condition = 'nothing_selected')),
snapshot_joined as (
    select w.dataset, w.symbol, w.session, r.reason, r.broker_code, r.retry_after, r.condition as recorded,
           coalesce(r.condition in ('complete', 'partial') and p.session is null, false) as gone,
           -- contract details that are pending without a request lie between two answers that differ
           case when (r.condition = 'pending' or r.condition = 'error' and r.retry_after is null)
                     and w.session < $current::date and not (w.dataset = 'contracts' and r.request_id = 0) then null
                when r.condition in ('complete', 'partial') and p.session is null then null
                -- a row that was carried on says nothing where the next answer denies the contract, or names another
                when r.dataset = 'contracts' and r.condition = 'complete' and r.request_id = 0
                     and (n.denied or n.con_id <> p.con_id) then null
                else r.condition
           end as condition
    from snapshot_wanted w
    left join snapshot_rows r on r.dataset = w.dataset and r.symbol = w.symbol and r.session = w.session
    left join snapshot_present p on p.dataset = w.dataset and p.symbol = w.symbol and p.session = w.session
    asof left join snapshot_replies n on n.dataset = w.dataset and n.symbol = w.symbol and w.session < n.session
    where r.condition is not null or w.session <= $closed::date),
refusing as (
    select dataset, symbol, session, condition, reason, broker_code, retry_after
    from snapshot_rows
    where (dataset, symbol) in (
        select (dataset, symbol) from snapshot_rows where condition in ({refused}) and retry_after is not null)),
verified as (
    select symbol, session from snapshot_present p
    where dataset = 'contracts' and exists (
        select 1 from snapshot_rows r
        where r.dataset = p.dataset and r.symbol = p.symbol and r.session = p.session and r.condition = 'complete')),
-- Chains whose selection no expiry lay in: how far it reached ahead, and the next expiry.
chains_taken as (
    select symbol, session, condition, regexp_extract(reason, '^(Not asked for[^:]*: )?(.*)$', 2) as reason,
           if(condition = 'nothing_selected', try_cast(regexp_extract(reason, {no_expiry}, 1) as integer), null) as reach,
           try_cast(nullif(regexp_extract(reason, {no_expiry}, 2), '') as date) as next_expiry
    from snapshot_rows
    where dataset = 'option_chains' and condition in ('complete', 'partial', 'nothing_selected')),
last_verified as (select symbol, max(session) as session from verified group by symbol),
snapshot_unrecorded as (
    select u.dataset, u.symbol, u.session, u.recorded, u.reason, u.gone,
           u.session = $current::date as is_current,
           r.condition as last_condition, r.reason as last_reason,
           r.broker_code as last_code, r.retry_after as last_retry,
           -- "There is none" answers for the time it was believed, unless the next answer is that there is one.
           not u.gone and coalesce(r.condition in ({refused}) and r.retry_after::timestamp::date > u.session, false)
               and not coalesce(r.condition = 'no_contract' and not a.denied, false) as refused,
           coalesce(b.denied and a.denied, false) as denied,
           u.dataset = 'contracts'
               and (coalesce(b.denied, false) or coalesce(a.denied, false) or coalesce(b.con_id <> a.con_id, false))
               as unknown,
           coalesce(l.session > u.session, false) as later,
           coalesce(u.session - v.session < $verify_days::integer, false) as recent,
           u.dataset = 'option_chains' and not u.gone and t.reach is not null
               and coalesce(t.next_expiry > u.session + t.reach, true) as unselected,
           t.reason as unselected_reason
    from (select * from snapshot_joined where condition is null) u
    asof left join refusing r on r.dataset = u.dataset and r.symbol = u.symbol and u.session >= r.session
    asof left join verified v on v.symbol = u.symbol and u.session > v.session
    asof left join snapshot_replies b on b.dataset = u.dataset and b.symbol = u.symbol and u.session > b.session
    asof left join snapshot_replies a on a.dataset = u.dataset and a.symbol = u.symbol and u.session < a.session
    asof left join chains_taken t on t.symbol = u.symbol and u.session > t.session
    left join last_verified l on l.symbol = u.symbol),
snapshot_answered as (
    select dataset, symbol, session, condition, reason, broker_code, retry_after
    from snapshot_joined where condition is not null
    union all
    select dataset, symbol, session,
           case when refused or denied then coalesce(last_condition, 'no_contract')
                when is_current then 'pending'
                when unselected then 'nothing_selected'
                when dataset = 'option_chains' then 'expired_lost'
                when unknown then 'pending'
                when later or recent then 'complete'
                else 'pending'
           end,
           case when refused or denied then last_reason
                when is_current and not gone then {not_collected}
                when is_current then trim({gone_snapshot} || ' ' || reason)
                when unselected then {nothing_missed} || unselected_reason
                when dataset = 'option_chains' then if(gone, {gone_chain}, {missed_chain})
                when unknown then {unknown_contract}
                when gone and reason = '' then if(later or recent, {gone_contract}, {lost_contract_details})
                when later then {carried_contract}
                when recent then {believed_contract}
                else {unverified_contract}
           end,
           case when refused or denied then last_code end,
           case when refused then last_retry end
    from snapshot_unrecorded),
snapshots_conditions as (
    select dataset, symbol, session, '' as bar_size, condition, reason, broker_code, retry_after,
           1::bigint as instruments,
           (condition in ('complete', 'no_trades', 'nothing_selected'))::bigint as complete,
           (session = $current::date and condition not in ({settled})
            and (retry_after is null or retry_after <= $now::timestamptz))::bigint as askable,
           null::date as expires
    from snapshot_answered)
