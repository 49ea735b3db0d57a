import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from mien.detection import WholeImageDetector
from mien.media.image import write
from mien.models.card import CropRule

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from ablation import VARIANTS, difference, studied, varied
from operations import multiply_adds
from page import fill, table
from processes import bytes_under, import_microseconds
from setting import _photos
from speed import MEASUREMENTS
from throughput import STAGES, Setup, one_pass
from timing import Sample, interleaved, seconds_a_call

PAGE_ON_DISK = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def graph(nodes, shape, outputs, weights=()):
    tensors = [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in dict(weights).items()]
    ends = [helper.make_tensor_value_info(outputs, TensorProto.FLOAT, None)]
    start = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    made = helper.make_graph(nodes, "counted", [start], ends, tensors)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def ones(*shape):
    return np.ones(shape, np.float32)


node = helper.make_node
CONV = node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1], strides=[2, 2])


@pytest.mark.parametrize(
    ("model", "count"),
    [
        # 4 channels of 4x4, each of 3 channels times 3x3
        pytest.param(graph([CONV], ["n", 3, 8, 8], "y", {"w": ones(4, 3, 3, 3)}), 4 * 16 * 27, id="convolution"),
        pytest.param(
            graph([node("Conv", ["x", "w"], ["y"], group=4)], ["n", 4, 6, 6], "y", {"w": ones(4, 1, 3, 3)}),
            4 * 16 * 9,
            id="depthwise",
        ),
        pytest.param(graph([node("Gemm", ["x", "w"], ["y"])], ["n", 10], "y", {"w": ones(10, 5)}), 50, id="dense"),
        pytest.param(
            graph([node("Gemm", ["x", "w"], ["y"], transB=1)], ["n", 10], "y", {"w": ones(5, 10)}),
            50,
            id="dense, weights transposed",
        ),
        pytest.param(
            graph([node("MatMul", ["x", "w"], ["y"])], ["n", 7, 10], "y", {"w": ones(10, 5)}), 7 * 50, id="product"
        ),
        pytest.param(graph([node("MatMul", ["x", "w"], ["y"])], ["n", 10], "y", {"w": ones(10)}), 10, id="vector"),
        pytest.param(graph([node("Relu", ["x"], ["y"])], ["n", 10], "y"), 0, id="no product"),
        pytest.param(
            graph(
                [
                    CONV,
                    # padding computed from the image's own size, as networks exported from Keras do it
                    node("Shape", ["y"], ["shape"]),
                    node("Sub", ["shape", "shape"], ["none"]),
                    node("Concat", ["none", "end"], ["pads"], axis=0),
                    node("Pad", ["y", "pads"], ["wide"]),
                    node("Conv", ["wide", "v"], ["z"]),
                    node("Flatten", ["z"], ["flat"]),
                    node("Gemm", ["flat", "u"], ["out"]),
                ],
                ["n", 3, 8, 8],
                "out",
                {"w": ones(4, 3, 3, 3), "v": ones(2, 4, 2, 2), "u": ones(32, 7), "end": np.int64([0, 0, 1, 1])},
            ),
            4 * 16 * 27 + 2 * 16 * 16 + 32 * 7,
            id="padded as it runs",
        ),
    ],
)
def test_multiply_adds_are_those_counted_by_hand(model, count):
    assert multiply_adds(model) == count


def test_a_product_of_an_unknown_kind_is_refused_not_left_out():
    turned = node("ConvTranspose", ["x", "w"], ["y"])
    with pytest.raises(ValueError, match="ConvTranspose"):
        multiply_adds(graph([turned], ["n", 3, 8, 8], "y", {"w": ones(3, 4, 3, 3)}))


@pytest.mark.parametrize(
    ("values", "middle", "spread"),
    [((5.0,), 5.0, (5.0, 5.0)), ((1.0, 3.0), 2.0, (1.5, 2.5)), ((9.0, 1.0, 2.0, 3.0, 4.0), 3.0, (2.0, 4.0))],
)
def test_a_sample_knows_its_median_and_quartiles(values, middle, spread):
    assert Sample(values).median == middle
    assert Sample(values).spread == spread


def test_ratios_are_taken_round_by_round():
    # the machine was twice as slow in the second round, for both
    assert Sample((2.0, 4.0)).over(Sample((1.0, 2.0))).spread == (2.0, 2.0)
    with pytest.raises(ValueError, match="shorter"):
        Sample((2.0, 4.0)).over(Sample((1.0,)))


