"""``python -m mien``, which is the command ``mien``."""

from mien.apps.cli import main

if __name__ == "__main__":
    main()
