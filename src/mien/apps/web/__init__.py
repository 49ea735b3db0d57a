"""The web page: what a browser loads, and the constants that its JavaScript takes from Python."""
