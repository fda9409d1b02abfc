# syntax=docker/dockerfile:1
#   docker build --target cpu  -t rmbg-service:cpu  .
#   docker build --target cuda -t rmbg-service:cuda .

FROM python:3.12-slim AS build
WORKDIR /build
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN python -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir --upgrade pip

# torch from its own index, so that each image carries one build of it.
FROM build AS build-cpu
RUN /opt/venv/bin/pip install --no-cache-dir "torch>=2.6" --index-url https://download.pytorch.org/whl/cpu \
    && /opt/venv/bin/pip install --no-cache-dir .

FROM build AS build-cuda
RUN /opt/venv/bin/pip install --no-cache-dir "torch>=2.6" --index-url https://download.pytorch.org/whl/cu126 \
    && /opt/venv/bin/pip install --no-cache-dir .

FROM python:3.12-slim AS runtime
RUN useradd --create-home --uid 10001 rmbg && install --directory --owner=rmbg /models
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HF_HOME=/models \
    RMBG_HOST=0.0.0.0 \
    RMBG_PORT=7860
USER 10001
VOLUME /models
EXPOSE 7860
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=120s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/livez', timeout=2)"]
ENTRYPOINT ["rmbg-service"]
CMD ["serve"]

FROM runtime AS cuda
COPY --from=build-cuda /opt/venv /opt/venv

FROM runtime AS cpu
COPY --from=build-cpu /opt/venv /opt/venv
