# syntax=docker/dockerfile:1
#   docker build --target cpu  -t rmbg-service:cpu  .
#   docker build --target cuda -t rmbg-service:cuda .
#
# Layers go from what changes seldom to what changes often: PyTorch, the other dependencies, the code.
# Only the lists of the first stage are copied on, so another change of pyproject.toml installs no dependency again.

FROM python:3.11-slim AS requirements
WORKDIR /build
COPY pyproject.toml ./
RUN python -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
        print(*project['dependencies'], sep='\n', file=open('requirements.txt', 'w')); \
        print(*project['optional-dependencies']['openvino'], sep='\n', file=open('openvino.txt', 'w'))"

FROM python:3.11-slim AS venv
WORKDIR /build
RUN python -m venv /opt/venv
ENV TORCH=/opt/venv/lib/python3.11/site-packages/torch
COPY constraints.txt ./

# PyTorch from its own index, so that each image carries one build of it.
FROM venv AS torch-cpu
RUN /opt/venv/bin/pip install --no-cache-dir --no-deps --constraint constraints.txt \
        --index-url https://download.pytorch.org/whl/cpu torch \
    && rm -rf "$TORCH/include" "$TORCH/test" \
    && find "$TORCH/bin" -type f ! -name torch_shm_manager -delete

FROM venv AS torch-cuda
ARG CUDA=cu130
RUN /opt/venv/bin/pip install --no-cache-dir --no-deps --constraint constraints.txt \
        --index-url "https://download.pytorch.org/whl/${CUDA}" torch \
    && rm -rf "$TORCH/test" \
    && find "$TORCH/bin" -type f ! -name torch_shm_manager -delete

# Of OpenVINO, which pip leaves out on Arm, only what runs ONNX files on a CPU.
FROM torch-cpu AS dependencies-cpu
COPY --from=requirements /build/requirements.txt /build/openvino.txt ./
RUN /opt/venv/bin/pip install --no-cache-dir --constraint constraints.txt \
        --requirement requirements.txt --requirement openvino.txt \
    && rm -rf /opt/venv/lib/python3.11/site-packages/onnx/backend/test \
        /opt/venv/lib/python3.11/site-packages/openvino/libs/libopenvino_intel_[gn]pu_plugin.so \
        /opt/venv/lib/python3.11/site-packages/openvino/libs/cache.json \
    && /opt/venv/bin/pip uninstall --yes pip

# With RMBG_ONNX_PROVIDER=cuda, ONNX files run on the GPU. The two builds of ONNX Runtime share files.
FROM torch-cuda AS dependencies-cuda
COPY --from=requirements /build/requirements.txt ./
RUN sed -i 's/^onnxruntime>/onnxruntime-gpu>/' requirements.txt \
    && /opt/venv/bin/pip install --no-cache-dir --constraint constraints.txt --requirement requirements.txt \
    && /opt/venv/bin/pip uninstall --yes pip

FROM venv AS package
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/venv/bin/pip install --no-cache-dir --no-deps --prefix /package .

FROM python:3.11-slim AS runtime
# Group 0: platforms that run containers as an arbitrary user put it there.
RUN useradd --create-home --uid 10001 --gid 0 rmbg \
    && install --directory --owner=rmbg --group=root --mode=2775 /models
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HF_HOME=/models \
    HF_HUB_DISABLE_TELEMETRY=1 \
    RMBG_MODEL_DIR=/models \
    ORT_DISABLE_TELEMETRY=1 \
    RMBG_HOST=0.0.0.0 \
    RMBG_PORT=7860
USER 10001
VOLUME /models
EXPOSE 7860
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=120s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"RMBG_PORT\"]}/livez', timeout=2)"]
ENTRYPOINT ["rmbg-service"]
CMD ["serve"]

# Triton compiles the network's kernels at the first start.
FROM runtime AS runtime-cuda
USER 0
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
USER 10001
ENV TRITON_CACHE_DIR=/models/.triton

FROM runtime-cuda AS cuda
COPY --from=dependencies-cuda /opt/venv /opt/venv
COPY --from=package /package /opt/venv

FROM runtime AS cpu
COPY --from=dependencies-cpu /opt/venv /opt/venv
COPY --from=package /package /opt/venv
