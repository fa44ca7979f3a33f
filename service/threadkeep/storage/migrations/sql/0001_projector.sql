-- Projector and search.
SELECT 1;
