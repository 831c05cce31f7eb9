"""Everything that can go wrong on purpose, in one tree and free of HTTP (app/errors.py maps it to status codes)."""


class CamspectorError(Exception):
    """Base of every error that a user can cause or mend; its text says what is wrong and what to do."""


# Images


class ImageError(CamspectorError):
    """One image can't be inspected."""


class UnsupportedFormatError(ImageError):
    """The bytes are none of the accepted formats, or a pixel type that isn't."""


class ImageTooLargeError(ImageError):
    """More pixels than the limit."""


class UndecodableImageError(ImageError):
    """An accepted format, but broken or cut short."""


class MultipleFramesError(ImageError):
    """An animation or a document of several pages: which image is meant isn't said."""


class ImageTooCostlyError(ImageError):
    """Decoding takes more processor time or memory than any sound image needs."""


class BrightnessError(ImageError):
    """A 16-bit image that the model's full scale doesn't cover."""


class FrameSizeError(ImageError):
    """At the model's scale an image has fewer pixels than a frame must have, or more tiles than it may have."""


# Artifacts and the store


class ArtifactError(CamspectorError):
    """A version in the store can't be used."""


class MissingFileError(ArtifactError):
    """A file that the manifest names isn't there."""


class UnreadableFileError(ArtifactError):
    """A file of the version is there, but can't be read."""


class DigestError(ArtifactError):
    """A file's SHA-256 isn't the one in the manifest, or in SHA256SUMS."""


class SumsError(ArtifactError):
    """SHA256SUMS isn't of the form that sha256sum writes, or lacks a file."""


class SignatureError(ArtifactError):
    """The version isn't signed by a trusted key, or was changed since."""


class KeyFileError(CamspectorError):
    """A file of keys can't be read, or has none of the kind that is wanted."""


class ManifestError(ArtifactError):
    """manifest.json isn't JSON, or not of the declared form."""


class SchemaError(ArtifactError):
    """manifest.json has a schema version that this program doesn't know."""


class WeightsFormatError(ArtifactError):
    """The weights file isn't a whole safetensors file."""


class ShapeError(ArtifactError):
    """A tensor is missing, superfluous or of another shape than the network's."""


class NonFiniteWeightsError(ArtifactError):
    """A weight is NaN or infinite."""


class GoldenOutputError(ArtifactError):
    """The golden images don't give the log-odds here that they had at export."""


class UnknownModelError(CamspectorError):
    """No model of that name."""


class UnknownVersionError(CamspectorError):
    """The model has no such version."""


class StoreError(CamspectorError):
    """The store's folder can't be read or written."""


class ServingError(CamspectorError):
    """A model's serving.json isn't of the declared form, or can't be read."""


class RecipesError(CamspectorError):
    """recipes.json isn't of the declared form, or can't be read."""


class UnknownRecipeError(CamspectorError):
    """recipes.json has no recipe of that number."""


class PinError(CamspectorError):
    """A version that serving.json or recipes.json names isn't there, or can't be loaded."""


class ChallengeError(CamspectorError):
    """A model's challenge folder isn't there, can't be read, or can't show what it is for."""


class RemoteStoreError(CamspectorError):
    """A store elsewhere can't be reached, read or written."""


# Engines


class EngineError(CamspectorError):
    """The engine or its device failed."""


class DeviceUnavailableError(EngineError):
    """The device that was asked for isn't there."""


class DeviceMemoryError(EngineError):
    """The device is out of memory."""


# Training


class DataError(CamspectorError):
    """The data set, or a file or folder of it, can't be used."""


class WeightsSourceError(CamspectorError):
    """ImageNet weights can't be had, or aren't the ones expected."""


class ErrorBoundError(CamspectorError):
    """There are too few images to bound an error rate by the limit that was asked for."""


class RecipeError(CamspectorError):
    """A preset's configuration makes no sense, or training with it diverged."""
