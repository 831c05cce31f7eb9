"""From a folder of images to a version in the store: data, fit, evaluate, export."""

import model as model  # ends with a clear error on other systems than Linux, before anything else is imported
