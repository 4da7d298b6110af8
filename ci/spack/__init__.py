"""Spack as far as judging a spec needs it: specs, versions, an index of Spack's own packages."""
