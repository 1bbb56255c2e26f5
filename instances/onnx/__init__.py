"""Which network does an ONNX file hold? Reader, order of the graph, element types made one, writer."""
