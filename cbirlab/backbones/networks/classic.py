"""Classic: the convolutional networks on which the survey's methods build.

fc6 and fc7 are read after their ReLU, as Babenko et al. (ECCV 2014) read neural codes.
"""

from __future__ import annotations

from cbirlab.backbones.networks.rows import TRAINED_AT, torchvision


def _resnet(depth: int, parameters: int, widths: tuple[int, int, int, int]) -> None:
    one, two, three, four = widths
    torchvision(
        f"resnet{depth}",
        f"ResNet-{depth}",
        "He et al., CVPR 2016",
        f"""
        stem     relu     64       2
        layer1   layer1   {one}    4
        layer2   layer2   {two}    8
        layer3   layer3   {three}  16
        layer4   layer4   {four}   32
        avgpool  avgpool  {four}   vector
        logits   fc       1000     vector signed
        """,
        classifier="fc",
        classifier_tap="layer4",
        parameters=parameters,
    )


def _vgg(depth: int, parameters: int, last_of: tuple[int, int, int, int, int], convolutions: int) -> None:
    """`last_of`: the ReLU that ends each block within `features`; blocks 3 to 5 have `convolutions` layers each."""
    one, two, three, four, five = last_of
    torchvision(
        f"vgg{depth}",
        f"VGG-{depth}",
        "Simonyan and Zisserman, ICLR 2015",
        f"""
        conv1_2               features.{one}       64    1
        conv2_2               features.{two}       128   2
        conv3_{convolutions}  features.{three}     256   4
        conv4_{convolutions}  features.{four}      512   8
        conv5_{convolutions}  features.{five}      512   16
        pool5                 features.{five + 1}  512   32
        fc6                   classifier.1         4096  vector
        fc7                   classifier.4         4096  vector
        logits                classifier.6         1000  vector signed
        """,
        default_tap=f"conv5_{convolutions}",
        classifier="classifier.6",
        parameters=parameters,
        min_side=32,
        input_size=TRAINED_AT,
        other_sizes="maps follow the image; before fc6 they are averaged to 7 x 7, whatever the image's size and shape",
    )


def _densenet(depth: int, parameters: int, widths: tuple[int, int, int, int, int]) -> None:
    """The maps of each block are read after the norm and the ReLU through which the next part sees them."""
    stem, one, two, three, four = widths
    torchvision(
        f"densenet{depth}",
        f"DenseNet-{depth}",
        "Huang et al., CVPR 2017",
        f"""
        stem    features.relu0             {stem}   2
        block1  features.transition1.relu  {one}    4
        block2  features.transition2.relu  {two}    8
        block3  features.transition3.relu  {three}  16
        block4  features.relu5             {four}   32
        logits  classifier                 1000     vector signed
        """,
        builder=f"cbirlab.backbones.convolutional:densenet{depth}",
        classifier="classifier",
        classifier_tap="block4",
        parameters=parameters,
        min_side=29,
    )


_resnet(18, 11_689_512, (64, 128, 256, 512))
_resnet(50, 25_557_032, (256, 512, 1024, 2048))
_resnet(101, 44_549_160, (256, 512, 1024, 2048))
_vgg(16, 138_357_544, (3, 8, 15, 22, 29), 3)
_vgg(19, 143_667_240, (3, 8, 17, 26, 35), 4)
torchvision(
    "alexnet",
    "AlexNet",
    "Krizhevsky et al., NeurIPS 2012; Krizhevsky 2014",
    """
    conv1   features.1    64    4
    conv2   features.4    192   8
    conv3   features.7    384   16
    conv4   features.9    256   16
    conv5   features.11   256   16
    fc6     classifier.2  4096  vector
    fc7     classifier.5  4096  vector
    logits  classifier.6  1000  vector signed
    """,
    classifier="classifier.6",
    parameters=61_100_840,
    min_side=63,  # the least that pool5 before fc6 takes; the convolutions alone would take 31
    input_size=TRAINED_AT,
    other_sizes="maps follow the image; before fc6 they are averaged to 6 x 6, whatever the image's size and shape",
)
torchvision(
    "googlenet",
    "GoogLeNet",
    "Szegedy et al., CVPR 2015",
    """
    conv1        conv1        64    2
    conv3        conv3        192   4
    inception3a  inception3a  256   8
    inception3b  inception3b  480   8
    inception4a  inception4a  512   16
    inception4e  inception4e  832   16
    inception5a  inception5a  832   32
    inception5b  inception5b  1024  32
    avgpool      avgpool      1024  vector
    logits       fc           1000  vector signed
    """,
    builder="cbirlab.backbones.convolutional:googlenet",
    classifier="fc",
    classifier_tap="inception5b",
    parameters=6_624_904,
    min_side=15,
)
_densenet(121, 7_978_856, (64, 256, 512, 1024, 1024))
_densenet(161, 28_681_000, (96, 384, 768, 2112, 2208))
