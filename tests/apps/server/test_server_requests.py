"""Forms of a request: parameters, fields of forms, images in JSON; and what in them is refused."""

from __future__ import annotations

import base64
import json

import httpx
import pytest
from servers import FAKE_WORKER, SMALL_LIMITS, Limits, served
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from mien.apps.server.errors import ERROR_CODES


def code_of(response):
    error = response.json()["error"]
    assert response.status_code == ERROR_CODES[error["code"]][0]
    assert "Traceback" not in response.text
    assert "/home" not in response.text
    return error["code"]


def post(client, body, **options):
    return client.post("/v1/predict", json=body, **options)


@pytest.fixture(scope="module")
def text(portrait_bytes):
    return base64.b64encode(portrait_bytes).decode()


@pytest.fixture(scope="module")
def expected(server, portrait_bytes):
    with server.client() as client:
        result = client.post("/v1/predict", content=portrait_bytes).json()
    assert len(result["faces"]) == 1
    return result


# -- images in JSON


def wrapped(text):
    """As MIME and Python's encodebytes write base64, in lines."""
    return "\r\n".join(text[at : at + 76] for at in range(0, len(text), 76)) + "\r\n"


FORMS_OF_TEXT = {
    "base64": str,
    "without its end marks": lambda text: text.rstrip("="),
    "in lines": wrapped,
    "for addresses": lambda text: text.replace("+", "-").replace("/", "_"),
    "data URL": "data:image/jpeg;base64,{}".format,
    "data URL of any type": "data:;base64,{}".format,
    "data URL with parameters": "DATA:text/plain;charset=utf-8;BASE64,{}".format,
}


@pytest.mark.parametrize("form", FORMS_OF_TEXT.values(), ids=FORMS_OF_TEXT)
def test_an_image_in_base64_gives_the_result_of_its_bytes(client, text, expected, form):
    assert post(client, {"image": form(text)}).json() == expected


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "application/x-www-form-urlencoded", "text/plain", ""]
)
def test_json_is_recognised_whatever_its_content_type(client, text, expected, kind):
    body = "\n  " + json.dumps({"image": text}).replace("/", "\\/")  # as PHP writes it
    response = client.post("/v1/predict", content=body, headers={"Content-Type": kind})
    assert response.json() == expected


def test_an_image_that_is_called_json_is_an_image(client, portrait_bytes, expected):
    response = client.post("/v1/predict", content=portrait_bytes, headers={"Content-Type": "application/json"})
    assert response.json() == expected


def test_a_list_in_json_gives_results_in_order_each_with_its_own_error(client, text, expected):
    torn = base64.b64encode(b"torn").decode()
    results = post(client, {"images": [text, "!", torn]}).json()["results"]
    assert [one["source"] for one in results] == ["images[0]", "images[1]", "images[2]"]
    assert results[0] == {**expected, "source": "images[0]"}
    assert "expected an image in base64" in results[1]["error"]
    assert "the 4 bytes given" in results[2]["error"]
    assert len(post(client, {"images": [text]}).json()["results"]) == 1


@pytest.mark.parametrize("item", [None, 7, {"image": "x"}, "https://example.org/a.jpg", ""])
def test_an_item_that_is_no_image_leaves_the_others_alone(client, text, item):
    good, bad = post(client, {"images": [text, item]}).json()["results"]
    assert (len(good["faces"]), bad["faces"]) == (1, [])
    assert bad["error"]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("not base64!", "expected an image in base64"),
        ("abcde", "expected an image in base64"),
        ("ünïcode", "expected an image in base64"),
        ("/home/me/a.jpg", "expected an image in base64"),
        ("data:image/jpeg,%FF%D8", "expected a data URL in base64"),
        ("data:image/jpeg,base64,iVBORw0KGgo", "expected a data URL in base64"),
        ("https://example.org/a.jpg", "The server fetches nothing"),
        ("HTTP://example.org/a.jpg", "The server fetches nothing"),
        ("file:///etc/passwd", "The server fetches nothing"),
        (" //example.org/a.jpg", "The server fetches nothing"),
        (7, "no text"),
        (None, "no text"),
        ([], "no text"),
    ],
)
def test_a_text_that_is_no_image_is_refused_with_a_remedy(client, image, message):
    response = post(client, {"image": image})
    assert code_of(response) == "bad_request"
    assert message in response.json()["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"image": ',
        b"{}",
        b'{"images": "x"}',
        b'{"image": "x", "images": []}',
        b'{"image": "x", "url": "y"}',
        b'{"image": "x", "head": 7}',
        b'{"a":' * 900 + b"1" + b"}" * 900,
        b'{"image": "\xff\xfe"}',
    ],
)
def test_json_of_another_form_is_refused(client, body):
    assert code_of(client.post("/v1/predict", content=body)) == "bad_request"


@pytest.mark.parametrize("body", [b'["x"]', b'"x"'])
def test_another_json_value_is_refused(client, body):
    response = client.post("/v1/predict", content=body, headers={"Content-Type": "application/json"})
    assert code_of(response) == "bad_request"


@pytest.mark.parametrize("body", [{"image": ""}, {"images": []}, {"images": ["", ""]}])
def test_json_without_an_image_is_refused(client, body):
    assert code_of(post(client, body)) == "no_image"


def test_the_limits_hold_for_json(client, text):
    assert code_of(post(client, {"images": [text[:100]] * (SMALL_LIMITS.images + 1)})) == "too_many_images"
    assert code_of(post(client, {"images": [{}] * 2000})) == "too_many_images"
    assert code_of(post(client, {"image": "A" * SMALL_LIMITS.body})) == "body_too_large"


# -- parameters and fields


