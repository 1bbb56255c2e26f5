"""A folder like that of the paper's networks, with two small networks of four pixels and tables of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hypersplit.instances.families.random_networks import random_network
from hypersplit.instances.network import Array, Network
from hypersplit.instances.onnx.writer import write_network

__all__ = ["NAMES", "PIXELS", "pack", "pack_images", "pack_network"]

NAMES = ("SHALLOW", "DEEP")
PIXELS = 4
SIZES = {"SHALLOW": [PIXELS, 10, 3], "DEEP": [PIXELS, 8, 8, 3]}
TABLE_1 = "network,eps,test_error_pct,lower_pgd_pct,lower_milp_pct,upper_milp_pct,upper_lp_all_pct,upper_lp_greedy_pct"
MEANS = "mean_lower_lp_greedy_x1e-3,mean_lower_lp_last_x1e-3,mean_lower_lp_all_x1e-3,mean_upper_pgd_x1e-3"
GAPS = "median_gap_lp_greedy_pct,median_gap_lp_last_pct,median_gap_lp_all_pct"


def pack_network(name: str) -> Network:
    """One of the two networks."""
    return random_network(SIZES[name], 3 + NAMES.index(name))


def pack_images(count: int = 8) -> Array:
    """[N, 2, 2] bytes."""
    return np.random.default_rng(5).integers(0, 256, (count, 2, 2)).astype(np.uint8)


def pack(folder: Path) -> Path:
    """Write it; the labels are SHALLOW's classes, so DEEP gets some wrong. Returns the folder."""
    onnx, images = folder / "barrier" / "onnx", folder / "images"
    onnx.mkdir(parents=True)
    images.mkdir()
    for name in NAMES:
        write_network(pack_network(name), onnx / f"{name}.onnx")
    pixels = pack_images()
    labels = pack_network("SHALLOW").evaluate(pixels.reshape(len(pixels), -1) / 255.0).argmax(axis=1)
    np.savez(images / "mnist_test.npz", images=pixels, labels=labels)
    first = [TABLE_1, *(f"{name},0.14,1,2,3,4,5,6" for name in NAMES)]
    (folder / "barrier" / "paper_table1.csv").write_text("\n".join(first) + "\n")
    second = [f"network,{MEANS},{GAPS}", *(f"{name},10,20,30,40,50,60,70" for name in NAMES)]
    (folder / "barrier" / "paper_table2.csv").write_text("\n".join(second) + "\n")
    ten = ["position,mnist_test_index,label", *(f"{k},{i},{labels[i]}" for k, i in enumerate((5, 2, 7)))]
    (folder / "barrier" / "ten_test_images.csv").write_text("\n".join(ten) + "\n")
    return folder
