select 'contracts' as dataset, symbol, session
    from contracts
    where symbol in (select symbol from wanted_symbols)
      and session > $begin::date - $verify_days::integer
