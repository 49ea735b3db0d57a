"""``POST /v1/predict``: the CLI's results over HTTP, and the requests that are refused."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from PIL import Image
from servers import TIMEOUT_SECONDS, jpeg

from mien.apps.server.errors import ERROR_CODES
from mien.outputs import to_dict
from mien.recognizer import Recognizer


def code_of(response):
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message"}
    assert response.status_code == ERROR_CODES[body["error"]["code"]][0]
    return body["error"]["code"]


@pytest.fixture(scope="module")
def expected(portrait_bytes):
    result = to_dict(Recognizer.load().predict(portrait_bytes))
    return json.loads(json.dumps({**result, "source": ""}))


@pytest.mark.parametrize("kind", ["image/jpeg", "application/octet-stream", "text/html"])
def test_an_image_as_the_body_gives_the_result_of_the_command(client, portrait_bytes, expected, kind):
    response = client.post("/v1/predict", content=portrait_bytes, headers={"Content-Type": kind})
    assert response.status_code == 200
    assert response.json() == expected


def test_several_images_give_results_in_order_each_with_its_own_error(client, portrait_bytes, expected):
    grey = jpeg(np.full((40, 50, 3), 90, np.uint8))
    files = [("file", ("../a.jpg", portrait_bytes)), ("file", ("b.jpg", b"torn")), ("any", ("c.jpg", grey))]
    results = client.post("/v1/predict", files=files, data={"note": "no file"}).json()["results"]
    assert [one["source"] for one in results] == ["a.jpg", "b.jpg", "c.jpg"]
    assert results[0] == {**expected, "source": "a.jpg"}
    assert "expected a JPEG" in results[1]["error"]
    assert (results[2]["faces"], results[2]["error"]) == ([], None)


def test_one_file_of_a_form_gives_a_list_of_one(client, portrait_bytes, expected):
    response = client.post("/v1/predict", files={"file": ("face.jpg", portrait_bytes)})
    assert response.json() == {"results": [{**expected, "source": "face.jpg"}]}


@pytest.mark.parametrize("parameter", ["head", "labels"])  # labels: its name in 0.1.0
def test_the_output_head_can_be_chosen(client, portrait_bytes, parameter):
    faces = client.post(f"/v1/predict?{parameter}=ferplus", content=portrait_bytes).json()["faces"]
    assert "contempt" in faces[0]["probabilities"]
    assert code_of(client.post(f"/v1/predict?{parameter}=moods", content=portrait_bytes)) == "unknown_head"


@pytest.mark.parametrize("query", ["head=fused", "head=answer", "labels=answer"])
def test_the_fused_head_is_the_default_under_its_old_name_too(client, portrait_bytes, expected, query):
    assert client.post(f"/v1/predict?{query}", content=portrait_bytes).json() == expected


NOT_IMAGES = {
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
    "pdf": b"%PDF-1.4\n1 0 obj\n",
    "psd": b"8BPS\0\1" + bytes(40),
    "fits": b"SIMPLE  =                    T" + bytes(2880),
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="http://127.0.0.1:9/x.png"/></svg>',
    "zip": b"PK\3\4" + bytes(60),
    "html": b"<!DOCTYPE html><img src=x>",
    "unknown": b"hello",
}


@pytest.mark.parametrize("content", NOT_IMAGES.values(), ids=NOT_IMAGES)
def test_a_body_that_only_claims_to_be_an_image_is_refused(client, content):
    response = client.post("/v1/predict", content=content, headers={"Content-Type": "image/jpeg"})
    assert code_of(response) == "unreadable_image"


def test_a_truncated_image_is_refused(client, portrait_bytes):
    assert code_of(client.post("/v1/predict", content=portrait_bytes[:3000])) == "unreadable_image"


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(client):
    assert code_of(client.post("/v1/predict", content=jpeg(np.zeros((1001, 1000, 3), np.uint8)))) == "too_many_pixels"


def test_an_empty_body_is_no_image(client):
    assert code_of(client.post("/v1/predict", content=b"")) == "no_image"
    assert code_of(client.post("/v1/predict", files={"file": ("a.jpg", b"")})) == "no_image"


def test_more_images_than_the_limit_are_refused(client):
    files = [("file", (f"{number}.jpg", b"x")) for number in range(4)]
    assert code_of(client.post("/v1/predict", files=files)) == "too_many_images"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"--x\r\n"),
        ("multipart/form-data; boundary=x", b"no boundary"),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; filename="a"\r\n\r\ncut sho'),
        ("multipart/form-data; boundary=x", b"--x\r\n" + b"A: " + b"a" * 9000 + b"\r\n\r\n\r\n--x--"),
    ],
)
def test_a_malformed_form_is_refused(client, kind, body):
    assert code_of(client.post("/v1/predict", content=body, headers={"Content-Type": kind})) == "bad_request"


def test_an_image_that_crashes_the_worker_is_refused_and_others_are_predicted(server, client, portrait_bytes, expected):
    files = [("file", ("a.jpg", portrait_bytes)), ("file", ("b.jpg", b"CRASH")), ("file", ("c.jpg", portrait_bytes))]
    results = client.post("/v1/predict", files=files).json()["results"]
    assert results[0]["faces"] == results[2]["faces"] == expected["faces"]
    assert "crashed the worker process twice" in results[1]["error"]
    assert code_of(client.post("/v1/predict", content=b"CRASH")) == "worker_crashed"
    assert client.post("/v1/predict", content=portrait_bytes).json() == expected
    assert server.metric("mien_worker_crashes_total") == 4


def test_an_internal_error_reveals_no_details(server, client):
    response = client.post("/v1/predict", content=b"BROKEN")
    assert code_of(response) == "internal"
    assert "secret" not in response.text
    assert "Traceback" not in response.text
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not any("a secret of /home/me" in line for line in server.log):  # the log comes through a pipe
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_no_address_is_fetched(client):
    assert code_of(client.post("/v1/predict", content=b"http://127.0.0.1:9/a.jpg")) == "unreadable_image"
    response = client.post("/v1/predict?url=http://127.0.0.1:9/a.jpg", content=b"http://127.0.0.1:9/a.jpg")
    assert code_of(response) == "bad_request"


def test_a_gif_is_its_first_frame(client, portrait_bytes, tmp_path):
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / "a.gif")
    assert client.post("/v1/predict", content=(tmp_path / "a.gif").read_bytes()).json()["faces"] == []
