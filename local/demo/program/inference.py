"""Tells the serving container how to load this model and predict with it; it lies in ``code/`` of model.tar.gz.

https://sagemaker.readthedocs.io/en/stable/frameworks/sklearn/using_sklearn.html#load-a-model
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]


def model_fn(model_dir: str) -> Any:
    """Load the model from the folder that model.tar.gz was unpacked into."""
    return joblib.load(Path(model_dir) / "model.joblib")


def predict_fn(input_data: Any, model: Any) -> Any:
    """Predict; a preprocessing step, which cannot, transforms."""
    act = model.predict if hasattr(model, "predict") else model.transform
    return act(input_data)
