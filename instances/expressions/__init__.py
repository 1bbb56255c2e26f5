"""What is an ONNX tensor while its graph is read? Constants and affine expressions over layers, with their roundings."""
