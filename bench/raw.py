"""The baseline for the service, one process with the service's environment: `python -m bench.raw PORT`.

`/raw/…` answers like the service with hand-written SQL: rows of asyncpg, one dictionary each, encoded by
orjson, with the same checks of key, membership, scope, visibility and budget. It has no logs, metrics, links and
filters, and knows no errors.

Create and update write what the service does, and keep its promises: their statement also counts the event of
the task, records it in the ledger and finds out whether a receiver wants a snapshot; it is performed and the
answer encoded inside one transaction, so that a request answered with an error has changed nothing; readers
of the ledger are woken behind the commit, by the service's own client. A beat is one statement of its own, as
there. A poll that finds nothing new is the framework and one short statement, without any check.
"""

import hashlib
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
import orjson
import uvicorn
from fastapi import FastAPI, Request, Response
from redis.asyncio import Redis
from typing_extensions import override

from app.clients.wakes import LedgerWakes
from app.clock import utcnow
from app.config import get_settings
from app.ids import new_id

APPLICATION_NAME: Final = "bench-raw"

_AUTHENTICATION: Final = """
SELECT k.id, k.scopes, u.id AS user_id, p.id AS project_id, p.name
FROM api_keys k JOIN users u ON u.id = k.user_id JOIN projects p ON p.id = $2
JOIN memberships m ON m.project_id = p.id AND m.user_id = u.id
WHERE k.secret_hash = $1 AND k.revoked_at IS NULL AND u.is_active
"""
_COLUMNS: Final = """
t.id, t.task_number, t.title, t.title_manually_set, t.description, t.origin_product, t.repository,
t.github_integration_id, t.github_user_integration_id, t.signal_report_id, t.json_schema, t.internal, t.archived,
t.archived_at, t.created_at, t.updated_at, t.last_activity_at, t.ci_prompt,
u.id AS creator_id, u.uuid, u.distinct_id, u.first_name, u.last_name, u.email, u.is_email_verified,
u.hedgehog_config, u.role_at_organization,
r.id AS run_id, r.stage, r.branch, r.status, r.environment, r.error_message, r.output, r.state, r.artifacts,
r.created_at AS run_created_at, r.updated_at AS run_updated_at, r.completed_at, r.facts, r.attempts,
CASE WHEN r.status = 'queued' AND r.dispatch_requested_at IS NOT NULL THEN (
    SELECT count(*) FROM (
        SELECT FROM runs q WHERE q.project_id = r.project_id AND q.status = 'queued' AND q.dispatch_requested_at IS NOT NULL
        AND (q.dispatch_requested_at, q.id) <= (r.dispatch_requested_at, r.id) LIMIT 1000
    ) ahead
) END AS queue_position
"""
_JOINS: Final = "LEFT JOIN users u ON u.id = t.created_by_id LEFT JOIN runs r ON r.id = t.latest_run_id"
_RETRIEVE: Final = f"""
SELECT {_COLUMNS} FROM tasks t {_JOINS}
WHERE t.id = $1 AND t.project_id = $2 AND t.audience IN (0, $3) AND NOT t.deleted
"""
_LISTED: Final = "project_id = $1 AND NOT deleted AND NOT archived AND NOT internal"
_COUNT: Final = f"SELECT count(*) FROM tasks WHERE {_LISTED} AND audience IN (0, $2)"
_ORDER: Final = "ORDER BY created_at DESC, id DESC LIMIT 50"
_LIST: Final = f"""
SELECT {_COLUMNS} FROM (
    (SELECT * FROM tasks WHERE {_LISTED} AND audience = 0 {_ORDER}) UNION ALL
    (SELECT * FROM tasks WHERE {_LISTED} AND audience = $2 {_ORDER})
) t {_JOINS} ORDER BY t.created_at DESC, t.id DESC LIMIT 50
"""
_SNAPSHOT_WANTED: Final = """EXISTS (
    SELECT FROM webhook_endpoints w WHERE w.project_id = events.project_id AND w.enabled AND w.payload = 'full'
) AS snapshot_wanted"""
_CREATE: Final = f"""
WITH numbered AS (
    INSERT INTO task_counters AS c (project_id, next_number) VALUES ($2, 1)
    ON CONFLICT (project_id) DO UPDATE SET next_number = c.next_number + 1 RETURNING next_number - 1 AS number
), t AS (
    INSERT INTO tasks (id, project_id, created_by_id, title, title_manually_set, description, origin_product, internal,
        archived, created_at, updated_at, last_activity_at, task_number, event_count)
    SELECT $1, $2, $3, $4, true, $5, 'user_created', false, false, $6, $6, $6, number, 1 FROM numbered RETURNING *
), recorded AS (
    INSERT INTO events (type, project_id, task_id, subject_seq, occurred_at)
    SELECT 'task.created', project_id, id, event_count, updated_at FROM t RETURNING id AS event_id, {_SNAPSHOT_WANTED}
)
SELECT {_COLUMNS}, recorded.* FROM t {_JOINS} JOIN recorded ON true
"""
_UPDATE: Final = f"""
WITH before AS (
    SELECT id, array_remove(ARRAY[
        CASE WHEN title IS DISTINCT FROM $4 THEN 'title' END, CASE WHEN NOT title_manually_set THEN 'title_manually_set' END
    ], NULL) AS new_fields
    FROM tasks WHERE id = $1 AND project_id = $2 AND audience IN (0, $3) AND NOT deleted FOR NO KEY UPDATE
), t AS (
    UPDATE tasks SET title = $4, title_manually_set = true, updated_at = $5,
        event_count = event_count + (cardinality(new_fields) > 0)::int,
        last_activity_at = CASE WHEN cardinality(new_fields) > 0 THEN greatest(last_activity_at, $5)
            ELSE last_activity_at END
    FROM before WHERE tasks.id = before.id RETURNING tasks.*
), recorded AS (
    INSERT INTO events (type, project_id, task_id, subject_seq, occurred_at, data)
    SELECT 'task.updated', project_id, t.id, event_count, updated_at, jsonb_build_object('changed', new_fields)
    FROM t JOIN before ON before.id = t.id AND cardinality(new_fields) > 0
    RETURNING id AS event_id, {_SNAPSHOT_WANTED}
)
SELECT {_COLUMNS}, recorded.* FROM t {_JOINS} LEFT JOIN recorded ON true
"""
_BEAT: Final = """
WITH task AS (
    SELECT id, project_id FROM tasks WHERE id = $1 AND project_id = $2 AND audience IN (0, $3) AND NOT deleted
), device AS (SELECT id FROM push_tokens WHERE id = $4 AND user_id = $3)
INSERT INTO presence (task_id, push_token_id, project_id, user_id, expires_at)
SELECT task.id, device.id, task.project_id, $3, $5 FROM task, device
ON CONFLICT (task_id, push_token_id) DO UPDATE SET user_id = excluded.user_id, focused = true,
    expires_at = greatest(presence.expires_at, excluded.expires_at)
RETURNING set_config('synchronous_commit', 'off', true)
"""
_VERSION: Final = "SELECT coalesce(sum(changes), 0) FROM task_counts WHERE project_id = $1 AND audience = 0"
_TAG: Final = {"ETag": '"bench"'}
_BEAT_SECONDS: Final = timedelta(seconds=60)
# As long as a signed URL; signing one is kept out, as the service keeps it for most of an hour.
_SIGNED_URL: Final = "http://127.0.0.1:8333/taskbeacon/tasks/logs/" + "x" * 420


