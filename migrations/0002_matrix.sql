-- Results that are tables of numbers: run_dir::Matrix as JSON, where a number that is not defined is null.

create table matrix (
    run_id text not null references run (run_id) on delete cascade,
    name text not null,
    content text not null,
    primary key (run_id, name)
) strict, without rowid;