def test_units_and_rates_follow_each_round():
    assert Sample((2.0, 4.0)).times(1000).values == (2000.0, 4000.0)
    assert Sample((2.0, 4.0)).into(8).values == (4.0, 2.0)
    assert Sample((1000.0, 3000.0)).text(1) == "2,000.0 (1,500.0 to 2,500.0)"


def test_rounds_run_forth_and_back():
    ran = []

    def task(name):
        return lambda: ran.append(name) or len(ran)

    found = interleaved({"a": task("a"), "b": task("b")}, rounds=3)
    assert "".join(ran) == "abbaab"
    assert found == {"a": (1, 4, 5), "b": (2, 3, 6)}


def test_a_slow_call_is_warmed_up_and_timed_once():
    calls = []
    assert seconds_a_call(lambda: calls.append(1), min_seconds=0, warmup_seconds=0) >= 0
    assert len(calls) == 2


def test_a_table_aligns_figures_right():
    assert table(["a", "b"], [["x", "1"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |"


PAGE = "# Title\n<!-- one -->\nold\n<!-- /one -->\nbetween\n<!-- two -->\n<!-- /two -->\nend\n"


def test_filling_replaces_the_named_blocks_alone_and_again():
    filled = "# Title\n<!-- one -->\n\nnew \\1\n\n<!-- /one -->\nbetween\n<!-- two -->\n<!-- /two -->\nend\n"
    assert fill(PAGE, {"one": "new \\1"}) == filled
    assert fill(filled, {"one": "new \\1"}) == filled


@pytest.mark.parametrize("page", ["", PAGE + PAGE, "<!-- /one -->\n<!-- one -->\n", "<!-- one -->\n"])
def test_a_page_without_just_that_block_is_refused(page):
    with pytest.raises(ValueError, match="expected one block"):
        fill(page, {"one": "new"})


def test_the_page_has_a_block_for_every_measurement():
    assert MEASUREMENTS
    filled = fill(PAGE_ON_DISK.read_text(), {name: f"figures of {name}" for name in MEASUREMENTS})
    assert all(f"figures of {name}\n" in filled for name in MEASUREMENTS)


REPORT = """import time: self [us] | cumulative | imported package
import time:       100 |        100 |     mien.errors
import time:       250 |       1350 | mien
"""


def test_import_time_is_the_cumulative_one_of_that_module():
    assert import_microseconds(REPORT, "mien") == 1350
    with pytest.raises(ValueError, match="tensorflow"):
        import_microseconds(REPORT, "tensorflow")


def test_size_counts_files_below_and_no_links(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"12345")
    (tmp_path / "file").write_bytes(b"12")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert bytes_under(tmp_path) == 7


@pytest.mark.parametrize(("sample", "chosen"), [(0, "0123456789"), (99, "0123456789"), (4, "0257"), (1, "0")])
def test_photos_are_chosen_evenly(tmp_path, sample, chosen):
    for name in "0123456789":
        (tmp_path / f"{name}.png").touch()
    assert "".join(path.stem for path in _photos(tmp_path, sample)) == chosen


def test_without_a_folder_installed_photos_serve():
    photos = _photos(None, 0)
    assert {path.name for path in photos} == {"portrait.jpg", "grace_hopper.jpg"}
    assert all(path.is_file() for path in set(photos))


def test_a_pass_times_every_stage_of_every_photo(tmp_path):
    for name in ("a.png", "b.png"):
        write(tmp_path / name, np.zeros((20, 20, 3), np.uint8))
    seen = []
    card = SimpleNamespace(crop=CropRule(), size=8, channels=1)
    classifier = SimpleNamespace(card=card, predict=lambda crops: seen.append(crops.shape))
    setup = Setup("whole", cv2.getNumThreads())
    recognizer = SimpleNamespace(detector=WholeImageDetector(), classifier=classifier)
    done = one_pass({setup: recognizer}, [tmp_path / "a.png", tmp_path / "b.png"])[setup]
    assert seen == [(1, 8, 8, 1)] * 2
    assert done.faces == 2
    assert len(done.seconds) == len(STAGES)
    assert min(done.seconds) > 0


def test_every_variant_of_an_ablation_is_a_config_of_its_own():
    config = studied("nano", epochs=8)
    changed = [varied(config, changes) for changes in VARIANTS.values()]
    assert changed[0] == config
    assert len(set(changed)) == len(changed)


def test_a_difference_is_paired_and_has_its_standard_error():
    one, other = np.array([[1.0, 1.0, 1.0, 0.0]]), np.array([[1.0, 0.0, 1.0, 0.0]])
    assert difference(one, other) == "+25.0 ± 21.7"
    assert difference(one, one) == "+0.0 ± 0.0"
