"""Which network does a model object hold? PyTorch, Keras, scikit-learn, ONNX in memory, plain arrays."""
