# mien serve: slim, without root; the file system may be read-only except for /tmp.
#   docker build -t mien . && docker compose up
FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN python -m venv /mien
RUN /mien/bin/python -m pip install --no-cache-dir --disable-pip-version-check '.[serve]'

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin mien
COPY --from=build /mien /mien
ENV PATH=/mien/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 MIEN_CACHE=/cache ORT_DISABLE_TELEMETRY=1
USER 10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
# MIEN_TOKEN must be set: other machines may reach the container's address
ENTRYPOINT ["mien", "serve", "--host", "0.0.0.0", "--port", "8000", "--allow-remote"]