class _Connection(asyncpg.Connection):
    """A database connection that returns to its pool without a statement that resets it."""

    @override
    def get_reset_query(self) -> str:
        return ""


class _Raw:
    """The endpoints below `/raw/`, in hand-written SQL."""

    def __init__(self, pool: asyncpg.Pool, redis: Redis) -> None:
        self._pool = pool
        self._redis = redis
        self._wakes = LedgerWakes(redis)

    async def retrieve(self, request: Request) -> Response:
        if "if-none-match" in request.headers:
            return await self._unchanged(request)
        async with self._pool.acquire() as connection:
            caller = await self._caller(request, connection, "task:read")
            row = await connection.fetchrow(
                _RETRIEVE, UUID(request.path_params["task_id"]), caller["project_id"], caller["user_id"]
            )
        assert row is not None
        return _json(_task(row, caller["name"]))

    async def list(self, request: Request) -> Response:
        if "if-none-match" in request.headers:
            return await self._unchanged(request)
        async with self._pool.acquire() as connection:
            caller = await self._caller(request, connection, "task:read")
            count = await connection.fetchval(_COUNT, caller["project_id"], caller["user_id"])
            rows = await connection.fetch(_LIST, caller["project_id"], caller["user_id"])
        results = [_task(row, caller["name"]) for row in rows]
        return _json({"count": count, "next": None, "previous": None, "results": results})

    async def create(self, request: Request) -> Response:
        body = orjson.loads(await request.body())
        async with self._pool.acquire() as connection:
            caller = await self._caller(request, connection, "task:write")
            async with connection.transaction():
                row = await connection.fetchrow(
                    _CREATE,
                    new_id(),
                    caller["project_id"],
                    caller["user_id"],
                    str(body["title"]).strip(),
                    str(body["description"]).strip(),
                    utcnow(),
                )
                assert row is not None
                answer = _json(_task(row, caller["name"]), status=201)
        await self._wake(row)
        return answer

    async def update(self, request: Request) -> Response:
        body = orjson.loads(await request.body())
        async with self._pool.acquire() as connection:
            caller = await self._caller(request, connection, "task:write")
            async with connection.transaction():
                row = await connection.fetchrow(
                    _UPDATE,
                    UUID(request.path_params["task_id"]),
                    caller["project_id"],
                    caller["user_id"],
                    str(body["title"]).strip(),
                    utcnow(),
                )
                assert row is not None
                answer = _json(_task(row, caller["name"]))
        await self._wake(row)
        return answer

    async def beat(self, request: Request) -> Response:
        body = orjson.loads(await request.body())
        async with self._pool.acquire() as connection:
            caller = await self._caller(request, connection, "task:write")
            row = await connection.fetchrow(
                _BEAT,
                UUID(request.path_params["task_id"]),
                caller["project_id"],
                caller["user_id"],
                UUID(body["device_id"]),
                utcnow() + _BEAT_SECONDS,
            )
        assert row is not None
        return Response(status_code=204)

    async def _unchanged(self, request: Request) -> Response:
        async with self._pool.acquire() as connection:
            await connection.fetchval(_VERSION, int(request.path_params["project_id"]))
        return Response(status_code=304, headers=_TAG)

    async def _wake(self, row: asyncpg.Record) -> None:
        if row["event_id"] is not None:
            assert not row["snapshot_wanted"]
            await self._wakes.announce()

    async def _caller(self, request: Request, connection: Any, scope: str) -> asyncpg.Record:
        secret = request.headers["authorization"].removeprefix("Bearer ")
        digest = "sha256$" + hashlib.sha256(secret.encode()).hexdigest()
        caller: asyncpg.Record | None = await connection.fetchrow(
            _AUTHENTICATION, digest, int(request.path_params["project_id"])
        )
        if caller is None or not {scope, "*"} & set(caller["scopes"]):
            raise PermissionError
        now = int(time.time())
        async with self._redis.pipeline(transaction=False) as pipeline:
            for window in (60, 3600):
                key = f"raw:{caller['project_id']}:{window}:{now // window}"
                pipeline.incr(key)
                pipeline.expire(key, window, nx=True)
            counts = await pipeline.execute()
        if counts[0] > 10**9 or counts[2] > 10**9:
            raise PermissionError
        return caller


