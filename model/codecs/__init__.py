"""One module a format: the container is checked whole here, and its pixels are decoded by Pillow or libjpeg-turbo.

Each `read` gives the image as it is stored and its EXIF orientation. What a file says beside its pixels is left out
before a decoder sees it, so odd metadata can't spoil a sound image; and a decoder's silence is not trusted: whether
every row was there is counted. ValueError and its like mean broken or cut short; the rest are errors of model.errors.
"""
