"""PyTorch networks of the layers that people use, by the exporter of today (`dynamo`) and by the tracing one."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from exports import Case, Export, installed

from hypersplit.instances.models.exported import quiet

__all__ = ["torch_cases"]

Row = tuple[str, Callable[[], Any], tuple[int, ...], str]  # name, module, shape of an input, why it is refused
IMAGE, VECTOR = (1, 2, 6, 6), (1, 4)
PRODUCT, CURVED, SPREAD, JUMPS = "depend", "no relaxation|depend", "spread", "jumps|constants alone"
NOT_EXPORTED = ("torch-dynamo-rrelu", "torch-traced-channel-shuffle")  # by that exporter itself


def torch_cases() -> list[Case]:
    """All of them, twice; none where PyTorch is missing."""
    if not installed("torch", "onnxscript"):
        return []
    rows = [*_activations(), *_images(), *_chains(), *_forms()]
    cases = [
        Case(f"torch-{'dynamo' if dynamo else 'traced'}-{name}", _maker(module, shape, dynamo), _by(refused, dynamo))
        for name, module, shape, refused in rows
        for dynamo in (True, False)
    ]
    return [case for case in cases if case.name not in NOT_EXPORTED]


def _by(refused: str, dynamo: bool) -> str:
    """Why a network is refused, which the word before a colon may say of one exporter alone."""
    exporter, _, why = refused.rpartition(": ")
    return why if exporter in ("", "dynamo" if dynamo else "traced") else ""


def _maker(make: Callable[[], Any], shape: tuple[int, ...], dynamo: bool) -> Callable[[], Export]:
    def export() -> Export:
        import torch

        torch.manual_seed(7)
        module = make()
        _settle(module)
        module = module.eval().requires_grad_(False)
        kinds = [p.dtype for p in module.parameters() if p.is_floating_point()]
        example = torch.randn(shape, dtype=kinds[0] if kinds else torch.float32)

        def run(x: np.ndarray) -> np.ndarray:
            return module(torch.as_tensor(x.reshape(shape), dtype=example.dtype)).numpy().astype(np.float64).ravel()

        with quiet():
            if dynamo:
                program = torch.onnx.export(module, (example,), verbose=False, dynamo=True)
                return Export(program.model_proto.SerializeToString(), run)
            file = io.BytesIO()
            torch.onnx.export(module, (example,), file, dynamo=False)
            return Export(file.getvalue(), run)

    return export


def _settle(module: Any) -> None:
    """Statistics of normalisations as training leaves them, not the zeros and ones of a fresh module."""
    import torch

    for inner in module.modules():
        if getattr(inner, "running_mean", None) is not None:
            inner.running_mean = torch.randn_like(inner.running_mean) * 0.2
            inner.running_var = torch.rand_like(inner.running_var) + 0.5


def _activations() -> list[Row]:
    from torch import nn

    read = {
        "relu": nn.ReLU, "leaky-relu": nn.LeakyReLU, "prelu": lambda: nn.PReLU(8), "relu6": nn.ReLU6,
        "hardtanh": nn.Hardtanh, "hardsigmoid": nn.Hardsigmoid, "rrelu": nn.RReLU, "tanh": nn.Tanh,
        "sigmoid": nn.Sigmoid, "elu": nn.ELU, "selu": nn.SELU, "celu": nn.CELU, "silu": nn.SiLU,
        "hardswish": nn.Hardswish,
        "tanhshrink": nn.Tanhshrink, "identity": nn.Identity, "dropout": nn.Dropout,
        "batchnorm1d": lambda: nn.BatchNorm1d(8),
    }  # fmt: skip
    refused = {
        "threshold": (lambda: nn.Threshold(0.0, 0.0), f"dynamo: {JUMPS}"), "softshrink": (nn.Softshrink, ""),
        "hardshrink": (nn.Hardshrink, ""), "gelu": (nn.GELU, CURVED), "softplus": (nn.Softplus, f"dynamo: {JUMPS}"),
        "softsign": (nn.Softsign, CURVED), "logsigmoid": (nn.LogSigmoid, CURVED),
        "mish": (nn.Mish, f"dynamo: {CURVED}"),
        "layernorm": (lambda: nn.LayerNorm(8), SPREAD), "softmax-inside": (lambda: nn.Softmax(1), "last operator"),
    }  # fmt: skip
    rows = [*((n, m, "") for n, m in read.items()), *((n, m, why or JUMPS) for n, (m, why) in refused.items())]

    def around(middle: Callable[[], Any]) -> Callable[[], Any]:
        return lambda: nn.Sequential(nn.Linear(4, 8), middle(), nn.Linear(8, 3))

    return [(name, around(middle), VECTOR, why) for name, middle, why in rows]


def _images() -> list[Row]:
    from torch import nn

    layers: dict[str, Callable[[], Any]] = {
        "conv-strided": lambda: nn.Conv2d(2, 3, 3, stride=2, padding=1),
        "conv-dilated": lambda: nn.Conv2d(2, 3, 2, dilation=2),
        "conv-same": lambda: nn.Conv2d(2, 3, 3, padding="same", bias=False),
        "conv-depthwise": lambda: nn.Conv2d(2, 4, 3, groups=2),
        "conv-circular": lambda: nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"),
        "conv-reflect": lambda: nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"),
        "conv-replicate": lambda: nn.Conv2d(2, 2, 3, padding=1, padding_mode="replicate"),
        "conv-transposed": lambda: nn.ConvTranspose2d(2, 2, 3, stride=2, padding=1, output_padding=1),
        "maxpool": lambda: nn.MaxPool2d(2), "maxpool-ceil": lambda: nn.MaxPool2d(3, 2, ceil_mode=True),
        "avgpool": lambda: nn.AvgPool2d(2),
        "avgpool-without-pad": lambda: nn.AvgPool2d(3, 2, padding=1, count_include_pad=False),
        "avgpool-ceil": lambda: nn.AvgPool2d(3, 2, padding=1, ceil_mode=True),
        "adaptive-avgpool": lambda: nn.AdaptiveAvgPool2d(1), "adaptive-maxpool": lambda: nn.AdaptiveMaxPool2d(1),
        "adaptive-avgpool-3": lambda: nn.AdaptiveAvgPool2d(3), "batchnorm2d": lambda: nn.BatchNorm2d(2),
        "upsample-nearest": lambda: nn.Upsample(scale_factor=2), "pixel-unshuffle": lambda: nn.PixelUnshuffle(2),
        "upsample-bilinear": lambda: nn.Upsample(scale_factor=2, mode="bilinear"),
        "upsample-bicubic": lambda: nn.Upsample(size=(4, 5), mode="bicubic"),
        "upsample-corners": lambda: nn.Upsample(size=(9, 7), mode="bilinear", align_corners=True),
        "pixel-shuffle": lambda: nn.Sequential(nn.Conv2d(2, 4, 1), nn.PixelShuffle(2)),
        "zero-pad": lambda: nn.ZeroPad2d((1, 0, 2, 1)), "constant-pad": lambda: nn.ConstantPad2d(1, 0.25),
        "reflection-pad": lambda: nn.ReflectionPad2d(1), "channel-shuffle": lambda: nn.ChannelShuffle(2),
        "unfold": lambda: nn.Unfold(2), "dropout2d": lambda: nn.Dropout2d(),
        "unflatten": lambda: nn.Sequential(nn.Flatten(), nn.Unflatten(1, (3, 24))),
    }  # fmt: skip
    refused = {
        "instance-norm": (lambda: nn.InstanceNorm2d(2), "depend|spread"),
        "group-norm": (lambda: nn.GroupNorm(1, 2), "depend|spread"),
        "lp-pool": (lambda: nn.LPPool2d(2, 2), "power|Pow|piecewise linear|constants alone"),
        "local-response": (lambda: nn.LocalResponseNorm(2), "depend|LRN|power|piecewise linear"),
    }
    rows = [*((n, m, "") for n, m in layers.items()), *((n, m, why) for n, (m, why) in refused.items())]

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
        ("conv1d", lambda: nn.Sequential(nn.Conv1d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten(),
                                         nn.Linear(12, 2)), (1, 2, 8), ""),
        ("conv3d", lambda: nn.Sequential(nn.Conv3d(1, 2, 2), nn.ReLU(), nn.AvgPool3d(2), nn.Flatten(),
                                         nn.Linear(2, 2)), (1, 1, 3, 3, 3), ""),
        ("conv-transposed-1d", lambda: nn.Sequential(nn.ConvTranspose1d(2, 3, 3, stride=2), nn.ReLU(), nn.Flatten(),
                                                     nn.Linear(27, 2)), (1, 2, 4), ""),
        ("double", lambda: nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)).double(), VECTOR, ""),
        ("softmax-last", lambda: nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3), nn.Softmax(-1)), VECTOR,
         ""),
        ("logsoftmax-last", lambda: nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3), nn.LogSoftmax(-1)),
         VECTOR, ""),
        ("sequence-mlp", lambda: nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Flatten(), nn.Linear(10, 2)), (1, 2, 3),
         ""),
        ("rnn", recurrent(nn.RNN), (1, 2, 3), "traced: RNN"),
        ("lstm", recurrent(nn.LSTM), (1, 2, 3), "LSTM|Sigmoid|depend"),
        ("gru", recurrent(nn.GRU), (1, 2, 3), "GRU|depend"),
        ("transformer", lambda: nn.TransformerEncoderLayer(4, 2, 6, batch_first=True), (1, 3, 4), "depend|spread"),
        ("bilinear", lambda: _Form(lambda x: nn.functional.bilinear(x, x, _ramp(2, 4, 4))), VECTOR, PRODUCT),
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
    refused = {
        "argmax": (lambda x: x.argmax(1), "jumps|integer|becomes"), "sort": (lambda x: x.sort(1).values, "TopK"),
        "normalize": (lambda x: f.normalize(x), "depend|ReduceL2"), "where": (lambda x: torch.where(x > 0, x, x + 1),
                                                                             "jumps"),
        "where-relu": (lambda x: torch.where(x > 0, x, 0.1 * x), JUMPS), "mask": (lambda x: x * (x > 0), JUMPS),
        "sign": (lambda x: x.sign(), JUMPS), "round": (lambda x: x.round(), JUMPS), "sin": (torch.sin, CURVED),
    }  # fmt: skip
    rows = [*((n, form, "") for n, form in forms.items()), *((n, form, why) for n, (form, why) in refused.items())]
    return [(f"form-{name}", lambda form=form: _Form(form), VECTOR, why) for name, form, why in rows]


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


def _Form(form: Callable[[Any], Any]) -> Any:
    """A function of one tensor behind a linear layer, as a module."""
    import torch

    class Form(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Linear(4, 4)

        def forward(self, x: Any) -> Any:
            return form(self.first(x))

    return Form()
