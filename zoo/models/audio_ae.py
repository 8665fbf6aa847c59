"""Denoising autoencoder for sound: a noisy waveform through an encoder, a recurrent network and a decoder.

Défossez et al., "Real Time Speech Enhancement in the Waveform Domain", 2020, https://arxiv.org/abs/2006.12847, which
has the network of Demucs (Défossez et al. 2019, https://arxiv.org/abs/1911.13254).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from zoo.model import Model
from zoo.models.blocks import zeroed

QUIET = 1e-4  # loudness of what counts as silence


class AudioAE(Model):
    """Strided convolutions with gates down to a few hundred frames a second, an LSTM in both directions, and back up.

    Maps of the way down are added on the way up, and the sound at the end: what is learnt is minus the noise. The
    loudness of a sound is taken out before and put back after.

    Args:
        widths: channels of the maps at each rate, from the highest.
        strides: how many times slower each of them is than the one before.
        hidden: numbers that the LSTM keeps in each direction.
        layers: of the LSTM.

    Raises:
        ValueError: for not as many strides as widths, or odd strides.
    """

    def __init__(
        self,
        widths: Sequence[int] = (32, 64, 128, 192),
        strides: Sequence[int] = (2, 4, 4, 2),
        hidden: int = 128,
        layers: int = 2,
    ) -> None:
        super().__init__()
        if not widths or len(widths) != len(strides) or any(stride < 2 or stride % 2 for stride in strides):
            raise ValueError(f"strides must be even and as many as widths, not {list(strides)} for {list(widths)}.")
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        before = 1
        for width, stride in zip(widths, strides, strict=True):
            # With this padding lengths become exactly ``stride`` times shorter, and longer again.
            kernel = (4 if before == 1 else 2) * stride
            padding = (kernel - stride) // 2
            self.encoder.append(
                nn.Sequential(
                    *(nn.Conv1d(before, width, kernel, stride, padding), nn.ReLU()),
                    *(nn.Conv1d(width, 2 * width, 1), nn.GLU(1)),
                )
            )
            longer = nn.ConvTranspose1d(width, before, kernel, stride, padding)
            self.decoder.insert(
                0,
                nn.Sequential(
                    *(nn.Conv1d(width, 2 * width, 3, padding=1), nn.GLU(1)),
                    longer if before > 1 else zeroed(longer),
                    *([nn.ReLU()] if before > 1 else []),
                ),
            )
            before = width
        self.lstm = nn.LSTM(before, hidden, layers, batch_first=True, bidirectional=True)
        self.joined = nn.Linear(2 * hidden, before)

    def forward(self, x: Tensor) -> Tensor:
        """Mono sounds ``(N, 1, T)`` in [-1, 1] to those without noise, of the same length.

        T is divisible by the product of the strides.
        """
        loudness = x.square().mean(2, keepdim=True).sqrt() + QUIET
        maps, skips = x / loudness, []
        for layer in self.encoder:
            maps = layer(maps)
            skips.append(maps)
        frames, _ = self.lstm(maps.transpose(1, 2))
        maps = maps + self.joined(frames).transpose(1, 2)
        for layer in self.decoder:
            maps = layer(maps + skips.pop())
        sounds: Tensor = x + maps * loudness
        return sounds
