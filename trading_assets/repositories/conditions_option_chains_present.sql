select distinct 'option_chains' as dataset, symbol, session, null::bigint as con_id
    from option_chains
    where symbol in (select symbol from wanted_symbols)
      and session between $begin::date and $end::date
