"""The page's files, the models, onnxruntime-web, the API reference and the metrics."""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile

import pytest

from mien.apps.server.catalog import WEB_RUNTIME, WebRuntime
from mien.apps.server.errors import ERROR_CODES, ApiError
from mien.apps.server.metrics import COUNTERS, GAUGES, PREDICT_SECONDS
from mien.models.manifest import Entry, to_json
from mien.models.store import MANIFEST, ModelStore


def test_the_page_and_its_files_have_their_content_types(client):
    assert client.get("/").headers["Content-Type"] == "text/html; charset=utf-8"
    module = client.get("/assets/ui/page.mjs")
    assert (module.text, module.headers["Content-Type"]) == ("export const one = 1;", "text/javascript; charset=utf-8")
    known = client.get("/assets/ui/page.mjs", headers={"If-None-Match": module.headers["ETag"]})
    assert (known.status_code, known.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/assets/secret.txt",
        "/assets/../secret.txt",
        "/assets/..%2fsecret.txt",
        "/assets/ui/../secret.txt",
        "/assets/ui/..%2fsecret.txt",
        "/assets/ui",
        "/assets/%2e%2e%2fsecret.txt",
        "/assets/..%5csecret.txt",
        "/assets/%00",
        "/assets/",
        "/v1/models/..%2f..%2fcompact/file",
        "/ort/..%2fpackage.json",
        "/%2e%2e/%2e%2e/etc/passwd",
    ],
)
def test_no_name_leads_outside_the_folder(client, path):
    response = client.get(path)
    assert response.status_code in (404, 421)
    assert response.json()["error"]["code"] in ("not_found", "missing_package")
    assert "secret" not in response.text.replace("secret.txt", "")


def test_the_models_are_those_of_the_store(client, classifier):
    listing = client.get("/v1/models").json()
    models = {model["name"]: model for model in listing["models"]}
    assert listing["default"] == "compact"
    assert set(models) == {entry.name for entry in ModelStore().entries()} - {WEB_RUNTIME}
    labels = list(map(str, classifier.card.fused.labels))
    assert models["compact"] == {"name": "compact", "kind": "classifier", "labels": labels, "available": True}
    assert models["faces"] == {"name": "faces", "kind": "detector", "labels": [], "available": True}


def test_a_model_s_card_and_file_are_those_of_the_command(client, shipped_model):
    command = [sys.executable, "-m", "mien", "models", "show", "compact", "--json"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    assert client.get("/v1/models/compact").json() == json.loads(shown)
    assert client.get("/v1/models/compact/file").content == shipped_model
    assert client.get("/v1/models/eagle").json()["error"]["code"] == "not_found"
    assert client.get(f"/v1/models/{WEB_RUNTIME}/file").json()["error"]["code"] == "not_found"


def make_tarball(**files: bytes) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("package/dist/link.js")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return target.getvalue()


@pytest.fixture
def store(tmp_path):
    """A store whose package is published as a local file."""
    content = make_tarball(
        **{"package/dist/a.mjs": b"export {};", "package/package.json": b"{}", "package/dist/a.wasm": b"\0asm"}
    )
    (tmp_path / "published.tgz").write_bytes(content)
    entry = Entry(
        WEB_RUNTIME,
        "package",
        "web-1.0.tgz",
        len(content),
        hashlib.sha256(content).hexdigest(),
        url=(tmp_path / "published.tgz").as_uri(),
    )
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped" / MANIFEST).write_text(to_json([entry]))
    return ModelStore(tmp_path / "shipped", tmp_path / "cache")


@pytest.mark.parametrize("how", ["pull", "add"])
def test_the_package_s_files_are_served_once_it_is_installed(store, tmp_path, how):
    runtime = WebRuntime(store)
    with pytest.raises(ApiError, match="mien models pull onnxruntime-web") as missing:
        runtime.file("a.mjs")
    assert missing.value.code == "missing_package"
    if how == "pull":
        store.pull(WEB_RUNTIME)
    else:
        assert store.add(tmp_path / "published.tgz").name == WEB_RUNTIME
    assert runtime.file("a.mjs") == b"export {};"
    assert runtime.file("a.wasm") == b"\0asm"
    for name in ("package.json", "../package.json", "link.js", "", "b.mjs"):
        with pytest.raises(ApiError) as unknown:
            runtime.file(name)
        assert unknown.value.code == "not_found"


def test_without_the_package_the_error_names_the_remedy(client):
    response = client.get("/ort/ort.wasm.min.mjs")
    if response.status_code == 200:
        assert response.headers["Content-Type"].startswith("text/javascript")
    else:
        assert (response.status_code, response.json()["error"]["code"]) == (404, "missing_package")
        assert "mien models add onnxruntime-web-" in response.json()["error"]["message"]


def test_the_api_reference_is_complete_and_self_contained(client):
    page = client.get("/docs")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "<script" not in page.text
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page.text)
    for text in ("/v1/predict", "/v1/video", "/v1/live", *ERROR_CODES):
        assert text in page.text


def test_openapi_lists_all_routes(client):
    paths = client.get("/openapi.json").json()["paths"]
    routes = {"/v1/predict", "/v1/video", "/v1/video/{name}", "/v1/video/{name}/results", "/v1/video/{name}/page"}
    routes |= {"/v1/models", "/v1/models/{name}", "/v1/models/{name}/file", "/healthz", "/readyz", "/metrics"}
    assert set(paths) == routes


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/v1/predict", 405, "method_not_allowed"),
        ("PUT", "/healthz", 405, "method_not_allowed"),
        ("GET", "/v1/live", 404, "not_found"),
    ],
)
def test_unknown_addresses_and_methods_give_errors(client, method, path, status, code):
    response = client.request(method, path)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)


def test_metrics_follow_the_prometheus_text_format(client, portrait_bytes):
    before = int(re.search(rf"{PREDICT_SECONDS}_count (\d+)", client.get("/metrics").text)[1])
    client.post("/v1/predict", content=portrait_bytes)
    response = client.get("/metrics")
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    line = re.compile(r'# (HELP|TYPE) mien_\w+ .+|mien_\w+(\{(\w+="[^"\\\n]*",?)*\})? [0-9.e+-]+')
    assert all(line.fullmatch(text) for text in response.text.splitlines())
    for name in (*COUNTERS, *GAUGES, PREDICT_SECONDS):
        assert f"# TYPE {name} " in response.text
    buckets = [int(count) for count in re.findall(rf"{PREDICT_SECONDS}_bucket.* (\d+)", response.text)]
    assert buckets == sorted(buckets)
    assert f"{PREDICT_SECONDS}_count {buckets[-1]}" in response.text
    assert buckets[-1] == before + 1
