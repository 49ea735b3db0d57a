r"""Results as JSON Lines, CSV, Parquet, Arrow, pandas and a table for terminals: the one schema.

A JSON line holds one image or frame; a row of CSV or Parquet holds one face. An image without a face
and one that could not be read have a row too, so that no source is silently missing.

Sources are written exactly as they came, also those that a spreadsheet would take for a formula
(``=1+1.jpg``): a name that was changed would no longer lead to its file. Import such a column as text.
Only what UTF-8 can't hold (a file name of undecodable bytes) is written as a ``\udc80`` style escape.
"""

from mien.outputs.arrow import to_arrow, to_pandas
from mien.outputs.schema import SCHEMA_VERSION, columns, from_dict, rows, to_dict, to_json_line
from mien.outputs.terminal import table
from mien.outputs.writers import CsvWriter, ParquetWriter, Writer, open_csv, open_parquet, write_csv, write_parquet

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
