# A small image for machines without a GPU:
#
#   docker build -t metavad --build-arg PIP_EXTRA_INDEX_URL=INDEX .
#
# INDEX is the one of torch's builds for a CPU, which the selector on its site names. Without it pip takes the build for
# CUDA, which is several GB larger. How to run it: docs/how-to/run-in-a-container.md
FROM python:3.11-slim-bookworm AS build

ARG PIP_EXTRA_INDEX_URL
ARG EXTRAS=live
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1

WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE CHANGELOG.md CITATION.cff ./
COPY base base
COPY configs configs
COPY networks networks
COPY tasks tasks
COPY metavad metavad
RUN python -m venv /opt/metavad && /opt/metavad/bin/pip install -c constraints.txt ".[${EXTRAS}]"

FROM python:3.11-slim-bookworm

# What OpenCV links to; the distribution keeps one version of each.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home metavad \
    && install --directory --owner=metavad /cache /data

COPY --from=build /opt/metavad /opt/metavad
COPY docker/health.py /opt/health.py
ENV PATH=/opt/metavad/bin:$PATH METAVAD_CACHE=/cache PYTHONUNBUFFERED=1

USER 10001
WORKDIR /data
VOLUME ["/cache", "/data"]
EXPOSE 9108
HEALTHCHECK --interval=30s --timeout=10s --start-period=2m --retries=3 CMD ["python", "/opt/health.py"]
ENTRYPOINT ["metavad"]
CMD ["--help"]
