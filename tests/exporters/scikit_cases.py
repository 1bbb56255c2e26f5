"""scikit-learn estimators by skl2onnx: perceptrons, linear models, and pipelines of scalers before them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from exports import Case, Export, installed

__all__ = ["scikit_cases"]

SCORES = "probabilities"


def scikit_cases() -> list[Case]:
    """All of them; none where skl2onnx is missing."""
    if not installed("sklearn", "skl2onnx"):
        return []
    return [Case("skl2onnx", name, _maker(make), why) for name, make, why in (*_regressors(), *_classifiers())]


def _maker(make: Callable[[], Any]) -> Callable[[], Export]:
    def export() -> Export:
        from skl2onnx import to_onnx

        rng = np.random.default_rng(7)
        x = rng.normal(size=(80, 4)).astype(np.float32)
        model = make()
        classifies = hasattr(model, "predict_proba")
        target = (x[:, 0] + x[:, 1] ** 2 > 0.5).astype(int) + (x[:, 2] > 0.5) if classifies else x[:, :2] ** 2
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of iterations that end before they converge
            model.fit(x, target)
        options = {"zipmap": False} if classifies else None
        content = to_onnx(model, x[:1], options=options).SerializeToString()
        function = model.predict_proba if classifies else model.predict

        def run(point: np.ndarray) -> np.ndarray:
            return np.asarray(function(point[None].astype(np.float32)), dtype=np.float64).ravel()

        return Export(content, run, (SCORES,) if classifies else ())

    return export


def _regressors() -> list[tuple[str, Callable[[], Any], str]]:
    from sklearn import decomposition, linear_model, neural_network, pipeline, preprocessing, tree

    def mlp(activation: str = "relu") -> Any:
        return neural_network.MLPRegressor(
            hidden_layer_sizes=(6, 5), activation=activation, max_iter=40, random_state=7
        )

    def behind(*steps: Any) -> Callable[[], Any]:
        return lambda: pipeline.make_pipeline(*steps, mlp())

    rows = [(f"mlp-regressor-{a}", lambda a=a: mlp(a), "") for a in ("relu", "tanh", "logistic", "identity")]
    return [
        *rows,
        ("standard-scaler", behind(preprocessing.StandardScaler()), ""),
        ("standard-scaler-std", behind(preprocessing.StandardScaler(with_mean=False)), ""),
        ("min-max-scaler", behind(preprocessing.MinMaxScaler()), ""),
        ("min-max-clipped", behind(preprocessing.MinMaxScaler(clip=True)), ""),
        ("max-abs-scaler", behind(preprocessing.MaxAbsScaler()), ""),
        ("robust-scaler", behind(preprocessing.RobustScaler()), ""),
        ("pca", behind(decomposition.PCA(3)), ""),
        ("two-scalers", behind(preprocessing.StandardScaler(), preprocessing.MinMaxScaler()), ""),
        ("linear", linear_model.LinearRegression, ""),
        ("ridge", linear_model.Ridge, ""),
        ("normalizer", behind(preprocessing.Normalizer()), ""),
        ("polynomial", behind(preprocessing.PolynomialFeatures()), "ArrayFeatureExtractor|depend"),
        ("tree", tree.DecisionTreeRegressor, "TreeEnsemble"),
    ]


def _classifiers() -> list[tuple[str, Callable[[], Any], str]]:
    from sklearn import ensemble, linear_model, neural_network, pipeline, preprocessing

    def mlp(activation: str = "relu") -> Any:
        return neural_network.MLPClassifier(hidden_layer_sizes=(6,), activation=activation, max_iter=40, random_state=7)

    return [
        ("mlp-classifier-relu", mlp, ""), ("mlp-classifier-tanh", lambda: mlp("tanh"), ""),
        ("pipeline-classifier", lambda: pipeline.make_pipeline(preprocessing.StandardScaler(), mlp()), ""),
        ("logistic-regression", linear_model.LogisticRegression, ""),
        ("forest", lambda: ensemble.RandomForestClassifier(3, max_depth=2), "TreeEnsemble"),
    ]  # fmt: skip
