"""StackGAN: images of what a text says, in two stages, a small sketch first.

Zhang, Xu, Li, Zhang, Wang, Huang, Metaxas, "StackGAN: Text to Photo-realistic Image Synthesis with Stacked Generative
Adversarial Networks", 2016, https://arxiv.org/abs/1612.03242
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.model import Generator
from zoo.models.blocks import ConditionalNorm, Smoothing
from zoo.models.progan import enlarging_conv

LONGEST = 64  # words of a text that the network holds


class TextEncoder(nn.Module):
    """What a text says, wherever in it that stands: convolutions over its words, then the maximum over places.

    Each word is seen with four to each side, so that a colour finds its noun; what is further apart has no order.

    Args:
        words: of the vocabulary; number 0 is no word.
        width: of the embedding of a word, and of a text.
    """

    def __init__(self, words: int, width: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words + 1, width, padding_idx=0)
        self.phrases = nn.ModuleList(nn.Conv1d(width, width, 5, padding=2) for _ in range(2))

    def forward(self, text: Tensor) -> Tensor:
        """Numbers of words ``(N, T)``, 0 behind the last, to embeddings ``(N, width)``; zeros for a text of no word."""
        there = (text > 0)[:, None]
        x = self.words(text).transpose(1, 2)
        for conv in self.phrases:
            x = (x + F.relu(conv(x))) * there
        embedding: Tensor = F.relu(x).amax(2)
        return embedding


class Up(nn.Module):
    """Maps to twice their size: nearest-neighbour enlargement with a 3x3 convolution, batch norm, ReLU.

    Args:
        c_in: channels of the maps ``(N, c_in, H, W)``.
        c_out: of those that it gives, ``(N, c_out, 2 H, 2 W)``.
        condition: length of the vector that the norm depends on; 0 for none.
    """

    def __init__(self, c_in: int, c_out: int, condition: int = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, 3, bias=False)
        self.norm = ConditionalNorm(c_out, condition) if condition else nn.BatchNorm2d(c_out)

    def forward(self, x: Tensor, *condition: Tensor) -> Tensor:
        return F.relu(self.norm(enlarging_conv(x, self.conv.weight), *condition))


class ConditionalResidual(nn.Module):
    """Two 3x3 convolutions, with conditional norm and ReLU before each, added to what they take."""

    def __init__(self, width: int, condition: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(2))
        self.norms = nn.ModuleList(ConditionalNorm(width, condition) for _ in range(2))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        y = x
        for conv, norm in zip(self.convs, self.norms, strict=True):
            y = conv(F.relu(norm(y, condition)))
        return x + y


class StackGAN(Generator):
    """Both stages of Zhang et al. 2016, and the encoder of the text.

    Stage I draws a sketch of half the size from noise and text. Stage II takes the sketch down to a quarter of the
    size, reads the text again, and draws the image. Each reads the text through a conditioning augmentation of its own:
    a Gaussian about what the text says, whose draw is part of the latent here.

    Departures from the paper: the encoder learns with the rest, and the text also scales and shifts maps.

    Args:
        vocabulary: the words that it knows.
        size: height and width of the images: 32, 64 or another power of two.
        channels: 1 for grey, 3 for RGB.
        latent: numbers of noise.
        embedding: width of the encoder of the text.
        condition: numbers of a draw of the conditioning augmentation.
        width: channels of Stage I's maps at half the size; each level below has twice as many.
        refined: channels of Stage II's maps at a quarter of the size; each level above has half as many.
        blocks: residual blocks of Stage II.
        smoothing: of images that are drawn, a difference of colours as :class:`~zoo.models.blocks.Smoothing` takes it,
            which they go through once; 0 for none.

    Attributes:
        latent_shape: ``(latent + condition,)``, the noise and the draw of the augmentation.
        texts: numbers of words, int16 ``(latent, 64)``: what the noise chooses from where there is no text.

    Raises:
        ValueError: for another size.
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        size: int = 64,
        channels: int = 3,
        latent: int = 64,
        embedding: int = 128,
        condition: int = 64,
        width: int = 32,
        refined: int = 64,
        blocks: int = 2,
        smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        if size < 16 or size & (size - 1):
            raise ValueError(f"size must be 16, 32, 64 or another power of two, not {size}.")
        self.vocabulary, self.size = tuple(vocabulary), size
        self.latent, self.latent_shape = latent, (latent + condition,)
        self.texts: Tensor
        self.register_buffer("texts", torch.zeros(latent, LONGEST, dtype=torch.int16))
        self.text = TextEncoder(len(self.vocabulary), embedding)
        augment = [nn.Linear(embedding, 2 * condition) for _ in range(2)]
        for layer in augment:
            nn.init.constant_(layer.bias[condition:], -2.0)  # little noise at first, for the text to be heard
        self.augment = nn.ModuleList(augment)
        seen, levels = latent + condition, size.bit_length() - 4
        widths = [width << i for i in reversed(range(levels))]
        self.first = nn.Linear(seen, 16 * 2 * widths[0])
        self.sketch = nn.ModuleList(Up(2 * c if i == 0 else widths[i - 1], c, seen) for i, c in enumerate(widths))
        self.to_sketch = nn.Conv2d(width, channels, 3, padding=1)
        self.down = nn.Sequential(
            nn.Conv2d(channels, refined // 2, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(refined // 2, refined, 4, stride=2, padding=1),
        )
        self.blocks = nn.ModuleList(ConditionalResidual(refined, condition) for _ in range(blocks))
        self.join = ConditionalNorm(refined, condition)
        self.up = nn.Sequential(*(Up(refined >> i, refined >> (i + 1)) for i in range(2)))
        self.to_image = nn.Conv2d(refined // 4, channels, 3, padding=1)
        self.smoothing = Smoothing(smoothing, passes=1) if smoothing else nn.Identity()

    def hold(self, texts: Tensor) -> None:
        """Keep some of the texts ``(M, T)`` of the training data, from the first to the last, for the noise to choose.

        Of more than 64 words the first 64 are kept.
        """
        spread = torch.linspace(0, len(texts) - 1, self.latent).long()
        kept = texts[spread, :LONGEST].to(self.texts.dtype)
        self.texts.copy_(F.pad(kept, (0, LONGEST - kept.shape[1])))

    def gaussians(self, text: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Mean and logarithm of the variance, ``(N, condition)`` each, that each stage makes of an embedding."""
        return [(mean, log_variance) for mean, log_variance in (layer(text).chunk(2, 1) for layer in self.augment)]

    def stages(self, z: Tensor, gaussians: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """Sketches ``(N, channels, size / 2, size / 2)`` and images ``(N, channels, size, size)``, in [-1, 1].

        Args:
            z: latents ``(N, latent + condition)``.
            gaussians: what :meth:`gaussians` gives.
        """
        noise, draw = z[:, : self.latent], z[:, self.latent :]
        first, second = (mean + draw * (0.5 * log_variance).exp() for mean, log_variance in gaussians)
        seen = torch.cat([noise, first], 1)
        x = self.first(seen).unflatten(1, (-1, 4, 4)).contiguous(memory_format=torch.channels_last)
        for level in self.sketch:
            x = level(x, seen)
        sketch = torch.tanh(self.to_sketch(x))
        x = self.down(sketch.detach())  # as in the paper, where Stage I is finished before Stage II is trained
        for block in self.blocks:
            x = block(x, second)
        return sketch, self.smoothing(torch.tanh(self.to_image(self.up(F.relu(self.join(x, second))))))

    def decode(self, z: Tensor, text: Tensor | None = None, stage: Tensor | None = None) -> Tensor:
        """Latents ``(N, latent + condition)`` to images ``(N, channels, size, size)`` in [-1, 1].

        Args:
            z: the latents.
            text: numbers of words ``(N, T)``, 0 behind the last; without a text the noise chooses one of :attr:`texts`,
                that of the highest of its ``latent`` numbers.
            stage: ``(N,)``, 1 for the sketch of Stage I, enlarged, 2 for the image of Stage II; all 2 by default.
        """
        text = self.texts[z[:, : self.latent].argmax(1)].long() if text is None else text
        sketch, images = self.stages(z, self.gaussians(self.text(text)))
        if stage is None:
            return images
        return torch.where((stage == 1)[:, None, None, None], F.interpolate(sketch, scale_factor=2.0), images)
