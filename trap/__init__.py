"""The transients pipeline: images of one piece of sky in, light curves of its sources out."""

__all__ = ["__version__"]

__version__ = "0.1.0"
