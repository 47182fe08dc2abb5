-- Which scales and pictures there are is asked on many pages, and rows are large.

create index run_by_scale on run (scale, data);
