-- Runs across tenants: claim and reaper.
SELECT 1;
