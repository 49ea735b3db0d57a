r"""Results as JSON Lines, CSV, Parquet, Arrow, pandas and a terminal table, by one schema.

A line of JSON holds one image or frame; a row of CSV or Parquet holds one face. An image without a face, or that could
not be read, has a row too, so no source is silently missing.

==================  ==========================================================================================
``box``             left, top, right, bottom in pixels (columns of their own in tables); right, bottom exclusive
``landmarks``       x, y of right eye, left eye, nose, right and left mouth corner; null from some detectors; JSON only
``confidence``      of the detector
``emotion``         the predicted expression, and ``probability``, its probability
``unsure``          whether the prediction is unreliable; ``unsure_below`` is the threshold on the probability
``turned_away``     whether the head is turned too far
``reasons``         why the prediction is unsure
``quality_issues``  "small", "blurred", "dark", "rolled"
``track``           number of the face in a video; null for photos
``probabilities``   of each label; in tables a column ``p_<label>`` each
==================  ==========================================================================================

Sources are written exactly as given, also those that a spreadsheet would take for a formula (``=1+1.jpg``): a changed
name would no longer lead to its file. Import such a column as text. Only what UTF-8 can't hold (a file name of
undecodable bytes) is written as an escape such as ``\udc80``.
"""

from mien.outputs.schema import SCHEMA_VERSION, columns, from_dict, rows, to_dict, to_json_line
from mien.outputs.tables import (
    CsvWriter,
    ParquetWriter,
    Writer,
    open_csv,
    open_parquet,
    to_arrow,
    to_pandas,
    write_csv,
    write_parquet,
)
from mien.outputs.terminal import table

__all__ = [
    "SCHEMA_VERSION",
    "CsvWriter",
    "ParquetWriter",
    "Writer",
    "columns",
    "from_dict",
    "open_csv",
    "open_parquet",
    "rows",
    "table",
    "to_arrow",
    "to_dict",
    "to_json_line",
    "to_pandas",
    "write_csv",
    "write_parquet",
]
