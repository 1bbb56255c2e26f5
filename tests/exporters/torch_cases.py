"""PyTorch networks of the layers that people use, by the exporter of today (`dynamo`) and by the tracing one."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from exports import Case, Export, NotExported, installed

from hypersplit.instances.models.exported import quiet, why

__all__ = ["torch_cases"]

Row = tuple[str, Callable[[], Any], tuple[int, ...], str]  # name, module, shape of an input, why it is refused
IMAGE, VECTOR = (1, 2, 6, 6), (1, 4)
DYNAMO, TRACED = "PyTorch", "PyTorch, traced"


def torch_cases() -> list[Case]:
    """All of them, twice; none where PyTorch is missing."""
    if not installed("torch", "onnxscript"):
        return []
    return [
        Case(exporter, layer, _maker(module, shape, exporter == DYNAMO), _by(refused, exporter == DYNAMO))
        for layer, module, shape, refused in [*_activations(), *_images(), *_chains(), *_forms()]
        for exporter in (DYNAMO, TRACED)
    ]


def _by(refused: str, dynamo: bool) -> str:
    """Why a network is refused, which the word before a colon may say of one exporter alone."""
    exporter, _, why = refused.rpartition(": ")
    return why if exporter in ("", "dynamo" if dynamo else "traced") else ""


def _maker(make: Callable[[], Any], shape: tuple[int, ...], dynamo: bool) -> Callable[[], Export]:
    def export() -> Export:
        import torch

        torch.manual_seed(7)
        torch.backends.mha.set_fastpath_enabled(False)  # attention as one node of PyTorch's own has no export
        module = make()
        _settle(module)
        module = module.eval().requires_grad_(False)
        kinds = [p.dtype for p in module.parameters() if p.is_floating_point()]
        example = torch.randn(shape, dtype=kinds[0] if kinds else torch.float32)

        def run(x: np.ndarray) -> np.ndarray:
            return module(torch.as_tensor(x.reshape(shape), dtype=example.dtype)).numpy().astype(np.float64).ravel()

        try:
            with quiet():
                if dynamo:
                    program = torch.onnx.export(module, (example,), verbose=False, dynamo=True)
                    return Export(program.model_proto.SerializeToString(), run)
                file = io.BytesIO()
                torch.onnx.export(module, (example,), file, dynamo=False)
                return Export(file.getvalue(), run)
        except Exception as error:  # of any of the exporter's own kinds
            raise NotExported(why(error)) from error

    return export


def _settle(module: Any) -> None:
    """Statistics of normalisations as training leaves them, not the zeros and ones of a fresh module."""
    import torch

    for inner in module.modules():
        if getattr(inner, "running_mean", None) is not None:
            inner.running_mean = torch.randn_like(inner.running_mean) * 0.2
            inner.running_var = torch.rand_like(inner.running_var) + 0.5


def _activations() -> list[Row]:
    import torch
    from torch import nn

    layers = {
        "ReLU": nn.ReLU, "LeakyReLU": nn.LeakyReLU, "PReLU": lambda: nn.PReLU(8), "ReLU6": nn.ReLU6,
        "Hardtanh": nn.Hardtanh, "Hardsigmoid": nn.Hardsigmoid, "RReLU": nn.RReLU, "Tanh": nn.Tanh,
        "Sigmoid": nn.Sigmoid, "ELU": nn.ELU, "SELU": nn.SELU, "CELU": lambda: nn.CELU(0.7), "SiLU": nn.SiLU,
        "Hardswish": nn.Hardswish, "Tanhshrink": nn.Tanhshrink, "Identity": nn.Identity, "Dropout": nn.Dropout,
        "BatchNorm1d": lambda: nn.BatchNorm1d(8), "Threshold": lambda: nn.Threshold(0.0, 0.0),
        "Softshrink": nn.Softshrink, "Hardshrink": nn.Hardshrink, "GELU": nn.GELU,
        "GELU by tanh": lambda: nn.GELU("tanh"), "Softplus": nn.Softplus, "Softsign": nn.Softsign,
        "LogSigmoid": nn.LogSigmoid, "Mish": nn.Mish, "GLU": nn.GLU, "LayerNorm": lambda: nn.LayerNorm(8),
        "RMSNorm": lambda: nn.RMSNorm(8), "Softmax inside": lambda: nn.Softmax(1), "Softmin": lambda: nn.Softmin(1),
        "LogSoftmax inside": lambda: nn.LogSoftmax(1),
    }  # fmt: skip
    rows = [(name, middle, "") for name, middle in layers.items()]

    def around(middle: Callable[[], Any]) -> Callable[[], Any]:
        def make() -> Any:
            body = nn.Sequential(nn.Linear(4, 8), middle())
            return nn.Sequential(*body, nn.Linear(body.eval()(torch.zeros(VECTOR)).shape[1], 3))

        return make

    return [(name, around(middle), VECTOR, why) for name, middle, why in rows]


def _images() -> list[Row]:
    from torch import nn

    layers: dict[str, Callable[[], Any]] = {
        "Conv2d, strided": lambda: nn.Conv2d(2, 3, 3, stride=2, padding=1),
        "Conv2d, dilated": lambda: nn.Conv2d(2, 3, 2, dilation=2),
        "Conv2d, same size": lambda: nn.Conv2d(2, 3, 3, padding="same", bias=False),
        "Conv2d, depthwise": lambda: nn.Conv2d(2, 4, 3, groups=2),
        "Conv2d, circular padding": lambda: nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"),
        "Conv2d, reflected padding": lambda: nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"),
        "Conv2d, replicated padding": lambda: nn.Conv2d(2, 2, 3, padding=1, padding_mode="replicate"),
        "ConvTranspose2d": lambda: nn.ConvTranspose2d(2, 2, 3, stride=2, padding=1, output_padding=1),
        "MaxPool2d": lambda: nn.MaxPool2d(2), "MaxPool2d, ceil mode": lambda: nn.MaxPool2d(3, 2, ceil_mode=True),
        "AvgPool2d": lambda: nn.AvgPool2d(2),
        "AvgPool2d, padding not counted": lambda: nn.AvgPool2d(3, 2, padding=1, count_include_pad=False),
        "AvgPool2d, ceil mode": lambda: nn.AvgPool2d(3, 2, padding=1, ceil_mode=True),
        "AdaptiveAvgPool2d": lambda: nn.AdaptiveAvgPool2d(1), "AdaptiveMaxPool2d": lambda: nn.AdaptiveMaxPool2d(1),
        "AdaptiveAvgPool2d, several": lambda: nn.AdaptiveAvgPool2d(3), "BatchNorm2d": lambda: nn.BatchNorm2d(2),
        "Upsample, nearest": lambda: nn.Upsample(scale_factor=2), "PixelUnshuffle": lambda: nn.PixelUnshuffle(2),
        "Upsample, bilinear": lambda: nn.Upsample(scale_factor=2, mode="bilinear"),
        "Upsample, bicubic": lambda: nn.Upsample(size=(4, 5), mode="bicubic"),
        "Upsample, aligned corners": lambda: nn.Upsample(size=(9, 7), mode="bilinear", align_corners=True),
        "PixelShuffle": lambda: nn.Sequential(nn.Conv2d(2, 4, 1), nn.PixelShuffle(2)),
        "ZeroPad2d": lambda: nn.ZeroPad2d((1, 0, 2, 1)), "ConstantPad2d": lambda: nn.ConstantPad2d(1, 0.25),
        "ReflectionPad2d": lambda: nn.ReflectionPad2d(1), "ChannelShuffle": lambda: nn.ChannelShuffle(2),
        "Unfold": lambda: nn.Unfold(2), "Dropout2d": lambda: nn.Dropout2d(),
        "InstanceNorm2d": lambda: nn.InstanceNorm2d(2), "GroupNorm": lambda: nn.GroupNorm(1, 2),
        "LPPool2d": lambda: nn.LPPool2d(2, 2), "LocalResponseNorm": lambda: nn.LocalResponseNorm(2),
        "Unflatten": lambda: nn.Sequential(nn.Flatten(), nn.Unflatten(1, (3, 24))),
    }  # fmt: skip
    rows = [(name, middle, "") for name, middle in layers.items()]

    def around(middle: Callable[[], Any]) -> Callable[[], Any]:
        def make() -> Any:
            body = nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU(), middle(), nn.ReLU(), nn.Flatten())
            import torch

            with torch.no_grad():
                size = body.eval()(torch.zeros(IMAGE)).shape[1]
            return nn.Sequential(body, nn.Linear(size, 3))

        return make

    return [(name, around(middle), IMAGE, why) for name, middle, why in rows]


def _chains() -> list[Row]:
    """Layers of one and of three dimensions, of double precision, and ends of classifiers."""
    from torch import nn

    def recurrent(kind: Callable[..., Any]) -> Callable[[], Any]:
        return lambda: _First(kind(3, 4, batch_first=True))

    return [
        ("Conv1d", lambda: nn.Sequential(nn.Conv1d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten(),
                                         nn.Linear(12, 2)), (1, 2, 8), ""),
        ("Conv3d", lambda: nn.Sequential(nn.Conv3d(1, 2, 2), nn.ReLU(), nn.AvgPool3d(2), nn.Flatten(),
                                         nn.Linear(2, 2)), (1, 1, 3, 3, 3), ""),
        ("ConvTranspose1d", lambda: nn.Sequential(nn.ConvTranspose1d(2, 3, 3, stride=2), nn.ReLU(), nn.Flatten(),
                                                     nn.Linear(27, 2)), (1, 2, 4), ""),
        ("double precision", lambda: nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)).double(), VECTOR, ""),
        ("Softmax at the end", lambda: nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3), nn.Softmax(-1)),
         VECTOR, ""),
        ("LogSoftmax at the end", lambda: nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3), nn.LogSoftmax(-1)),
         VECTOR, ""),
        ("Linear on a sequence", lambda: nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Flatten(), nn.Linear(10, 2)),
         (1, 2, 3), ""),
        ("RNN", recurrent(nn.RNN), (1, 2, 3), ""),
        ("LSTM", recurrent(nn.LSTM), (1, 2, 3), ""), ("GRU", recurrent(nn.GRU), (1, 2, 3), ""),
        ("TransformerEncoderLayer", lambda: nn.TransformerEncoderLayer(4, 2, 6, batch_first=True), (1, 3, 4), ""),
        ("MultiheadAttention", lambda: _Form(_attention(), sequence=True), (1, 3, 4), ""),
        ("Bilinear", lambda: _Form(lambda x: nn.functional.bilinear(x, x, _ramp(2, 4, 4))), VECTOR, ""),
        ("embedding of constants", lambda: _Embedded(), VECTOR, ""),
    ]  # fmt: skip


def _forms() -> list[Row]:
    """What people write in `forward`."""
    import torch
    from torch.nn import functional as f

    forms: dict[str, Callable[[Any], Any]] = {
        "residual": lambda x: x + f.relu(x * 2 - 1), "dense": lambda x: torch.cat([x, f.relu(x)], dim=1),
        "maximum": lambda x: torch.maximum(x, x.flip(1)), "minimum": lambda x: torch.minimum(x, _ramp(1, 4)),
        "maxout": lambda x: x.reshape(1, 2, 2).max(dim=2).values, "amin": lambda x: x.reshape(1, 2, 2).amin(dim=1),
        "clamp": lambda x: x.clamp(-0.5, 0.75), "clamp-min": lambda x: x.clamp(min=-0.1), "abs": lambda x: x.abs(),
        "normalised": lambda x: f.relu((x - _ramp(1, 4)) / (_ramp(1, 4) + 3.0)), "mean": lambda x: f.relu(x).mean(1),
        "sum": lambda x: f.relu(x).sum(1, keepdim=True), "matmul": lambda x: f.relu(x @ _ramp(4, 3)),
        "einsum": lambda x: f.relu(torch.einsum("bi,ij->bj", x, _ramp(4, 3))), "l1": lambda x: x.norm(p=1, dim=1),
        "chunk": lambda x: f.relu(x.chunk(2, 1)[0]) - x.chunk(2, 1)[1], "roll": lambda x: f.relu(x).roll(1, 1) - x,
        "cumsum": lambda x: f.relu(x).cumsum(1), "narrow": lambda x: f.relu(x[:, 1:3]), "stepped": lambda x: x[:, ::2],
        "stack": lambda x: torch.stack([x, -x], 1).amax(1), "repeat": lambda x: f.relu(x.repeat(1, 2)),
        "expand": lambda x: f.relu(x).unsqueeze(1).expand(1, 3, 4) * _ramp(3, 1), "rsub": lambda x: 1 - f.relu(x),
        "square": lambda x: x * x, "power-2": lambda x: x**2, "exp": torch.exp,
        "select": lambda x: f.relu(x.index_select(1, torch.tensor([2, 0]))), "gather": lambda x: x[:, [3, 1, 1]].abs(),
        "transpose": lambda x: f.relu(x.reshape(1, 2, 2).transpose(1, 2)).flatten(1), "tril": lambda x: f.relu(
            x.reshape(1, 2, 2)).tril().flatten(1), "baddbmm": lambda x: torch.addmm(_ramp(3), x.abs(), _ramp(4, 3)),
        "assigned": lambda x: _assigned(x), "where-constant": lambda x: torch.where(_ramp(1, 4) > 0, f.relu(x), x),
        "masked": lambda x: x.masked_fill(_ramp(1, 4) > 0, 0.5).abs(), "power-1": lambda x: f.relu(x).pow(1.0),
        "split-sizes": lambda x: torch.cat([p.abs() for p in x.split([1, 3], 1)][::-1], 1), "neg": lambda x: -x.abs(),
    }  # fmt: skip
    more: dict[str, Callable[[Any], Any]] = {
        "normalize": lambda x: f.normalize(x), "where": lambda x: torch.where(x > 0, x, x + 1),
        "where-relu": lambda x: torch.where(x > 0, x, 0.1 * x), "mask": lambda x: x * (x > 0), "sin": torch.sin,
        "where-larger": lambda x: torch.where(x > x.flip(1), x, x.flip(1)), "sign": torch.sign, "round": torch.round,
        "norm": lambda x: x.norm(dim=1), "sqrt": lambda x: (x * x + 1).sqrt(), "log": lambda x: (x * x + 1).log(),
        "quotient": lambda x: x / (1 + x.abs()), "logsumexp": lambda x: x.logsumexp(1), "cube": lambda x: x**3,
        "softmax-gate": lambda x: x * x.softmax(1), "attention": lambda x: _attended(x.reshape(1, 1, 2, 2)).flatten(1),
        "standardised": lambda x: (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True) + 1e-3).sqrt(),
        "erf": torch.erf, "sigmoid-product": lambda x: x.sigmoid() * x.tanh(), "reciprocal": lambda x: 1 / (x * x + 1),
        "prod": lambda x: x.prod(1), "atan": torch.atan, "cos": torch.cos, "floor": torch.floor,
        "silu by hand": lambda x: x / (1 + torch.exp(-x)), "stacked-max": lambda x: torch.stack([x, 2 * x]).amax(0),
        "gelu by hand": lambda x: 0.5 * x * (1 + torch.tanh(0.7978845608 * (x + 0.044715 * x**3))),
        "fast gelu by hand": lambda x: 0.5 * x * (1.0 + torch.tanh(x * 0.7978845608 * (1.0 + 0.044715 * x * x))),
    }  # fmt: skip
    refused = {
        "argmax": (lambda x: x.argmax(1), "jumps|integer|becomes"), "sort": (lambda x: x.sort(1).values, "TopK"),
        "tan": (torch.tan, "Tan"), "equal": (lambda x: (x == 0) * 1.0, "Equal"),
    }  # fmt: skip
    forms |= more
    rows = [*((n, form, "") for n, form in forms.items()), *((n, form, why) for n, (form, why) in refused.items())]
    return [(f"forward: {name}", lambda form=form: _Form(form), VECTOR, why) for name, form, why in rows]


def _attention() -> Callable[[Any], Any]:
    import torch

    inner = torch.nn.MultiheadAttention(4, 2, batch_first=True).eval().requires_grad_(False)
    return lambda x: inner(x, x, x, need_weights=False)[0]


def _attended(x: Any) -> Any:
    import torch

    return torch.nn.functional.scaled_dot_product_attention(x, x * 0.5, x + 1)


def _Embedded() -> Any:
    """A table's rows for constant indices beside the input."""
    import torch

    class Embedded(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.last = torch.nn.Embedding(5, 4), torch.nn.Linear(4, 2)

        def forward(self, x: Any) -> Any:
            return self.last(torch.relu(x + self.table(torch.tensor([3]))))

    return Embedded()


def _ramp(*shape: int) -> Any:
    """A fixed tensor of mixed signs."""
    import torch

    return torch.linspace(-1.0, 1.25, int(np.prod(shape))).reshape(shape)


def _assigned(x: Any) -> Any:
    y = x.clone()
    y[:, 1] = 0.5 * x[:, 0]
    return y.relu()


def _First(module: Any) -> Any:
    """A recurrent module's outputs without its state."""
    import torch

    class First(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, x: Any) -> Any:
            return self.inner(x)[0]

    return First()


def _Form(form: Callable[[Any], Any], sequence: bool = False) -> Any:
    """A function of one tensor behind a linear layer, as a module; of a sequence the outputs in a row."""
    import torch

    class Form(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Linear(4, 4)

        def forward(self, x: Any) -> Any:
            return form(self.first(x)).flatten(1) if sequence else form(self.first(x))

    return Form()
