"""What reads images, but for some: SLOW takes a while, DEADLY ends it, STUCK never ends, BROKEN is a mistake."""

import os
import signal
import time

from mien.apps.server import reading

SLOW = 0.3


class Fake(reading.Reader):
    def _read(self, image, labels):
        if image.startswith(b"SLOW"):
            time.sleep(SLOW)
            return super()._read(image.removeprefix(b"SLOW"), labels)
        if image.startswith(b"DEADLY"):
            os.kill(os.getpid(), signal.SIGKILL)
        if image.startswith(b"STUCK"):
            time.sleep(3600)
        if image.startswith(b"BROKEN"):
            raise RuntimeError("a secret of /home/me")
        return super()._read(image, labels)


if __name__ == "__main__":
    reading.Reader = Fake
    reading.main()
