"""The same reading over many images: in shards that survive being killed, by processes here or on a cluster."""

from mien.batch.plan import Plan, Reader
from mien.batch.run import Report, read_all
from mien.batch.sources import references

__all__ = ["Plan", "Reader", "Report", "read_all", "references"]
