"""The live window, in Tkinter: it shows what ``mien.live`` reads, and starts and stops it."""
