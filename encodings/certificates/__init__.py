"""How far does the answer at an input hold? Activation regions of inputs, certified distances, walks over regions."""
