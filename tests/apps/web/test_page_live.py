"""The page in a real Chromium: camera, photos and videos, every state told, both ways to read."""

from __future__ import annotations

import base64
import csv
import io
import json
from itertools import pairwise

import numpy as np
import pytest
from browser import AXE, saved
from PIL import Image
from skimage.data import astronaut

from mien.outputs import columns, to_dict
from videos import swaying_face

RUNNING = "#boxes .box:not([hidden])"
DROP = """([kind, name, type, content]) => {
  const bytes = Uint8Array.from(atob(content), (sign) => sign.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  const event = kind === "paste"
    ? new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true })
    : new DragEvent("drop", { dataTransfer: transfer, bubbles: true });
  document.body.dispatchEvent(event);
}"""
TRACK = """() => {
  [window.track] = document.getElementById("video").srcObject.getVideoTracks();
  return track.readyState;
}"""
NEWEST = """() => {
  const { data } = document.getElementById("strip").getContext("2d").getImageData(299, 20, 1, 1);
  return data[3] === 255;
}"""
REFUSED = "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', '{}'));"
HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def encoded(image, kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind)
    return file.getvalue()


def drop(page, content, name="face.png", mime="image/png", kind="drop"):
    page.evaluate(DROP, [kind, name, mime, base64.b64encode(content).decode()])


def started(visit, address, **how):
    one = visit(address, **how)
    one.page.click("#start")
    one.page.wait_for_selector(RUNNING)
    return one


def test_a_face_is_boxed_named_and_worn_by_the_avatar(visit, server):
    one = visit(server.address)
    calm = one.page.inner_html("#avatar")
    one.sees("#notice", "Expression analysis is off")
    one.page.click("#start")
    one.sees("#boxes .label", "happy")
    one.sees("#word", "happy")
    one.sees("#bars .best", "happy")
    one.sees("#notice", "Expression analysis is on")
    one.page.wait_for_selector("#avatar[aria-label='A drawn face: happy']")
    assert one.page.inner_html("#avatar") != calm
    one.page.wait_for_function(NEWEST)
    # what was asked for came from where the page did, or was made by it
    assert all(url.startswith((server.address, "blob:")) for url in one.asked)


def test_stopping_ends_the_camera(visit, server):
    one = started(visit, server.address)
    assert one.page.evaluate(TRACK) == "live"
    one.page.click("#start")
    assert one.page.evaluate("() => track.readyState") == "ended"
    one.sees("#notice", "Expression analysis is off")
    one.sees("#state-title", "What does a face show?")


def test_keys_do_what_buttons_do(visit, server):
    one = visit(server.address)
    page = one.page
    page.on("filechooser", lambda _: None)  # from now on: who asks for it as the key is pressed may come too late
    page.keyboard.press("Space")
    page.wait_for_selector(RUNNING)
    assert page.locator(".image.mirrored").count() == 1
    page.keyboard.press("m")
    assert page.locator(".image.mirrored").count() == 0
    page.keyboard.press("p")
    one.sees("#banner", "Paused")
    page.keyboard.press("p")
    page.wait_for_selector("#banner", state="hidden")
    page.keyboard.press("c")
    page.wait_for_function("() => document.getElementById('read').width > 0")
    assert page.evaluate("() => getComputedStyle(document.getElementById('video')).visibility") == "hidden"
    page.wait_for_selector("#boxes .box:not([hidden]) svg")
    with page.expect_download() as waiting:
        page.keyboard.press("s")
    with Image.open(waiting.value.path()) as shot:
        assert shot.size == tuple(page.evaluate("() => [video.videoWidth, video.videoHeight]"))
    page.keyboard.press("?")
    page.wait_for_selector("#keys-dialog[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("#keys-dialog", state="hidden")
    with page.expect_file_chooser():
        page.keyboard.press("o")
    page.keyboard.press("Space")
    one.sees("#state-title", "What does a face show?")


def test_readings_are_saved_in_the_schema_of_the_command_line(visit, server, recognizer):
    one = started(visit, server.address)
    one.has_read(3)
    one.page.click("#start")
    with saved(one.page, "#save-json") as text:
        lines = [json.loads(line) for line in text.splitlines()]
    assert [line["index"] for line in lines] == list(range(len(lines)))
    assert all(one["seconds"] < other["seconds"] for one, other in pairwise(lines))
    assert list(lines[0]) == list(to_dict(recognizer.predict(astronaut())))
    assert {face["track"] for line in lines for face in line["faces"]} <= {None, 1}
    with saved(one.page, "#save-csv") as text:
        rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == list(columns(recognizer.labels))
    named = [face["emotion"] for line in lines for face in line["faces"]]
    assert [row["emotion"] for row in rows if row["emotion"]] == named


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_photos_are_read_into_cards(visit, server, recognizer, kind):
    one = visit(server.address)
    photo = encoded(np.hstack([astronaut()[:300], swaying_face(1)[0].repeat(2, axis=0)[:300]]))
    drop(one.page, photo, kind=kind)
    one.sees("#cards .source", "face.png")
    one.page.wait_for_selector("#cards .avatar, #cards svg.face")
    with saved(one.page, "#photos-json") as text:
        told = json.loads(text)
    assert told == {**json.loads(json.dumps(to_dict(recognizer.predict(photo)))), "source": "face.png"}
    assert len(told["faces"]) == 2
    first, second = one.page.locator("#cards .faces button").all()
    second.click()
    assert (first.get_attribute("aria-pressed"), second.get_attribute("aria-pressed")) == ("false", "true")
    one.sees("#cards .title", told["faces"][1]["emotion"])


def test_what_is_no_photo_is_told_and_the_others_are_read(visit, server):
    one = visit(server.address)
    drop(one.page, b"no image at all", name="broken.png")
    one.sees("#cards .failed .message", "broken.png: the 17 bytes given: expected")
    drop(one.page, encoded(astronaut()[:60, :60]), name="wall.png")
    one.sees("#cards .message", "No face was found in wall.png")
    with saved(one.page, "#photos-csv") as text:
        rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["source"] for row in rows] == ["broken.png", "wall.png"]
    assert rows[0]["error"]
    assert not rows[1]["error"]


