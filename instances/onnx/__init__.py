"""Which network does an ONNX file hold? Reader, operators as affine expressions, writer."""
