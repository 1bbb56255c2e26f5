"""Model objects: what is read of them computes what they compute, and what cannot be read is told in a line."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_models
import pytest
import small_files

import hypersplit
from hypersplit import NetworkError, PropertyError
from hypersplit.instances.carried import carried
from hypersplit.instances.judges.replay import Replay
from hypersplit.instances.models.exported import Exported, agreeing, alone
from hypersplit.instances.onnx.reader import network_from_bytes

# looked for, not imported: importing PyTorch takes seconds
needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
needs_keras = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("keras", "torch")), reason="Keras is not installed"
)
SEED = 20
PAIRS = [([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]], [0.0, 0.0, 0.0]), ([[1.0, 1.0, 1.0]], [0.0])]  # |x_0| + relu(x_1)


def both(model: hypersplit.Model, x: np.ndarray) -> list[np.ndarray]:
    """Outputs of what was read and of the ONNX model that is replayed, at points [B, n]."""
    return [model.network.evaluate(x), Replay(model.network, model.content).run(x)]


def carried_bytes() -> bytes:
    """A carried ONNX file of two inputs and one output."""
    return carried("control_2d.onnx").read_bytes()


def blobs(classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Points of four features around as many centres as classes."""
    rng = np.random.default_rng(SEED)
    labels = np.arange(60) % classes
    return rng.normal(size=(60, 4)) + 3.0 * rng.normal(size=(classes, 4))[labels], labels


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax"])
def test_an_export_that_ends_with_a_softmax_agrees(kind: str) -> None:
    """It is held against the framework by its own outputs; one of another function is refused."""
    node = onnx.helper.make_node(kind, ["x"], ["y"])
    content = onnx_models.model([node], [1, 3]).SerializeToString()
    network = network_from_bytes(content)

    def run(x: np.ndarray) -> np.ndarray:
        shares = np.exp(x) / np.exp(x).sum()
        return np.log(shares) if kind == "LogSoftmax" else shares

    agreeing(network, Exported(content, run))
    with pytest.raises(NetworkError, match="computes something else"):
        agreeing(network, Exported(content, np.exp))


class Tensor:
    """As PyTorch has them: not to be read before it is detached, and an integer where it is one number."""

    def __init__(self, values: Any, detached: bool = False) -> None:
        self.values, self.detached = np.asarray(values), detached

    def detach(self) -> Tensor:
        return Tensor(self.values, True)

    def cpu(self) -> Tensor:
        return self

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        if not self.detached:
            raise RuntimeError("it keeps track of gradients")
        return self.values

    def __index__(self) -> int:
        return self.values.__index__()


def test_questions_of_tensors() -> None:
    """The input and the label of a question may be a framework's tensors."""
    question = hypersplit.Property.robustness(Tensor([1.0, 0.5]), 0.1, Tensor(1), lower=Tensor([0.0, 0.0]))
    assert np.allclose(question.region.lower, [0.9, 0.4])
    with pytest.raises(PropertyError, match="expected an integer"):
        hypersplit.Property.robustness(Tensor([1.0, 0.5]), 0.1, Tensor(1.5))


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.filterwarnings("ignore")  # of iterations that end before they converge
def test_classifiers_of_scikit_learn(activation: str, classes: int) -> None:
    """The softmax of the outputs is predict_proba, whatever the activation and the number of classes."""
    neural = pytest.importorskip("sklearn.neural_network")
    x, labels = blobs(classes)
    found = neural.MLPClassifier((6, 5), activation=activation, max_iter=30, random_state=SEED).fit(x, labels)
    for scores in both(hypersplit.load_model(found), x):
        shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(shares, found.predict_proba(x), atol=1e-9)


