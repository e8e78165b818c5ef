# The hub without any tensor library. The same image runs web, relay and prepare.
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 HUB_DATA=/data HUB_STORE=/store
WORKDIR /hub

COPY compressionhub/requirements.txt compressionhub/
COPY workers/requirements-core.txt workers/
RUN pip install -r compressionhub/requirements.txt -r workers/requirements-core.txt

COPY manage.py ./
COPY workers workers
COPY compressionhub compressionhub
COPY frontend frontend

RUN useradd --system --uid 10001 hub && mkdir /data /store && chown hub /data /store
USER hub
EXPOSE 8000
CMD ["python", "-m", "compressionhub.site.serve", "--host", "0.0.0.0", "--port", "8000"]
