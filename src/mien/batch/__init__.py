"""Inference over many images: shards that survive a kill, worker processes on this machine or a Ray cluster."""

from mien.batch.plan import Pipeline, Plan, parts_folder
from mien.batch.run import BatchReport, run_batch, suffix_of
from mien.media.parquet_images import image_references

__all__ = ["BatchReport", "Pipeline", "Plan", "image_references", "parts_folder", "run_batch", "suffix_of"]
