"""The SQL of `repositories.conditions`: the relation `conditions` as a chain of common table expressions.

Nothing is said here about what conditions mean; that stands in `repositories.conditions`. Parameters: `$symbols`,
`$sizes`, `$sessions` (lists), `$begin`, `$end`, `$closed`, `$current`, `$today` (dates), `$now` (instant),
`$verify_days` (days).
"""

from __future__ import annotations

from collections.abc import Sequence

from trading_assets.repositories.schemas import (
    CONTRACTS,
    EQUITY_BARS,
    OPTION_BARS,
    OPTION_CHAINS,
    REFUSED_SQL,
    SETTLED_SQL,
)

NOT_COLLECTED = "Not collected yet."
GONE = "The bars are gone from the lake; they are requested again."
GONE_SNAPSHOT = "Nothing of it is in the lake, though it was recorded; it is requested again."
LOST_CONTRACT = "The contract expired before its bars were collected; the broker keeps no history of expired options."
NO_CONTRACT_ALIVE = "No selected contract was alive in this session; a newer chain is needed first."
NOTHING_SELECTED = "No option contract is selected yet; option_chains comes first."

_COLUMNS = (
    "dataset, bar_size, symbol, session, condition, reason, broker_code, retry_after, instruments, complete, askable,"
    " expires"
)


def missed_snapshot(session: str) -> str:
    """The reason of a chain that was not taken while its session was current; `session` is its date."""
    return f"No snapshot was taken while session {session} was current; a chain of a past session is unavailable."


def gone_snapshot(session: str) -> str:
    """The reason of a chain of a past session that was recorded, and of which no row is left."""
    return (
        f"Nothing of the chain of session {session} is in the lake, though it was recorded; a chain of a past session"
        " is unavailable."
    )


def carried_contract(session: str) -> str:
    """The reason of contract details that nobody asked for in that session, while they were verified later."""
    return f"Not asked for in session {session}; the details of the sessions beside it answer for it."


def believed_contract(session: str) -> str:
    """The reason of contract details that nobody asked for in that session or later, soon after they were verified."""
    return f"Not asked for in session {session}; the details of an earlier session are recent enough to answer for it."


def unverified_contract(session: str) -> str:
    """The reason of contract details that nobody asked for in that session, long before or later."""
    return (
        f"The contract details of session {session} are neither verified nor recent enough; the next update answers for"
        " them."
    )


def gone_contract(session: str) -> str:
    """The reason of contract details of a past session that were recorded, and of which no row is left; other sessions
    answer for them."""
    return (
        f"The contract details of session {session} are gone from the lake; those of the sessions beside it answer for"
        " them."
    )


def lost_details(session: str) -> str:
    """The same, where no other session answers for them."""
    return f"The contract details of session {session} are gone from the lake; the next update answers for them."


def statement(datasets: Sequence[str], option_bar_size: str, precedence: Sequence[str]) -> str:
    """The `with` clause that ends in the relation `conditions`, over the given datasets only. A select follows it."""
    snapshots = [name for name in (CONTRACTS.name, OPTION_CHAINS.name) if name in datasets]
    parts = [_GIVEN, _FIRSTS.format(option_size=option_bar_size)]
    found = []
    if snapshots:
        parts.append(_snapshots(snapshots))
        found.append("snapshot_conditions")
    if EQUITY_BARS.name in datasets:
        parts.append(_EQUITY)
        found.append("equity_conditions")
    if OPTION_BARS.name in datasets:
        parts.append(_options(option_bar_size, precedence))
        found.append("option_conditions")
    union = " union all ".join(f"select {_COLUMNS} from {name}" for name in found) or f"select {_COLUMNS} from nothing"
    if not found:
        parts.append(_NOTHING)
    return f"with {', '.join(parts)}, conditions as ({union})"


_GIVEN = """
given as (select $symbols::varchar[] as symbols, $sizes::varchar[] as sizes, $begin::date as begin_day,
                 $end::date as end_day,
                 $closed::date as closed, $current::date as current_session, $today::date as today,
                 $now::timestamptz as instant,
                 $verify_days::integer as verify_days, $every::boolean as every_session),
wanted_symbols as (select unnest($symbols::varchar[]) as symbol),
all_sessions as (select unnest($sessions::date[]) as session)"""

