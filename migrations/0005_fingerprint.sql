-- Which images a run was made on, by their contents: asked for on the pages of data sets and studies.

alter table run add column fingerprint text generated always as (spec ->> '$.inputs."data.source"') virtual;
create index run_by_fingerprint on run (fingerprint);
drop index run_by_scale;
create index run_by_scale on run (scale, data, fingerprint);
