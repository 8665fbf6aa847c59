"""Every protocol once: what a figure is, its unit, which way is better, its parameters, and a sentence about it.

A row of a card names its protocol by an identifier. Some identifiers have a parameter in them: ``kid-mobilenetv2-224``
is KID by the extractor ``mobilenetv2`` at 224 px, ``psnr-y-x4`` PSNR of photos enlarged four times. Protocols of other
packages need not stand here: their rows have a ``note``. Nothing here imports torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Extractor:
    """A feature extractor.

    Attributes:
        name: what it is, for people.
        short: its name in tables.
        timm: the timm model that its weights are loaded into, if any.
        options: keyword arguments of :func:`timm.create_model`.
    """

    name: str
    short: str
    timm: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


EXTRACTORS = {
    "mobilenetv2": Extractor(
        "1,280 features of MobileNetV2 (ImageNet, timm mobilenetv2_100 with pad_type=same)",
        "MobileNetV2",
        "mobilenetv2_100",
        {"pad_type": "same"},
    ),
    "efficientnet-lite0": Extractor(
        "1,280 features of EfficientNet-Lite0 (ImageNet, timm tf_efficientnet_lite0)",
        "EfficientNet-Lite0",
        "tf_efficientnet_lite0",
    ),
    "random": Extractor(
        "global mean and deviation of the maps of four random convolutions (seed 0)", "random features"
    ),
}


def extractor_name(id: str) -> str:
    """What an extractor is; of one of timm's, its name there."""
    return EXTRACTORS[id].name if id in EXTRACTORS else f"features of timm's {id.removeprefix('timm/')}, pretrained"


def short_name(id: str) -> str:
    """What an extractor is called in tables."""
    return EXTRACTORS[id].short if id in EXTRACTORS else id.removeprefix("timm/")


@dataclass(frozen=True)
class Protocol:
    """How a figure is measured.

    Attributes:
        id: what a row names.
        name: what is shown.
        better: ``higher`` or ``lower``.
        sentence: how it is measured, for somebody who has not seen the zoo.
        unit: such as dB; empty for a number without one.
        hub: the metric's type in the ``model-index`` of a card on the Hugging Face Hub.
        parameters: of the measurement; ``size`` in pixels.
        extractor: identifier of the feature extractor of a distance.
        noun: what is counted, in the plural.
    """

    id: str
    name: str
    better: str
    sentence: str
    unit: str = ""
    hub: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    extractor: str = ""
    noun: str = "images"


