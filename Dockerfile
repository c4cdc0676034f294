# The LLM Orchestrator, started by orchctl: it migrates the database before the service opens it.
#
#   docker build -t llm-orchestrator .
#   docker run -v llm-data:/app/data -p 8000:8000 -e ADMIN_KEY=… -e API_KEYS=… llm-orchestrator
#
# Any image with Python 3.11 or newer, venv and a shell will do as a base. Where the build has no
# package index, put wheels into wheels/ beside this file: they are all that is used then.
ARG BASE_IMAGE=python:3.12-slim

FROM ${BASE_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python3 -m venv /opt/app
COPY constraints.txt wheel[s] /wheels/
COPY pyproject.toml README.md LICENSE /src/
COPY orchctl /src/orchctl
COPY orchestrator /src/orchestrator
# Compiled here, for at run time nothing may be written; without Kubernetes' client, which nothing
# in the image uses and which is as much as all else.
RUN set --; for wheel in /wheels/*.whl; do \
      if [ -e "$wheel" ]; then set -- --no-index --find-links /wheels; fi; \
    done; \
    /opt/app/bin/python -m pip install --quiet --no-compile -c /wheels/constraints.txt "$@" \
      "/src[asyncio]" "/src/orchestrator[redis,speed]" dumb-init \
 && /opt/app/bin/python -m pip uninstall --quiet --yes pip \
 && /opt/app/bin/python -m compileall -q -j 0 -x /kubernetes/ /opt/app/lib

FROM ${BASE_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="LLM Orchestrator" \
      org.opencontainers.image.description="OpenAI-compatible gateway in front of several LLM providers, its database migrated by orchctl" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN echo "orchestrator:x:1000:1000:LLM Orchestrator:/app:/sbin/nologin" >> /etc/passwd \
 && echo "orchestrator:x:1000:" >> /etc/group \
 && mkdir -p /app/data \
 && chown 1000:1000 /app/data
COPY --from=build /opt/app /opt/app
COPY alembic.ini /app/
COPY migrations /app/migrations
WORKDIR /app
ENV PATH=/opt/app/bin:$PATH \
    HOME=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DATABASE_URL=sqlite:////app/data/llm_orchestrator.db \
    HOST=0.0.0.0 \
    PORT=8000
VOLUME /app/data
EXPOSE 8000
USER 1000:1000
STOPSIGNAL SIGTERM
# The start period covers a migration; a check that succeeds ends it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
  CMD ["python3", "-ISc", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=4); c.request('GET', '/readyz'); sys.exit(c.getresponse().status != 200)"]
# dumb-init passes signals on and collects what ends, as process 1 has to.
ENTRYPOINT ["dumb-init", "--single-child", "--", "orchctl", "run", "--"]
CMD ["llm-orchestrator", "serve"]
