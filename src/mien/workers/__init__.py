"""Worker processes driven over pipes: a bad request can crash only the worker that reads it."""
