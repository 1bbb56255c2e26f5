"""Keras 3 networks of the layers that people use, by Keras's own ONNX export, on whichever backend it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from exports import Case, Export, installed

__all__ = ["keras_cases"]

IMAGE, VECTOR = (6, 6, 2), (4,)


def keras_cases() -> list[Case]:
    """All of them; none where Keras is missing, or has neither PyTorch nor TensorFlow to export by."""
    if not installed("keras") or not (installed("torch", "onnxscript") or installed("tensorflow", "tf2onnx")):
        return []
    return [Case(f"keras-{name}", _maker(make), why) for name, make, why in (*_dense(), *_images(), *_merges())]


def _maker(make: Callable[[], Any]) -> Callable[[], Export]:
    def export() -> Export:
        from keras import utils

        from hypersplit.instances.models.keras_model import onnx_of_keras

        utils.set_random_seed(7)
        model = make()
        rng = np.random.default_rng(7)
        model.set_weights([w + 0.1 * np.abs(rng.normal(size=w.shape)) for w in model.get_weights()])
        exported = onnx_of_keras(model)
        return Export(exported.content, exported.run)

    return export


def _dense() -> list[tuple[str, Callable[[], Any], str]]:
    import keras
    from keras import layers

    def around(middle: Callable[[], Any]) -> Callable[[], Any]:
        return lambda: keras.Sequential([keras.Input(VECTOR), layers.Dense(8), middle(), layers.Dense(3)])

    read = {
        "relu": layers.ReLU, "relu6": lambda: layers.ReLU(max_value=6.0), "leaky-relu": layers.LeakyReLU,
        "relu-slope": lambda: layers.ReLU(negative_slope=0.2), "prelu": layers.PReLU,
        "dropout": lambda: layers.Dropout(0.2),
        "tanh": lambda: layers.Activation("tanh"), "sigmoid": lambda: layers.Activation("sigmoid"),
        "hard-sigmoid": lambda: layers.Activation("hard_sigmoid"), "batchnorm": layers.BatchNormalization,
        "rescaling": lambda: layers.Rescaling(0.5, 0.1), "noise": lambda: layers.GaussianNoise(0.1),
        "normalization": lambda: layers.Normalization(mean=[0.1] * 8, variance=[2.0] * 8),
        "einsum-dense": lambda: layers.EinsumDense("bi,ij->bj", 5, bias_axes="j"),
        "reshape": lambda: keras.Sequential([layers.Reshape((2, 4)), layers.Permute((2, 1)), layers.Flatten()]),
        "elu": layers.ELU, "silu": lambda: layers.Activation("silu"), "softplus": lambda: layers.Activation("softplus"),
        "repeat": lambda: keras.Sequential([layers.RepeatVector(2), layers.ReLU(), layers.Flatten()]),
    }  # fmt: skip
    refused = {
        "gelu": (lambda: layers.Activation("gelu"), "no relaxation|depend"),
        "softmax-inside": (layers.Softmax, "last operator"),
    }  # fmt: skip
    rows = [*((n, around(m), "") for n, m in read.items()), *((n, around(m), why) for n, (m, why) in refused.items())]
    rows.append(("softmax-last", lambda: keras.Sequential(
        [keras.Input(VECTOR), layers.Dense(6, activation="relu"), layers.Dense(3, activation="softmax")]), ""))
    return rows  # fmt: skip


def _images() -> list[tuple[str, Callable[[], Any], str]]:
    import keras
    from keras import layers

    def around(*middle: Any) -> Any:
        return keras.Sequential([keras.Input(IMAGE), *middle, layers.ReLU(), layers.Flatten(), layers.Dense(3)])

    read = {
        "conv-same": lambda: layers.Conv2D(3, 3, padding="same", activation="relu"),
        "conv-strided": lambda: layers.Conv2D(3, 3, strides=2, padding="same"),
        "conv-dilated": lambda: layers.Conv2D(2, 2, dilation_rate=2),
        "depthwise": lambda: layers.DepthwiseConv2D(3), "separable": lambda: layers.SeparableConv2D(3, 3),
        "conv-transposed": lambda: layers.Conv2DTranspose(2, 3, strides=2),
        "maxpool": lambda: layers.MaxPooling2D(2), "avgpool": lambda: layers.AveragePooling2D(2),
        "zero-pad": lambda: layers.ZeroPadding2D(1), "cropping": lambda: layers.Cropping2D(1),
        "upsampling": lambda: layers.UpSampling2D(2),
        "upsampling-bilinear": lambda: layers.UpSampling2D(2, interpolation="bilinear"),
        "global-avgpool": layers.GlobalAveragePooling2D, "global-maxpool": layers.GlobalMaxPooling2D,
        "batchnorm2d": layers.BatchNormalization,
    }  # fmt: skip
    rows = [(name, lambda m=middle: around(m()), "") for name, middle in read.items()]
    chain = [layers.Reshape((36, 2)), layers.Conv1D(2, 3, strides=2), layers.MaxPooling1D(2)]
    return [*rows, ("conv1d", lambda: around(*chain), "")]


def _merges() -> list[tuple[str, Callable[[], Any], str]]:
    import keras
    from keras import layers

    def two(merge: Any) -> Callable[[], Any]:
        def make() -> Any:
            x = keras.Input(VECTOR)
            both = [layers.Dense(5, activation="relu")(x), layers.Dense(5)(x)]
            return keras.Model(x, layers.Dense(2)(merge(both)))

        return make

    read = ("Add", "Subtract", "Average", "Maximum", "Minimum", "Concatenate", "Multiply")
    rows = [(f"merge-{kind.lower()}", two(getattr(layers, kind)()), "") for kind in read]
    return [*rows, ("merge-dot", two(layers.Dot(1)), "depend")]
