"""200 videos by FFmpeg's own program, over codecs, containers, fields, aspects, rotations, rates, colours and cuts."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = "-f lavfi -i testsrc2=size={size}:rate={rate}:duration={seconds}"
SOUND = "-f lavfi -i sine=440:duration={seconds}"
FAST_264 = "-c:v libx264 -preset veryfast -g 10"


@dataclass(frozen=True)
class Made:
    """How one video is made.

    Attributes:
        name: unique; its end is the suffix.
        options: of the encoder.
        size, rate, seconds: of the source.
        filters: before encoding.
        sound: seconds of a tone with it; 0: none.
        then: options of a second run that copies the streams: cuts, rotation, aspect.
        copied: options of the second run's input.
    """

    name: str
    options: str
    size: str = "96x64"
    rate: str = "25"
    seconds: float = 0.6
    filters: str = ""
    sound: float = 0.0
    then: str = ""
    copied: str = ""

    def write(self, folder: Path) -> Path:
        """Write the video into a folder."""
        path = folder / self.name
        target = folder / f"first-{self.name}" if self.then or self.copied else path
        source = SOURCE.format(size=self.size, rate=self.rate, seconds=self.seconds)
        sound = SOUND.format(seconds=self.sound) if self.sound else ""
        filters = f"-vf {self.filters}" if self.filters else ""
        _ffmpeg(f"{source} {sound} {filters} {self.options} -y {shlex.quote(str(target))}")
        if target != path:
            _ffmpeg(f"{self.copied} -i {shlex.quote(str(target))} -c copy {self.then} -y {shlex.quote(str(path))}")
        return path


def _ffmpeg(options: str) -> None:
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", *shlex.split(options)], check=True, capture_output=True)


def _codecs() -> list[Made]:
    encoders = {
        "h264": ("libx264 -preset veryfast -g 10", "mp4 mov mkv avi flv ts m2ts 3gp m4v h264"),
        "hevc": ("libx265 -preset ultrafast -x265-params log-level=none:keyint=10", "mp4 mkv ts hevc"),
        "vp8": ("libvpx -b:v 300k -g 10 -deadline realtime", "webm mkv"),
        "altref": ("libvpx -b:v 300k -auto-alt-ref 1 -lag-in-frames 10", "webm"),
        "vp9": ("libvpx-vp9 -b:v 300k -g 10 -deadline realtime", "webm mp4 ivf"),
        "av1": ("libaom-av1 -cpu-used 8 -b:v 300k -g 10", "mp4 webm mkv"),
        "mpeg1": ("mpeg1video -q 3", "mpg ts"),
        "mpeg2": ("mpeg2video -q 3 -bf 2", "mpg ts vob mkv mxf m2v"),
        "mpeg4": ("mpeg4 -q 3", "avi mp4 mov mkv m4v"),
        "packed": ("mpeg4 -q 3 -bf 2", "avi mp4"),
        "xvid": ("libxvid -q 3", "avi"),
        "mjpeg": ("mjpeg -q 3", "avi mov mkv"),
        "ffv1": ("ffv1 -level 3", "mkv avi nut"),
        "huffyuv": ("huffyuv -pix_fmt yuv422p", "avi mkv"),
        "utvideo": ("utvideo", "avi mkv"),
        "prores": ("prores_ks", "mov mkv"),
        "dnxhr": ("dnxhd -profile:v dnxhr_sq -pix_fmt yuv422p -s 256x120", "mov mxf"),
        "wmv1": ("wmv1", "wmv asf"),
        "wmv2": ("wmv2", "wmv"),
        "msmpeg4": ("msmpeg4", "avi"),
        "flv1": ("flv1", "flv"),
        "theora": ("libtheora -q:v 7", "ogv mkv"),
        "png": ("png -pix_fmt rgb24", "mov avi"),
        "qtrle": ("qtrle -pix_fmt rgb24", "mov"),
        "raw": ("rawvideo -pix_fmt yuv420p", "avi nut"),
        "y4m": ("wrapped_avframe -pix_fmt yuv420p", "y4m"),
        "v210": ("v210", "mov"),
        "cinepak": ("cinepak", "avi"),
        "jpeg2000": ("jpeg2000", "mov"),
        "h263": ("h263 -s 176x144", "3gp"),
    }
    return [
        Made(f"{name}.{suffix}", f"-c:v {options}" + (" -f dvd" if suffix == "vob" else ""))
        for name, (options, suffixes) in encoders.items()
        for suffix in suffixes.split()
    ]


def _fields() -> list[Made]:
    interlaced = "tinterlace=mode=interleave_{0},setfield={1}"
    made = []
    for field, filters in (("tff", interlaced.format("top", "tff")), ("bff", interlaced.format("bottom", "bff"))):
        x264 = f"-c:v libx264 -preset veryfast -g 10 -flags +ildct+ilme -x264-params {field}=1"
        mpeg2 = f"-c:v mpeg2video -q 2 -flags +ildct+ilme -field_order {'tt' if field == 'tff' else 'bb'}"
        order = f"-field_order {'tt' if field == 'tff' else 'bb'} -flags +ildct+ilme"
        for name, options, suffixes in (
            ("h264", x264, "mp4 ts mkv m2ts mov"),
            ("mpeg2", mpeg2, "mpg ts mkv"),
            ("mpeg4", "-c:v mpeg4 -q 2 -flags +ildct+ilme", "avi mp4"),
            ("prores", f"-c:v prores_ks {order}", "mov"),
            ("ffv1", f"-c:v ffv1 {order}", "mkv"),
            ("huffyuv", f"-c:v huffyuv -pix_fmt yuv422p {order}", "mkv"),
        ):
            made += [
                Made(f"{name}-{field}.{suffix}", options, "96x64", "50", filters=filters) for suffix in suffixes.split()
            ]
    made += [
        Made(f"dv-{name}.{suffix}", options, size, rate, 0.2, "setfield=bff")
        for name, options, size, rate in (
            ("pal", "-c:v dvvideo -pix_fmt yuv420p", "720x576", "25"),
            ("ntsc", "-c:v dvvideo -pix_fmt yuv411p", "720x480", "30000/1001"),
        )
        for suffix in ("dv", "avi", "mov")
    ]
    return made


def _shapes() -> list[Made]:
    aspects = {"4to3": "4/3", "8to9": "8/9", "16to11": "16/11", "64to45": "64/45", "1to2": "1/2"}
    made = [
        Made(f"aspect-{name}.{suffix}", options, filters=f"setsar={aspect}")
        for name, aspect in aspects.items()
        for suffix, options in (
            ("mp4", FAST_264),
            ("mkv", FAST_264),
            ("ts", FAST_264),
            ("mov", "-c:v prores_ks"),
            ("avi", "-c:v mpeg4 -q 2"),
        )
    ]
    made += [
        Made(f"aspect-mpeg2-{name}.mpg", f"-c:v mpeg2video -q 2 -aspect {name.replace('to', ':')}", "352x288")
        for name in ("4to3", "16to9")
    ]
    # the container states another aspect than the codec
    made += [Made(f"aspect-container.{suffix}", FAST_264, then="-aspect 16:9") for suffix in ("mp4", "mov", "mkv")]
    made += [
        Made(f"turned-{angle}-{name}.{suffix}", options, then=f"-metadata:s:v rotate={angle}")
        for angle in (90, 180, 270)
        for name, options, suffix in (
            ("h264", FAST_264, "mp4"),
            ("h264", FAST_264, "mov"),
            ("mpeg4", "-c:v mpeg4 -q 2", "mp4"),
            ("prores", "-c:v prores_ks", "mov"),
        )
    ]
    made += [
        Made(f"turned-aspect-{angle}.mp4", FAST_264, filters="setsar=4/3", then=f"-metadata:s:v rotate={angle}")
        for angle in (90, 270)
    ]
    made += [
        Made(f"odd-{size}.{suffix}", options, size)
        for size in ("97x63", "33x17")
        for suffix, options in (
            ("mkv", f"{FAST_264} -pix_fmt yuv444p"),
            ("avi", "-c:v mjpeg -q 2"),
            ("mov", "-c:v png"),
        )
    ]
    return made


def _times() -> list[Made]:
    made = [
        Made(f"rate-{rate.replace('/', '_')}.{suffix}", FAST_264, rate=rate)
        for rate in ("24000/1001", "30000/1001", "12", "60", "15")
        for suffix in ("mp4", "mkv", "ts", "avi")
    ]
    uneven = "setpts='(N+floor(N/3)*2+gt(N\\,7)*9)/25/TB'"
    made += [
        Made(f"uneven-{name}.{suffix}", f"{options} -fps_mode passthrough", filters=uneven)
        for name, options, suffix in (
            ("h264", FAST_264, "mp4"), ("h264", FAST_264, "mkv"), ("h264", FAST_264, "mov"), ("h264", FAST_264, "ts"),
            ("vp9", "-c:v libvpx-vp9 -deadline realtime -b:v 300k", "webm"), ("mjpeg", "-c:v mjpeg", "mkv"),
            ("plain", f"{FAST_264} -bf 0", "mp4"), ("flv", "-c:v flv1", "flv"),
        )
    ]  # fmt: skip
    long = {"seconds": 2.0, "sound": 2.0}
    aac = f"{FAST_264} -c:a aac"
    made += [
        Made(f"cut-{name}.{suffix}", aac, then=then, copied=copied, **long)
        for name, copied, then in (
            ("start", "-ss 0.7", ""),
            ("both", "-ss 0.5", "-t 0.9"),
            ("end", "", "-t 1.1"),
            ("late", "-itsoffset 1.3", ""),
        )
        for suffix in ("mp4", "mov", "mkv", "ts")
    ]
    made += [
        Made(f"longer-sound.{suffix}", f"{aac} -shortest" if not suffix else aac, sound=3.0)
        for suffix in ("mp4", "mkv", "mov", "ts", "flv")
    ]
    made += [
        Made(f"longer-sound.{suffix}", options, sound=3.0)
        for suffix, options in (("avi", "-c:v mpeg4 -c:a mp3"), ("webm", "-c:v libvpx -c:a libvorbis"))
    ]
    made += [
        Made(f"open-gop.{suffix}", "-c:v libx264 -preset veryfast -g 8 -x264-params open-gop=1:bframes=3", seconds=1.4)
        for suffix in ("mp4", "ts", "mkv")
    ]
    made += [
        Made(f"{frames}-frames-{name}.{suffix}", options, seconds=frames / 25)
        for frames in (1, 2)
        for name, options, suffix in (
            ("h264", FAST_264, "mp4"),
            ("mpeg2", "-c:v mpeg2video", "mpg"),
            ("mjpeg", "-c:v mjpeg", "avi"),
        )
    ]
    made += [
        Made("fragmented.mp4", f"{FAST_264} -movflags frag_keyframe+empty_moov"),
        Made("index-first.mp4", f"{FAST_264} -movflags +faststart"),
        Made("intra-refresh.mp4", "-c:v libx264 -preset veryfast -x264-params intra-refresh=1:keyint=10"),
        Made("looped.gif", ""),
        Made("looped.apng", "-plays 0"),
    ]
    return made


def _colours() -> list[Made]:
    made = [
        Made(f"colour-{name}.{suffix}", f"{options} -pix_fmt {pixels}")
        for name, options, pixels, suffix in (
            ("10-bit", "-c:v libx264 -preset veryfast", "yuv420p10le", "mkv"),
            ("10-bit-hevc", "-c:v libx265 -preset ultrafast -x265-params log-level=none", "yuv420p10le", "mp4"),
            ("422", "-c:v libx264 -preset veryfast", "yuv422p", "mp4"),
            ("444", "-c:v libx264 -preset veryfast", "yuv444p", "mp4"),
            ("grey", "-c:v libx264 -preset veryfast", "gray", "mp4"),
            ("grey-ffv1", "-c:v ffv1", "gray", "mkv"),
            ("grey-16", "-c:v ffv1", "gray16le", "mkv"),
            ("rgb", "-c:v libx264rgb -preset veryfast", "rgb24", "mkv"),
            ("alpha", "-c:v prores_ks -profile:v 4444", "yuva444p10le", "mov"),
            ("alpha-vp9", "-c:v libvpx-vp9 -b:v 300k", "yuva420p", "webm"),
            ("alpha-png", "-c:v png", "rgba", "mov"),
            ("12-bit", "-c:v ffv1", "yuv444p12le", "mkv"),
            ("palette", "-c:v qtrle", "rgb555be", "mov"),
        )
    ]
    made += [
        Made(f"matrix-{matrix}-{span}.mp4",
             f"{FAST_264} -colorspace {matrix} -color_range {span}",
             filters=f"scale=out_color_matrix={matrix}:out_range={span},format=yuv420p")
        for matrix in ("bt709", "smpte170m")
        for span in ("tv", "pc")
    ]  # fmt: skip
    return made


VIDEOS = tuple({made.name: made for made in [*_codecs(), *_fields(), *_shapes(), *_times(), *_colours()]}.values())
"""All of them."""
