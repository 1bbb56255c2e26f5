"""How far from one input does its answer hold? Activation regions of inputs, certified distances, walks over regions."""
