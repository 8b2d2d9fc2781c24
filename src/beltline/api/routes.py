"""The route table: every address of the API, and the operation behind each of its methods."""

from __future__ import annotations

from beltline.api.blobs import read_blob
from beltline.api.buffers import (
    list_buffers,
    list_sources,
    pause_source,
    resume_source,
)
from beltline.api.connections import close_breaker, list_connections, test_connection
from beltline.api.dead_letters import cancel_many, list_dead_letters, retry_many, skip_many
from beltline.api.definitions import list_processes, publish_process, show_process
from beltline.api.feeds import run_source_now
from beltline.api.health import healthz, metrics, readyz
from beltline.api.held_requests import (
    drop_requests,
    list_waiting,
    order_requests,
    release_requests,
)
from beltline.api.inventory import list_modules, show_module
from beltline.api.module_answers import take_answer
from beltline.api.operation import Endpoint
from beltline.api.requests import accept_request, list_requests, show_request
from beltline.api.runs import cancel_run, go_to_step, list_runs, retry_run, show_run, skip_step
from beltline.api.secrets import list_secrets, remove_secret, set_secret

ROUTES: tuple[Endpoint, ...] = (
    Endpoint("GET", "/healthz", healthz),
    Endpoint("GET", "/readyz", readyz),
    Endpoint("GET", "/metrics", metrics),
    Endpoint("GET", "/api/v1/runs", list_runs),
    Endpoint("GET", "/api/v1/runs/{id}", show_run),
    Endpoint("POST", "/api/v1/runs/{id}/retry", retry_run),
    Endpoint("POST", "/api/v1/runs/{id}/skip", skip_step),
    Endpoint("POST", "/api/v1/runs/{id}/goto", go_to_step),
    Endpoint("POST", "/api/v1/runs/{id}/cancel", cancel_run),
    Endpoint("POST", "/api/v1/events/answers", take_answer),
    Endpoint("GET", "/api/v1/dead-letters", list_dead_letters),
    Endpoint("POST", "/api/v1/dead-letters/retry", retry_many),
    Endpoint("POST", "/api/v1/dead-letters/skip", skip_many),
    Endpoint("POST", "/api/v1/dead-letters/cancel", cancel_many),
    Endpoint("GET", "/api/v1/processes", list_processes),
    Endpoint("GET", "/api/v1/processes/{name}", show_process),
    Endpoint("PUT", "/api/v1/processes/{name}", publish_process),
    Endpoint("GET", "/api/v1/requests", list_requests),
    Endpoint("GET", "/api/v1/requests/{id}", show_request),
    Endpoint("POST", "/api/v1/requests/{id}/accept", accept_request),
    Endpoint("GET", "/api/v1/sources", list_sources),
    Endpoint("POST", "/api/v1/sources/{source}/run-now", run_source_now),
    Endpoint("GET", "/api/v1/buffers", list_buffers),
    Endpoint("POST", "/api/v1/buffers/{source}/pause", pause_source),
    Endpoint("POST", "/api/v1/buffers/{source}/resume", resume_source),
    Endpoint("GET", "/api/v1/buffers/{source}/requests", list_waiting),
    Endpoint("POST", "/api/v1/buffers/{source}/release", release_requests),
    Endpoint("POST", "/api/v1/buffers/{source}/drop", drop_requests),
    Endpoint("POST", "/api/v1/buffers/{source}/order", order_requests),
    Endpoint("GET", "/api/v1/blobs/{id}", read_blob),
    Endpoint("GET", "/api/v1/modules", list_modules),
    Endpoint("GET", "/api/v1/modules/{name}", show_module),
    Endpoint("GET", "/api/v1/connections", list_connections),
    Endpoint("POST", "/api/v1/connections/{name}/close-breaker", close_breaker),
    Endpoint("POST", "/api/v1/connections/{name}/test", test_connection),
    Endpoint("GET", "/api/v1/secrets", list_secrets),
    Endpoint("PUT", "/api/v1/secrets/{name}", set_secret),
    Endpoint("DELETE", "/api/v1/secrets/{name}", remove_secret),
)