# From the coverage of the underlyings alone where that says it: the rows of contracts are a hundred times as many.
_FIRSTS = """
marks as (
    select dataset, bar_size, symbol, min(session) as first_session from coverage
    where symbol in (select symbol from wanted_symbols) and dataset in ('contracts', 'option_chains', 'equity_bars')
    group by dataset, bar_size, symbol
    union all
    select dataset, bar_size, symbol, min(session) from coverage
    where symbol in (select symbol from wanted_symbols) and dataset = 'option_bars' and bar_size = '{option_size}'
    group by dataset, bar_size, symbol),
set_up as (select symbol, min(first_session) as first_session from marks where dataset in ('contracts', 'option_chains')
           group by symbol)"""

_NOTHING = """
nothing as (select null::varchar as dataset, null::varchar as bar_size, null::varchar as symbol, null::date as session,
                   null::varchar as condition,
                   null::varchar as reason, null::integer as broker_code, null::timestamptz as retry_after,
                   0::bigint as instruments,
                   0::bigint as complete, 0::bigint as askable, null::date as expires where false)"""


def instruments(dataset: str) -> str:
    """A SELECT of what is wanted of bars, an instrument and session a row, after the `with` clause of that dataset
    alone."""
    if dataset == EQUITY_BARS.name:
        return """select symbol, 0::bigint as con_id, session, condition, reason, broker_code, retry_after,
                         null::date as snapshot, askable > 0 as askable, false as lost
                  from equity_conditions order by symbol, session"""
    return """select symbol, con_id, session, if(waits, recorded, condition) as condition,
                     if(waits, recorded_reason, reason) as reason,
                     broker_code, retry_after, snapshot, may_ask as askable, lost
              from option_ranked order by symbol, con_id, session"""


EXPIRED_CONTRACTS = """
    select symbol, con_id, max(session) as session, count(*) as sessions, count(*) filter (recorded is null) as unknown,
           count(*) filter (recorded is not null and condition not in ('complete', 'no_trades')) as lost
    from (select *, min(snapshot) over (partition by symbol, con_id) as first_selected from option_ranked)
    where expired and session >= first_selected group by symbol, con_id"""
"""What became of each contract that has expired, after the `with` clause of `option_bars`. Sessions before the first
chain that selects it do not count: they are wanted too, but nobody knew the contract in time."""


def _sentence(sentence: str) -> str:
    """A reason with the session in it, as an SQL expression."""
    before, _, after = sentence.partition("{}")
    return f"'{before}' || strftime(session, '%Y-%m-%d') || '{after}'"


