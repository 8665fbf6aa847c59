"""Discriminators. They are part of a recipe, not of a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from zoo.metrics.features import Features
from zoo.models.progan import EqualizedConv2d, EqualizedLinear


class Discriminator(nn.Module):
    """Convolutions with spectral norm, as in SNGAN (Miyato et al. 2018, https://arxiv.org/abs/1802.05957).

    At each size a 3x3 convolution, then a 4x4 one with stride 2. On Fashion-MNIST, in one run each of 3.5 minutes on
    two cores, kernel distance to training images fell to 0.18 of that of a Gaussian's samples with this D of width
    48, and to 0.29 with a D of width 64 that has only the strided ones, as in the paper.

    Args:
        size: height and width of the images.
        channels: of the images.
        width: of the first maps; it doubles with each halving, up to ``8 * width``.
        halvings: how often the maps are halved before the last, linear layer.
        classes: of conditional samples: the scores are a projection (https://arxiv.org/abs/1802.05637). 0 for none.
        norm: whether the layers have spectral norm. Without it, expect collapse.
    """

    def __init__(
        self, size: int, channels: int, width: int = 48, halvings: int = 3, classes: int = 0, norm: bool = True
    ) -> None:
        super().__init__()
        bound = spectral_norm if norm else lambda layer: layer
        layers: list[nn.Module] = []
        c_in, side = channels, size
        for i in range(halvings):
            c_out = width * 2 ** min(i, 3)
            middle = max(c_in, width)
            layers += [bound(nn.Conv2d(c_in, middle, 3, padding=1)), nn.LeakyReLU(0.1)]
            layers += [bound(nn.Conv2d(middle, c_out, 4, stride=2, padding=1)), nn.LeakyReLU(0.1)]
            c_in, side = c_out, side // 2
        features = c_in * side**2
        self.features = nn.Sequential(*layers, nn.Flatten())
        self.score = bound(nn.Linear(features, 1))
        self.class_embedding = bound(nn.Embedding(classes, features)) if classes else None

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """Images ``(N, channels, size, size)`` in [-1, 1], and their classes ``(N,)``, to scores ``(N,)``."""
        features = self.features(x)
        scores: Tensor = self.score(features).flatten()
        if self.class_embedding is not None:
            scores = scores + (self.class_embedding(label) * features).sum(1)
        return scores


class PerceptronDiscriminator(nn.Module):
    """A perceptron, the discriminator of the first GAN (Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661).

    Args:
        size: height and width of the images.
        channels: of the images.
        widths: units of the hidden layers.
        norm: whether the layers have spectral norm.
    """

    def __init__(self, size: int, channels: int, widths: Sequence[int] = (512, 256), norm: bool = False) -> None:
        super().__init__()
        bound = spectral_norm if norm else lambda layer: layer
        layers: list[nn.Module] = [nn.Flatten()]
        for wide, narrow in pairwise((channels * size * size, *widths)):
            layers += [bound(nn.Linear(wide, narrow)), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, bound(nn.Linear(widths[-1], 1)))

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, channels, size, size)`` in [-1, 1] to scores ``(N,)``."""
        scores: Tensor = self.layers(x)
        return scores.flatten()


class PatchDiscriminator(nn.Module):
    """The PatchGAN of pix2pix (Isola et al. 2017, https://arxiv.org/abs/1611.07004), with spectral norm.

    Args:
        channels: of what it sees: of input and output together where it is conditional.
        width: of the first maps.
        halvings: 3 for patches of 70 pixels, 2 for 34, 1 for 16.
        norm: whether there is instance norm between, as in SPADE (https://arxiv.org/abs/1903.07291): without it,
            bounded layers let little of the difference between real and fake through.
    """

    def __init__(self, channels: int, width: int = 64, halvings: int = 3, norm: bool = True) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        c_in = channels
        for i in range(halvings + 1):
            c_out = width * 2 ** min(i, 3)
            layers += [spectral_norm(nn.Conv2d(c_in, c_out, 4, stride=2 if i < halvings else 1, padding=1))]
            layers += [nn.InstanceNorm2d(c_out)] if norm and i else []
            layers += [nn.LeakyReLU(0.2)]
            c_in = c_out
        layers += [spectral_norm(nn.Conv2d(c_in, 1, 4, padding=1))]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, channels, H, W)`` in [-1, 1] to scores of patches ``(N, 1, h, w)``."""
        scores: Tensor = self.layers(x)
        return scores


class FeatureDiscriminator(nn.Module):
    """Scores from the maps of a network that has seen many images, as in Projected GAN.

    Sauer et al. 2021, https://arxiv.org/abs/2111.01007, without their mixing of depths. What is learnt are three small
    convolutions at each depth, with spectral norm: so D need not learn first what images consist of, and G learns in
    minutes what else takes hours.

    Args:
        features: the network; it stays as it is.
        width: of the convolutions.
    """

    def __init__(self, features: Features, width: int = 64) -> None:
        super().__init__()
        self.outside = [features]  # in a list: no part of what is trained and saved
        self.heads = nn.ModuleList(
            nn.Sequential(
                *(spectral_norm(nn.Conv2d(maps.shape[1], width, 1)), nn.LeakyReLU(0.2)),
                *(spectral_norm(nn.Conv2d(width, width, 3, padding=1)), nn.LeakyReLU(0.2)),
                spectral_norm(nn.Conv2d(width, 1, 1)),
            )
            for maps in features.maps(torch.zeros(1, 3, 64, 64))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, 3, H, W)`` in [-1, 1] to scores of patches ``(N, depths, h, w)``.

        Those of deeper maps, of which there are fewer, are repeated: each depth counts as much as another.
        """
        # Its maps lie at every second, fourth, ... pixel. Without the roll G would learn which pixels those are.
        x = x.roll(torch.randint(32, (2,)).tolist(), (2, 3))
        scores = [head(maps) for head, maps in zip(self.heads, self.outside[0].maps(x), strict=True)]
        return torch.cat([F.interpolate(score, scores[0].shape[2:]) for score in scores], 1)


class MixedMaps(nn.Module):
    """Maps of a network that has seen many images, mixed by random weights that stay, as in Projected GAN.

    Sauer et al. 2021, https://arxiv.org/abs/2111.01007: maps of each depth have those of the depth below added.

    Args:
        features: the network; it stays as it is.
        width: channels of the mixed maps.
        seen: images are enlarged to this before the network sees them.

    Attributes:
        sides: of the maps of each depth, the largest first.
    """

    def __init__(self, features: Features, width: int, seen: int) -> None:
        super().__init__()
        self.outside, self.seen = [features], seen  # in a list: no part of what is trained and saved
        maps = features.maps(torch.zeros(1, 3, seen, seen))[1:]  # the first holds little more than the pixels
        self.sides = [x.shape[2] for x in maps]
        for i, x in enumerate(maps):
            self.register_buffer(f"mix_{i}", torch.randn(width, x.shape[1], 1, 1) * x.shape[1] ** -0.5)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Images ``(N, 1 or 3, H, W)`` in [-1, 1] to mixed maps ``(N, width, S, S)`` of each depth, largest first."""
        maps = self.outside[0].maps(F.interpolate(x, (self.seen, self.seen), mode="bilinear"))[1:]
        mixed: list[Tensor] = []
        for i in reversed(range(len(maps))):
            own = F.conv2d(maps[i], self.get_buffer(f"mix_{i}"))
            mixed.insert(0, own + F.interpolate(mixed[0], own.shape[2:]) if mixed else own)
        return mixed


def _projected_head(width: int, side: int, last: int) -> list[nn.Module]:
    """Convolutions with spectral norm from mixed maps of a side to ``(N, last, 1, 1)``."""
    layers: list[nn.Module] = []
    c_in, c_out = width, width
    while side > 4:
        layers += [spectral_norm(nn.Conv2d(c_in, c_out, 4, stride=2, padding=1)), nn.LeakyReLU(0.2)]
        c_in, c_out, side = c_out, min(2 * c_out, 4 * width), side // 2
    layers += [spectral_norm(nn.Conv2d(c_in, c_out, 3, padding=1)), nn.LeakyReLU(0.2)]
    return [*layers, spectral_norm(nn.Conv2d(c_out, last, side))]


class ProjectedDiscriminator(nn.Module):
    """Scores of whole images, from the maps of a network that has seen many and from the pixels.

    As in Projected GAN (Sauer et al. 2021, https://arxiv.org/abs/2111.01007), convolutions with spectral norm take
    :class:`MixedMaps` of each depth down to one score. A :class:`Discriminator` that sees the pixels stands beside
    them, as in vision-aided training (Kumari et al. 2022, https://arxiv.org/abs/2112.09130): the pretrained network
    does not mind a checkerboard.

    Args:
        features: the network; it stays as it is.
        size: height and width of the images.
        width: of the first maps of the learnt convolutions.
        seen: the images are enlarged to this before the network sees them.
        channels: 1 for grey, 3 for RGB.
        classes: of conditional samples, of which each score has a projection as in :class:`Discriminator`. 0 for none.
    """

    def __init__(
        self, features: Features, size: int, width: int = 64, seen: int = 96, channels: int = 3, classes: int = 0
    ) -> None:
        super().__init__()
        halvings = (size - 1).bit_length() - 2
        self.pixels = Discriminator(size, channels, max(1, width // 4), halvings=halvings, classes=classes)
        self.mixed = MixedMaps(features, width, seen)
        self.heads = nn.ModuleList(
            nn.Sequential(*_projected_head(width, side, 1 + classes), nn.Flatten()) for side in self.mixed.sides
        )

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """Images ``(N, channels, size, size)`` in [-1, 1], and classes ``(N,)``, to scores ``(N, depths + 1)``."""
        scores = [self.pixels(x, label)[:, None]]
        for head, maps in reversed(list(zip(self.heads, self.mixed(x), strict=True))):
            score, *of_classes = head(maps).split(1, 1)
            scores.append(score if label is None else score + torch.cat(of_classes, 1).gather(1, label[:, None]))
        return torch.cat(scores, 1)


class WholeAndCropDiscriminator(nn.Module):
    """A :class:`ProjectedDiscriminator` for half of the images, and one for random squares of the others.

    Distances are measured on enlarged images, in which the pretrained network sees a small unevenness that it does not
    see in smaller ones. Squares are enlarged more than whole images are, and cost no more.

    Args:
        features: a network that has seen many images; it stays as it is.
        size: height and width of the images.
        crop: height and width of the squares; a batch has them all at one place.
        width: of the first maps of the learnt convolutions.
        seen: images and squares are enlarged to this before the network sees them.
        channels: 1 for grey, 3 for RGB.
    """

    def __init__(
        self, features: Features, size: int, crop: int, width: int = 64, seen: int = 96, channels: int = 3
    ) -> None:
        super().__init__()
        self.whole, self.close = (
            ProjectedDiscriminator(features, side, width, seen, channels) for side in (size, crop)
        )
        self.places, self.crop = size - crop + 1, crop

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, channels, size, size)`` in [-1, 1] to scores ``(N, depths + 1)``."""
        top, left = torch.randint(self.places, (2,)).tolist()
        squares = x[1::2, :, top : top + self.crop, left : left + self.crop]
        order = torch.arange(len(x))
        places = torch.cat([order[::2], order[1::2]]).argsort()
        return torch.cat([self.whole(x[::2]), self.close(squares)])[places]


class ProjectedTextDiscriminator(nn.Module):
    """As :class:`TextDiscriminator`, for few photos: it sees them as :class:`ProjectedDiscriminator` does.

    Each depth, and the pixels, have a score of their own, with a projection of the text's embedding in each.

    Args:
        features: a network that has seen many images; it stays as it is.
        size: height and width of the images.
        width: of the first maps of the learnt convolutions.
        seen: the images are enlarged to this before the network sees them.
        channels: 1 for grey, 3 for RGB.
        text: length of the embedding.
        attributes: how many; 0 for none.
        hidden: what each depth knows of an image is so many numbers.
    """

    def __init__(
        self,
        features: Features,
        size: int,
        width: int,
        seen: int,
        channels: int,
        text: int,
        attributes: int = 0,
        hidden: int = 128,
    ) -> None:
        super().__init__()
        pixels = Discriminator(size, channels, max(1, width // 4), halvings=(size - 1).bit_length() - 2).features
        known = pixels(torch.zeros(1, channels, size, size)).shape[1]
        self.pixels = nn.Sequential(pixels, spectral_norm(nn.Linear(known, hidden)), nn.LeakyReLU(0.2))
        self.mixed = MixedMaps(features, width, seen)
        self.heads = nn.ModuleList(
            nn.Sequential(*_projected_head(width, side, hidden), nn.LeakyReLU(0.2), nn.Flatten())
            for side in self.mixed.sides
        )
        parts = 1 + len(self.heads)
        self.real = nn.ModuleList(spectral_norm(nn.Linear(hidden, 1)) for _ in range(parts))
        self.project = nn.ModuleList(spectral_norm(nn.Linear(text, hidden, bias=False)) for _ in range(parts))
        self.attributes = nn.Linear(parts * hidden, attributes) if attributes else None

    def features(self, x: Tensor) -> Tensor:
        """Images ``(N, channels, size, size)`` in [-1, 1] to what is known of them ``(N, (depths + 1) * hidden)``."""
        known = [self.pixels(x), *(head(maps) for head, maps in zip(self.heads, self.mixed(x), strict=True))]
        return torch.cat(known, 1)

    def score(self, features: Tensor, text: Tensor) -> Tensor:
        """Scores ``(N, depths + 1)`` of what :meth:`features` gives, with the embeddings ``(N, text)`` of texts."""
        scores = []
        for known, real, project in zip(features.chunk(len(self.real), 1), self.real, self.project, strict=True):
            matches = (project(text) * known).sum(1, keepdim=True) / math.sqrt(known.shape[1])
            scores.append(real(known) + matches)
        return torch.cat(scores, 1)


class TextDiscriminator(nn.Module):
    """Whether an image is real and is what a text says, and which attributes it has.

    Strided convolutions, how much the images around it vary (as in :class:`GrowingDiscriminator`), a hidden layer, and
    a projection of the text's embedding (Miyato, Koyama 2018, https://arxiv.org/abs/1802.05637); the attributes are
    those of an auxiliary classifier (Odena et al. 2016, https://arxiv.org/abs/1610.09585).

    Args:
        size: height and width of the images: 8, 16, 32 or another power of two.
        channels: of the images.
        width: of the first maps; it doubles with each halving, up to ``4 * width``, until the maps are 4x4.
        text: length of the embedding.
        attributes: how many; 0 for none.
        hidden: units of the hidden layer.
    """

    def __init__(self, size: int, channels: int, width: int, text: int, attributes: int = 0, hidden: int = 256) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        c_in, side = channels, size
        while side > 4:
            c_out = min(4 * width, 2 * c_in) if layers else width
            conv = nn.Conv2d(c_in, c_out, 4, stride=2, padding=1)
            nn.init.kaiming_normal_(conv.weight, 0.2)
            layers += [conv, nn.LeakyReLU(0.2)]
            c_in, side = c_out, side // 2
        self.maps = nn.Sequential(*layers)
        self.hidden = nn.Linear(c_in * side**2 + 1, hidden)
        nn.init.kaiming_normal_(self.hidden.weight, 0.2)
        self.real, self.project = nn.Linear(hidden, 1), nn.Linear(text, hidden, bias=False)
        self.attributes = nn.Linear(hidden, attributes) if attributes else None

    def features(self, x: Tensor) -> Tensor:
        """Images ``(N, channels, size, size)`` in [-1, 1] to what is known of them ``(N, hidden)``."""
        maps = self.maps(x).flatten(1)
        varied = minibatch_deviation(maps, math.gcd(len(maps), 4))[:, None]
        return F.leaky_relu(self.hidden(torch.cat([maps, varied], 1)), 0.2)

    def score(self, features: Tensor, text: Tensor) -> Tensor:
        """Scores ``(N,)`` of what :meth:`features` gives, with the embeddings ``(N, text)`` of texts."""
        matches = (self.project(text) * features).sum(1) / math.sqrt(features.shape[1])
        scores: Tensor = self.real(features).flatten() + matches
        return scores


class GrowingDiscriminator(nn.Module):
    """The discriminator of progressive growing, which mirrors the generator.

    Karras et al. 2017, https://arxiv.org/abs/1710.10196. Halving is part of the convolution before it.

    Args:
        channels: of the images.
        widths: channels of the maps at 4x4, 8x8, and so on.
        attributes: logits of an auxiliary classifier (Odena et al. 2016, https://arxiv.org/abs/1610.09585); 0 for none.

    Attributes:
        grown: levels above 4x4, as in :class:`~zoo.models.progan.ProGAN`; set while it grows.
    """

    def __init__(self, channels: int, widths: Sequence[int], attributes: int = 0) -> None:
        super().__init__()
        self.widths, self.grown = tuple(widths), float(len(widths) - 1)
        self.from_rgb = nn.ModuleList(EqualizedConv2d(channels, width, 1) for width in widths)
        self.levels = nn.ModuleList(
            nn.ModuleList([EqualizedConv2d(narrow, narrow), EqualizedConv2d(narrow, wide, resample="down")])
            for wide, narrow in pairwise(widths)
        )
        self.last = EqualizedConv2d(widths[0] + 1, widths[0])
        self.hidden = EqualizedLinear(16 * widths[0], widths[0])
        self.score = EqualizedLinear(widths[0], 1)
        self.attributes = EqualizedLinear(widths[0], attributes) if attributes else None

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Images ``(N, channels, size, size)`` in [-1, 1], averaged to the size it has grown to, to scores ``(N,)``.

        With attributes, also to their logits ``(N, attributes)``.
        """
        top = math.ceil(self.grown)
        small = F.avg_pool2d(x, x.shape[-1] // (4 << top))
        x = F.leaky_relu(self.from_rgb[top](small), 0.2)
        for i in reversed(range(top)):
            for conv in self.levels[i].children():
                x = F.leaky_relu(conv(x), 0.2)
            if i == top - 1 and self.grown < top:
                below = F.leaky_relu(self.from_rgb[i](F.avg_pool2d(small, 2)), 0.2)
                x = torch.lerp(below, x, 1 - top + self.grown)
        together = math.gcd(len(x), 4)  # four, as in the paper, where that divides the batch
        varied = minibatch_deviation(x, together)[:, None, None, None].expand(-1, 1, *x.shape[2:])
        x = F.leaky_relu(self.last(torch.cat([x, varied], 1)), 0.2)
        known = F.leaky_relu(self.hidden(x.flatten(1)), 0.2)
        scores: Tensor = self.score(known).flatten()
        return scores if self.attributes is None else (scores, self.attributes(known))


def minibatch_deviation(x: Tensor, size: int) -> Tensor:
    """How much samples that stand together in a batch differ ``(N,)``: those that are alike give G away.

    Section 3 of Karras et al. 2017.

    Args:
        x: what D knows of each sample, ``(N, ...)``.
        size: samples that are compared; divides ``N``.
    """
    deviations: Tensor = (x.unflatten(0, (-1, size)).var(1, correction=0) + 1e-8).sqrt().flatten(1).mean(1)
    return deviations.repeat_interleave(size)
