// What can go wrong between a browser and the service, as one kind of error.

/** What the service refused, or why it could not be reached (`code` "unreachable"). */
export class ThreadkeepError extends Error {
  constructor(error, status = 0) {
    super(error.message ?? error.code);
    this.name = "ThreadkeepError";
    this.status = status;
    this.code = error.code ?? "internal";
    this.field = error.field;
    this.state = error.state;
    this.runId = error.run_id;
    this.requestId = error.request_id;
    this.retryAfterMs = error.retry_after_ms;
    this.outcomeUnknown = error.outcome === "unknown";
  }

  get isTransient() {
    return ["unavailable", "maintenance", "too_many", "unreachable"].includes(this.code);
  }
}

/** What a refusal says; that of a proxy, which knows nothing of us, by its status. */
export function errorOf(response, body) {
  if (body?.error) return new ThreadkeepError(body.error, response.status);
  const codes = { 401: "not_authenticated", 404: "not_found", 413: "too_large", 429: "too_many" };
  const code = codes[response.status] ?? (response.status >= 502 ? "unavailable" : "internal");
  const seconds = Number(response.headers.get("Retry-After"));
  const outcome = [502, 504].includes(response.status) ? "unknown" : undefined;
  const message = `HTTP ${response.status}`;
  return new ThreadkeepError(
    { code, message, outcome, retry_after_ms: seconds ? seconds * 1000 : undefined },
    response.status,
  );
}
