-- No dataset is asked for: the relation without a row.
nothing_conditions as (
    select null::varchar as dataset, null::varchar as bar_size, null::varchar as symbol, null::date as session,
           null::varchar as condition, null::varchar as reason, null::integer as broker_code,
           null::timestamptz as retry_after, 0::bigint as instruments, 0::bigint as complete, 0::bigint as askable,
           null::date as expires
    where false)
