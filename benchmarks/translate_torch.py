"""The published generator in PyTorch, for benchmarks/translate.py.

Needs PyTorch and nothing else; see train_step_torch.py.
"""

import argparse

import torch
from timed_worker import serve
from train_step_torch import make_generator


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dtype", choices=("float32", "bfloat16"))
    parser.add_argument("--shape", required=True)
    arguments = parser.parse_args()
    shape = [int(side) for side in arguments.shape.split(",")]
    network = make_generator().eval()
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8)

    def translate() -> None:
        images = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1.0
        with (
            torch.inference_mode(),
            torch.autocast(
                "cpu", torch.bfloat16, enabled=arguments.dtype == "bfloat16"
            ),
        ):
            outputs = network(images).float()
        levels = ((outputs + 1.0) * 127.5).round().clamp(0, 255)
        levels.to(torch.uint8).permute(0, 2, 3, 1).contiguous().numel()

    serve(call=translate)


if __name__ == "__main__":
    main()
