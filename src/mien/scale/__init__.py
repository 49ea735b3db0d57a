"""The same reading over many pictures: in shards that survive being killed, by a pool of processes."""

from mien.scale.local import Report, cores, read_all
from mien.scale.plan import Plan, Reader

__all__ = ["Plan", "Reader", "Report", "cores", "read_all"]