_CLASSIFIER = "a small convolutional classifier that was trained on the training split"
_LINEAR = (
    "a linear classifier (logistic regression over {features}, images rounded to 8 bits and resized to {size} px) "
    "that was trained on the training split"
)
_NEAR = (
    "share of {} that are as near to one of the {} ones as the third nearest of these is to it (Kynkaanniemi et al. "
    "2019), over {{features}}, in float32, all images rounded to 8 bits and resized to {{size}} px (bilinear, "
    "antialiased), as many generated images as real ones."
)
_TANIMOTO = "Tanimoto distance of Morgan fingerprints (radius 2, 1024 bits, RDKit)"
_ATTRIBUTES = "a small convolutional classifier of attributes that was trained on the training split"
_STUDY = (
    "by a small convolutional classifier that was trained on 100 images of each class of the training split, others "
    "for each seed, and on 1,000 generated ones, which are half of what it is shown; it takes as many steps with and "
    "without them. The classifier has few real images, but the generator had learnt from the whole training split: it "
    "is what generated images add for somebody who has these few and the generator, and no more."
)
_COLOR = (
    "the main colour is the name that most pixels have of those that differ from the background, named by hue, chroma "
    "and lightness, edge pixels left out, white only if no other has a fifth (zoo.data.colors.main_colors)"
)
_VALID = "valid is what RDKit sanitises and what is one piece, drawn without noise and without a second try"
# Identifiers are patterns, whose groups fill the texts and are parameters of the protocol.
_PROTOCOLS = (
    Protocol(
        r"kid-(?P<extractor>.+)-(?P<size>\d+)",
        "KID",
        "lower",
        "Kernel distance (unbiased squared MMD with the kernel (x.y / d + 1) ** 3 over all pairs) of the model's "
        "images to real images, all rounded to 8 bits and resized to {size} px (bilinear, antialiased), over "
        "{features}, in float32.",
        hub="kid",
        parameters={"kernel": "(x.y / d + 1) ** 3", "resize": "bilinear, antialiased", "bits": 8},
    ),
    Protocol(
        r"fid-(?P<extractor>.+)-(?P<size>\d+)",
        "FID",
        "lower",
        "Frechet distance of the model's images to real images, between Gaussians fitted to {features}, in float32, "
        "all images rounded to 8 bits and resized to {size} px (bilinear, antialiased); it falls with the number of "
        "images, so compare equal numbers only.",
        hub="fid",
        parameters={"resize": "bilinear, antialiased", "bits": 8},
    ),
    Protocol(
        r"precision-(?P<extractor>.+)-(?P<size>\d+)",
        "precision",
        "higher",
        f"Fidelity: {_NEAR.format('generated images', 'real')}",
        parameters={"neighbour": 3, "resize": "bilinear, antialiased", "bits": 8},
    ),
    Protocol(
        r"recall-(?P<extractor>.+)-(?P<size>\d+)",
        "recall",
        "higher",
        f"Diversity: {_NEAR.format('real images', 'generated')}",
        parameters={"neighbour": 3, "resize": "bilinear, antialiased", "bits": 8},
    ),
    Protocol(
        r"perceptual-(?P<extractor>.+)-x(?P<scale>\d+)",
        "perceptual distance",
        "lower",
        "Squared distance between feature maps of the enlarged photo and of the original at all depths, each pixel's "
        "features at unit length, averaged over pixels, summed over depths, averaged over photos; inputs are cropped "
        "to multiples of {scale} and made {scale} times smaller as MATLAB's imresize does; the maps are those behind "
        "{features}.",
        parameters={"downscale": "MATLAB imresize, bicubic"},
    ),
    Protocol(
        r"psnr-y-x(?P<scale>\d+)",
        "PSNR",
        "higher",
        "Peak signal to noise ratio of the luminance (Y of BT.601, 8 bits) of photos that were made {scale} times "
        "smaller as MATLAB's imresize does and enlarged again, {scale} pixels cut off at the edges, averaged over "
        "photos.",
        "dB",
        "psnr",
        {"downscale": "MATLAB imresize, bicubic", "channel": "Y of BT.601", "bits": 8},
    ),
    Protocol(
        r"ssim-y-x(?P<scale>\d+)",
        "SSIM",
        "higher",
        "Structural similarity (Gaussian window of 11 pixels, sigma 1.5) of the luminance (Y of BT.601, 8 bits) of "
        "photos that were made {scale} times smaller as MATLAB's imresize does and enlarged again, {scale} pixels cut "
        "off at the edges, averaged over photos.",
        "",
        "ssim",
        {"downscale": "MATLAB imresize, bicubic", "channel": "Y of BT.601", "bits": 8, "window": 11, "sigma": 1.5},
    ),
    Protocol(
        r"psnr-rgb-x(?P<scale>\d+)",
        "PSNR of RGB",
        "higher",
        "Peak signal to noise ratio over the three colour channels (8 bits) of photos that were made {scale} times "
        "smaller as MATLAB's imresize does and enlarged again, {scale} pixels cut off at the edges, averaged over "
        "photos.",
        "dB",
        "psnr",
        {"downscale": "MATLAB imresize, bicubic", "channel": "RGB", "bits": 8},
    ),
    Protocol(
        r"psnr-rgb-noise(?P<sigma>\d+)",
        "PSNR at noise of {sigma}",
        "higher",
        "Peak signal to noise ratio over the three colour channels (8 bits) of photos with white Gaussian noise of "
        "standard deviation {sigma} (of 255), not clipped, from numpy's default_rng with the photo's number by name as "
        "seed, averaged over photos.",
        "dB",
        "psnr",
        {"channel": "RGB", "bits": 8},
    ),
    Protocol(
        r"psnr-grey-noise(?P<sigma>\d+)",
        "PSNR of grey photos at noise of {sigma}",
        "higher",
        "Peak signal to noise ratio (8 bits) of photos without their colours (Y' of BT.601) with white Gaussian noise "
        "of standard deviation {sigma} (of 255), not clipped, from numpy's default_rng with the photo's number by name "
        "as seed, the same in all channels, averaged over photos.",
        "dB",
        "psnr",
        {"channel": "grey", "bits": 8},
    ),
    Protocol(
        r"si-sdr-snr(?P<snr>\d+)",
        "SI-SDR at {snr} dB",
        "higher",
        "Scale-invariant ratio of signal to distortion (Le Roux et al. 2019) of recordings under noise {snr} dB below "
        "them, averaged over recordings; recording k, by name, is under noise k modulo their number, from the place on "
        "that numpy's default_rng(k) draws first.",
        "dB",
        noun="recordings",
    ),
    Protocol(
        r"stoi-snr(?P<snr>\d+)",
        "STOI at {snr} dB",
        "higher",
        "Short-time objective intelligibility (Taal et al. 2011, pystoi), from 0 to 1, of recordings under noise {snr} "
        "dB below them, mixed as for SI-SDR, measured over ten after the other and averaged.",
        noun="recordings",
    ),
    Protocol(
        "psnr-hole",
        "PSNR inside holes",
        "higher",
        "Peak signal to noise ratio over the three colour channels (8 bits) of the pixels inside a hole, averaged over "
        "photos of 128 px. Square: half the side wide, in the middle. Strokes: those that "
        "zoo.data.masks.brush_strokes draws for photo number k by numpy's default_rng((0, k)), until 30 % are covered.",
        "dB",
        "psnr",
        {"channels": "RGB", "bits": 8, "size": 128},
    ),
    Protocol(
        "mse",
        "mean squared error",
        "lower",
        "Mean squared error of what the autoencoder makes of images, larger images averaged to its size first, pixels "
        "in [0, 1], outputs not rounded.",
        hub="mse",
    ),
    Protocol(
        r"precision-(?P<k>\d+)",
        "precision of {k} nearest",
        "higher",
        "Share of the {k} nearest training images, by cosine distance of flattened codes, that have the class of a "
        "test image, averaged over test images; what stands beside it is compared in the same way.",
    ),
    Protocol(
        "kl-bits",
        "KL per latent dimension",
        "lower",
        "Kullback-Leibler divergence of the encoder's posterior from the prior, in bits, averaged over images and over "
        "the dimensions of the latent.",
        "bits",
    ),
    Protocol(
        "l1",
        "L1",
        "lower",
        "Mean absolute error between results and targets of pairs, pixels in [0, 1].",
        hub="mae",
    ),
    Protocol(
        "cycle-l1",
        "cycle L1",
        "lower",
        "Mean absolute error between images and what they become after this network and the one that goes the other "
        "way, pixels in [0, 1].",
        hub="mae",
    ),
    Protocol(
        "class-accuracy",
        "class accuracy",
        "higher",
        f"Share of generated images, as many of each class, that {_CLASSIFIER} assigns to the class that was asked "
        "for.",
        hub="accuracy",
    ),
    Protocol(
        "class-accuracy-worst",
        "class accuracy, worst class",
        "higher",
        f"Share of generated images of one class that {_CLASSIFIER} assigns to the class that was asked for, of the "
        "class with the lowest share.",
        hub="accuracy",
    ),
    Protocol(
        r"class-accuracy-worst-(?P<extractor>.+)-(?P<size>\d+)",
        "class accuracy, worst class",
        "higher",
        f"Share of generated images of one class that {_LINEAR} assigns to the class that was asked for, of the class "
        "with the lowest share.",
        hub="accuracy",
    ),
    Protocol(
        r"class-accuracy-(?P<extractor>.+)-(?P<size>\d+)",
        "class accuracy",
        "higher",
        f"Share of generated images, as many of each class, that {_LINEAR} assigns to the class that was asked for.",
        hub="accuracy",
    ),
    Protocol(
        "augmentation-sensitivity",
        "sensitivity with generated images",
        "higher",
        f"Share of the test images of a class that are named so, averaged over classes, then over five seeds, {_STUDY}",
        hub="recall",
    ),
    Protocol(
        "augmentation-specificity",
        "specificity with generated images",
        "higher",
        "Share of the test images of all other classes that are not named as a class, averaged over classes, then over "
        f"five seeds, {_STUDY}",
    ),
    Protocol(
        "color-accuracy",
        "colour accuracy",
        "higher",
        "Share of generated logos, as many of each of twelve colours, whose main colour is the one asked for, which is "
        f"recall averaged over colours; {_COLOR}.",
        hub="accuracy",
    ),
    Protocol(
        "color-precision",
        "colour precision",
        "higher",
        "Share of the generated logos of a main colour for which that colour was asked, averaged over twelve colours; "
        f"{_COLOR}.",
        hub="precision",
    ),
    Protocol(
        "color-accuracy-worst",
        "colour accuracy, worst colour",
        "higher",
        "Share of generated logos of one colour whose main colour it is, of the colour with the lowest share; "
        f"{_COLOR}.",
        hub="accuracy",
    ),
    Protocol(
        "petal-color",
        "named colour",
        "higher",
        "Share of generated photos in the colour that their text names, of those whose text names one; the colour is "
        "that of most of the middle of the photo (under a Gaussian, whose deviation is 5/16 of the side), out of "
        "orange, pink, purple, red, white and yellow, by hue, saturation and value (zoo.metrics.petals.petal_colors).",
        hub="accuracy",
    ),
    Protocol(
        "rarest-class-share",
        "share of the rarest class",
        "higher",
        f"Share of generated images that {_CLASSIFIER} assigns to the class that comes least often.",
    ),
    Protocol(
        "class-share",
        "share of a class",
        "higher",
        f"Share of generated images that {_CLASSIFIER} assigns to the class, beside that of the class in the data.",
    ),
    Protocol(
        "synthetic-accuracy",
        "train on synthetic, test on real",
        "higher",
        "Share of test images that a small convolutional classifier names rightly which was trained on generated "
        "images alone, 10,000 or as many as there are training images, with the classes as often as in the training "
        "split; beside it one that was trained on as many training images.",
        hub="accuracy",
    ),
    Protocol(
        "nearest-distance-ratio",
        "distance to training over held-out images",
        "higher",
        "Mean Euclidean distance of generated images to the nearest of 10,000 training images over that to the nearest "
        "of as many test images, pixels averaged to 32 px at most: 1 where nothing is remembered, 0 for copies.",
    ),
    Protocol(
        "membership-auroc",
        "AUROC of membership inference",
        "lower",
        "Area under the ROC curve of guessing which of 10,000 training and 10,000 test images were trained on, by "
        "Euclidean distance to the nearest generated image, pixels averaged to 32 px at most: 0.5 where nothing is "
        "remembered, 1 where all is.",
    ),
    Protocol(
        "nearest-distance-ratio-tanimoto",
        "distance to training over held-out molecules",
        "higher",
        f"Mean {_TANIMOTO} of generated molecules to the nearest of 10,000 training molecules over that to the nearest "
        "of as many test molecules: 1 where nothing is remembered, 0 for copies.",
        noun="molecules",
    ),
    Protocol(
        "membership-auroc-tanimoto",
        "AUROC of membership inference",
        "lower",
        f"Area under the ROC curve of guessing which of 10,000 training and 10,000 test molecules were trained on, by "
        f"{_TANIMOTO} to the nearest generated molecule: 0.5 where nothing is remembered, 1 where all is.",
        noun="molecules",
    ),
    Protocol(
        "attribute-reached",
        "attribute reached",
        "higher",
        f"Share of edits after which {_ATTRIBUTES} sees the attribute where it was not, or does not see it where it "
        "was: each attribute is added to the images without it and removed from those with it, by its whole direction; "
        "the shares of the attributes are averaged.",
        hub="accuracy",
    ),
    Protocol(
        "attribute-reached-worst",
        "attribute reached, worst attribute",
        "higher",
        f"Share of edits after which {_ATTRIBUTES} sees the attribute where it was not, or does not see it where it "
        "was, of the attribute with the lowest share.",
        hub="accuracy",
    ),
    Protocol(
        "attributes-kept",
        "other attributes kept",
        "higher",
        f"Share of the attributes that an edit of another one leaves as they were, as {_ATTRIBUTES} sees them; those "
        "that correlate with the edited one in the training split (0.1 or more) are not counted.",
        hub="accuracy",
    ),
    Protocol(
        "value-reached",
        "attribute reached",
        "higher",
        f"Share of edits after which {_ATTRIBUTES} sees the value that was asked for: in each image each attribute is "
        "given another of its values, all of these equally often; the shares of the attributes are averaged. Beside it "
        "the share of unedited copies in which it sees that value, and of real images in which it sees their own.",
        hub="accuracy",
    ),
    Protocol(
        "value-reached-worst",
        "attribute reached, worst attribute",
        "higher",
        f"Share of edits after which {_ATTRIBUTES} sees the value that was asked for, of the attribute with the lowest "
        "share. Beside it the share of unedited copies in which it sees that value, and of real images in which it "
        "sees their own.",
        hub="accuracy",
    ),
    Protocol(
        "values-kept",
        "other attributes kept",
        "higher",
        f"Share of the attributes that have the same value after an edit of another one, as {_ATTRIBUTES} sees it; "
        "those that depend on the edited one in the training split (Cramer's V of 0.1 or more) are not counted. Some "
        "that an edit hides, such as eyes behind sunglasses, are counted.",
        hub="accuracy",
    ),
    Protocol(
        "values-kept-worst",
        "other attributes kept, worst attribute",
        "higher",
        f"Share of edits of other attributes after which one has the same value, as {_ATTRIBUTES} sees it, of the "
        "attribute with the lowest share.",
        hub="accuracy",
    ),
    Protocol(
        "named-attributes",
        "named attributes",
        "higher",
        "Share of the attributes that texts of the test split name which their images have, one image for each text, "
        f"as {_ATTRIBUTES} sees them; of attributes with several values the likeliest one counts.",
        hub="accuracy",
    ),
    Protocol(
        "named-attributes-worst",
        "named attributes, worst attribute",
        "higher",
        "Share of the texts of the test split that name an attribute whose images have it, one image for each text, as "
        f"{_ATTRIBUTES} sees it, of the attribute with the lowest share.",
        hub="accuracy",
    ),
    Protocol(
        "attribute-shares",
        "shares of attributes, difference",
        "lower",
        f"Difference between the share of the model's images that have an attribute and that of the training split, as "
        f"{_ATTRIBUTES} sees them, averaged over attributes.",
    ),
    Protocol(
        "attribute-entropy",
        "entropy of attributes",
        "higher",
        f"Entropy of an attribute over the model's images, as {_ATTRIBUTES} sees it, averaged over attributes; 1 where "
        "half of the images have it.",
        "bits",
    ),
    Protocol(
        "attribute-combinations",
        "combinations of attributes",
        "higher",
        f"Number of different combinations of attributes, as {_ATTRIBUTES} sees them, over the number of the model's "
        "images; compare equal numbers of images only.",
    ),
    Protocol(
        "image-auroc",
        "image AUROC",
        "higher",
        "Area under the ROC curve of the anomaly scores of normal and of defective images; the score is the highest "
        "mean of the anomaly map over 15 x 15 pixels.",
        parameters={"window": 15},
    ),
    Protocol(
        "pixel-auroc",
        "pixel AUROC",
        "higher",
        "Area under the ROC curve of the anomaly maps over all pixels of normal and of defective images, those of the "
        "defects' masks against all others.",
    ),
    Protocol(
        "detected",
        "defects found",
        "higher",
        "Share of defective images whose anomaly score is above the threshold of the checkpoint, which comes of normal "
        "images alone.",
        hub="recall",
    ),
    Protocol(
        "false-alarms",
        "false alarms",
        "lower",
        "Share of normal images whose anomaly score is above the threshold of the checkpoint, which comes of normal "
        "images alone.",
    ),
    Protocol(
        "pixel-accuracy",
        "pixel accuracy (FCN score)",
        "higher",
        "Share of pixels of the results whose label, as in the input, is what a U-Net names that was trained on photos "
        "and label maps of the training split, at 128 px.",
        hub="accuracy",
        parameters={"size": 128},
    ),
    Protocol(
        "pixel-accuracy-class-mean",
        "pixel accuracy (FCN score), mean of classes",
        "higher",
        "Share of pixels of the results whose label, as in the input, is what a U-Net names that was trained on photos "
        "and label maps of the training split, at 128 px, averaged over labels.",
        hub="accuracy",
        parameters={"size": 128},
    ),
    Protocol(
        "valid-unique",
        "valid and different",
        "higher",
        f"How many different valid molecules there are among all that were drawn, as a share of these; {_VALID}.",
        noun="molecules",
    ),
    Protocol(
        "valid",
        "valid",
        "higher",
        f"Share of valid molecules among all that were drawn; {_VALID}.",
        noun="molecules",
    ),
    Protocol(
        "unique",
        "different among valid",
        "higher",
        "Share of different molecules, as RDKit writes them, among the valid ones of all that were drawn; it falls "
        "with their number, so compare equal numbers only.",
        noun="molecules",
    ),
    Protocol(
        "novel",
        "new among different",
        "higher",
        "Share of molecules that are not in the training split, both as RDKit writes them, among the different valid "
        "ones of all that were drawn.",
        noun="molecules",
    ),
    Protocol(
        "wasserstein-logp",
        "distance of logP",
        "lower",
        "1-Wasserstein distance between the octanol-water partition coefficients (Wildman and Crippen 1999, RDKit) of "
        "the valid molecules among all that were drawn and of those of the test split.",
        noun="molecules",
    ),
    Protocol(
        "wasserstein-qed",
        "distance of QED",
        "lower",
        "1-Wasserstein distance between the drug-likeness, from 0 to 1 (QED, Bickerton et al. 2012, RDKit), of the "
        "valid molecules among all that were drawn and of those of the test split.",
        noun="molecules",
    ),
)