@pytest.mark.parametrize("name", ["compact", None])
def test_the_model_may_be_named_if_it_is_the_served_one(client, portrait_bytes, text, expected, name):
    named = {} if name is None else {"model": name}
    assert client.post("/v1/predict", params=named, content=portrait_bytes).json() == expected
    assert post(client, {"image": text, "model": name}).json() == expected
    form = client.post("/v1/predict", files={"file": ("a.jpg", portrait_bytes)}, data=named).json()
    assert form["results"][0]["faces"] == expected["faces"]


@pytest.mark.parametrize("name", ["large", "Compact", "", "../compact"])
def test_another_model_is_refused_with_the_served_one(client, portrait_bytes, text, name):
    responses = [
        client.post("/v1/predict", params={"model": name}, content=portrait_bytes),
        client.post("/v1/predict", files={"file": ("a.jpg", portrait_bytes)}, data={"model": name}),
        post(client, {"image": text, "model": name}),
        client.post("/v1/video", params={"model": name}, content=b"video"),
        client.post("/v1/video", files={"file": ("a.mp4", b"video")}, data={"model": name}),
    ]
    for response in responses:
        assert code_of(response) == "unknown_model"
        assert "expected the model compact" in response.json()["error"]["message"]


@pytest.mark.parametrize("where", ["form", "json", "address"])
def test_the_head_may_be_a_field(client, portrait_bytes, text, where):
    def sent(head):
        if where == "form":
            return client.post("/v1/predict", files={"file": ("a.jpg", portrait_bytes)}, data={"head": head})
        if where == "json":
            return post(client, {"images": [text], "head": head})
        return post(client, {"images": [text]}, params={"head": head})

    (result,) = sent("ferplus").json()["results"]
    assert "contempt" in result["faces"][0]["probabilities"]
    assert code_of(sent("moods")) == "unknown_head"


@pytest.mark.parametrize("query", ["modle=compact", "detector=haar", "every=2", "head=fused&threshold=0.5", "image=x"])
def test_an_unknown_parameter_is_refused_with_the_known_ones(client, portrait_bytes, query):
    response = client.post(f"/v1/predict?{query}", content=portrait_bytes)
    assert code_of(response) == "bad_request"
    assert "expected no parameters but head, model;" in response.json()["error"]["message"]


@pytest.mark.parametrize("query", ["evrey=2", "head=ferplus", "start=1"])
def test_an_unknown_parameter_of_a_video_is_refused_with_the_known_ones(client, query):
    response = client.post(f"/v1/video?{query}", content=b"video")
    assert code_of(response) == "bad_request"
    assert "expected no parameters but every, stride, from, to, model;" in response.json()["error"]["message"]


def test_a_field_that_is_too_long_is_refused(client, portrait_bytes):
    response = client.post("/v1/predict", files={"file": ("a.jpg", portrait_bytes)}, data={"head": "x" * 5000})
    assert code_of(response) == "bad_request"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"every": "often"}, "bad_request"),
        ({"stride": "1.5"}, "bad_request"),
        ({"stride": "0"}, "bad_request"),
        ({"from": "3", "to": "2"}, "bad_request"),
        ({"to": "nan"}, "bad_request"),
    ],
)
def test_a_field_of_a_video_s_form_that_is_no_number_is_refused(server, client, fields, code):
    assert code_of(client.post("/v1/video", files={"file": ("a.mp4", b"video")}, data=fields)) == code
    assert server.metric("mien_videos") == 0


@pytest.mark.parametrize(("query", "status"), [("model=compact", 101), ("model=large", 400), ("head=ferplus", 400)])
def test_a_websocket_takes_the_served_model_alone(server, query, status):
    address = f"ws://127.0.0.1:{server.port}/v1/live?{query}"
    if status == 101:
        with connect(address) as socket:
            assert json.loads(socket.recv())["type"] == "ready"
        return
    with pytest.raises(InvalidStatus) as refused, connect(address):
        pass
    assert refused.value.response.status_code == status


def test_the_api_s_description_has_every_form(client):
    body = client.get("/openapi.json").json()["paths"]["/v1/predict"]["post"]["requestBody"]["content"]
    assert set(body) == {"application/octet-stream", "multipart/form-data", "application/json"}
    assert set(body["application/json"]["schema"]["properties"]) == {"image", "images", "head", "model"}


# -- an error of one image


@pytest.mark.parametrize(("content", "message"), [(b"BROKEN", "internal error"), (b"CRASH", "crashed"), (b"", "empty")])
def test_an_image_that_fails_leaves_the_others_alone(client, portrait_bytes, content, message):
    files = [("file", ("a.jpg", portrait_bytes)), ("file", ("b.jpg", content)), ("file", ("c.jpg", portrait_bytes))]
    first, failed, last = client.post("/v1/predict", files=files).json()["results"]
    assert len(first["faces"]) == len(last["faces"]) == 1
    assert message in failed["error"]
    assert "secret" not in failed["error"]


def test_an_image_over_the_time_limit_leaves_the_others_alone(portrait_bytes):
    files = [("file", ("a.jpg", portrait_bytes)), ("file", ("b.jpg", b"STUCK"))]
    with served(FAKE_WORKER, limits=Limits(response=2.0)) as server, server.client() as client:
        good, stuck = client.post("/v1/predict", files=files).json()["results"]
        assert len(good["faces"]) == 1
        assert "takes less time" in stuck["error"]
        alone = client.post("/v1/predict", files=files[1:])
        assert (alone.status_code, alone.json()["error"]["code"]) == (504, "timeout")


def test_a_body_of_base64_may_be_sent_in_pieces(server, text, expected):
    body = json.dumps({"image": text}).encode()
    pieces = (body[at : at + 1000] for at in range(0, len(body), 1000))
    assert httpx.post(f"{server.address}v1/predict", content=pieces, trust_env=False).json() == expected
