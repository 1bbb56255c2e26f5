"""Keras 3 networks of the layers that people use: by Keras's own ONNX export, on either backend, and by tf2onnx."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from exports import Case, Export, NotExported, installed

from hypersplit.instances.models.exported import alone, why

__all__ = ["keras_cases", "tensorflow_cases"]

Row = tuple[str, Callable[[], Any]]  # layer, model
IMAGE, VECTOR, SEQUENCE = (6, 6, 2), (4,), (3, 4)
NEEDS = {"torch": ("torch", "onnxscript"), "tensorflow": ("tensorflow", "tf2onnx")}
# (column, layer) -> part of the line that refuses it
REFUSED: dict[tuple[str, str], str] = {  # operators of TensorFlow's own, which tf2onnx leaves in the file, and loops
    **{(exporter, layer): operator for exporter in ("Keras on TensorFlow", "tf2onnx") for layer, operator in (
        ("activation gelu", "Erfc"), ("activation celu", "Expm1"), ("Conv2D, groups", "StatefulPartitionedCall"),
        ("GRU", "Loop"),
    )},
    ("tf2onnx", "LSTM"): "Loop",
}  # fmt: skip


def keras_cases(exporter: str = "Keras") -> list[Case]:
    """All of them, on the backend that KERAS_BACKEND names; none where Keras or that backend is missing."""
    if not installed("keras", *NEEDS.get(os.environ.get("KERAS_BACKEND", "tensorflow"), ("nothing",))):
        return []
    return [Case(exporter, layer, _by_keras(make), REFUSED.get((exporter, layer), "")) for layer, make in _rows()]


def tensorflow_cases() -> list[Case]:
    """The same by tf2onnx from the function that TensorFlow traces; none where either is missing."""
    if os.environ.get("KERAS_BACKEND") != "tensorflow" or not installed("keras", *NEEDS["tensorflow"]):
        return []
    return [Case("tf2onnx", layer, _by_tf2onnx(make), REFUSED.get(("tf2onnx", layer), "")) for layer, make in _rows()]


def _rows() -> list[Row]:
    return [*_activations(), *_dense(), *_images(), *_merges(), *_sequences()]


def _settled(make: Callable[[], Any]) -> Any:
    """The model with weights and statistics as training leaves them."""
    from keras import utils

    utils.set_random_seed(7)
    model, rng = make(), np.random.default_rng(7)
    model.set_weights([w + 0.1 * np.abs(rng.normal(size=w.shape)) for w in model.get_weights()])
    return model


def _by_keras(make: Callable[[], Any]) -> Callable[[], Export]:
    def export() -> Export:
        from hypersplit import NetworkError
        from hypersplit.instances.models.keras_model import onnx_of_keras

        model = _settled(make)
        try:
            exported = onnx_of_keras(model)
        except NetworkError as error:
            raise NotExported(str(error)) from error
        return Export(exported.content, exported.run)

    return export


def _by_tf2onnx(make: Callable[[], Any]) -> Callable[[], Export]:
    def export() -> Export:
        import tensorflow as tf
        import tf2onnx

        model = _settled(make)
        shape = (1, *model.input_shape[1:])
        function = tf.function(lambda x: model(x, training=False))
        try:
            given = (tf.TensorSpec(shape, tf.float32, name="x"),)
            model_proto, _ = tf2onnx.convert.from_function(function, input_signature=given, opset=17)
            content = alone(model_proto.SerializeToString(), "tf2onnx")
        except Exception as error:  # of any of the exporter's own kinds
            raise NotExported(why(error)) from error

        def run(x: np.ndarray) -> np.ndarray:
            return np.asarray(function(tf.constant(x.reshape(shape), tf.float32)), dtype=np.float64).ravel()

        return Export(content, run)

    return export


def _activations() -> list[Row]:
    import keras
    from keras import layers, ops

    names = (
        "relu", "relu6", "tanh", "sigmoid", "hard_sigmoid", "silu", "softplus", "softsign", "gelu", "selu", "elu",
        "celu", "mish", "hard_silu", "hard_tanh", "leaky_relu", "log_sigmoid", "exponential", "tanh_shrink",
        "soft_shrink", "hard_shrink", "squareplus", "sparse_plus", "glu", "threshold", "softmax", "log_softmax",
    )  # fmt: skip

    def around(function: Any) -> Callable[[], Any]:
        return lambda: keras.Sequential([keras.Input(VECTOR), layers.Dense(8), layers.Lambda(function),
                                         layers.Dense(3)])  # fmt: skip

    rows = [(f"activation {name}", around(getattr(keras.activations, name))) for name in names
            if hasattr(keras.activations, name) and name != "threshold"]  # fmt: skip
    return [*rows, ("activation gelu by tanh", around(lambda x: ops.gelu(x, approximate=True)))]


def _dense() -> list[Row]:
    import keras
    from keras import layers

    def around(middle: Callable[[], Any]) -> Callable[[], Any]:
        return lambda: keras.Sequential([keras.Input(VECTOR), layers.Dense(8), middle(), layers.Dense(3)])

    middles = {
        "ReLU": layers.ReLU, "ReLU up to 6": lambda: layers.ReLU(max_value=6.0), "LeakyReLU": layers.LeakyReLU,
        "ReLU with a slope": lambda: layers.ReLU(negative_slope=0.2), "PReLU": layers.PReLU, "ELU": layers.ELU,
        "Dropout": lambda: layers.Dropout(0.2), "BatchNormalization": layers.BatchNormalization,
        "LayerNormalization": layers.LayerNormalization, "RMSNormalization": layers.RMSNormalization,
        "UnitNormalization": layers.UnitNormalization, "Softmax": layers.Softmax,
        "Rescaling": lambda: layers.Rescaling(0.5, 0.1), "GaussianNoise": lambda: layers.GaussianNoise(0.1),
        "Normalization": lambda: layers.Normalization(mean=[0.1] * 8, variance=[2.0] * 8),
        "EinsumDense": lambda: layers.EinsumDense("bi,ij->bj", 5, bias_axes="j"),
        "Reshape, Permute": lambda: keras.Sequential([layers.Reshape((2, 4)), layers.Permute((2, 1)),
                                                      layers.Flatten()]),
        "RepeatVector": lambda: keras.Sequential([layers.RepeatVector(2), layers.ReLU(), layers.Flatten()]),
        "SpectralNormalization": lambda: layers.SpectralNormalization(layers.Dense(5)),
    }  # fmt: skip
    rows = [(name, around(middle)) for name, middle in middles.items()]
    for kind in ("softmax", "log_softmax", "sigmoid"):
        rows.append((f"{kind} at the end", lambda kind=kind: keras.Sequential(
            [keras.Input(VECTOR), layers.Dense(6, activation="relu"), layers.Dense(3, activation=kind)])))  # fmt: skip
    return rows


def _images() -> list[Row]:
    import keras
    from keras import layers

    def around(*middle: Any) -> Any:
        return keras.Sequential([keras.Input(IMAGE), *middle, layers.ReLU(), layers.Flatten(), layers.Dense(3)])

    middles = {
        "Conv2D, same size": lambda: layers.Conv2D(3, 3, padding="same", activation="relu"),
        "Conv2D, strided": lambda: layers.Conv2D(3, 3, strides=2, padding="same"),
        "Conv2D, dilated": lambda: layers.Conv2D(2, 2, dilation_rate=2),
        "Conv2D, groups": lambda: layers.Conv2D(4, 3, groups=2),
        "DepthwiseConv2D": lambda: layers.DepthwiseConv2D(3), "SeparableConv2D": lambda: layers.SeparableConv2D(3, 3),
        "Conv2DTranspose": lambda: layers.Conv2DTranspose(2, 3, strides=2),
        "MaxPooling2D": lambda: layers.MaxPooling2D(2), "AveragePooling2D": lambda: layers.AveragePooling2D(2),
        "AveragePooling2D, same size": lambda: layers.AveragePooling2D(3, 2, padding="same"),
        "ZeroPadding2D": lambda: layers.ZeroPadding2D(1), "Cropping2D": lambda: layers.Cropping2D(1),
        "UpSampling2D": lambda: layers.UpSampling2D(2),
        "UpSampling2D, bilinear": lambda: layers.UpSampling2D(2, interpolation="bilinear"),
        "GlobalAveragePooling2D": layers.GlobalAveragePooling2D, "GlobalMaxPooling2D": layers.GlobalMaxPooling2D,
        "AdaptiveAveragePooling2D": lambda: layers.AdaptiveAveragePooling2D(2),
        "BatchNormalization of images": layers.BatchNormalization,
        "GroupNormalization": lambda: layers.GroupNormalization(2),
        "SpatialDropout2D": lambda: layers.SpatialDropout2D(0.2), "Resizing": lambda: layers.Resizing(4, 4),
        "CenterCrop": lambda: layers.CenterCrop(4, 4),
    }  # fmt: skip
    rows = [(name, lambda m=middle: around(m())) for name, middle in middles.items()
            if hasattr(layers, name.split(",")[0].split(" ")[0])]  # fmt: skip
    chain = lambda: [layers.Reshape((36, 2)), layers.Conv1D(2, 3, strides=2), layers.MaxPooling1D(2)]  # noqa: E731
    volume = lambda: [layers.Reshape((6, 3, 2, 2)), layers.Conv3D(2, 2), layers.AveragePooling3D((2, 2, 1))]  # noqa: E731
    return [*rows, ("Conv1D", lambda: around(*chain())), ("Conv3D", lambda: around(*volume()))]


def _merges() -> list[Row]:
    import keras
    from keras import layers

    def two(merge: Callable[[], Any]) -> Callable[[], Any]:
        def make() -> Any:
            x = keras.Input(VECTOR)
            both = [layers.Dense(5, activation="relu")(x), layers.Dense(5)(x)]
            return keras.Model(x, layers.Dense(2)(merge()(both)))

        return make

    read = ("Add", "Subtract", "Average", "Maximum", "Minimum", "Concatenate", "Multiply")
    return [*((kind, two(getattr(layers, kind))) for kind in read), ("Dot", two(lambda: layers.Dot(1)))]


def _sequences() -> list[Row]:
    import keras
    from keras import layers

    def around(middle: Callable[[Any], Any]) -> Callable[[], Any]:
        def make() -> Any:
            x = keras.Input(SEQUENCE)
            return keras.Model(x, layers.Dense(2)(layers.Flatten()(middle(x))))

        return make

    return [
        ("MultiHeadAttention", around(lambda x: layers.MultiHeadAttention(2, 2)(x, x))),
        ("Attention", around(lambda x: layers.Attention()([x, x]))),
        ("GroupQueryAttention", around(lambda x: layers.GroupQueryAttention(2, 2, 1)(x, x))),
        ("TimeDistributed", around(lambda x: layers.TimeDistributed(layers.Dense(3, activation="relu"))(x))),
        ("GlobalAveragePooling1D", around(layers.GlobalAveragePooling1D())),
        ("SimpleRNN, unrolled", around(lambda x: layers.SimpleRNN(3, unroll=True)(x))),
        ("LSTM, unrolled", around(lambda x: layers.LSTM(3, unroll=True)(x))),
        ("GRU, unrolled", around(lambda x: layers.GRU(3, unroll=True)(x))),
        ("LSTM", around(lambda x: layers.LSTM(3)(x))), ("GRU", around(lambda x: layers.GRU(3)(x))),
    ]  # fmt: skip