@pytest.mark.parametrize("scaler", ["StandardScaler", "MinMaxScaler", "MaxAbsScaler"])
@pytest.mark.filterwarnings("ignore")
def test_pipelines_of_scikit_learn(scaler: str) -> None:
    """Scalers before a regressor of two outputs are read as they compute, clipped far from the data too."""
    neural, pre = pytest.importorskip("sklearn.neural_network"), pytest.importorskip("sklearn.preprocessing")
    pipeline = pytest.importorskip("sklearn.pipeline")
    x, _ = blobs(3)
    first = pre.MinMaxScaler(clip=True) if scaler == "MinMaxScaler" else getattr(pre, scaler)()
    steps = pipeline.make_pipeline(first, neural.MLPRegressor(hidden_layer_sizes=(7,), max_iter=30, random_state=SEED))
    steps.fit(x, x[:, :2] ** 2)
    far = np.concatenate([x, 10.0 * x])
    for outputs in both(hypersplit.load_model(steps), far):
        np.testing.assert_allclose(outputs, steps.predict(far), rtol=1e-9, atol=1e-9)


@pytest.mark.filterwarnings("ignore")
def test_counterexamples_of_scikit_learn_are_its_own() -> None:
    """The counterexample goes into `predict` as it is, and the label is another there."""
    neural = pytest.importorskip("sklearn.neural_network")
    x, labels = blobs(3)
    found = neural.MLPClassifier((6,), max_iter=200, random_state=SEED).fit(x, labels)
    label = int(found.predict(x[:1])[0])
    result = hypersplit.verify(found, hypersplit.Property.robustness(x[0], 20.0, label), timeout=60)
    assert result.verdict == "sat" and result.counterexample is not None
    assert result.counterexample.shape == (1, 4) and result.counterexample.dtype == np.float64
    assert found.predict(result.counterexample)[0] != label
    result = hypersplit.verify(found, hypersplit.Property.robustness(x[0], 1e-6, label), timeout=60)
    assert result.verdict == "unsat"


def test_scikit_learn_that_cannot_be_read() -> None:
    """Estimators that are not fitted, or of other classes, are refused by the name of their step."""
    neural, pipeline = pytest.importorskip("sklearn.neural_network"), pytest.importorskip("sklearn.pipeline")
    pre, linear = pytest.importorskip("sklearn.preprocessing"), pytest.importorskip("sklearn.linear_model")
    with pytest.raises(NetworkError, match="MLPClassifier is not fitted"):
        hypersplit.load_model(neural.MLPClassifier())
    with pytest.raises(NetworkError, match="LinearRegression, expected one of"):
        hypersplit.load_model(linear.LinearRegression())
    with pytest.raises(NetworkError, match="normalizer: Normalizer before the network"):
        hypersplit.load_model(pipeline.make_pipeline(pre.Normalizer(), neural.MLPRegressor()))


def test_onnx_in_memory(tmp_path: Path) -> None:
    """Bytes, ModelProto, path and the loaded Model give the same verdict and a replayed witness of float32."""
    path = small_files.absolute(tmp_path / "net.onnx")
    question = hypersplit.Property.reach(1.5, np.inf, ([-1, 0], [1, 1]))
    model = onnx.load(path)
    for given in (path, str(path), path.read_bytes(), model, hypersplit.load_model(model)):
        result = hypersplit.verify(given, question)
        assert result.verdict == "sat" and result.counterexample is not None
        assert result.counterexample.shape == (1, 2) and result.counterexample.dtype == np.float32


def test_plain_arrays() -> None:
    """Nested lists of weights are a network of exact real arithmetic."""
    network = hypersplit.load_model(PAIRS).network
    x = np.random.default_rng(SEED).normal(size=(20, 2))
    np.testing.assert_allclose(network.evaluate(x)[:, 0], np.abs(x[:, 0]) + np.maximum(x[:, 1], 0.0))
    assert hypersplit.verify(PAIRS, hypersplit.Property.output_range(0, 2, ([-1, 0], [1, 1]))).verdict == "unsat"
    result = hypersplit.verify(PAIRS, hypersplit.Property.output_range(0, 1.5, ([-1, 0], [1, 1])))
    assert result.verdict == "sat" and result.counterexample is not None and result.counterexample.shape == (1, 2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "empty"),
        ([([[1.0]], [0.0]), ([[1.0, 2.0]], [0.0])], r"layer 1: weights of shape \(1, 2\) read 2 values"),
        ([([[1.0]], [0.0, 1.0])], r"layer 0: biases: shape \(2,\), expected \(1,\)"),
        ([[1.0, 2.0, 3.0]], "expected a pair"),
        (3.5, "a model of type builtins.float, expected a path"),
    ],
)
def test_arrays_that_do_not_fit(given: Any, message: str) -> None:
    """Each fault is told with the layer and its shapes."""
    with pytest.raises(NetworkError, match=message):
        hypersplit.load_model(given)


