# Worker and sink. The embedded engines are not in it, nor is the compiler that makes streams/engine/_usual.
FROM python:3.12-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY requirements-worker.lock requirements-build.lock ./
RUN python -m venv /opt/funnelwatch && /opt/funnelwatch/bin/pip install --no-cache-dir --require-hashes -r requirements-worker.lock
# What builds the wheel is pinned as well, and stays out of the image.
RUN python -m venv /opt/build && /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements-build.lock
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY schemas schemas
COPY sinks sinks
COPY streams streams
COPY examples/demo examples/demo
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /opt/build/wheels . && \
    /opt/funnelwatch/bin/pip install --no-cache-dir --no-deps /opt/build/wheels/*.whl && \
    /opt/funnelwatch/bin/python -P -c "import streams.engine._usual"

FROM python:3.12-slim-bookworm
# A number, so that Kubernetes can see that it is not root.
RUN useradd --uid 10001 --create-home --home-dir /var/lib/funnelwatch funnelwatch
COPY --from=build /opt/funnelwatch /opt/funnelwatch
ENV PATH=/opt/funnelwatch/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /var/lib/funnelwatch
USER 10001
EXPOSE 6066 6067
# Of the worker; a container with the sink alone asks on 6067.
HEALTHCHECK --interval=10s --timeout=10s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:6066/healthz', timeout=5)"]
ENTRYPOINT ["funnelwatch"]
CMD ["run"]
