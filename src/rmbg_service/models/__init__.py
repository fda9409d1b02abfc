"""What predicts a matte: catalogue, ONNX Runtime, BiRefNet."""
