"""Media Pipeline: every image and video your product makes or takes in, as a durable job."""

__version__ = "0.1.0"