def test_input_shape_is_for_models_without_one() -> None:
    """A shape for a model that has its own is refused, not ignored."""
    with pytest.raises(NetworkError, match="others have their own"):
        hypersplit.load_model(PAIRS, input_shape=(1, 2))


def test_properties_of_the_wrong_kind() -> None:
    """VNN-LIB text is read as text; what is no property is told what was expected."""
    text = "(declare-const X_0 Real)(declare-const X_1 Real)(declare-const Y_0 Real)" + "".join(
        f"(assert (>= X_{i} 0))(assert (<= X_{i} 1))" for i in range(2)
    )
    assert hypersplit.verify(PAIRS, text + "(assert (>= Y_0 2.5))").verdict == "unsat"
    with pytest.raises(PropertyError, match="property of type int"):
        hypersplit.verify(PAIRS, 7)  # type: ignore[arg-type]
    with pytest.raises(PropertyError, match=r"inputs of shape \(2, 2\), but the network has 2 inputs"):
        hypersplit.verify(PAIRS, hypersplit.Property.reach(0, 1, (np.zeros((2, 2)), np.ones((2, 2)))))


@needs_torch
def test_torch_modules() -> None:
    """A module is asked in evaluation mode, stays in its own, and its outputs are those of what is read."""
    import torch

    torch.manual_seed(SEED)
    nn = torch.nn
    module = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(), nn.Linear(12, 3)
    )
    model = hypersplit.load_model(module, input_shape=(1, 1, 6, 6))
    assert module.training
    x = np.random.default_rng(SEED).normal(size=(5, 36)).astype(np.float32)
    module.eval()
    expected = module(torch.from_numpy(x).reshape(5, 1, 6, 6)).detach().numpy()
    for outputs in both(model, x.astype(np.float64)):
        np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
    question = hypersplit.Property.robustness(x[0].reshape(1, 6, 6), 5.0, int(expected[0].argmax()))
    result = hypersplit.verify(model, question, timeout=60)
    assert result.verdict == "sat" and result.counterexample is not None
    assert module(torch.from_numpy(result.counterexample)).argmax() != expected[0].argmax()


