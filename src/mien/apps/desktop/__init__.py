"""The desktop windows, in Tkinter: the live window and the window that collects images."""
