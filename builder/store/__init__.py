"""The image store: a folder per image, named by content key, that is there whole or not at all.

    ROOT/<key>/{image.sif, metadata.json, recipe, build.log, …}    images of main
    ROOT/pull-<n>/<key>/…                                          images of a pull request
    ROOT/.parts/<key>/      being made             ROOT/.locks/      locks of keys, and of changes
    ROOT/.failed/<key>.log  of failed builds       ROOT/.index/      what `builder.store.index` says
    ROOT/.replaced/, .trash/   on their way out    ROOT/.remote/<key>/, .unpushed/<key>
                                                   what `builder.store.shared` says

An image that was built for a pull request answers that pull request only, until it is promoted.
Nothing is changed after it has been published, but for a forced rebuild that replaces it whole.
What a killed process left is swept when the store is opened next.
"""

from builder.store.image import LOG, MAIN, METADATA, RECIPE, SIF, Image
from builder.store.store import ImageStore

__all__ = ["LOG", "MAIN", "METADATA", "RECIPE", "SIF", "Image", "ImageStore"]
