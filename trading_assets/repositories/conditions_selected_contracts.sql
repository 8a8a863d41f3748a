contracts_wanted as (
    select u.symbol, u.session, c.con_id, max(c.expiry) as expiry, max(c.snapshot) as snapshot
    from used u
    join selected_contracts c on c.symbol = u.symbol and c.snapshot = u.snapshot and c.last_day >= u.session
    group by u.symbol, u.session, c.con_id)