@needs_torch
def test_torch_modules_that_cannot_be_read() -> None:
    """A missing shape, a wrong one and a branch on the input are told as such."""
    import torch

    class Branching(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(4, 2)

        def forward(self, x: Any) -> Any:
            return self.linear(x) if x.sum() > 0.1 else -self.linear(x)

    conv = torch.nn.Conv2d(1, 2, 3)
    with pytest.raises(NetworkError, match="input_shape="):
        hypersplit.load_model(conv)
    with pytest.raises(NetworkError, match=r"cannot be called with an input of shape \(1, 5\)"):
        hypersplit.load_model(conv, input_shape=(1, 5))
    with pytest.raises(NetworkError, match="input_shape 5, expected a tuple"):
        hypersplit.load_model(conv, input_shape=5)  # type: ignore[arg-type]
    with pytest.raises(NetworkError, match="cannot export|computes something else"):
        hypersplit.load_model(Branching())


@needs_keras
def test_keras_models() -> None:
    """A convolutional model with channels last is read as it predicts."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((6, 6, 1)), layers.Conv2D(3, 3, activation="relu"), layers.Flatten(), layers.Dense(3)]
    )
    x = np.random.default_rng(SEED).normal(size=(5, 36))
    expected = model.predict(x.reshape(5, 6, 6, 1), verbose=0)
    for outputs in both(hypersplit.load_model(model), x):
        np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)


@needs_keras
def test_keras_models_that_do_not_tell_their_shape() -> None:
    """One of unknown axes and a class of one's own are read with the shape of a call; two outputs are refused."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    class Own(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    layers = keras.layers
    free = keras.Sequential([keras.Input((None, None, 1)), layers.Conv2D(2, 3), layers.GlobalMaxPooling2D()])
    for model, shape in ((free, (1, 6, 6, 1)), (Own(), (1, 4))):
        with pytest.raises(NetworkError, match="input_shape="):
            hypersplit.load_model(model)
        x = np.random.default_rng(SEED).normal(size=shape)
        found = hypersplit.load_model(model, input_shape=shape).network.evaluate(x.reshape(1, -1))
        np.testing.assert_allclose(found, model.predict(x, verbose=0), rtol=1e-4, atol=1e-5)
    given = keras.Input((4,))
    with pytest.raises(NetworkError, match="it has 2 outputs, expected one"):
        hypersplit.load_model(keras.Model(given, [layers.Dense(2)(given), layers.Dense(2)(given)]))


def test_exports_are_held_against_the_model() -> None:
    """An export that computes another function than the model is refused."""
    from hypersplit.instances.models.exported import Exported, agreeing

    network = hypersplit.load_model(PAIRS).network
    agreeing(network, Exported(b"", network.evaluate))
    with pytest.raises(NetworkError, match="computes something else"):
        agreeing(network, Exported(b"", lambda x: network.evaluate(x) + 0.01))


def test_an_export_that_leaves_values_out_is_refused() -> None:
    """Further inputs of the export are none of the model: constants that the exporter has not written."""
    content = onnx_models.model([onnx.helper.make_node("Relu", ["x"], ["y"])], [1, 3]).SerializeToString()
    assert alone(content, "a model") == content
    proto = onnx.load_from_string(content)
    proto.graph.input.append(onnx.helper.make_tensor_value_info("mean", onnx.TensorProto.FLOAT, [1, 2]))
    with pytest.raises(NetworkError, match="a model: its ONNX export has 2 inputs, expected one: '.*', 'mean'"):
        alone(proto.SerializeToString(), "a model")


def test_checkpoints_of_models_as_objects(tmp_path: Path) -> None:
    """The file holds no path of them: `resume` takes the object itself, replays in its model, and knows another."""
    model = onnx.ModelProto.FromString(carried_bytes())
    place = tmp_path / "run.job"
    reached = hypersplit.Property.reach(-10.0, 10.0, ([-1, -1], [1, 1]))
    first = hypersplit.verify(model, reached, checkpoint=place)
    again = hypersplit.resume(place, network=model, property=reached)
    assert first.verdict == again.verdict == "sat"
    assert first.counterexample is not None and first.counterexample.dtype == np.float32
    assert again.counterexample is not None and np.array_equal(first.counterexample, again.counterexample)
    with pytest.raises(hypersplit.InputError, match="the network was built in memory, and none is given"):
        hypersplit.resume(place, property=reached)
    with pytest.raises(hypersplit.InputError, match="of another network than the one given"):
        hypersplit.resume(place, network=[(np.eye(2), [0, 0]), ([[1, 1]], [0])], property=reached)


def test_objects_by_the_names_of_a_text() -> None:
    """Two models of one VNN-LIB 2 text are run side by side; one in real arithmetic beside them is refused."""
    content = carried_bytes()
    declared = "(vnnlib-version <2.0>)" + "".join(
        f"(declare-network {n} (declare-input {x} real [1,2]) (declare-output {y} real [1,1]))"
        for n, x, y in (("f", "X", "Y"), ("g", "U", "V"))
    )
    box = "".join(f"(assert (and (>= {x}[0,{i}] -1) (<= {x}[0,{i}] 1)))" for x in "XU" for i in (0, 1))
    text = declared + box + "(assert (>= Y[0,0] (+ V[0,0] 0.1)))"
    result = hypersplit.verify({"f": content, "g": content}, text, timeout=60)
    assert result.verdict == "sat" and result.witness is not None
    network = hypersplit.load_model(content).network
    first, second = (network.evaluate(part)[0] for part in np.split(result.witness.input, 2))
    assert first >= second + 0.1 - 1e-5
    with pytest.raises(hypersplit.InputError, match="expected one kind"):
        hypersplit.verify({"f": content, "g": [(np.eye(2), [0, 0]), ([[1, 1]], [0])]}, text)