def _snapshots(names: Sequence[str]) -> str:
    listed = ", ".join(f"('{name}')" for name in names)
    present = {
        CONTRACTS.name: (
            """
    select 'contracts' as dataset, symbol, session from contracts
    where symbol in (select symbol from wanted_symbols) and session > $begin::date - $verify_days::integer"""
        ),
        OPTION_CHAINS.name: (
            """
    select distinct 'option_chains' as dataset, symbol, session from option_chains
    where symbol in (select symbol from wanted_symbols)
      and session between $begin::date and $end::date"""
        ),
    }
    return f"""
snapshot_rows as (
    select dataset, symbol, session, condition, reason, broker_code, retry_after from coverage
    where dataset in (select name from (values {listed}) as listed(name)) and con_id = 0 and bar_size = ''
      and symbol in (select symbol from wanted_symbols)),
snapshot_present as ({" union all ".join(present[name] for name in names)}),
snapshot_wanted as (
    select listed.name as dataset, s.symbol, d.session
    from (values {listed}) as listed(name) cross join wanted_symbols s
    left join marks m on m.dataset = listed.name and m.symbol = s.symbol and m.bar_size = ''
    left join set_up u on u.symbol = s.symbol
    join all_sessions d on d.session >= coalesce(m.first_session, u.first_session)),
snapshot_joined as (
    select w.dataset, w.symbol, w.session, r.reason, r.broker_code, r.retry_after, r.condition as recorded,
           coalesce(r.condition in ('complete', 'partial') and p.session is null, false) as gone,
           case when (r.condition = 'pending' or r.condition = 'error' and r.retry_after is null)
                     and w.session < $current::date then null
                when r.condition in ('complete', 'partial') and p.session is null then null
                    else r.condition end as condition
    from snapshot_wanted w
    left join snapshot_rows r on r.dataset = w.dataset and r.symbol = w.symbol and r.session = w.session
    left join snapshot_present p on p.dataset = w.dataset and p.symbol = w.symbol and p.session = w.session
    where r.condition is not null or w.session <= $closed::date),
refusing as (
    select dataset, symbol, session, condition, reason, broker_code, retry_after from snapshot_rows
    where (dataset, symbol) in (select (dataset, symbol) from snapshot_rows
                                where condition in ({REFUSED_SQL}) and retry_after is not null)),
verified as (
    select symbol, session from snapshot_present p
    where dataset = 'contracts' and exists (
        select 1 from snapshot_rows r
        where r.dataset = p.dataset and r.symbol = p.symbol and r.session = p.session and r.condition = 'complete')),
last_verified as (select symbol, max(session) as session from verified group by symbol),
snapshot_untold as (
    select u.dataset, u.symbol, u.session, u.recorded, u.reason, u.gone,
           u.session = $current::date as is_current,
           r.condition as last_condition, r.reason as last_reason, r.broker_code as last_code,
           r.retry_after as last_retry,
           not u.gone and coalesce(r.condition in ({REFUSED_SQL}) and r.retry_after::timestamp::date > u.session,
                                   false) as refused,
           coalesce(l.session > u.session, false) as later,
           coalesce(u.session - v.session < $verify_days::integer, false) as recent
    from (select * from snapshot_joined where condition is null) u
    asof left join refusing r on r.dataset = u.dataset and r.symbol = u.symbol and u.session >= r.session
    asof left join verified v on v.symbol = u.symbol and u.session > v.session
    left join last_verified l on l.symbol = u.symbol),
snapshot_conditions as (
    select dataset, symbol, session, '' as bar_size, condition, reason, broker_code, retry_after,
           1::bigint as instruments,
           (condition in ('complete', 'no_trades', 'nothing_selected'))::bigint as complete,
           (session = $current::date and condition not in ({SETTLED_SQL})
            and (retry_after is null or retry_after <= $now::timestamptz))::bigint as askable,
            null::date as expires
    from (
        select dataset, symbol, session, condition, reason, broker_code, retry_after from snapshot_joined
        where condition is not null
        union all
        select dataset, symbol, session,
               case when refused then last_condition when is_current then 'pending'
                    when dataset = 'option_chains' then 'expired_lost'
                    when later or recent then 'complete' else 'pending' end,
               case when refused then last_reason when is_current and not gone then '{NOT_COLLECTED}'
                    when is_current then trim('{GONE_SNAPSHOT} ' || reason)
                    when dataset = 'option_chains'
                        then if(gone, {_sentence(gone_snapshot("{}"))}, {_sentence(missed_snapshot("{}"))})
                    when gone and reason = ''
                        then if(later or recent, {_sentence(gone_contract("{}"))}, {_sentence(lost_details("{}"))})
                    when later then {_sentence(carried_contract("{}"))}
                        when recent then {_sentence(believed_contract("{}"))}
                    else {_sentence(unverified_contract("{}"))} end,
               case when refused then last_code end, case when refused then last_retry end
        from snapshot_untold))"""


