"""Recipes: what an image is built from, as data and in the languages of image builders."""

from __future__ import annotations

from builder.recipe.easybuild import EASYBUILD_RELEASE
from builder.recipe.form import form
from builder.recipe.model import MAIN_SCOPE, SECRETS, Recipe
from builder.recipe.quoting import quote, quote_exec
from builder.recipe.spack import SPACK_RELEASE
from builder.recipe.stages import SOURCE_DATE_EPOCH, render

FORM = form()

__all__ = [
    "EASYBUILD_RELEASE",
    "FORM",
    "MAIN_SCOPE",
    "SECRETS",
    "SOURCE_DATE_EPOCH",
    "SPACK_RELEASE",
    "Recipe",
    "quote",
    "quote_exec",
    "render",
]
