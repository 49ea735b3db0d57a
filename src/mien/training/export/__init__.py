"""From a taught network to the sealed .onnx file that everything else uses, in float32 or int8."""