_EQUITY = f"""
equity_rows as (
    select bar_size, symbol, session, condition, reason, broker_code, retry_after from coverage
    where dataset = 'equity_bars' and con_id = 0 and bar_size in (select unnest($sizes::varchar[]))
      and symbol in (select symbol from wanted_symbols)
      and session between $begin::date and $end::date),
equity_present as (
    select distinct bar_size, symbol, session from equity_bars
    where bar_size in (select unnest($sizes::varchar[])) and symbol in (select symbol from wanted_symbols)
      and session between $begin::date and $end::date),
equity_wanted as (
    select z.bar_size, s.symbol, d.session
    from (select unnest($sizes::varchar[]) as bar_size) z cross join wanted_symbols s
    left join marks m on m.dataset = 'equity_bars' and m.bar_size = z.bar_size and m.symbol = s.symbol
    left join set_up u on u.symbol = s.symbol
    join all_sessions d on ($every::boolean
                            or d.session >= coalesce(m.first_session, u.first_session))
                       and d.session <= $closed::date),
equity_joined as (
    select w.bar_size, w.symbol, w.session, r.reason, r.broker_code,
           coalesce(r.condition = 'complete' and p.session is null, false) as gone,
           case when r.condition is null or (r.condition = 'complete' and p.session is null) then 'pending'
                else r.condition end as condition,
           case when r.condition is not null then r.retry_after end as retry_after, r.condition is null as unknown
    from equity_wanted w
    left join equity_rows r on r.bar_size = w.bar_size and r.symbol = w.symbol and r.session = w.session
    left join equity_present p on p.bar_size = w.bar_size and p.symbol = w.symbol and p.session = w.session),
equity_conditions as (
    select 'equity_bars' as dataset, bar_size, symbol, session, condition,
           case when unknown then '{NOT_COLLECTED}' when gone then '{GONE}' else reason end as reason, broker_code,
           retry_after,
           1::bigint as instruments, (condition in ('complete', 'no_trades'))::bigint as complete,
           (condition not in ({SETTLED_SQL})
            and (retry_after is null or retry_after <= $now::timestamptz))::bigint as askable,
           null::date as expires
    from equity_joined)"""


