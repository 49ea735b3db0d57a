"""Building blocks of the architectures: standardised uint8 input, fused batch normalisation, one output per head."""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers, ops


@dataclass(frozen=True)
class NetworkShape:
    """Input and output shape of a network, as the data requires them.

    Attributes:
        size: side of the square face crop in pixels.
        channels: 1 (grey) or 3 (RGB).
        heads: name and number of labels of each head, in output order.
        dropout: dropout rate of the last features.
    """

    size: int
    channels: int
    heads: tuple[tuple[str, int], ...]
    dropout: float = 0.2


@keras.saving.register_keras_serializable("mien")
class Standardize(layers.Layer):  # type: ignore[misc]  # keras ships no types
    """Standardises each face crop: (x - mean) / (deviation + 8), in float32.

    The 8 (of 255 grey levels) keeps the noise of a uniform face crop from being amplified to full contrast.
    Standardisation is a layer so that face crops stay uint8 at every interface and are scaled exactly once.
    """

    def __init__(self, **options: object) -> None:
        super().__init__(**{"dtype": "float32", **options})

    def call(self, crops: keras.KerasTensor) -> keras.KerasTensor:
        """Map face crops (count, size, size, channels) to float32 of the same shape."""
        x = ops.cast(crops, "float32")
        mean = ops.mean(x, axis=(1, 2, 3), keepdims=True)
        centred = x - mean
        deviation = ops.sqrt(ops.mean(ops.square(centred), axis=(1, 2, 3), keepdims=True))
        return centred / (deviation + 8.0)


@keras.saving.register_keras_serializable("mien")
class BatchNormalization(layers.BatchNormalization):  # type: ignore[misc]  # keras ships no types
    """Keras' batch normalisation on the fused kernel of torch or TensorFlow.

    Keras composes the normalisation from element-wise operations, which on a CPU take much of the training
    time of a small network (and on torch remain separate in an exported graph). Weights and results are those of
    ``keras.layers.BatchNormalization``; a bfloat16 input is normalised in float32 inside the kernel. The
    moving variance tracks the unbiased variance of each batch, n/(n-1) times the one that Keras uses.
    """

    def call(  # Keras' signature
        self,
        inputs: keras.KerasTensor,
        training: bool | None = None,  # noqa: FBT001  as in Keras
        mask: None = None,
    ) -> keras.KerasTensor:
        """Any shape; returns the same shape and dtype."""
        backend, learning = keras.backend.backend(), bool(training) and self.trainable
        if backend == "torch":
            import torch

            if torch.is_tensor(inputs) and inputs.device.type != "meta":
                return self._by_torch(inputs, learning=learning)
        # in inference TensorFlow fuses the operations itself
        elif backend == "tensorflow" and learning and len(inputs.shape) == 4 and self.axis in (-1, 3):
            return self._by_tensorflow(inputs)
        return super().call(inputs, training=training, mask=mask)

    def _by_torch(self, inputs: keras.KerasTensor, *, learning: bool) -> keras.KerasTensor:
        import torch

        axis = self.axis % inputs.ndim  # the ONNX exporter gets a negative one wrong
        x = torch.nn.functional.batch_norm(
            torch.movedim(inputs, axis, 1),
            self.moving_mean.value,
            self.moving_variance.value,
            self.gamma.value if self.scale else None,
            self.beta.value if self.center else None,
            training=learning,
            momentum=1.0 - self.momentum,
            eps=self.epsilon,
        )
        return torch.movedim(x, 1, axis)

    def _by_tensorflow(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        import tensorflow as tf

        width = inputs.shape[-1]
        x, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma.value if self.scale else tf.ones(width),
            offset=self.beta.value if self.center else tf.zeros(width),
            mean=tf.zeros(0),
            variance=tf.zeros(0),
            epsilon=self.epsilon,
            exponential_avg_factor=1.0,
        )
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + value * (1.0 - self.momentum))
        return x


def channel_axis() -> int:
    """The channel axis: 1 for channels_first, else -1."""
    return 1 if keras.config.image_data_format() == "channels_first" else -1


def crop_input(shape: NetworkShape) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """The uint8 input (count, size, size, channels), and its standardised form in Keras' data format."""
    crops = keras.Input((shape.size, shape.size, shape.channels), dtype="uint8", name="crops")
    x = Standardize(name="standardize")(crops)
    if keras.config.image_data_format() == "channels_first":
        x = layers.Permute((3, 1, 2))(x)
    return crops, x


def convolution(
    x: keras.KerasTensor, width: int, kernel: int, stride: int = 1, *, use_bias: bool = False
) -> keras.KerasTensor:
    """A 'same' convolution with He initialisation; no bias, since batch normalisation usually follows."""
    return layers.Conv2D(width, kernel, stride, padding="same", use_bias=use_bias, kernel_initializer="he_normal")(x)


def heads(features: keras.KerasTensor, shape: NetworkShape) -> dict[str, keras.KerasTensor]:
    """One float32 row of logits per head; probabilities come from the model card's temperature at inference."""
    return {name: layers.Dense(count, dtype="float32", name=name)(features) for name, count in shape.heads}
