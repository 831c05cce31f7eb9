# The service alone: no training, no data, no models. docs/operations.md says how to run it.
#
#   docker build -t camspector .                                  for CPUs: ONNX Runtime, without PyTorch
#   docker build -t camspector:cuda --target cuda .               for NVIDIA GPUs: PyTorch, as pip's own setting gives it
#   docker build … --target cuda --build-arg TORCH_INDEX=URL .    another build of PyTorch, from the index at URL
#   docker build … --secret id=pip,src=pip.conf --secret id=ca,src=ca.pem .      behind a company's proxy (docs/offline.md)

ARG PYTHON_IMAGE=python:3.12-slim


FROM ${PYTHON_IMAGE} AS build
# pip's own configuration is a build secret, where there is one: index and password stay in no layer.
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PIP_CONFIG_FILE=/run/secrets/pip

# The base image's pip installs into it, so that the service's own environment has none.
RUN python3 -m venv --without-pip /opt/venv
# Compiled now: the container can't write to its root file system.
COPY app /opt/camspector/app
COPY model /opt/camspector/model
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /opt/camspector


FROM build AS build-cpu
COPY requirements/serve-cpu.txt /build/
RUN --mount=type=secret,id=pip --mount=type=secret,id=ca \
    python3 -m pip --python /opt/venv/bin/python install --require-hashes -r /build/serve-cpu.txt


FROM build AS build-cuda
# First and on its own: it is nearly all of the image, and changes least. Without torchvision, which only training needs.
COPY requirements/torch.txt /build/
ARG TORCH_INDEX=""
RUN --mount=type=secret,id=pip --mount=type=secret,id=ca \
    python3 -m pip --python /opt/venv/bin/python install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} \
        "$(grep '^torch==' /build/torch.txt)"
COPY requirements/serve.txt /build/
RUN --mount=type=secret,id=pip --mount=type=secret,id=ca \
    python3 -m pip --python /opt/venv/bin/python install --require-hashes -r /build/serve.txt


FROM ${PYTHON_IMAGE} AS service
ARG REVISION=""
LABEL org.opencontainers.image.title="Camspector" \
      org.opencontainers.image.description="Verdicts with a heatmap on images of parts, over HTTP" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="MIT"

# A fixed number, so that files on the host can be made readable for it, and Kubernetes can see that it isn't root.
RUN groupadd --gid 10001 camspector \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin camspector \
    && install --directory --owner=10001 --group=10001 /records
# (A volume that is mounted on /records is then the service's to write.)

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    ORT_DISABLE_TELEMETRY=1 \
    MALLOC_ARENA_MAX=2 \
    CAMSPECTOR_HOST=0.0.0.0 \
    CAMSPECTOR_STORE=/models
WORKDIR /opt/camspector
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM

# /livez, not /readyz: "unhealthy" must mean that a restart mends it. A container that waits with an empty store, loads a
# large model or drains is not ready, but well. The gateway asks /readyz. (http.client, as it takes no proxy from the
# environment; a connection refused or a timeout raises, which is exit status 1 too. It asks itself, so whose certificate
# answers doesn't matter.)
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --retries=3 CMD ["python", "-c", "\
import http.client, os, ssl, sys; \
tls = {'context': ssl._create_unverified_context()} if os.environ.get('CAMSPECTOR_TLS_KEY') else {}; \
kind = http.client.HTTPSConnection if tls else http.client.HTTPConnection; \
service = kind('localhost', int(os.environ.get('CAMSPECTOR_PORT') or 8000), timeout=8, **tls); \
service.request('GET', '/livez'); \
sys.exit(service.getresponse().status != 200)"]

# In exec form, the process itself gets SIGTERM. Flags after the image's name are added to it.
ENTRYPOINT ["python", "-m", "app", "serve"]


FROM service AS cuda
COPY --from=build-cuda /opt/venv /opt/venv
COPY --from=build-cuda /opt/camspector /opt/camspector


# The last one is what a build without --target gives.
FROM service AS cpu
COPY --from=build-cpu /opt/venv /opt/venv
COPY --from=build-cpu /opt/camspector /opt/camspector
