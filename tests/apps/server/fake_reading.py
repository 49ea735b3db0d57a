"""What reads pictures, but for some: SLOW takes a while, DEADLY ends it, STUCK never ends, BROKEN is a mistake."""

import os
import signal
import time

from mien.apps.server import reading

SLOW = 0.3


class Fake(reading.Reader):
    def _read(self, picture, labels):
        if picture.startswith(b"SLOW"):
            time.sleep(SLOW)
            return super()._read(picture.removeprefix(b"SLOW"), labels)
        if picture.startswith(b"DEADLY"):
            os.kill(os.getpid(), signal.SIGKILL)
        if picture.startswith(b"STUCK"):
            time.sleep(3600)
        if picture.startswith(b"BROKEN"):
            raise RuntimeError("a secret of /home/me")
        return super()._read(picture, labels)


if __name__ == "__main__":
    reading.Reader = Fake
    reading.main()
