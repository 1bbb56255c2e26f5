"""What does an ONNX operator compute? One function an operator: affine expressions, ReLUs, arithmetic on constants."""
