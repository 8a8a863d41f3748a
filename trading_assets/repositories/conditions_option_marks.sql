
    union all
    select dataset, bar_size, symbol, min(session)
    from coverage
    where symbol in (select symbol from wanted_symbols) and dataset = 'option_bars' and bar_size = '{option_size}'
    group by dataset, bar_size, symbol