-- What is asked for, and the first session of each dataset of a symbol. Nothing reads `given`: it names every parameter,
-- so that the same parameters fit whichever datasets are asked for.
given as (
    select $symbols::varchar[] as symbols, $sizes::varchar[] as sizes,
           $begin::date as begin_day, $end::date as end_day, $closed::date as closed,
           $current::date as current_session, $today::date as today, $now::timestamptz as instant,
           $verify_days::integer as verify_days),
wanted_symbols as (select unnest($symbols::varchar[]) as symbol),
all_sessions as (select unnest($sessions::date[]) as session),

-- From the coverage of the underlyings alone where that says it: the rows of contracts are a hundred times as many.
marks as (
    select dataset, bar_size, symbol, min(session) as first_session
    from coverage
    where symbol in (select symbol from wanted_symbols) and dataset in ('contracts', 'option_chains', 'equity_bars')
    group by dataset, bar_size, symbol{option_marks}),
set_up as (
    select symbol, min(first_session) as first_session
    from marks where dataset in ('contracts', 'option_chains') group by symbol)
