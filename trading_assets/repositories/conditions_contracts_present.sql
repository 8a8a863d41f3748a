select 'contracts' as dataset, symbol, session, con_id
    from contracts
    where symbol in (select symbol from wanted_symbols)
      and session > $begin::date - $verify_days::integer
