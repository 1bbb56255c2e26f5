"""Where to split? Hyperplanes of weight rows, axes, phases."""