# What the columns beside a value mean.
BASELINES = {
    "real": "real images or molecules, as many, of the training split; for an accuracy, a share or attributes, real "
    "images of the test split",
    "gaussian": "samples of a Gaussian with full covariance, fitted to the pixels of the training split",
    "independent": "molecules whose atoms and bonds are drawn each by itself, with the shares that they have at each "
    "place in the training split",
    "input": "the input itself, unchanged",
    "unedited": "what the model makes of the input without an edit",
    "pca": "PCA with as many numbers as the code has, fitted to the training split",
    "bicubic": "bicubic enlargement",
    "spectral_gating": "spectral gating, by noisereduce with its defaults",
    "pixels": "the pixels themselves, at the size of the model's images",
    "mobilenetv2": "1,280 features of MobileNetV2 (ImageNet), of the model's images at 96 px",
    "efficientnet_lite0": "1,280 features of EfficientNet-Lite0 (ImageNet), of the model's images at 96 px",
    "pca_patches": "errors of PCA with 16 numbers, fitted to patches of 16 px of the training split, the highest as "
    "the score",
    "mobilenetv2_patches": "distances of MobileNetV2 features (ImageNet) of patches to the nearest of 20,000 of the "
    "training split, the highest as the score: the idea of PatchCore",
    "efficientnet_lite0_patches": "distances of EfficientNet-Lite0 features (ImageNet) of patches to the nearest of "
    "20,000 of the training split, the highest as the score: the idea of PatchCore",
    "real_alone": "the same classifier without generated images",
    "classical": "the same classifier without generated images, the real ones mirrored, turned by up to 10 degrees, "
    "moved by up to a sixteenth of the sides, and brighter or darker by up to a fifth",
    "all_real": "the same classifier trained on all images of the training split, as the generator was",
    "uniform": "an equal share for each class",
    "telea": "inpainting by the fast marching method (Telea 2004), OpenCV's, radius 3",
    "navier_stokes": "inpainting after Navier and Stokes (Bertalmio et al. 2001), OpenCV's, radius 3",
    "l1_alone": "a network of the same size that was trained by L1 alone, for as long",
}


def protocol(id: str) -> Protocol | None:
    """The protocol of an identifier; None for one that does not stand here."""
    for known in _PROTOCOLS:
        if match := re.fullmatch(known.id, id):
            groups = match.groupdict()
            parameters: dict[str, Any] = {key: int(x) for key, x in groups.items() if x.isdecimal()}
            extractor = groups.get("extractor", "")
            name = known.name.format(**groups)
            if extractor:
                parameters["extractor"] = extractor
                short = EXTRACTORS[extractor].short if extractor in EXTRACTORS else extractor
                name = f"{name} ({short})"
            return replace(
                known,
                id=id,
                name=name,
                sentence=known.sentence.format(**groups, features=extractor_name(extractor))
                if groups
                else known.sentence,
                parameters={**known.parameters, **parameters},
                extractor=extractor,
            )
    return None