def _options(bar_size: str, precedence: Sequence[str]) -> str:
    ranks = " ".join(f"when '{condition}' then {rank}" for rank, condition in enumerate(precedence))
    words = ", ".join(f"'{condition}'" for condition in precedence)
    return f"""
option_wanted as (
    select s.symbol, d.session from wanted_symbols s
    left join marks m on m.dataset = 'option_bars' and m.symbol = s.symbol
    left join set_up u on u.symbol = s.symbol
    join all_sessions d on ($every::boolean
                            or d.session >= coalesce(m.first_session, u.first_session))
                       and d.session <= $closed::date),
chain_sessions as (
    select distinct symbol, session from option_chains
    where selected and session >= $begin::date and symbol in (select symbol from wanted_symbols)
    union all
    select symbol, max(session) from option_chains
    where selected and session < $begin::date and symbol in (select symbol from wanted_symbols)
    group by symbol),
answering as (
    select w.symbol, w.session, b.session as before, a.session as after
    from option_wanted w
    asof left join chain_sessions b on b.symbol = w.symbol and w.session > b.session
    asof left join chain_sessions a on a.symbol = w.symbol and w.session <= a.session),
used as (
    select symbol, session, coalesce(after, before) as snapshot from answering where coalesce(after, before) is not null
    union
    select symbol, session, before from answering where before is not null and after is distinct from session),
selected_contracts as (
    select o.symbol, o.session as snapshot, o.con_id, o.expiry,
           least(o.expiry, coalesce(try_strptime(o.last_trade[:8], '%Y%m%d')::date, o.expiry)) as last_day
    from option_chains o semi join used u on o.symbol = u.symbol and o.session = u.snapshot where o.selected),
contracts_wanted as (
    select u.symbol, u.session, c.con_id, max(c.expiry) as expiry, max(c.snapshot) as snapshot
    from used u join selected_contracts c on c.symbol = u.symbol and c.snapshot = u.snapshot and c.last_day >= u.session
    group by u.symbol, u.session, c.con_id),
option_rows as (
    select symbol, con_id, session, condition, reason, broker_code, retry_after from coverage
    where dataset = 'option_bars' and bar_size = '{bar_size}' and symbol in (select symbol from wanted_symbols)
      and session between $begin::date and $end::date),
option_present as (
    select distinct con_id, session from option_bars
    where bar_size = '{bar_size}' and symbol in (select symbol from wanted_symbols)
      and session between $begin::date and $end::date),
option_joined as (
    select w.symbol, w.session, w.con_id, w.expiry, w.snapshot, w.expiry < $today::date as expired,
           r.condition as recorded, r.reason, r.broker_code, r.retry_after,
           coalesce(r.condition = 'complete' and p.con_id is null, false) as gone
    from contracts_wanted w
    left join option_rows r on r.symbol = w.symbol and r.con_id = w.con_id and r.session = w.session
    left join option_present p on p.con_id = w.con_id and p.session = w.session),
option_told as (
    select symbol, session, con_id, expiry, expired, snapshot, broker_code, retry_after, recorded,
           reason as recorded_reason,
           coalesce(retry_after > $now::timestamptz, false) as waits,
           expired and not coalesce(retry_after > $now::timestamptz, false)
             and recorded is distinct from 'partial'
               and (gone or coalesce(recorded, 'pending') not in ({SETTLED_SQL})) as lost,
           case when coalesce(recorded, 'pending') not in ({SETTLED_SQL}) and expired then 'expired_lost'
                when gone then if(expired, 'expired_lost', 'pending')
                    else coalesce(recorded, 'pending') end as condition,
           case when coalesce(recorded, 'pending') not in ({SETTLED_SQL}) and expired then '{LOST_CONTRACT}'
                when recorded is null then '{NOT_COLLECTED}' when gone then if(expired, '{LOST_CONTRACT}', '{GONE}')
                    else reason end as reason
    from option_joined),
option_ranked as (
    select *, case condition {ranks} end as rank,
           condition not in ({SETTLED_SQL})
             and (retry_after is null or retry_after <= $now::timestamptz) as may_ask
    from option_told),
option_rolled as (
    select symbol, session, min(rank) as rank, count(*) as instruments, arg_min(reason, rank) as reason,
           arg_min_null(broker_code, rank) as broker_code,
           min(retry_after) filter (condition not in ({SETTLED_SQL})) as retry_after,
           count(*) filter (condition in ('complete', 'no_trades')) as complete, count(*) filter (may_ask) as askable,
           min(expiry) filter (may_ask) as expires, max(rank) as last_rank
    from option_ranked group by symbol, session),
lacking_contracts as (select symbol, session, con_id, expiry from option_ranked where may_ask),
option_counts as (select symbol, session, rank, count(*) as alike from option_ranked group by symbol, session, rank),
chain_answers as (
    select symbol, arg_max(condition, session) as condition, arg_max(reason, session) as reason,
           arg_max_null(broker_code, session) as broker_code,
           arg_max_null(retry_after, session) as retry_after
    from coverage where dataset = 'option_chains' and con_id = 0 and symbol in (select symbol from wanted_symbols)
    group by symbol),
unselected as (
    select symbol, session, reason from coverage
    where dataset = 'option_chains' and con_id = 0 and condition = 'nothing_selected'
      and symbol in (select symbol from wanted_symbols)),
option_conditions as (
    select 'option_bars' as dataset, '{bar_size}' as bar_size, w.symbol, w.session,
           case when r.symbol is not null then [{words}][r.rank + 1]
                when s.symbol is not null or u.symbol is null
                  and c.condition = 'nothing_selected' then 'nothing_selected'
                when u.symbol is null and c.condition in ({REFUSED_SQL}) then c.condition
                    else 'pending' end as condition,
           case when r.symbol is not null and (r.reason = '' or r.instruments = 1) then r.reason
                when r.symbol is not null then n.alike || ' of ' || r.instruments || ' contracts: ' || r.reason
                when s.symbol is not null then s.reason
                when u.symbol is null and c.condition in ({REFUSED_SQL}, 'nothing_selected') then c.reason
                when u.symbol is null then '{NOTHING_SELECTED}' else '{NO_CONTRACT_ALIVE}' end as reason,
           case when r.symbol is not null then r.broker_code when u.symbol is null
                and c.condition in ({REFUSED_SQL}) then c.broker_code end
               as broker_code,
           case when r.symbol is not null then r.retry_after when u.symbol is null
                and c.condition in ({REFUSED_SQL}) then c.retry_after end
               as retry_after,
           coalesce(r.instruments, 0) as instruments, coalesce(r.complete, 0) as complete,
           coalesce(r.askable, 0) as askable, r.expires
    from option_wanted w
    left join option_rolled r on r.symbol = w.symbol and r.session = w.session
    left join option_counts n on n.symbol = r.symbol and n.session = r.session and n.rank = r.rank
    left join unselected s on s.symbol = w.symbol and s.session = w.session
    left join chain_answers c on c.symbol = w.symbol
    left join (select distinct symbol from chain_sessions) u on u.symbol = w.symbol)"""
