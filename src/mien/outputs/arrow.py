"""Results as tables in memory: Arrow, and from it pandas; the columns of CSV and Parquet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mien.emotions import FER2013
from mien.errors import MissingExtraError
from mien.outputs.schema import SCHEMA_VERSION, columns, rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mien.structures import FrameResult

SCHEMA_KEY = b"mien.schema"


def to_arrow(results: Iterable[FrameResult], labels: Sequence[str] = FER2013) -> Any:
    """Results as a ``pyarrow.Table``, a row a face; the schema's version is in its metadata.

    Args:
        results: of one model, such as ``Recognizer.stream`` and ``predict_many`` give.
        labels: the model's, ``Recognizer.labels``, which fix the columns.

    Raises:
        UsageError: a prediction has other labels.
        MissingExtraError: pyarrow is not installed.
    """
    schema = arrow_schema(labels)
    return arrow_table([row for result in results for row in rows(result, labels)], schema)


def to_pandas(results: Iterable[FrameResult], labels: Sequence[str] = FER2013) -> Any:
    """Results as a ``pandas.DataFrame``, a row a face; see ``to_arrow``.

    Raises:
        UsageError: a prediction has other labels.
        MissingExtraError: pyarrow or pandas is not installed.
    """
    arrow = to_arrow(results, labels)
    try:
        frame = arrow.to_pandas()
    except ImportError as error:
        raise MissingExtraError("a data frame", "pandas", "pandas") from error
    return frame


def arrow_schema(labels: Sequence[str]) -> Any:
    """The columns as a ``pyarrow.Schema``.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        raise MissingExtraError("a Parquet or Arrow table", "pyarrow", "parquet") from error
    fields = [(name, pa.type_for_alias(kind)) for name, kind in columns(labels).items()]
    return pa.schema(fields, metadata={SCHEMA_KEY: str(SCHEMA_VERSION).encode()})


def arrow_table(some: Sequence[tuple[Any, ...]], schema: Any) -> Any:
    """Rows as a ``pyarrow.Table``."""
    import pyarrow as pa

    by_column = [list(column) for column in zip(*some, strict=True)] or [[] for _ in schema]
    return pa.Table.from_arrays(
        [pa.array(values, field.type) for values, field in zip(by_column, schema, strict=True)], schema=schema
    )
