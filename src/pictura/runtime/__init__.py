"""The networks without torch: exported graphs on ONNX Runtime."""
