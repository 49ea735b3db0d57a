"""How good a model's answers are: scores, calibration and reports."""
