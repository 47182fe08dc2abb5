-- Images had another name before 0.2, and so had settings, which stand in `run.spec`. Everything here is derived from the
-- run directories, so the rows go and the next start reads them again under the names of now.

alter table picture rename to image;
delete from run;
