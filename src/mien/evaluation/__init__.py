"""Evaluation of classifiers and detectors: metrics, calibration, comparison of models, robustness, reports."""
