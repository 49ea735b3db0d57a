"""The page's files, the models, onnxruntime-web, and the page of the API: all from this machine, and nothing beside."""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile

import pytest

from mien.apps.server.faults import FAULTS, Refusal
from mien.apps.server.metrics import COUNTERS, GAUGES, SECONDS
from mien.apps.server.package import NAME, Package
from mien.models.manifest import Entry, to_json
from mien.models.store import MANIFEST, ModelStore


def test_the_page_and_its_files_have_their_kinds(client):
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
def test_no_name_leads_elsewhere(client, path):
    answer = client.get(path)
    assert answer.status_code in (404, 421)
    assert answer.json()["error"]["code"] in ("not_found", "missing_package")
    assert "secret" not in answer.text.replace("secret.txt", "")


def test_the_models_are_those_of_the_store(client, classifier):
    told = client.get("/v1/models").json()
    models = {one["name"]: one for one in told["models"]}
    assert told["default"] == "compact"
    assert set(models) == {entry.name for entry in ModelStore().entries()} - {NAME}
    labels = list(map(str, classifier.card.fused.labels))
    assert models["compact"] == {"name": "compact", "kind": "classifier", "labels": labels, "here": True}
    assert models["faces"] == {"name": "faces", "kind": "detector", "labels": [], "here": True}


def test_a_model_s_card_and_file_are_those_of_the_command(client, shipped_model):
    command = [sys.executable, "-m", "mien", "models", "show", "compact", "--json"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    assert client.get("/v1/models/compact").json() == json.loads(shown)
    assert client.get("/v1/models/compact/file").content == shipped_model
    assert client.get("/v1/models/eagle").json()["error"]["code"] == "not_found"
    assert client.get(f"/v1/models/{NAME}/file").json()["error"]["code"] == "not_found"


def tarball(**files: bytes) -> bytes:
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
    """A store that knows a package, which is published as a file of this machine."""
    content = tarball(
        **{"package/dist/a.mjs": b"export {};", "package/package.json": b"{}", "package/dist/a.wasm": b"\0asm"}
    )
    (tmp_path / "published.tgz").write_bytes(content)
    entry = Entry(
        NAME,
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
def test_the_package_s_files_are_served_once_it_is_here(store, tmp_path, how):
    package = Package(store)
    with pytest.raises(Refusal, match="mien models pull onnxruntime-web") as missing:
        package.file("a.mjs")
    assert missing.value.code == "missing_package"
    if how == "pull":
        store.pull(NAME)
    else:
        assert store.add(tmp_path / "published.tgz").name == NAME
    assert package.file("a.mjs") == b"export {};"
    assert package.file("a.wasm") == b"\0asm"
    for name in ("package.json", "../package.json", "link.js", "", "b.mjs"):
        with pytest.raises(Refusal) as unknown:
            package.file(name)
        assert unknown.value.code == "not_found"


def test_without_the_package_its_address_says_what_to_do(client):
    answer = client.get("/ort/ort.wasm.min.mjs")
    if answer.status_code == 200:
        assert answer.headers["Content-Type"].startswith("text/javascript")
    else:
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "missing_package")
        assert "mien models add onnxruntime-web-" in answer.json()["error"]["message"]


def test_the_page_of_the_api_holds_all_that_it_shows(client):
    page = client.get("/docs")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "<script" not in page.text
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page.text)
    for word in ("/v1/predict", "/v1/video", "/v1/live", *FAULTS):
        assert word in page.text


def test_the_description_of_the_api_names_its_routes(client):
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
def test_other_addresses_and_methods_are_told_alike(client, method, path, status, code):
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_figures_are_as_prometheus_reads_them(client, portrait_bytes):
    before = int(re.search(rf"{SECONDS}_count (\d+)", client.get("/metrics").text)[1])
    client.post("/v1/predict", content=portrait_bytes)
    answer = client.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    line = re.compile(r'# (HELP|TYPE) mien_\w+ .+|mien_\w+(\{(\w+="[^"\\\n]*",?)*\})? [0-9.e+-]+')
    assert all(line.fullmatch(one) for one in answer.text.splitlines())
    for name in (*COUNTERS, *GAUGES, SECONDS):
        assert f"# TYPE {name} " in answer.text
    buckets = [int(count) for count in re.findall(rf"{SECONDS}_bucket.* (\d+)", answer.text)]
    assert buckets == sorted(buckets)
    assert f"{SECONDS}_count {buckets[-1]}" in answer.text
    assert buckets[-1] == before + 1
