"""The CycleGAN's training step in PyTorch, for benchmarks/train_step.py.

The same networks, losses and optimizers, in the order of the authors' public
PyTorch code: 9 residual blocks of 64 filters, 70x70 discriminators, least
squares, pools of 50, batch 1. Needs PyTorch and nothing else; whoever wants
the comparison installs it where he likes:

    python -m venv venv_torch && venv_torch/bin/pip install torch
"""

import argparse
import random

import torch
from timed_worker import serve
from torch import nn
from torch.nn import functional


def make_generator() -> nn.Module:
    layers = [nn.ReflectionPad2d(3), nn.Conv2d(3, 64, 7), *_norm_relu(64)]
    for channels in (64, 128):
        layers += [
            nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1),
            *_norm_relu(2 * channels),
        ]
    layers += [ResidualBlock(256) for _ in range(9)]
    for channels in (256, 128):
        half = channels // 2
        layers += [
            nn.ConvTranspose2d(channels, half, 3, 2, 1, output_padding=1),
            *_norm_relu(half),
        ]
    layers += [nn.ReflectionPad2d(3), nn.Conv2d(64, 3, 7), nn.Tanh()]
    return nn.Sequential(*layers)


def make_discriminator() -> nn.Module:
    layers = [nn.Conv2d(3, 64, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    for channels, stride in ((64, 2), (128, 2), (256, 1)):
        layers += [
            nn.Conv2d(channels, 2 * channels, 4, stride, padding=1),
            nn.InstanceNorm2d(2 * channels),
            nn.LeakyReLU(0.2),
        ]
    return nn.Sequential(*layers, nn.Conv2d(512, 1, 4, padding=1))


class ResidualBlock(nn.Module):
    """R256: two 3x3 convolutions, no activation after the sum."""

    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            *_norm_relu(channels),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Returns [N, C, H, W] of the inputs' shape."""
        return inputs + self.layers(inputs)


class CycleGAN:
    """Both generators, both discriminators, and one step of training."""

    def __init__(self, height: int, width: int, identity: float):
        self.identity = identity
        self.to_target, self.to_source = make_generator(), make_generator()
        self.target_judge = make_discriminator()
        self.source_judge = make_discriminator()
        self.generator_optimizer = _adam(self.to_target, self.to_source)
        self.judge_optimizer = _adam(self.target_judge, self.source_judge)
        self.pools = [], []
        self.source = torch.rand(1, 3, height, width) * 2 - 1
        self.target = torch.rand(1, 3, height, width) * 2 - 1

    def step(self) -> None:
        """Updates all four networks once."""
        fake_target = self.to_target(self.source)
        fake_source = self.to_source(self.target)
        self._judges_require_grad(False)
        self.generator_optimizer.zero_grad()
        self._generator_loss(fake_target, fake_source).backward()
        self.generator_optimizer.step()
        self._judges_require_grad(True)
        self.judge_optimizer.zero_grad()
        for judge, real, fake, pool in (
            (self.target_judge, self.target, fake_target, self.pools[0]),
            (self.source_judge, self.source, fake_source, self.pools[1]),
        ):
            older = _exchange(pool, fake.detach())
            loss = _squared(judge(real), 1.0) + _squared(judge(older), 0.0)
            (0.5 * loss).backward()
        self.judge_optimizer.step()

    def _generator_loss(self, fake_target, fake_source) -> torch.Tensor:
        loss = _squared(self.target_judge(fake_target), 1.0)
        loss = loss + _squared(self.source_judge(fake_source), 1.0)
        loss = loss + 10 * _distance(self.to_source(fake_target), self.source)
        loss = loss + 10 * _distance(self.to_target(fake_source), self.target)
        if self.identity:
            factor = 10 * self.identity
            same = self.to_target(self.target)
            loss = loss + factor * _distance(same, self.target)
            same = self.to_source(self.source)
            loss = loss + factor * _distance(same, self.source)
        return loss

    def _judges_require_grad(self, required: bool) -> None:
        for judge in (self.target_judge, self.source_judge):
            judge.requires_grad_(required)


def _norm_relu(channels: int) -> list[nn.Module]:
    return [nn.InstanceNorm2d(channels), nn.ReLU(inplace=True)]


def _adam(*networks: nn.Module) -> torch.optim.Adam:
    parameters = [p for network in networks for p in network.parameters()]
    return torch.optim.Adam(parameters, lr=2e-4, betas=(0.5, 0.999))


def _squared(logits: torch.Tensor, value: float) -> torch.Tensor:
    return functional.mse_loss(logits, torch.full_like(logits, value))


def _distance(images: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    return functional.l1_loss(images, others)


def _exchange(pool: list[torch.Tensor], fake: torch.Tensor) -> torch.Tensor:
    if len(pool) < 50:
        pool.append(fake)
        return fake
    if random.random() < 0.5:
        return fake
    place = random.randrange(50)
    older, pool[place] = pool[place], fake
    return older


def _num_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--height", type=int, required=True)
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--identity", type=float, required=True)
    arguments = parser.parse_args()
    assert _num_parameters(make_generator()) == 11_378_179
    assert _num_parameters(make_discriminator()) == 2_764_737
    model = CycleGAN(arguments.height, arguments.width, arguments.identity)
    serve(step=model.step)


if __name__ == "__main__":
    main()
