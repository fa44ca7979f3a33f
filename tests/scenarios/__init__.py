"""Promises, proven through URLs and credentials; the same files run anywhere.

How to add a row
- It is in `catalogue.py` already: all 41 are. Write `tests/scenarios/<category>/test_<promise>.py`
  and mark its tests `@pytest.mark.scenario("websocket", "load")` (or `pytestmark = …`); the
  report finds them by that, and a row without a marked test is "not built". A test of a part of
  a row whose rest is not there yet is marked `part` instead, and the row stays "not built".
- Ask for `tenant` (a new tenant; `tenant.user("ann")` is a caller of the first process,
  `tenant.user("ann", at=1)` one of the second), `new_tenant` for more of them, `service_urls`
  and `platform_key` for the raw address. `callers.py` speaks HTTP (httpx), `wire.py` sockets
  (websockets) and server-sent events: third-party clients only, never `threadkeep.client`.
- `admin_dsn` (raw SQL, `database.as_role`), `clock` (ages rows) and `stage` (a deployment of the
  test's own with `stage.faults`: kill, restart, start; `durable_stage` with a database server that
  may be killed and blocked, too) may not be there against a remote service: the test is then
  skipped and listed, or fails where THREADKEEP_TEST_REQUIRE or CI demand it.
- `fleet` asks each process about itself, `prober.probing` asks the service ten times a second
  while it is disturbed, `traffic.traffic` writes and follows and keeps the ledger.
- `figures.record(name, value, unit, n=…)` what you measured, `figures.latencies(name, seconds,
  avg=100)` times. Assert counts, orders and ratios; let `figures.judge(…, below=…)` look at
  absolute times: it fails the test only with `--judge`, as in `make scenarios`. What takes more
  than a number goes into `figures.draw(…)`: `charts.curves`, `Prober.chart`.
- `levels` says how much to do: never a literal where a profile should decide.
- A row is "proven" only when its tests pass and a sabotage turned one of them red: add the broken
  mechanism to `tests/sabotage/mechanisms/`, and a line to `tests/sabotage/controls/`.
"""