def test_a_video_is_read_frame_by_frame(visit, server, tmp_path):
    clip = write_mp4(tmp_path / "clip.mp4", swaying_face(20))
    one = visit(server.address)
    one.page.set_input_files("#file", clip)
    one.sees("#banner", "The video has ended")
    with saved(one.page, "#save-json") as text:
        lines = [json.loads(line) for line in text.splitlines()]
    # a browser may skip frames that it could not paint in time; none that it showed is left out
    assert 10 <= len(lines) <= 20
    assert {line["source"] for line in lines} == {"clip.mp4"}
    times = [line["seconds"] for line in lines]
    assert times == sorted(times)
    assert times[-1] > 0.6
    assert {face["emotion"] for line in lines for face in line["faces"]} == {"happy"}


def write_mp4(path, frames):
    av = pytest.importorskip("av", reason="needs 'mien[video]'")
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame.copy(), format="rgb24")))
        file.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("NotAllowedError", "The camera is not allowed"),
        ("NotFoundError", "There is no camera"),
        ("NotReadableError", "The camera is busy"),
        ("TypeError", "be opened"),
    ],
)
def test_a_camera_that_can_not_be_had_is_told(visit, server, name, words):
    one = visit(server.address, before=REFUSED.format(name))
    one.page.click("#start")
    one.sees("#state-title", words)
    one.sees("#notice", "Expression analysis is off")
    assert words in one.page.inner_text("#told")
    assert one.page.inner_text("#start") == "Start"


def test_the_browsers_question_is_told_and_can_be_left(visit, server):
    one = visit(server.address, before="navigator.mediaDevices.getUserMedia = () => new Promise(() => {});")
    one.page.click("#start")
    one.sees("#state-title", "May this page see you?")
    one.page.click("#start")
    one.sees("#state-title", "What does a face show?")


def test_a_camera_that_goes_away_is_told(visit, server):
    one = started(visit, server.address)
    one.page.evaluate(TRACK)
    one.page.evaluate("() => track.dispatchEvent(new Event('mute'))")
    one.sees("#banner", "The camera gives no image")
    one.page.evaluate("() => track.dispatchEvent(new Event('ended'))")
    one.sees("#state-title", "The camera went away")
    # back again, it starts by itself
    one.page.evaluate("() => navigator.mediaDevices.dispatchEvent(new Event('devicechange'))")
    one.page.wait_for_selector(RUNNING)


def test_reading_pauses_while_the_tab_is_hidden(visit, server):
    one = started(visit, server.address)
    one.page.evaluate(HIDE, True)
    one.sees("#banner", "Reading pauses while this tab is hidden")
    now = sum(kind == "frame" for kind, _ in server.sent)
    one.page.wait_for_timeout(2000)
    # two may have been under way
    assert sum(kind == "frame" for kind, _ in server.sent) <= now + 2
    one.page.evaluate(HIDE, False)
    one.page.wait_for_selector("#banner", state="hidden")
    one.has_read()


def test_a_lost_connection_is_told_and_comes_back(visit, server):
    one = started(visit, server.address)
    server.away = True
    server.hang_up()
    one.sees("#banner", "Connection lost")
    server.away = False
    one.sees("#banner", "Connected again")
    one.has_read()


def test_in_the_browser_no_frame_leaves_the_page(visit, full_server):
    one = visit(full_server.address)
    one.page.check("input[value=browser]", force=True)
    one.sees("#privacy", "Images do not leave this page")
    one.page.click("#start")
    one.sees("#word", "happy")
    drop(one.page, encoded(astronaut()))
    one.sees("#cards .title", "happy")
    assert {method for method, _ in full_server.sent} == {"GET"}
    assert "/v1/live" not in {path for _, path in full_server.sent}
    assert all(url.startswith((full_server.address, "blob:")) for url in one.asked)


def test_an_absent_runtime_names_the_command_that_gets_it(visit, server):
    one = visit(server.address)
    one.page.check("input[value=browser]", force=True)
    one.page.click("#start")
    one.sees("#banner", "mien models pull onnxruntime-web")
    # the other way still goes
    one.page.check("input[value=server]", force=True)
    one.sees("#word", "happy")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_it_is_accessible(visit, server, npm, scheme, width):
    one = started(visit, server.address, color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True)
    drop(one.page, encoded(astronaut()))
    one.sees("#cards .title", "happy")
    one.page.add_script_tag(path=npm(AXE) / "axe.min.js")
    assert serious(one.page) == []
    # a phone's page does not scroll sideways
    assert one.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    one.page.evaluate("() => { " + REFUSED.format("NotAllowedError") + " }")
    one.page.click("#start")
    one.page.click("#start")
    one.sees("#state-title", "The camera is not allowed")
    assert serious(one.page, "#stage") == []


def serious(page, within="html"):
    found = page.evaluate("(within) => axe.run(within)", within)["violations"]
    return [
        (one["id"], [node["target"] for node in one["nodes"]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
