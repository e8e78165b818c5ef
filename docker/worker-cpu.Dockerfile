# A worker on a CPU: the engine alone, without the hub.
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 HUB_STORE=/store
# The CPU build of torch; the plain Linux x86-64 wheel brings the CUDA libraries.
ENV PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
WORKDIR /engine

COPY workers/requirements.txt workers/requirements-core.txt workers/
RUN pip install -r workers/requirements.txt

COPY workers workers

RUN useradd --system --uid 10001 hub && mkdir /store && chown hub /store
USER hub
CMD ["python", "-m", "workers", "work"]
