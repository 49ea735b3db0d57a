"""The page in a real Chromium: webcam, photos and videos, every status, both inference backends."""

from __future__ import annotations

import base64
import csv
import io
import json
from itertools import pairwise

import numpy as np
import pytest
from browser import AXE, downloaded_text
from PIL import Image
from skimage.data import astronaut

from mien.outputs import columns, to_dict
from videos import swaying_face, write_frames

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
TRACK_STATE = """() => {
  [window.track] = document.getElementById("video").srcObject.getVideoTracks();
  return track.readyState;
}"""
NEWEST_COLUMN_IS_FILLED = """() => {
  const { data } = document.getElementById("history").getContext("2d").getImageData(299, 20, 1, 1);
  return data[3] === 255;
}"""
REJECT_CAMERA = "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', '{}'));"
STATS = "() => /^[0-9]+ fps, latency [0-9]+ ms$/.test(document.getElementById('stats').textContent)"
SET_HIDDEN = """(hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def encode(image, kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind)
    return file.getvalue()


def drop_file(page, content, name="face.png", mime="image/png", kind="drop"):
    page.evaluate(DROP, [kind, name, mime, base64.b64encode(content).decode()])


def start_webcam(visit, address, **options):
    opened = visit(address, **options)
    opened.page.click("#start")
    opened.page.wait_for_selector(RUNNING)
    return opened


def test_a_face_gets_box_label_bars_and_avatar(visit, server):
    opened = visit(server.address)
    neutral = opened.page.inner_html("#avatar")
    opened.wait_for_text("#notice", "Expression analysis is off")
    opened.page.click("#start")
    opened.wait_for_text("#boxes .label", "happy")
    opened.wait_for_text("#expression", "happy")
    opened.wait_for_text("#bars .predicted", "happy")
    opened.wait_for_text("#notice", "Expression analysis is on")
    opened.page.wait_for_selector("#avatar[aria-label='Avatar: happy']")
    assert opened.page.inner_html("#avatar") != neutral
    opened.page.wait_for_function(NEWEST_COLUMN_IS_FILLED)
    opened.page.wait_for_function(STATS)
    # every request went to the origin of the page, or to a blob that it made
    assert all(url.startswith((server.address, "blob:")) for url in opened.urls)


def test_stop_releases_the_camera(visit, server):
    opened = start_webcam(visit, server.address)
    assert opened.page.evaluate(TRACK_STATE) == "live"
    opened.page.click("#start")
    assert opened.page.evaluate("() => track.readyState") == "ended"
    opened.wait_for_text("#notice", "Expression analysis is off")
    opened.wait_for_text("#status-title", "Which expression does a face show?")


def test_keyboard_shortcuts_do_what_buttons_do(visit, server):
    opened = visit(server.address)
    page = opened.page
    page.on("filechooser", lambda _: None)  # from now on: a handler added as the key is pressed may be too late
    page.keyboard.press("Space")
    page.wait_for_selector(RUNNING)
    assert page.locator(".image.mirrored").count() == 1
    page.keyboard.press("m")
    assert page.locator(".image.mirrored").count() == 0
    page.keyboard.press("p")
    opened.wait_for_text("#banner", "Paused")
    page.keyboard.press("p")
    page.wait_for_selector("#banner", state="hidden")
    page.keyboard.press("c")
    page.wait_for_function("() => document.getElementById('anonymized-frame').width > 0")
    assert page.evaluate("() => getComputedStyle(document.getElementById('video')).visibility") == "hidden"
    page.wait_for_selector("#boxes .box:not([hidden]) svg")
    with page.expect_download() as waiting:
        page.keyboard.press("s")
    with Image.open(waiting.value.path()) as shot:
        assert shot.size == tuple(page.evaluate("() => [video.videoWidth, video.videoHeight]"))
    page.keyboard.press("?")
    page.wait_for_selector("#shortcuts-dialog[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("#shortcuts-dialog", state="hidden")
    with page.expect_file_chooser():
        page.keyboard.press("o")
    page.keyboard.press("Space")
    opened.wait_for_text("#status-title", "Which expression does a face show?")


def test_no_earlier_frame_is_shown_when_an_anonymized_webcam_starts_again(visit, server):
    page = start_webcam(visit, server.address).page
    page.click("#anonymize")
    page.wait_for_function("() => document.getElementById('anonymized-frame').width > 0")
    page.click("#start")
    page.evaluate("() => { navigator.mediaDevices.getUserMedia = () => new Promise(() => {}); }")
    page.click("#start")
    assert page.evaluate("() => document.getElementById('anonymized-frame').width") == 0


def test_results_are_saved_in_the_schema_of_the_command_line(visit, server, recognizer):
    opened = start_webcam(visit, server.address)
    opened.wait_for_results(3)
    opened.page.click("#start")
    with downloaded_text(opened.page, "#save-json") as text:
        lines = [json.loads(line) for line in text.splitlines()]
    assert [line["index"] for line in lines] == list(range(len(lines)))
    assert all(line["seconds"] < following["seconds"] for line, following in pairwise(lines))
    assert list(lines[0]) == list(to_dict(recognizer.predict(astronaut())))
    assert {face["track"] for line in lines for face in line["faces"]} <= {None, 1}
    with downloaded_text(opened.page, "#save-csv") as text:
        rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == list(columns(recognizer.labels))
    predicted = [face["emotion"] for line in lines for face in line["faces"]]
    assert [row["emotion"] for row in rows if row["emotion"]] == predicted


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_photos_become_cards(visit, server, recognizer, kind):
    opened = visit(server.address)
    photo = encode(np.hstack([astronaut()[:300], swaying_face(1)[0].repeat(2, axis=0)[:300]]))
    drop_file(opened.page, photo, kind=kind)
    opened.wait_for_text("#cards .source", "face.png")
    opened.page.wait_for_selector("#cards .avatar, #cards svg.face")
    with downloaded_text(opened.page, "#photos-json") as text:
        result = json.loads(text)
    assert result == {**json.loads(json.dumps(to_dict(recognizer.predict(photo)))), "source": "face.png"}
    assert len(result["faces"]) == 2
    first, second = opened.page.locator("#cards .faces button").all()
    second.click()
    assert (first.get_attribute("aria-pressed"), second.get_attribute("aria-pressed")) == ("false", "true")
    opened.wait_for_text("#cards .title", result["faces"][1]["emotion"])


def test_a_broken_photo_shows_its_error_and_the_others_are_analyzed(visit, server):
    opened = visit(server.address)
    drop_file(opened.page, b"no image at all", name="broken.png")
    opened.wait_for_text("#cards .failed .message", "broken.png: the 15 bytes given: expected")
    drop_file(opened.page, encode(astronaut()[:60, :60]), name="wall.png")
    opened.wait_for_text("#cards .message", "No face found in wall.png")
    with downloaded_text(opened.page, "#photos-csv") as text:
        rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["source"] for row in rows] == ["broken.png", "wall.png"]
    assert rows[0]["error"]
    assert not rows[1]["error"]


def test_a_video_is_analyzed_frame_by_frame(visit, server, tmp_path):
    clip = write_frames(tmp_path / "clip.mp4", swaying_face(20), 25, "libx264", "yuv420p")
    opened = visit(server.address)
    opened.page.set_input_files("#file", clip)
    opened.wait_for_text("#banner", "The video has ended")
    with downloaded_text(opened.page, "#save-json") as text:
        lines = [json.loads(line) for line in text.splitlines()]
    # a browser may skip frames that it could not paint in time; none that it showed is missing
    assert 10 <= len(lines) <= 20
    assert {line["source"] for line in lines} == {"clip.mp4"}
    times = [line["seconds"] for line in lines]
    assert times == sorted(times)
    assert times[-1] > 0.6
    assert {face["emotion"] for line in lines for face in line["faces"]} == {"happy"}


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("NotAllowedError", "Camera access denied"),
        ("NotFoundError", "No camera found"),
        ("NotReadableError", "The camera is in use"),
        ("TypeError", "be opened"),
    ],
)
def test_a_camera_error_is_shown(visit, server, name, title):
    opened = visit(server.address, init_script=REJECT_CAMERA.format(name))
    opened.page.click("#start")
    opened.wait_for_text("#status-title", title)
    opened.wait_for_text("#notice", "Expression analysis is off")
    assert title in opened.page.inner_text("#announcements")
    assert opened.page.inner_text("#start") == "Start"


def test_the_permission_prompt_is_shown_and_can_be_cancelled(visit, server):
    opened = visit(server.address, init_script="navigator.mediaDevices.getUserMedia = () => new Promise(() => {});")
    opened.page.click("#start")
    opened.wait_for_text("#status-title", "Allow camera access")
    opened.page.click("#start")
    opened.wait_for_text("#status-title", "Which expression does a face show?")


def test_a_disconnected_camera_is_shown(visit, server):
    opened = start_webcam(visit, server.address)
    opened.page.evaluate(TRACK_STATE)
    opened.page.evaluate("() => track.dispatchEvent(new Event('mute'))")
    opened.wait_for_text("#banner", "The camera sends no image")
    opened.page.evaluate("() => track.dispatchEvent(new Event('ended'))")
    opened.wait_for_text("#status-title", "Camera disconnected")
    # it starts again once the camera is back
    opened.page.evaluate("() => navigator.mediaDevices.dispatchEvent(new Event('devicechange'))")
    opened.page.wait_for_selector(RUNNING)


def test_analysis_pauses_while_the_tab_is_hidden(visit, server):
    opened = start_webcam(visit, server.address)
    opened.page.evaluate(SET_HIDDEN, True)
    opened.wait_for_text("#banner", "Paused while this tab is hidden")
    sent = sum(kind == "frame" for kind, _ in server.requests)
    opened.page.wait_for_timeout(2000)
    # two may have been on their way
    assert sum(kind == "frame" for kind, _ in server.requests) <= sent + 2
    opened.page.evaluate(SET_HIDDEN, False)
    opened.page.wait_for_selector("#banner", state="hidden")
    opened.wait_for_results()


def test_a_lost_connection_is_shown_and_reestablished(visit, server):
    opened = start_webcam(visit, server.address)
    server.is_down = True
    server.hang_up()
    opened.wait_for_text("#banner", "Connection lost")
    server.is_down = False
    opened.wait_for_text("#banner", "Connected again")
    opened.wait_for_results()


def test_with_inference_in_the_browser_no_frame_leaves_the_page(visit, full_server):
    opened = visit(full_server.address)
    opened.page.check("input[value=browser]", force=True)
    opened.wait_for_text("#privacy", "Images do not leave this page")
    opened.page.click("#start")
    opened.wait_for_text("#expression", "happy")
    drop_file(opened.page, encode(astronaut()))
    opened.wait_for_text("#cards .title", "happy")
    assert {method for method, _ in full_server.requests} == {"GET"}
    assert "/v1/live" not in {path for _, path in full_server.requests}
    assert all(url.startswith((full_server.address, "blob:")) for url in opened.urls)


def test_a_missing_runtime_shows_the_command_that_installs_it(visit, server):
    opened = visit(server.address)
    opened.page.check("input[value=browser]", force=True)
    opened.page.click("#start")
    opened.wait_for_text("#banner", "mien models pull onnxruntime-web")
    # the server still works
    opened.page.check("input[value=server]", force=True)
    opened.wait_for_text("#expression", "happy")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_the_page_is_accessible(visit, server, npm, scheme, width):
    opened = start_webcam(
        visit, server.address, color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True
    )
    drop_file(opened.page, encode(astronaut()))
    opened.wait_for_text("#cards .title", "happy")
    opened.page.add_script_tag(path=npm(AXE) / "axe.min.js")
    assert serious_violations(opened.page) == []
    # nothing scrolls sideways on a phone
    assert opened.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    opened.page.evaluate("() => { " + REJECT_CAMERA.format("NotAllowedError") + " }")
    opened.page.click("#start")
    opened.page.click("#start")
    opened.wait_for_text("#status-title", "Camera access denied")
    assert serious_violations(opened.page, "#stage") == []


def serious_violations(page, within="html"):
    violations = page.evaluate("(within) => axe.run(within)", within)["violations"]
    return [
        (violation["id"], [node["target"] for node in violation["nodes"]])
        for violation in violations
        if violation["impact"] in ("serious", "critical")
    ]
