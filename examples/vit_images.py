"""ViT learns pictures of any torch dataset, and says how many it then knows.

In full, on a machine of 8 GPUs, with a folder that holds a folder of pictures for each class:

    pip install torchvision
    torchrun --nproc-per-node 8 examples/vit_images.py pets/ --model vit-base

In small form, in seconds, on any computer: handwritten digits of 8 x 8 pixels, which come with scikit-learn.

    python examples/vit_images.py --small
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import torch
from torch.utils.data import Dataset, random_split

import galvatron

Sample = tuple[torch.Tensor, int]  # pixels [channels, height, width], class


class Digits(Dataset[Sample]):
    def __init__(self) -> None:
        from sklearn.datasets import load_digits

        digits = load_digits()
        self.images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 8 - 1
        self.classes = digits.target.tolist()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:
        return self.images[index], self.classes[index]


def folder_of_pictures(folder: Path, model: str) -> Dataset[Sample]:
    from torchvision import datasets, transforms

    side = galvatron.load(model, device="meta").spec.image_shape[-1]
    steps = [
        transforms.Resize(side),
        transforms.CenterCrop(side),
        transforms.ToTensor(),
        transforms.Normalize(0.5, 0.5),
    ]
    return datasets.ImageFolder(folder, transforms.Compose(steps))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "pictures", nargs="?", type=Path, help="a folder that holds a folder of pictures for each class"
    )
    parser.add_argument("--model", default="vit-base")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--run-dir", type=Path, default=Path("run-vit"))
    parser.add_argument("--small", action="store_true", help="digits, a tiny model and a hundred steps")
    options = parser.parse_args()
    if not options.small and options.pictures is None:
        parser.error("name a folder of pictures, or take --small")

    model, steps, global_batch = ("vit-tiny", 100, 32) if options.small else (options.model, options.steps, 512)
    pictures = Digits() if options.small else folder_of_pictures(options.pictures, model)
    # Every rank makes the same parts and gives the same data; each takes its own samples of them.
    train, valid = random_split(pictures, [0.8, 0.2], torch.Generator().manual_seed(0))
    summary = galvatron.train(
        model, data=train, zero_stage=2, steps=steps, global_batch=global_batch, lr=1e-3, warmup_steps=steps // 20,
        run_dir=options.run_dir, export=options.run_dir / "weights",
    )  # fmt: skip
    if os.environ.get("RANK", "0") != "0":
        return
    print(summary)
    model_now = galvatron.from_pretrained(options.run_dir / "weights")
    with torch.no_grad():
        right = [int(model_now(pixel_values=pixels[None]).logits.argmax()) == label for pixels, label in valid]
    print(f"{sum(right) / len(right):.1%} of {len(right)} pictures that were held out are known")


if __name__ == "__main__":
    main()