def _task(row: asyncpg.Record, project: str) -> dict[str, Any]:
    return {
        "id": row["id"],
        "task_number": row["task_number"],
        "slug": f"{project[:3].upper()}-{row['task_number']}",
        "title": row["title"],
        "title_manually_set": row["title_manually_set"],
        "description": row["description"],
        "origin_product": row["origin_product"],
        "repository": row["repository"],
        "github_integration": row["github_integration_id"],
        "github_user_integration": row["github_user_integration_id"],
        "signal_report": row["signal_report_id"],
        "json_schema": _parsed(row["json_schema"]),
        "internal": row["internal"],
        "archived": row["archived"],
        "archived_at": row["archived_at"],
        "latest_run": None if row["run_id"] is None else _run(row),
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "last_activity_at": row["last_activity_at"],
        "created_by": {
            "id": row["creator_id"],
            "uuid": row["uuid"],
            "distinct_id": row["distinct_id"],
            "first_name": row["first_name"],
            "last_name": row["last_name"],
            "email": row["email"],
            "is_email_verified": row["is_email_verified"],
            "hedgehog_config": _parsed(row["hedgehog_config"]),
            "role_at_organization": row["role_at_organization"],
        },
        "ci_prompt": row["ci_prompt"],
    }


def _run(row: asyncpg.Record) -> dict[str, Any]:
    state = orjson.loads(row["state"])
    waiting = {name: row[name] for name in ("queue_position", "attempts") if row[name]}
    waiting |= {"waits_for": "slot"} if row["queue_position"] else {}
    return {
        "id": row["run_id"],
        "task": row["id"],
        "stage": row["stage"],
        "branch": row["branch"],
        "status": row["status"],
        "environment": row["environment"],
        "runtime_adapter": state.get("runtime_adapter"),
        "provider": state.get("provider"),
        "model": state.get("model"),
        "reasoning_effort": state.get("reasoning_effort"),
        "log_url": _SIGNED_URL,
        "error_message": row["error_message"],
        "output": _parsed(row["output"]),
        "state": state | orjson.loads(row["facts"]) | waiting,
        "artifacts": orjson.loads(row["artifacts"]),
        "created_at": row["run_created_at"],
        "updated_at": row["run_updated_at"],
        "completed_at": row["completed_at"],
    }


