-- An index of the run directories. Times are seconds since 1970: whole where run.toml has whole seconds,
-- with fractions where they come from events. A value that is not a number is stored as null.

create table run (
    run_id text not null primary key,
    key text not null,
    label text not null,
    stage text not null,
    method text not null,
    seed integer not null,
    scale text not null,
    data text not null,
    -- Not a foreign key: the directory of a parent may have been removed by hand.
    parent_id text,
    -- The whole RunSpec as JSON.
    spec text not null,
    created integer not null,

    -- The fold of the events: run_dir::History.
    state text not null constraint run_state check (state in ('queued', 'running', 'finished', 'failed', 'cancelled')),
    attempt integer not null,
    priority integer not null,
    reason text,
    device text,
    started real,
    ended real,

    -- The fold of the events: store::Progress.
    queued real,
    phase text,
    step integer not null,
    steps integer not null,
    images_per_second real,
    eta_seconds real,
    checkpoint_step integer,

    -- How far events.jsonl has been read: run_dir::Position. Written in the transaction that stores the rows.
    offset integer not null,
    seq integer not null,
    last_len integer not null,
    -- Why events.jsonl cannot be read further.
    broken text
) strict;

create index run_by_state on run (state);
create index run_by_parent on run (parent_id);

create table attempt (
    run_id text not null references run (run_id) on delete cascade,
    attempt integer not null,
    pid integer not null,
    host text not null,
    device text not null,
    threads integer not null,
    resumed_step integer,
    started real not null,
    ended real,
    -- How it ended: `finished`, `failed` or `cancelled`.
    outcome text,
    reason text,
    primary key (run_id, attempt)
) strict, without rowid;

create table metric (
    run_id text not null references run (run_id) on delete cascade,
    name text not null,
    step integer not null,
    value real,
    primary key (run_id, name, step)
) strict, without rowid;

create table summary (
    run_id text not null references run (run_id) on delete cascade,
    name text not null,
    value real,
    primary key (run_id, name)
) strict, without rowid;

create table picture (
    run_id text not null references run (run_id) on delete cascade,
    name text not null,
    step integer not null,
    file text not null,
    primary key (run_id, name, step)
) strict, without rowid;

create table warning (
    run_id text not null references run (run_id) on delete cascade,
    seq integer not null,
    time real not null,
    message text not null,
    primary key (run_id, seq)
) strict, without rowid;

create table load (
    run_id text not null references run (run_id) on delete cascade,
    seq integer not null,
    time real not null,
    cpu_percent real not null,
    memory_mib real not null,
    primary key (run_id, seq)
) strict, without rowid;

-- Which run this server has given to which device. Not derived from events; emptied at every start. It
-- outlives the row of its run, which goes and comes when a resumed worker has cut the events.
create table claim (
    run_id text not null primary key,
    device text not null
) strict, without rowid;
