# A worker on a CPU: the engine alone, without the hub.
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 HUB_STORE=/store
# Give the index of CPU builds that PyTorch's installation page names; the plain Linux x86-64 wheel brings CUDA along.
ARG TORCH_INDEX=""
ENV PIP_EXTRA_INDEX_URL=$TORCH_INDEX
WORKDIR /engine

COPY workers/requirements.txt workers/requirements-core.txt workers/
RUN pip install -r workers/requirements.txt

COPY workers workers

RUN useradd --system --uid 10001 hub && mkdir /store && chown hub /store
USER hub
CMD ["python", "-m", "workers", "work"]
