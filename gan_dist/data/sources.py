"""The known data sets of the MNIST family: their files, with checksums."""

from typing import NamedTuple


class KnownFile(NamedTuple):
    """An IDX file by its name, the shape of its array and a checksum."""

    name: str
    shape: tuple[int, ...]
    sha256: str | None = None  # of the file unpacked
    sha256_gz: str | None = None  # of the .gz as published, from tensorflow_datasets/url_checksums


class Source(NamedTuple):
    """A data set: torchvision's name of it and of its folder, its files by (kind, split), the names of its classes."""

    folder: str
    files: dict[tuple[str, str], KnownFile]
    class_names: tuple[str, ...] = tuple("0123456789")


NAMES = {
    ("images", "train"): "train-images-idx3-ubyte",
    ("labels", "train"): "train-labels-idx1-ubyte",
    ("images", "test"): "t10k-images-idx3-ubyte",
    ("labels", "test"): "t10k-labels-idx1-ubyte",
}
MNIST = {
    ("images", "train"): "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ("labels", "train"): "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ("images", "test"): "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ("labels", "test"): "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
FASHION = {
    ("images", "train"): "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ("labels", "train"): "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ("images", "test"): "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    ("labels", "test"): "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
KMNIST_GZ = {
    ("images", "train"): "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
    ("labels", "train"): "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
    ("images", "test"): "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
    ("labels", "test"): "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
}
MNIST_5K = {
    ("images", "train"): "a4a9358b9ba319305e7cd69b2c7410e463401e152d7e9e60189b94a3f159d012",
    ("labels", "train"): "704256e87519240fd1d7ecdf681fe209864691e252c6642aeadc21f3c4d44b41",
}
CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
KANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")


def _known(key: tuple[str, str], num_train: int = 60_000) -> KnownFile:
    num = num_train if key[1] == "train" else 10_000
    return KnownFile(NAMES[key], (num, 28, 28) if key[0] == "images" else (num,))


SOURCES = {
    "mnist": Source("MNIST", {key: _known(key)._replace(sha256=MNIST[key]) for key in NAMES}),
    "fashion-mnist": Source("FashionMNIST", {key: _known(key)._replace(sha256=FASHION[key]) for key in NAMES}, CLOTHES),
    "kmnist": Source("KMNIST", {key: _known(key)._replace(sha256_gz=KMNIST_GZ[key]) for key in NAMES}, KANA),
    "mnist-5k": Source("MNIST-5k", {key: _known(key, 5000)._replace(sha256=MNIST_5K[key]) for key in MNIST_5K}),
}
