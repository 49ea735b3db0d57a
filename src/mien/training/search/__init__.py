"""Hyperparameter search over training configs with Optuna: the search space and the trials."""