def _parsed(value: str | None) -> Any:
    return None if value is None else orjson.loads(value)


def _json(value: Any, *, status: int = 200) -> Response:
    content = orjson.dumps(value, default=str, option=orjson.OPT_UTC_Z)
    return Response(content, status_code=status, headers=_TAG, media_type="application/json")


def create_app() -> FastAPI:
    """Return the baseline application, in hand-written SQL; its database connections open with its start."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        settings = get_settings()
        async with (
            asyncpg.create_pool(
                settings.database_url.replace("+asyncpg", ""),
                connection_class=_Connection,
                min_size=settings.database_pool_size,
                max_size=settings.database_pool_size,
                server_settings={"application_name": APPLICATION_NAME, "jit": "off"},
            ) as pool,
            Redis.from_url(settings.redis_url) as redis,
        ):
            raw = _Raw(pool, redis)
            tasks = "/raw/api/projects/{project_id}/tasks"
            app.add_api_route(tasks, raw.list, methods=["GET"])
            app.add_api_route(tasks, raw.create, methods=["POST"])
            app.add_api_route(tasks + "/{task_id}", raw.retrieve, methods=["GET"])
            app.add_api_route(tasks + "/{task_id}", raw.update, methods=["PATCH"])
            app.add_api_route(tasks + "/{task_id}/presence/", raw.beat, methods=["POST"])
            yield

    app = FastAPI(lifespan=lifespan, openapi_url=None)

    @app.get("/ready")
    async def ready() -> Response:
        return Response()

    return app


if __name__ == "__main__":
    uvicorn.run(
        create_app(),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_level="error",
    )
