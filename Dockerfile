# The worker. The embedded engines are not in it, nor is the compiler that makes streams/engine/_usual.
FROM python:3.12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY requirements-worker.lock ./
RUN python -m venv /opt/funnelwatch && /opt/funnelwatch/bin/pip install --no-cache-dir --require-hashes -r requirements-worker.lock
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY schemas schemas
COPY sinks sinks
COPY streams streams
COPY examples/demo examples/demo
RUN /opt/funnelwatch/bin/pip install --no-cache-dir --no-deps . && /opt/funnelwatch/bin/python -P -c "import streams.engine._usual"

FROM python:3.12-slim
RUN useradd --system --create-home --home-dir /var/lib/funnelwatch funnelwatch
COPY --from=build /opt/funnelwatch /opt/funnelwatch
ENV PATH=/opt/funnelwatch/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /var/lib/funnelwatch
USER funnelwatch
EXPOSE 6066 6067
ENTRYPOINT ["funnelwatch"]
CMD ["run"]
