# One image for API, worker and migrations: `taskbeacon serve`, `taskbeacon worker`, `taskbeacon migrate`.

FROM python:3.13-slim AS dependencies
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
# Changes far less often than the sources, so it has a layer of its own.
COPY requirements-image.lock .
RUN /opt/venv/bin/pip install --require-hashes -r requirements-image.lock

FROM python:3.13-slim
# git: workspaces of runs. bubblewrap: the sandbox of agents. tini: reaps what agents leave.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends bubblewrap ca-certificates git tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/taskbeacon --create-home taskbeacon
COPY --from=dependencies /opt/venv /opt/venv
WORKDIR /srv/taskbeacon
COPY pyproject.toml README.md LICENSE alembic.ini ./
COPY migrations migrations
COPY app app
# The sources are run where they lie: building a wheel of them would need tools that no image should carry.
RUN printf '#!/bin/sh\nexec /opt/venv/bin/python -m app.cli "$@"\n' > /usr/local/bin/taskbeacon \
    && chmod 755 /usr/local/bin/taskbeacon \
    && /opt/venv/bin/python -m compileall -q app migrations
ENV PATH="/opt/venv/bin:$PATH" \
    PYTHONPATH=/srv/taskbeacon \
    PYTHONUNBUFFERED=1 \
    TASKBEACON_HOME=/var/lib/taskbeacon \
    TASKBEACON_HOST=0.0.0.0 \
    TASKBEACON_PORT=8000
USER taskbeacon
EXPOSE 8000
# Of the API; switch it off for other commands, as compose.yaml does.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"TASKBEACON_PORT\"]}/livez', timeout=4)"]
ENTRYPOINT ["tini", "--", "taskbeacon"]
CMD ["serve"]
