"""Make training_reference.json: one SRGAN step computed by TensorFlow in float64.

usage: python make_training_reference.py > training_reference.json     (pip install tensorflow-cpu)

The networks, losses and optimiser are Keras's own; nothing of fourfold is imported. Weights and
pictures come from a seeded NumPy generator, so the test makes the same ones (`make_inputs`).
"""

from __future__ import annotations

import json
import sys

import numpy as np

WIDTH, BLOCKS, CROP, BATCH = 8, 2, 32, 3
VGG_DEPTHS, VGG_WIDTHS = (2, 2, 4, 4, 4), (8, 16, 32, 64, 64)
D_LAYOUT = ((1, 1), (1, 2), (2, 1), (2, 2), (4, 1), (4, 2), (8, 1), (8, 2))


def make_inputs():
    """Pictures in 0..255 NHWC and weights by torch's names and shapes, all float64."""
    rng = np.random.Generator(np.random.PCG64(2017))
    lr = np.round(rng.random((BATCH, CROP // 4, CROP // 4, 3)) * 255)
    hr = np.round(rng.random((BATCH, CROP, CROP, 3)) * 255)

    def conv(store, name, out, into, kernel, gain=3.0):
        reach = (gain / (into * kernel * kernel)) ** 0.5
        store[f"{name}.weight"] = (rng.random((out, into, kernel, kernel)) * 2 - 1) * reach
        store[f"{name}.bias"] = (rng.random(out) * 2 - 1) * 0.1

    def norm(store, name, width):
        store[f"{name}.weight"] = rng.random(width) + 0.5
        store[f"{name}.bias"] = (rng.random(width) * 2 - 1) * 0.1

    generator: dict[str, np.ndarray] = {}
    conv(generator, "head", WIDTH, 3, 9)
    generator["head_act.weight"] = rng.random(WIDTH) * 0.5
    for i in range(BLOCKS):
        conv(generator, f"blocks.{i}.conv1", WIDTH, WIDTH, 3)
        norm(generator, f"blocks.{i}.norm1", WIDTH)
        generator[f"blocks.{i}.act.weight"] = rng.random(WIDTH) * 0.5
        conv(generator, f"blocks.{i}.conv2", WIDTH, WIDTH, 3)
        norm(generator, f"blocks.{i}.norm2", WIDTH)
    conv(generator, "trunk", WIDTH, WIDTH, 3)
    norm(generator, "trunk_norm", WIDTH)
    for i in range(2):
        conv(generator, f"upsample.{i}", 4 * WIDTH, WIDTH, 3)
        generator[f"upsample_acts.{i}.weight"] = rng.random(WIDTH) * 0.5
    conv(generator, "tail", 3, WIDTH, 9)

    discriminator: dict[str, np.ndarray] = {}
    into, index = 3, 0
    for position, (factor, _) in enumerate(D_LAYOUT):
        conv(discriminator, f"features.{index}", factor * WIDTH, into, 3)
        into = factor * WIDTH
        index += 1
        if position:
            norm(discriminator, f"features.{index}", into)
            index += 1
        index += 1
    side = CROP // 16
    discriminator["dense.weight"] = (rng.random((1024, into * side * side)) * 2 - 1) * 0.05
    discriminator["dense.bias"] = (rng.random(1024) * 2 - 1) * 0.1
    discriminator["logit.weight"] = (rng.random((1, 1024)) * 2 - 1) * 0.05
    discriminator["logit.bias"] = (rng.random(1) * 2 - 1) * 0.1

    vgg: dict[str, np.ndarray] = {}
    into, index = 3, 0
    for depth, width in zip(VGG_DEPTHS, VGG_WIDTHS, strict=True):
        for _ in range(depth):
            conv(vgg, f"features.{index}", width, into, 3, gain=6.0)
            into, index = width, index + 2
        index += 1
    return {"lr": lr, "hr": hr, "generator": generator, "discriminator": discriminator, "vgg": vgg}


def main() -> None:
    import keras
    import tensorflow as tf

    keras.backend.set_floatx("float64")
    layers = keras.layers
    inputs = make_inputs()

    def conv_layer(width, kernel, stride=1):
        return layers.Conv2D(width, kernel, strides=stride, padding="same")

    def shuffle(x):
        return tf.nn.depth_to_space(x, 2)

    def built(layer, name, kind):
        tracked.append((layer, name, kind))
        return layer

    tracked: list = []
    x_in = layers.Input((None, None, 3))
    x = built(conv_layer(WIDTH, 9), "head", "conv")(x_in / 255.0)
    x = first = built(layers.PReLU(shared_axes=[1, 2]), "head_act", "prelu")(x)
    for i in range(BLOCKS):
        y = built(conv_layer(WIDTH, 3), f"blocks.{i}.conv1", "conv")(x)
        y = built(layers.BatchNormalization(momentum=0.8), f"blocks.{i}.norm1", "norm")(y)
        y = built(layers.PReLU(shared_axes=[1, 2]), f"blocks.{i}.act", "prelu")(y)
        y = built(conv_layer(WIDTH, 3), f"blocks.{i}.conv2", "conv")(y)
        y = built(layers.BatchNormalization(momentum=0.8), f"blocks.{i}.norm2", "norm")(y)
        x = layers.Add()([x, y])
    x = built(conv_layer(WIDTH, 3), "trunk", "conv")(x)
    x = built(layers.BatchNormalization(), "trunk_norm", "norm")(x)
    x = layers.Add()([first, x])
    for i in range(2):
        x = built(conv_layer(4 * WIDTH, 3), f"upsample.{i}", "shuffled")(x)
        x = layers.Lambda(shuffle)(x)
        x = built(layers.PReLU(shared_axes=[1, 2]), f"upsample_acts.{i}", "prelu")(x)
    x = built(conv_layer(3, 9), "tail", "conv")(x)
    generator = keras.Model(x_in, (keras.ops.tanh(x) + 1) * 127.5)
    generator_layers, tracked = tracked, []

    d_in = layers.Input((CROP, CROP, 3))
    x, index = d_in / 127.5 - 1, 0
    for position, (factor, stride) in enumerate(D_LAYOUT):
        x = built(conv_layer(factor * WIDTH, 3, stride), f"features.{index}", "conv")(x)
        index += 1
        if position:
            x = built(layers.BatchNormalization(momentum=0.8), f"features.{index}", "norm")(x)
            index += 1
        x = layers.LeakyReLU(negative_slope=0.2)(x)
        index += 1
    x = layers.Flatten()(x)
    x = built(layers.Dense(1024), "dense", "flat")(x)
    x = layers.LeakyReLU(negative_slope=0.2)(x)
    x = built(layers.Dense(1, activation="sigmoid"), "logit", "dense")(x)
    discriminator = keras.Model(d_in, x)
    discriminator_layers, tracked = tracked, []

    v_in = layers.Input((None, None, 3))
    x, index = v_in, 0
    for block, (depth, width) in enumerate(zip(VGG_DEPTHS, VGG_WIDTHS, strict=True)):
        if block:
            x = layers.MaxPooling2D(2, strides=2)(x)
        for _ in range(depth):
            layer = layers.Conv2D(width, 3, padding="same", activation="relu")
            x = built(layer, f"features.{index}", "conv")(x)
            index += 2
        index += 1
    vgg = keras.Model(v_in, x)
    vgg_layers = tracked

    order = np.arange(4 * WIDTH).reshape(WIDTH, 2, 2).transpose(1, 2, 0).reshape(-1)
    side = CROP // 16

    def to_keras(value, kind):
        """torch layout to Keras layout of one kernel, bias or slope."""
        if kind == "shuffled":
            value = value[order]
        if value.ndim == 4:
            return value.transpose(2, 3, 1, 0)
        if kind == "prelu":
            return value.reshape(1, 1, -1)
        if value.ndim == 2 and kind == "flat":
            channels = value.shape[1] // side // side
            return (
                value.reshape(-1, channels, side, side)
                .transpose(2, 3, 1, 0)
                .reshape(-1, value.shape[0])
            )
        return value.T if value.ndim == 2 else value

    def to_torch(value, kind):
        if value.ndim == 4:
            value = value.transpose(3, 2, 0, 1)
        elif kind == "prelu":
            value = value.reshape(-1)
        elif value.ndim == 2 and kind == "flat":
            channels = value.shape[0] // side // side
            value = (
                value.reshape(side, side, channels, -1)
                .transpose(3, 2, 0, 1)
                .reshape(value.shape[1], -1)
            )
        elif value.ndim == 2:
            value = value.T
        return value[np.argsort(order)] if kind == "shuffled" else value

    def fill(tracked, weights):
        for layer, name, kind in tracked:
            keys = [f"{name}.{part}" for part in ("weight", "bias") if f"{name}.{part}" in weights]
            values = [to_keras(weights[key], kind) for key in keys]
            layer.set_weights(values + (layer.get_weights()[2:] if kind == "norm" else []))

    fill(generator_layers, inputs["generator"])
    fill(discriminator_layers, inputs["discriminator"])
    fill(vgg_layers, inputs["vgg"])

    lr, hr = tf.constant(inputs["lr"]), tf.constant(inputs["hr"])
    bce = keras.losses.BinaryCrossentropy()

    def features(image):
        return vgg(keras.applications.vgg19.preprocess_input(image)) / 12.75

    with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
        sr = generator(lr, training=True)
        d_hr, d_sr = discriminator(hr, training=True), discriminator(sr, training=True)
        content = tf.reduce_mean(tf.square(features(sr) - features(hr)))
        adversarial = bce(tf.ones_like(d_sr), d_sr)
        perceptual = content + 1e-3 * adversarial
        judged = bce(tf.ones_like(d_hr), d_hr) + bce(tf.zeros_like(d_sr), d_sr)
    pixel = tf.reduce_mean(tf.square(sr - hr))
    g_gradients = g_tape.gradient(perceptual, generator.trainable_variables)
    d_gradients = d_tape.gradient(judged, discriminator.trainable_variables)
    for network, gradients in ((generator, g_gradients), (discriminator, d_gradients)):
        adam = keras.optimizers.Adam(1e-4, beta_1=0.9, beta_2=0.999, epsilon=1e-7)
        adam.apply_gradients(zip(gradients, network.trainable_variables, strict=True))

    def changes(tracked, weights):
        """Of each tensor's change in the step: norm and projection on a fixed direction."""
        found = {}
        for layer, name, kind in tracked:
            for part, value in zip(("weight", "bias"), layer.get_weights(), strict=False):
                key = f"{name}.{part}"
                change = to_torch(value, kind) - weights[key]
                direction = np.cos(np.arange(change.size)).reshape(change.shape)
                found[key] = [float(np.linalg.norm(change)), float((change * direction).sum())]
        return found

    result = {
        "made_by": f"TensorFlow {tf.__version__}, Keras {keras.__version__}, float64",
        "losses": {
            "pixel": float(pixel),
            "content": float(content),
            "adversarial": float(adversarial),
            "generator": float(perceptual),
            "discriminator": float(judged),
            "d_hr": float(tf.reduce_mean(d_hr)),
            "d_sr": float(tf.reduce_mean(d_sr)),
        },
        "generator": changes(generator_layers, inputs["generator"]),
        "discriminator": changes(discriminator_layers, inputs["discriminator"]),
    }
    json.dump(result, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
