"""Export of trained networks to sealed .onnx files, in float32 or int8."""
