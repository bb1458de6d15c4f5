"""Trains small real models on data that ship with scikit-learn, and packs them as SageMaker wants them.

``model.tar.gz`` has the model and ``code/inference.py``, as the scikit-learn container reads them:
https://sagemaker.readthedocs.io/en/stable/frameworks/sklearn/using_sklearn.html
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib  # type: ignore[import-untyped]
import sklearn
from sklearn import datasets, metrics
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM = Path(__file__).parent / "program"
SKLEARN = sklearn.__version__
_SEED = 7


@dataclass(frozen=True)
class Trained:
    """A trained model: what is registered, and what it predicted before that.

    Parameters
    ----------
    name
        Of the model package group.
    title
        What it does, for people.
    task
        ``CLASSIFICATION`` or ``REGRESSION``.
    steps
        Fitted estimators by the name of their container; more than one is an inference pipeline.
    rows
        Held-out input, shape (n, features).
    predictions
        For ``rows``, shape (n,), made in this process.
    quality
        Of ``predictions``: values by the name of the metric.
    """

    name: str
    title: str
    task: str
    steps: dict[str, Any]
    rows: Any
    predictions: Any
    quality: dict[str, float]

    @property
    def algorithm(self) -> str:
        """Name the estimator that predicts."""
        model = self.steps["model"]
        return type(model[-1] if isinstance(model, Pipeline) else model).__name__

    @property
    def archives(self) -> dict[str, bytes]:
        """Give ``model.tar.gz`` of each step."""
        code = (PROGRAM / "inference.py").read_bytes()
        requirements = f"scikit-learn=={SKLEARN}\n".encode()
        return {
            step: tar_gz(
                {
                    "model.joblib": _dumped(estimator),
                    "code/inference.py": code,
                    "code/requirements.txt": requirements,
                }
            )
            for step, estimator in self.steps.items()
        }

    @property
    def evaluation(self) -> bytes:
        """Give the evaluation report, in the form that SageMaker Studio shows.

        https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-model-quality-metrics.html
        """
        kind = "multiclass_classification_metrics" if self.task == "CLASSIFICATION" else "regression_metrics"
        values = {name: {"value": value, "standard_deviation": "NaN"} for name, value in self.quality.items()}
        return json.dumps({kind: values}, indent=2).encode()

    @property
    def sample_payload(self) -> bytes:
        """Give an archive with a request, as Inference Recommender takes it."""
        return tar_gz({"rows.json": json.dumps(self.rows[:5].tolist()).encode()})


def train(*names: str) -> dict[str, Trained]:
    """Train models by their names in `RECIPES`. Takes a few seconds."""
    with threadpool_limits(limits=1), warnings.catch_warnings():
        # The digit reader stops early on purpose.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return {name: RECIPES[name]() for name in names}


def _tumours() -> Trained:
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return _fitted(
        "tumour-classifier", "malignant from benign tumours", datasets.load_breast_cancer(), {"model": model}
    )


def _tumours_again() -> Trained:
    model = make_pipeline(StandardScaler(), SVC(random_state=_SEED))
    return _fitted(
        "tumour-classifier", "malignant from benign tumours", datasets.load_breast_cancer(), {"model": model}
    )


def _wines() -> Trained:
    steps = {"preprocessing": StandardScaler(), "model": LogisticRegression(max_iter=1000)}
    return _fitted("wine-cultivar", "which grower made a wine", datasets.load_wine(), steps)


def _irises() -> Trained:
    model = make_pipeline(StandardScaler(), SVC(random_state=_SEED))
    return _fitted("iris-species", "the species of an iris", datasets.load_iris(), {"model": model})


def _digits() -> Trained:
    # Large for its job, so that its artifact goes in parts.
    network = MLPClassifier((1024, 320), max_iter=6, random_state=_SEED)
    model = make_pipeline(MinMaxScaler(), network)
    return _fitted("digit-reader", "handwritten digits", datasets.load_digits(), {"model": model})


def _diabetes() -> Trained:
    model = GradientBoostingRegressor(random_state=_SEED)
    return _fitted("diabetes-forecast", "diabetes a year ahead", datasets.load_diabetes(), {"model": model})


def _fitted(name: str, title: str, data: Any, steps: dict[str, Any]) -> Trained:
    regression = name == "diabetes-forecast"
    known, rows, answers, truth = train_test_split(
        data.data,
        data.target,
        test_size=0.25,
        random_state=_SEED,
        stratify=None if regression else data.target,
    )
    values = known
    for estimator in steps.values():
        estimator.fit(values, answers)
        if hasattr(estimator, "transform"):
            values = estimator.transform(values)
    predictions = rows
    for estimator in steps.values():
        act = estimator.predict if hasattr(estimator, "predict") else estimator.transform
        predictions = act(predictions)
    if regression:
        quality = {
            "mae": float(metrics.mean_absolute_error(truth, predictions)),
            "r2": float(metrics.r2_score(truth, predictions)),
        }
    else:
        quality = {
            "accuracy": float(metrics.accuracy_score(truth, predictions)),
            "weighted_f1": float(metrics.f1_score(truth, predictions, average="weighted")),
        }
    task = "REGRESSION" if regression else "CLASSIFICATION"
    return Trained(name, title, task, steps, rows, predictions, quality)


def tar_gz(files: dict[str, bytes]) -> bytes:
    """Pack files into an archive, the same bytes for the same content."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    return gzip.compress(stream.getvalue(), compresslevel=1, mtime=0)


def _dumped(estimator: Any) -> bytes:
    with tempfile.TemporaryFile() as file:
        joblib.dump(estimator, file)
        file.seek(0)
        return file.read()


RECIPES: dict[str, Callable[[], Trained]] = {
    "tumours": _tumours,
    "tumours, second try": _tumours_again,
    "wines": _wines,
    "diabetes": _diabetes,
    "digits": _digits,
    "irises": _irises,
}
"""What can be trained."""
